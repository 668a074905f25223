/** The error of a step that cannot be compiled. */

/** Frames of a notebook's cell carry the name of compiled code; the notebook shows the cell's own line instead. */
const cellFrame: RegExp = /detlab-cell-/;

/** A step does what a graph cannot repeat. Its message and its stack name the line of the step first. */
export class CompileError extends Error {
  /** @param place the user's frame, as in a stack; '' where it is not known. */
  constructor(message: string, place: string = '') {
    const inCell = cellFrame.test(place);
    super(place && !inCell ? `compile: ${message}\n    ${place}` : `compile: ${message}`);
    this.name = 'CompileError';
    if (inCell) this.stack = (this.stack ?? '').replace(/\n {4}at /, () => `\n    ${place}\n    at `);
  }
}
