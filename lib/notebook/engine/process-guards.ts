/** What code in a cell must not do to the process that runs it: end it, or wait for keys that nobody can press. */
import { Readable } from 'node:stream';

/** Thrown by `process.exit` in a cell. */
export class ExitCalled extends Error {
  override readonly name: string = 'ExitCalled';
  constructor(readonly code: unknown) {
    super(
      `process.exit(${code === undefined ? '' : String(code)}) was called. It ends this cell only: to end the kernel, shut it ` +
        'down in the front end; to end a cell early, throw an Error.',
    );
  }
}

class NoInput extends Readable {
  readonly isTTY: boolean = false;
  override _read(): void {
    const error = new Error(
      'process.stdin was read, but a notebook has no standard input. Write the answer into the cell as a constant.',
    );
    error.name = 'StdinNotAvailable';
    this.destroy(error);
  }
}

/** Installs both; the returned function takes them away and gives the process's own `exit`. */
export function guardProcess(): () => void {
  const { exit } = process;
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin');
  process.exit = (code) => {
    throw new ExitCalled(code);
  };
  let input: NoInput | undefined;
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    enumerable: true,
    // A stream that was read is spent; the next cell that tries is told as well.
    get: () => (input && !input.destroyed ? input : (input = new NoInput())),
  });
  return () => {
    process.exit = exit;
    if (stdin) Object.defineProperty(process, 'stdin', stdin);
  };
}
