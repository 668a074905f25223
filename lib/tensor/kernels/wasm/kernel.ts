/** A kernel: a WebAssembly function that works on a range of items, so that threads can share them, with named parameters. */
import type { FunctionWriter, Routine, Variable } from './assembler';
import type { Float, Int } from './values';

/** Names and types of a kernel's parameters; addresses are whole numbers. */
export type Fields = Readonly<Record<string, 'int' | 'float'>>;

type Parameters<F extends Fields> = {
  readonly [Name in keyof F]: Variable<F[Name] extends 'int' ? Int : Float>;
};

/** What a kernel is told besides its parameters. */
export interface Task {
  /** The items to work on: from `begin` up to below `end`. */
  readonly begin: Variable<Int>;
  readonly end: Variable<Int>;
  /** The address of this thread's own memory, `scratchBytes` long. */
  readonly scratch: Variable<Int>;
  /** The address of the parameters. */
  readonly block: Variable<Int>;
}

/** A kernel; `fields` in the order in which they lie in memory, four bytes each. */
export interface Kernel<F extends Fields = Fields> extends Routine {
  readonly name: string;
  readonly fields: F;
}

/** Memory that each thread has for itself. */
export const scratchBytes: number = 1 << 20;

/** The largest number of parameters of a kernel. */
export const maxFields: number = 48;

/** Makes a kernel of a function that writes its code. */
export function kernel<const F extends Fields>(
  name: string,
  fields: F,
  write: (f: FunctionWriter, parameters: Parameters<F>, task: Task) => void,
): Kernel<F> {
  const entries = Object.entries(fields);
  if (entries.length > maxFields) throw new Error(`kernel ${name}: more than ${maxFields} parameters`);
  return {
    name,
    fields,
    parameters: 4,
    write(f, block, scratch, begin, end) {
      const loaded = entries.map(([field, type], i) => {
        return [field, type === 'int' ? f.int(block.int(4 * i)) : f.float(block.float(4 * i))];
      });
      write(f, Object.fromEntries(loaded) as Parameters<F>, { block, scratch, begin, end });
    },
  };
}
