/** The cells that wait to be run, one after another, and what is said about each. */
import { paintTraceback } from './paint';
import { outputLimit, StreamBuffer } from '../engine/streams';
import type { CellError, CellMessage, ExecuteOutcome } from '../session';
import type { CellHost, Cells, CellsEnd } from './cell-host';
import { Fields } from './fields';
import type { History, HistoryEntry } from './history';
import type { IoPub } from './iopub';
import type { Request } from './requests';

/** One `execute_request`. */
interface Execution {
  request: Request;
  code: string;
  silent: boolean;
  storeHistory: boolean;
  stopOnError: boolean;
  expressions: Record<string, string>;
  /** What the process printed past its session while this cell was the last. */
  native: StreamBuffer;
}

export interface ExecutionParts {
  cells: CellHost;
  iopub: IoPub;
  history: History;
  reply: (request: Request, type: string, content: object, metadata?: object) => void;
  /** Where text goes that belongs to no cell. */
  log: (line: string) => void;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The queue of `execute_request`s. */
export class Executions {
  /** The number of the last cell that was counted. */
  count = 0;
  private readonly parts: ExecutionParts;
  private queue: Execution[] = [];
  private running: Execution | undefined;
  private latest: Execution | undefined;
  private draining = false;
  private stopped = false;
  /** Ends the wait for a process that starts. */
  private stopWaiting: (() => void) | undefined;

  constructor(parts: ExecutionParts) {
    this.parts = parts;
  }

  get busy(): boolean {
    return this.running !== undefined;
  }

  /** Queues a request. @throws BadRequest where its content cannot be used. */
  add(request: Request): void {
    const { header, content } = request.message;
    const fields = new Fields(header.msg_type, content);
    const silent = fields.flag('silent', false);
    const print = (name: string, text: string): void => {
      if (!silent) this.parts.iopub.publish('stream', { name, text }, header);
    };
    this.queue.push({
      request,
      code: fields.text('code'),
      silent,
      storeHistory: fields.flag('store_history', true) && !silent,
      stopOnError: fields.flag('stop_on_error', true),
      expressions: fields.texts('user_expressions'),
      native: new StreamBuffer(print, outputLimit()),
    });
    if (!this.draining) void this.runAll();
  }

  /** Stops the running cell. */
  interrupt(): void {
    if (this.stopWaiting) this.stopWaiting();
    // Also without a cell: what a cell left running may keep the process from running others.
    else this.parts.cells.interrupt();
  }

  /** Runs nothing more, and says nothing more about what runs. */
  stop(): void {
    this.stopped = true;
    this.queue = [];
  }

  /** Text that the cells' process wrote past its session: it belongs to the cell that runs or ran last. */
  nativeOutput(name: 'stdout' | 'stderr', text: string): void {
    const cell = this.running ?? this.latest;
    if (cell) cell.native.write(name, text);
    else this.parts.log(text.trimEnd());
  }

  /** The cells' process died. A running cell fails by itself; between cells the last one's output says it. */
  cellsEnded(end: CellsEnd): void {
    if (!this.running) this.nativeOutput('stderr', `${lossOf(end).traceback.join('\n')}\n`);
  }

  private async runAll(): Promise<void> {
    this.draining = true;
    for (let next = this.queue.shift(); next; next = this.queue.shift()) {
      this.running = this.latest = next;
      await this.run(next);
      this.running = undefined;
    }
    this.draining = false;
  }

  private async run(execution: Execution): Promise<void> {
    const { iopub, history, reply } = this.parts;
    const { request, code, silent } = execution;
    const parent = request.message.header;
    // As in IPython, a cell without text is not counted: front ends send one to learn the count.
    const empty = code.trim() === '';
    const counted = execution.storeHistory && !empty;
    if (counted) this.count++;
    // One that is not recorded goes by the number that it would have had.
    const number = counted || empty ? this.count : this.count + 1;
    // Front ends reckon from it how long a cell took, without the time that it waited.
    const started = new Date().toISOString();
    iopub.busyWithCell(parent);
    const entry = counted ? history.add(number, code) : undefined;
    if (!silent) iopub.publish('execute_input', { code, execution_count: number }, parent);

    const outcome = await this.execute(execution, number, (message) => {
      if (!silent) iopub.publishCell(message, parent);
      if (entry) remember(entry, message);
    });
    if (this.stopped) return;
    const failed = outcome.status === 'error' && execution.stopOnError && !silent;
    // Cells that were sent together with this one may still be on their way through the socket.
    if (failed) await turn().then(turn);
    execution.native.end();
    this.running = undefined;
    reply(request, 'execute_reply', replyOf(outcome, this.count), { started });
    iopub.idle(parent);
    if (failed) this.abortQueue();
  }

  private async execute(
    { code, expressions }: Execution,
    number: number,
    onMessage: (message: CellMessage) => void,
  ): Promise<ExecuteOutcome> {
    if (code.trim() === '' && Object.keys(expressions).length === 0) {
      return { status: 'ok', executionCount: number };
    }
    const fail = (error: CellError): ExecuteOutcome => {
      onMessage({ type: 'error', error, late: false });
      return { status: 'error', executionCount: number, error };
    };
    const { cells: host } = this.parts;
    const cells = host.start();
    try {
      if (!(await this.untilReady(cells))) return fail(notStarted(number));
      return await cells.execute(code, { number, expressions }, onMessage);
    } catch (error) {
      const { name, message } = error as Error;
      if (name !== 'CellProcessEnded') {
        return fail({ ename: name, evalue: message, traceback: [`${name}: ${message}`] });
      }
      return fail(lossOf(await host.endOf(cells, message)));
    }
  }

  /** Waits for a process that starts. False where an interrupt came before. */
  private async untilReady(cells: Cells): Promise<boolean> {
    const interrupted = new Promise<false>((resolve) => (this.stopWaiting = () => resolve(false)));
    try {
      return await Promise.race([cells.ready.then(() => true), interrupted]);
    } finally {
      this.stopWaiting = undefined;
    }
  }

  private abortQueue(): void {
    const { iopub, reply } = this.parts;
    const aborted = this.queue;
    this.queue = [];
    for (const { request } of aborted) {
      iopub.busy(request.message.header);
      // Without a count: front ends would number the cell as if it had run.
      reply(request, 'execute_reply', { status: 'aborted' });
      iopub.idle(request.message.header);
    }
  }
}

function remember(entry: HistoryEntry, message: CellMessage): void {
  if (message.type !== 'execute_result') return;
  const text = message.data['text/plain'];
  if (typeof text === 'string') entry.output = text;
}

function replyOf(outcome: ExecuteOutcome, number: number): object {
  const common = { status: outcome.status, execution_count: number, payload: [] };
  if (outcome.status === 'ok') return { ...common, user_expressions: outcome.expressions ?? {} };
  const { ename, evalue, traceback } = outcome.error;
  return { ...common, user_expressions: {}, ename, evalue, traceback: paintTraceback(traceback) };
}

function notStarted(number: number): CellError {
  return {
    ename: 'Interrupted',
    evalue: 'the cell was interrupted',
    traceback: [`Interrupted: cell [${number}] was stopped before it began`],
  };
}

/** The error of a cell whose process died, and with it everything that earlier cells had made. */
function lossOf({ reason, lastLines }: CellsEnd): CellError {
  const ename = 'CellProcessEnded';
  const evalue =
    `the process that ran the cells ended: ${reason}. Its variables are gone. ` +
    'The next cell starts a new process: run the notebook from the top again';
  const said =
    lastLines.length > 0 ? ['', 'What it said last:', ...lastLines.map((line) => `  ${line}`)] : [];
  return { ename, evalue, traceback: [`${ename}: ${evalue}`, ...said] };
}
