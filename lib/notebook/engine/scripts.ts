/** The names that V8 knows cells by, as they stand in its stack traces. */

const prefix = 'detlab-cell-';

/** The script name of a cell. Unrecorded cells share a number: `run` tells them apart. */
export function cellScript(number: number, run: number): string {
  return `${prefix}${number}.${run}`;
}

/** The number of the cell that a script is, as text; `undefined` for any other file. */
export function cellNumber(script: string): string | undefined {
  return script.startsWith(prefix) ? /^(\d+)\.\d+$/.exec(script.slice(prefix.length))?.[1] : undefined;
}
