/** Keeps one process for cells: started when needed, and again after it died. */
import type { CellProcess, CellProcessOptions } from '../cells/cell-process';

/** What the kernel needs of the process that runs cells. */
export type Cells = Pick<
  CellProcess,
  'ready' | 'execute' | 'complete' | 'inspect' | 'isComplete' | 'interrupt' | 'finish' | 'kill'
>;

/** What such a process tells. */
export type CellEvents = Required<Pick<CellProcessOptions, 'onNativeOutput' | 'onEnd'>>;

export type StartCells = (events: CellEvents) => Cells;

/** How a process ended. */
export interface CellsEnd {
  reason: string;
  /** What it printed last. */
  lastLines: string[];
}

// A process that is asked to end gets this long to do so; and a dead one, to be noticed with its last words.
const finishMs = 1000;
const noticeMs = 1500;

/** Holds the process that runs cells, if there is one. */
export class CellHost {
  private readonly startCells: StartCells;
  private readonly onNativeOutput: CellEvents['onNativeOutput'];
  private readonly onEnd: (end: CellsEnd) => void;
  private cells: Cells | undefined;
  private ready = false;
  private lastEnd: CellsEnd | undefined;
  private onNextEnd: () => void = () => {};
  private closed = false;

  /** `onEnd`: the process ended by itself, and with it all variables. */
  constructor(
    startCells: StartCells,
    onNativeOutput: CellEvents['onNativeOutput'],
    onEnd: (end: CellsEnd) => void,
  ) {
    this.startCells = startCells;
    this.onNativeOutput = onNativeOutput;
    this.onEnd = onEnd;
  }

  /** The running process; where there is none, a new one. */
  start(): Cells {
    if (this.closed) throw new Error('the kernel is shutting down');
    if (this.cells) return this.cells;
    this.lastEnd = undefined;
    const cells: Cells = this.startCells({
      onNativeOutput: this.onNativeOutput,
      onEnd: (reason, lastLines) => {
        if (this.cells === cells) this.lose({ reason, lastLines });
      },
    });
    this.cells = cells;
    this.ready = false;
    cells.ready.then(
      () => (this.ready = true),
      () => {},
    );
    return cells;
  }

  /** Stops what the process runs; one that still starts runs nothing. */
  interrupt(): void {
    if (this.ready) this.cells?.interrupt();
  }

  /** The running process, if there is one. */
  get current(): Cells | undefined {
    return this.cells;
  }

  /** How the process ended that just refused a call, saying `reason`: its own account may take a moment longer. */
  async endOf(cells: Cells, reason: string): Promise<CellsEnd> {
    if (this.cells === cells) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.onNextEnd = resolve;
        timer = setTimeout(resolve, noticeMs);
      });
      clearTimeout(timer);
      // Whatever it does, it answers no more.
      if (this.cells === cells) {
        cells.kill();
        this.lose({ reason, lastLines: [] });
      }
    }
    return this.lastEnd ?? { reason, lastLines: [] };
  }

  /** Ends the process, politely where `polite`, and starts no other. */
  async close(polite: boolean): Promise<void> {
    this.closed = true;
    const cells = this.cells;
    if (cells && polite) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, finishMs)));
      await Promise.race([cells.finish().catch(() => {}), limit]);
      clearTimeout(timer);
    }
    this.kill();
  }

  /** Ends the process at once, and starts no other. */
  kill(): void {
    this.closed = true;
    const cells = this.cells;
    this.cells = undefined;
    cells?.kill();
  }

  private lose(end: CellsEnd): void {
    this.cells = undefined;
    this.lastEnd = end;
    this.onNextEnd();
    if (!this.closed) this.onEnd(end);
  }
}
