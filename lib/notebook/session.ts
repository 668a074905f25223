/**
 * The kernel's core: runs cells one after another and says what they did as Jupyter's messages, as plain objects. No wire
 * protocol here: the headless runner and the kernel put their own transport around it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type DisplayOptions, type MimeBundle, setDisplaySink } from '../plot/display';
import { installResolution } from './engine/resolve';
import { plainBundle, resultBundle } from './engine/result';
import { captureStreams, StreamBuffer } from './engine/streams';
import { type CellError, cellScript, describeDiagnostics, describeError } from './engine/traceback';
import { createEngine, type Diagnostics, projectRoot, setTslabDisplay } from './engine/typescript';

export type { CellError } from './engine/traceback';

/** What a cell did, in the terms of Jupyter's messaging protocol. */
export type CellMessage =
  | { type: 'stream'; name: 'stdout' | 'stderr'; text: string }
  | {
      type: 'display_data' | 'update_display_data';
      data: MimeBundle;
      metadata: Record<string, unknown>;
      displayId?: string;
    }
  | { type: 'clear_output'; wait: boolean }
  | { type: 'execute_result'; executionCount: number; data: MimeBundle; metadata: Record<string, unknown> }
  /** `late`: work that the cell left running failed after the cell had ended. */
  | { type: 'error'; error: CellError; late: boolean };

export type ExecuteOutcome =
  { status: 'ok'; executionCount: number } | { status: 'error'; executionCount: number; error: CellError };

/** Candidates for the text between two offsets of the code. */
export interface Completion {
  candidates: string[];
  start: number;
  end: number;
}

export interface SessionOptions {
  /** The folder that relative imports start from: the notebook's. */
  cwd: string;
  /** Whether what cells print is captured (default) or left to the process. */
  capture?: boolean;
}

/** One notebook's state. Cells are executed one at a time; the caller keeps the queue. */
export interface Session {
  /** Runs a cell. Messages may still come after it settled, when work that the cell left running prints, shows or fails. */
  execute(code: string, onMessage: (message: CellMessage) => void): Promise<ExecuteOutcome>;
  complete(code: string, position: number): Completion;
  /** What is known about the name at a position, as text, or `undefined`. */
  inspect(code: string, position: number): string | undefined;
  /** Whether a console should run the code or ask for another line. */
  isComplete(code: string): { status: 'complete' | 'incomplete'; indent?: string };
  /** Stops waiting for the running cell. Code that never yields is stopped by the signal SIGINT alone. */
  interrupt(): void;
  close(): void;
}

interface RunningCell {
  number: number;
  source: string;
  ended: boolean;
  emit: (message: CellMessage) => void;
  streams: StreamBuffer;
  diagnostics: Diagnostics;
  thrown?: { value: unknown };
  result?: { value: unknown };
  floating?: CellError;
  stop: AbortController;
}

// Library code that works for long looks here, so that the interrupt button stops the work and not only the waiting.
const abortSymbol = Symbol.for('detlab.abort');
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Starts a session. Only one can be open in a process: it takes over the streams and the display. */
export function createSession(options: SessionOptions): Session {
  installResolution(projectRoot);
  // The library's and TensorFlow.js's calls alone can fill the usual ten, and hide the cell's line.
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50);
  const scope = new AsyncLocalStorage<RunningCell>();
  const displayIds = new Set<string>();
  let running: RunningCell | undefined;
  let latest: RunningCell | undefined;
  let count = 0;
  const current = (): RunningCell | undefined => scope.getStore() ?? running ?? latest;

  // tslab tells its console three things: the last expression's value, a thrown value, a diagnostic.
  const engine = createEngine(options.cwd, {
    log: (value: unknown) => {
      if (running) running.result = { value };
    },
    error: (...args: unknown[]) => {
      if (running && args.length === 1) running.thrown = { value: args[0] };
    },
  });

  function show(bundle: MimeBundle, { displayId, update, metadata }: DisplayOptions): void {
    const cell = current();
    if (!cell) return;
    const data = plainBundle(bundle);
    cell.streams.flush();
    // An update of what was never shown is shown: better than losing it.
    const known = displayId !== undefined && displayIds.has(displayId);
    if (displayId !== undefined) displayIds.add(displayId);
    const type = update && known ? 'update_display_data' : 'display_data';
    cell.emit({ type, data, metadata: metadata ?? {}, ...(displayId === undefined ? {} : { displayId }) });
  }

  function blame(reason: unknown, explanation: string): void {
    const cell = current();
    if (!cell) throw reason;
    const error = describeError(reason, cell.number, engine.maps, projectRoot, options.cwd);
    error.traceback.push('', explanation);
    if (!cell.ended) {
      cell.floating ??= error;
      cell.stop.abort(reason);
      engine.executor.interrupt();
    } else {
      cell.streams.flush();
      cell.emit({ type: 'error', error, late: true });
    }
  }

  const release =
    options.capture === false
      ? () => {}
      : captureStreams(() => {
          const cell = current();
          return cell && ((name, chunk) => cell.streams.write(name, chunk));
        });
  setDisplaySink({
    display: show,
    clear: (wait) => {
      const cell = current();
      cell?.streams.flush();
      cell?.emit({ type: 'clear_output', wait });
    },
  });
  setTslabDisplay((content, update) =>
    show(content.data, { displayId: content.transient.display_id, update, metadata: content.metadata }),
  );
  const onRejection = (reason: unknown): void =>
    blame(reason, 'A promise failed that nothing waited for: is an `await` missing before the call?');
  const onException = (error: unknown): void =>
    blame(error, 'Thrown by a timer or an event, outside of what the cell waits for.');
  const onExit = (): void => current()?.streams.flush();
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  process.on('exit', onExit);

  /** The value to show, once a promise among last expressions has settled. */
  async function settleResult(cell: RunningCell): Promise<MimeBundle | undefined> {
    if (!cell.result) return undefined;
    const aborted = new Promise<never>((_, reject) => {
      cell.stop.signal.addEventListener('abort', () => reject(interrupted), { once: true });
    });
    aborted.catch(() => {});
    const shown = Promise.resolve(cell.result.value).then(resultBundle);
    return Promise.race([shown, aborted]);
  }

  async function run(cell: RunningCell): Promise<CellError | undefined> {
    engine.expect(cellScript(cell.number), cell.source, (diagnostics) =>
      cell.diagnostics.push(...diagnostics),
    );
    await engine.executor.execute(cell.source);
    if (cell.diagnostics.length > 0) return describeDiagnostics(cell.diagnostics, cell.number, cell.source);
    let bundle: MimeBundle | undefined;
    if (!cell.thrown) {
      try {
        bundle = await settleResult(cell);
      } catch (error) {
        cell.thrown = { value: error };
      }
    }
    // A rejection that nobody handles is reported once the queue of microtasks is empty: give it that moment.
    await turn();
    await turn();
    if (cell.floating) return cell.floating;
    if (cell.thrown) {
      if (isInterruption(cell.thrown.value)) return interruptionError(cell.number);
      return describeError(cell.thrown.value, cell.number, engine.maps, projectRoot, options.cwd);
    }
    cell.streams.flush();
    if (bundle)
      cell.emit({ type: 'execute_result', executionCount: cell.number, data: bundle, metadata: {} });
    return undefined;
  }

  return {
    async execute(source, onMessage) {
      if (running) throw new Error(`cell [${running.number}] is still running`);
      const number = ++count;
      const streams = new StreamBuffer((name, text) => onMessage({ type: 'stream', name, text }));
      const stop = new AbortController();
      const cell: RunningCell = {
        number,
        source,
        ended: false,
        emit: onMessage,
        streams,
        diagnostics: [],
        stop,
      };
      running = latest = cell;
      (globalThis as { [abortSymbol]?: AbortSignal })[abortSymbol] = stop.signal;
      try {
        const error = await scope.run(cell, () => run(cell));
        streams.flush();
        if (!error) return { status: 'ok', executionCount: number };
        onMessage({ type: 'error', error, late: false });
        return { status: 'error', executionCount: number, error };
      } finally {
        cell.ended = true;
        running = undefined;
      }
    },
    complete(code, position) {
      const { candidates, start, end } = engine.executor.complete(code, position);
      return { candidates, start, end };
    },
    inspect(code, position) {
      const info = engine.executor.inspect(code, position);
      return info ? engine.quickInfoText(info) : undefined;
    },
    isComplete(code) {
      const { completed, indent } = engine.isComplete(code);
      return completed ? { status: 'complete' } : { status: 'incomplete', indent: indent ?? '' };
    },
    interrupt() {
      running?.stop.abort(interrupted);
      engine.executor.interrupt();
    },
    close() {
      process.off('unhandledRejection', onRejection);
      process.off('uncaughtException', onException);
      process.off('exit', onExit);
      setDisplaySink(undefined);
      setTslabDisplay(null);
      release();
      engine.close();
    },
  };
}

const interrupted: Error = new Error('Interrupted asynchronously');

function isInterruption(value: unknown): boolean {
  const error = value as (Error & { code?: string }) | undefined;
  return error?.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED' || error?.message === interrupted.message;
}

function interruptionError(number: number): CellError {
  const evalue = 'the cell was interrupted';
  return {
    ename: 'Interrupted',
    evalue,
    traceback: [`Interrupted: cell [${number}] was stopped before it ended`],
  };
}
