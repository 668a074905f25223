/** The error of a step that cannot be compiled. */

/** A step does what a graph cannot repeat. The message names the line of the step. */
export class CompileError extends Error {
  /** @param place the user's frame, as in a stack; '' where it is not known. */
  constructor(
    message: string,
    readonly place: string = '',
  ) {
    super(place ? `compile: ${message}\n    ${place}` : `compile: ${message}`);
    this.name = 'CompileError';
  }
}
