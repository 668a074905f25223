/** Runs one notebook in a child process and gathers what its cells did. */
import path from 'node:path';
import {
  type CodeCell,
  type ErrorOutput,
  kernelspec,
  languageInfo,
  type NotebookDocument,
  notebookTitle,
  readNotebook,
} from '../nbformat';
import { type CellProgress, OutputCollector } from '../outputs';
import { CellProcess, CellProcessEnded } from '../cells/cell-process';
import type { CellError, ExecuteOutcome } from '../session';

/** Where a notebook stands, for whoever shows it. */
export interface RunProgress {
  name: string;
  /** The code cell that runs, from 1, of `cells`; 0 while the kernel starts. */
  cell: number;
  cells: number;
  /** Seconds since this cell started. */
  cellSeconds: number;
  seconds: number;
  progress?: CellProgress;
}

/** What stopped a notebook. `cell` counts code cells, as the numbers in brackets do; 0 for the kernel itself. */
export interface RunFailure {
  cell: number;
  ename: string;
  evalue: string;
  line?: number;
  sourceLine?: string;
  traceback: string[];
}

export interface RunOptions {
  /** The .ipynb file. Relative imports of its cells start from its folder. */
  file: string;
  /** Added to the process's own environment for the kernel. */
  env?: Record<string, string | undefined>;
  /** Seconds after which a cell is ended, and the kernel with it. */
  timeoutSeconds?: number;
  /** Ends the run early. */
  signal?: AbortSignal;
  onProgress?: (progress: RunProgress) => void;
}

export interface RunResult {
  name: string;
  title: string;
  status: 'ok' | 'failed' | 'interrupted';
  notebook: NotebookDocument;
  seconds: number;
  /** Of each code cell that ended, in order. */
  cellSeconds: number[];
  /** What the run was made with, as text. */
  info: Record<string, string>;
  failure?: RunFailure;
}

/**
 * Runs a notebook's code cells in order, up to the first that fails; a cell tagged `raises-exception` is meant to.
 * @throws NotebookFormatError, or the file system's error, where the file can't be read.
 */
export async function runNotebook(options: RunOptions): Promise<RunResult> {
  const notebook = readNotebook(options.file);
  const name = path.basename(options.file, '.ipynb');
  const start = performance.now();
  const run = new Run(notebook, name, options);
  const end = await run.done;
  return {
    name,
    title: notebookTitle(notebook) ?? name,
    notebook,
    seconds: (performance.now() - start) / 1000,
    cellSeconds: run.cellSeconds,
    info: run.info,
    ...end,
  };
}

type End = Pick<RunResult, 'status' | 'failure'>;

class Run {
  readonly done: Promise<End>;
  readonly cellSeconds: number[] = [];
  info: Record<string, string> = {};

  private readonly cells: CodeCell[];
  private readonly collector = new OutputCollector();
  private readonly kernel: CellProcess;
  private readonly start = performance.now();
  private settle!: (end: End) => void;
  private current = 0;
  private cellStart = 0;
  private progress: CellProgress | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly ticker: NodeJS.Timeout;
  private readonly abort = (): void => {
    const failure = this.deathOf('the run was interrupted', [], 'Interrupted');
    this.finish({ status: 'interrupted', failure });
  };

  constructor(
    notebook: NotebookDocument,
    private readonly name: string,
    private readonly options: RunOptions,
  ) {
    this.done = new Promise((resolve) => (this.settle = resolve));
    this.cells = notebook.cells.filter((cell): cell is CodeCell => cell.cell_type === 'code');
    for (const cell of this.cells) Object.assign(cell, { outputs: [], execution_count: null });
    notebook.metadata.kernelspec ??= { ...kernelspec };
    notebook.metadata.language_info ??= structuredClone(languageInfo);
    this.kernel = new CellProcess({
      cwd: path.dirname(path.resolve(options.file)),
      env: { ...process.env, DETLAB_HEADLESS: '1', ...options.env },
      onEnd: (reason, lines) => this.fail(this.deathOf(`the kernel ended: ${reason}`, lines), true),
    });
    this.ticker = setInterval(() => this.tell(), 1000);
    if (options.signal?.aborted) this.abort();
    options.signal?.addEventListener('abort', this.abort, { once: true });
    this.tell();
    this.runCells().catch((error: unknown) => {
      // An end of the process is told by `onEnd`, with its reason.
      if (!(error instanceof CellProcessEnded)) this.fail(this.deathOf(String(error), []), true);
    });
  }

  private async runCells(): Promise<void> {
    await this.kernel.ready;
    while (this.current < this.cells.length) {
      const failure = await this.runCell(this.cells[this.current++]!);
      if (failure) return this.fail(failure, false);
    }
    this.info = await this.kernel.finish();
    this.finish({ status: 'ok' });
  }

  private async runCell(cell: CodeCell): Promise<RunFailure | undefined> {
    const number = this.current;
    cell.execution_count = number;
    this.cellStart = performance.now();
    this.progress = undefined;
    this.tell();
    const { timeoutSeconds } = this.options;
    if (timeoutSeconds) this.timer = setTimeout(() => this.timeOut(timeoutSeconds), timeoutSeconds * 1000);
    const outcome: ExecuteOutcome = await this.kernel.execute(cell.source, { number }, (message) =>
      this.receive(number, message),
    );
    clearTimeout(this.timer);
    this.cellSeconds.push((performance.now() - this.cellStart) / 1000);
    return outcome.status === 'error' && !mayFail(cell) ? failureOf(outcome.error, number) : undefined;
  }

  private receive(number: number, message: Parameters<OutputCollector['add']>[1]): void {
    const cell = this.cells[number - 1]!;
    const progress = this.collector.add(cell.outputs, message);
    if (progress && number === this.current) {
      this.progress = progress;
      this.tell();
    }
    if (message.type === 'error' && message.late && !mayFail(cell))
      this.fail(failureOf(message.error, number), false);
  }

  private timeOut(seconds: number): void {
    const message = `the cell ran longer than ${seconds} s and was ended (--timeout)`;
    this.fail(this.deathOf(message, [], 'CellTimeout'), true);
  }

  private deathOf(evalue: string, lines: string[], ename: string = 'KernelDied'): RunFailure {
    const traceback = [`${ename}: ${evalue}`, ...(lines.length > 0 ? ['', 'Its last lines:', ...lines] : [])];
    return { cell: this.current, ename, evalue, traceback };
  }

  /** `record`: the cell has not shown this error itself. */
  private fail(failure: RunFailure, record: boolean): void {
    const cell = this.cells[failure.cell - 1];
    if (cell && record) {
      const { ename, evalue, traceback } = failure;
      cell.outputs.push({ output_type: 'error', ename, evalue, traceback } satisfies ErrorOutput);
    }
    this.finish({ status: 'failed', failure });
  }

  private finish(end: End): void {
    clearTimeout(this.timer);
    clearInterval(this.ticker);
    this.options.signal?.removeEventListener('abort', this.abort);
    this.kernel.kill();
    this.settle(end);
  }

  private tell(): void {
    const now = performance.now();
    this.options.onProgress?.({
      name: this.name,
      cell: this.current,
      cells: this.cells.length,
      cellSeconds: this.current === 0 ? 0 : (now - this.cellStart) / 1000,
      seconds: (now - this.start) / 1000,
      progress: this.progress,
    });
  }
}

function mayFail(cell: CodeCell): boolean {
  return Array.isArray(cell.metadata.tags) && cell.metadata.tags.includes('raises-exception');
}

function failureOf(error: CellError, cell: number): RunFailure {
  const { ename, evalue, line, sourceLine, traceback } = error;
  return { cell, ename, evalue, line, sourceLine, traceback };
}
