/** A process for cells that does what a test says, without a process. */
import type { CellEvents, Cells } from '../../../lib/notebook/protocol/cell-host';
import type { CellMessage, Completion, ExecuteOptions, ExecuteOutcome } from '../../../lib/notebook/session';
import type { MimeBundle } from '../../../lib/plot/display';

/** What a running cell may do. */
export interface Run {
  code: string;
  options: ExecuteOptions;
  say: (message: CellMessage) => void;
  print: (text: string) => void;
  /** Settles when the cell is interrupted. */
  interrupted: Promise<void>;
}

/** What happens when a cell with this code runs. What it throws is the cell's error. */
export type Script = (run: Run) => unknown;

/** A promise that a test settles. */
export function gate(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

export class CellProcessEnded extends Error {
  override readonly name: string = 'CellProcessEnded';
}

export class FakeCells implements Cells {
  readonly ready: Promise<void>;
  readonly asked: { code: string; options: ExecuteOptions }[] = [];
  readonly positions: number[] = [];
  completion: Completion = { items: [], start: 0, end: 0 };
  inspection: MimeBundle | undefined = undefined;
  completeness: Awaited<ReturnType<Cells['isComplete']>> = { status: 'complete' };
  killed = false;
  finished = false;
  becomeReady: () => void = () => {};
  private interruptRun: () => void = () => {};
  private reject: (error: Error) => void = () => {};

  constructor(
    readonly events: CellEvents,
    private readonly scripts: Record<string, Script>,
    ready: boolean = true,
  ) {
    this.ready = ready ? Promise.resolve() : new Promise((resolve) => (this.becomeReady = resolve));
  }

  async execute(
    code: string,
    options: ExecuteOptions,
    onMessage: (m: CellMessage) => void,
  ): Promise<ExecuteOutcome> {
    this.asked.push({ code, options });
    const executionCount = options.number!;
    const interrupted = new Promise<void>((resolve) => (this.interruptRun = resolve));
    const say = onMessage;
    const print = (text: string): void => say({ type: 'stream', name: 'stdout', text });
    const ended = new Promise<never>((_, reject) => (this.reject = reject));
    ended.catch(() => {});
    try {
      const script = this.scripts[code];
      await Promise.race([Promise.resolve(script?.({ code, options, say, print, interrupted })), ended]);
      return { status: 'ok', executionCount };
    } catch (error) {
      const { name: ename, message: evalue } = error as Error;
      if (error instanceof CellProcessEnded) throw error;
      const cellError = { ename, evalue, traceback: [`${ename}: ${evalue}`] };
      onMessage({ type: 'error', error: cellError, late: false });
      return { status: 'error', executionCount, error: cellError };
    }
  }

  async complete(_code: string, position: number): Promise<Completion> {
    this.positions.push(position);
    return this.completion;
  }

  async inspect(_code: string, position: number): Promise<MimeBundle | undefined> {
    this.positions.push(position);
    return this.inspection;
  }

  async isComplete(): ReturnType<Cells['isComplete']> {
    return this.completeness;
  }

  interrupt(): void {
    this.interruptRun();
  }

  async finish(): Promise<Record<string, string>> {
    this.finished = true;
    return {};
  }

  kill(): void {
    this.killed = true;
    this.reject(new CellProcessEnded('it was ended by its parent'));
  }

  /** The process dies by itself. */
  die(reason: string, lastLines: string[] = []): void {
    this.reject(new CellProcessEnded(reason));
    this.events.onEnd(reason, lastLines);
  }
}
