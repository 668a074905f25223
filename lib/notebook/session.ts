/**
 * The kernel's core: runs cells one after another and says what they did as Jupyter's messages, as plain objects. No wire
 * protocol here: the headless runner and the kernel put their own transport around it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { types } from 'node:util';
import { projectRoot } from '../tensor/packages';
import { type DisplayOptions, type MimeBundle, setDisplaySink, type ShownBundle } from '../plot/display';
import type { Diagnostics } from './engine/compiler';
import { type Completeness, completenessOf } from './engine/completeness';
import { complete, type Completion } from './engine/completion';
import { createExecutor } from './engine/executor';
import { inspect } from './engine/inspection';
import { guardProcess } from './engine/process-guards';
import { installResolution } from './engine/resolve';
import { plainBundle, shownResult } from './engine/result';
import { cellScript } from './engine/scripts';
import { captureStreams, outputLimit, StreamBuffer } from './engine/streams';
import { dropTimersOfInterruptedCells } from './engine/timers';
import {
  type CellError,
  describeDiagnostics,
  describeError,
  describeInterruption,
  type StoppedFrame,
} from './engine/traceback';
import { setTslabDisplay } from './engine/typescript';
import { recordLoads } from './reload/loads';
import { createReloader } from './reload/reloader';

export type { CellError, Completeness, Completion, StoppedFrame };
export type { CompletionItem } from './engine/completion';

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

/** Options of one execution. */
export interface ExecuteOptions {
  /** The number that errors name and results carry; the session counts by itself unless told. */
  number?: number;
  /** Expressions to evaluate after the cell succeeded (Jupyter's user_expressions). */
  expressions?: Record<string, string>;
}

/** The value of one of `expressions`, or why there is none. */
export type ExpressionResult =
  | { status: 'ok'; data: MimeBundle; metadata: Record<string, unknown> }
  | { status: 'error'; ename: string; evalue: string; traceback: string[] };

export type ExecuteOutcome =
  | { status: 'ok'; executionCount: number; expressions?: Record<string, ExpressionResult> }
  | { status: 'error'; executionCount: number; error: CellError };

export interface SessionOptions {
  /** The folder that relative imports start from: the notebook's. */
  cwd: string;
  /** Whether what cells print is captured (default) or left to the process. */
  capture?: boolean;
  /** Whether changes of the library's files are noticed and can be taken up (`reload`). */
  reload?: boolean;
  /** Told while the compiler works, which must not be stopped half-way. */
  onCompile?: (busy: boolean) => void;
}

/** One notebook's state. Cells are executed one at a time; the caller keeps the queue. */
export interface Session {
  /** Runs a cell. Messages may still come after it settled, when work that the cell left running prints, shows or fails. */
  execute(
    code: string,
    onMessage: (message: CellMessage) => void,
    options?: ExecuteOptions,
  ): Promise<ExecuteOutcome>;
  complete(code: string, position: number): Completion;
  /** What is known about the name at a position, or about the call that it is in; `undefined` where nothing is. */
  inspect(code: string, position: number): MimeBundle | undefined;
  /** Whether a console should run the code, ask for another line, or show the mistake in it. */
  isComplete(code: string): Completeness;
  /**
   * Stops waiting for the running cell; library loops that look at the abort signal stop at their next step. Code that never
   * yields has to be ended from outside (cells/lifeline.ts), which then calls `stopped`.
   */
  interrupt(): void;
  /** The running code was ended from outside, with the calls that it was in. */
  stopped(frames: readonly StoppedFrame[]): void;
  close(): void;
}

interface RunningCell {
  number: number;
  script: string;
  source: string;
  ended: boolean;
  /** When, in milliseconds; 0 while it was not. */
  interruptedAt: number;
  /** Code of the cell has asked for the abort signal: it will end by itself. */
  looks: boolean;
  emit: (message: CellMessage) => void;
  streams: StreamBuffer;
  diagnostics: Diagnostics;
  floating?: CellError;
  stop: AbortController;
  settle: (error: CellError | undefined) => void;
}

// Library code that works for long looks here, so that the interrupt button stops the work and not only the waiting.
const abortSymbol = Symbol.for('detlab.abort');
// Library code with state of its own (TensorFlow.js) leaves a function here that puts it right after code was ended half-way.
const mendSymbol = Symbol.for('detlab.mend');
const hooks = globalThis as { [abortSymbol]?: AbortSignal; [mendSymbol]?: () => void };

// How long an interrupted cell is waited for, and after which time the timers that it left do not fire any more.
const graceMs = 1000;
const timersMs = 5000;

const { setImmediate: soon, setTimeout: later } = globalThis;
const turn = (): Promise<void> => new Promise((resolve) => soon(resolve));

/** Starts a session. Only one can be open in a process: it takes over the streams and the display. */
export function createSession(options: SessionOptions): Session {
  installResolution(projectRoot);
  // The library's and TensorFlow.js's calls alone can fill the usual ten, and hide the cell's line.
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50);
  const scope = new AsyncLocalStorage<RunningCell>();
  const displayIds = new Set<string>();
  const limit = outputLimit();
  let running: RunningCell | undefined;
  let latest: RunningCell | undefined;
  let count = 0;
  let runs = 0;
  const current = (): RunningCell | undefined => scope.getStore() ?? running ?? latest;
  const busy = options.onCompile ?? ((): void => {});
  const executor = createExecutor(options.cwd, busy);
  const { maps } = executor.compiler;
  const reloader = options.reload
    ? createReloader({
        root: projectRoot,
        locals: () => executor.locals,
        onTypesChanged: (files) => executor.compiler.invalidateTypes(files),
        busy,
      })
    : undefined;
  if (reloader) maps.running = (file) => recordLoads(projectRoot).sourceMap(file);

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

  const describe = (thrown: unknown, cell: RunningCell): CellError =>
    describeError(thrown, cell.script, maps, projectRoot, options.cwd);

  function blame(reason: unknown, explanation: string): void {
    const cell = current();
    if (!cell) throw reason;
    if (isInterruption(reason)) return;
    const error = describe(reason, cell);
    error.traceback.push('', explanation);
    if (!cell.ended) {
      cell.floating ??= error;
      cell.stop.abort(reason);
    } else {
      cell.streams.flush();
      cell.emit({ type: 'error', error, late: true });
    }
  }

  const restore: (() => void)[] = [];
  if (options.capture !== false) {
    restore.push(
      captureStreams(() => {
        const cell = current();
        return cell && ((name, chunk) => cell.streams.write(name, chunk));
      }),
    );
  }
  restore.push(guardProcess());
  restore.push(
    dropTimersOfInterruptedCells(() => {
      const cell = scope.getStore();
      return () => cell !== undefined && cell.interruptedAt > 0 && Date.now() > cell.interruptedAt + timersMs;
    }),
  );
  Object.defineProperty(globalThis, abortSymbol, {
    configurable: true,
    get: () => {
      const cell = current();
      if (cell) cell.looks = true;
      return cell?.stop.signal;
    },
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

  async function run(cell: RunningCell): Promise<CellError | undefined> {
    const stop = new Promise<never>((_, reject) => {
      const end = (): void => reject(cell.stop.signal.reason);
      // Work that looks at the signal gets the time for its last step, to end in order.
      const onAbort = (): void => void (cell.interruptedAt && cell.looks ? later(end, graceMs) : end());
      if (cell.stop.signal.aborted) onAbort();
      else cell.stop.signal.addEventListener('abort', onAbort, { once: true });
    });
    stop.catch(() => {});
    const done = await executor.execute(cell.source, cell.script, stop);
    let shown: ShownBundle | undefined;
    let thrown = 'thrown' in done ? done.thrown : undefined;
    if ('diagnostics' in done) cell.diagnostics.push(...done.diagnostics);
    else if ('value' in done) {
      try {
        // A promise among last expressions is waited for.
        shown = await Promise.race([lastShown(done.value), stop]);
      } catch (value) {
        thrown = { value };
      }
    }
    if (cell.diagnostics.length > 0) return describeDiagnostics(cell.diagnostics, cell.number, cell.source);
    // A rejection that nobody handles is reported once the queue of microtasks is empty: give it that moment.
    await turn();
    await turn();
    if (cell.interruptedAt > 0) return describeInterruption(cell.number, cell.script, [], maps);
    if (cell.floating) return cell.floating;
    if (thrown) return describe(thrown.value, cell);
    cell.streams.flush();
    if (shown) {
      const { bundle: data, metadata } = shown;
      cell.emit({ type: 'execute_result', executionCount: cell.number, data, metadata });
    }
    return undefined;
  }

  /** Runs a cell apart from its caller: code that is ended from outside takes with it all calls that led to it. */
  function start(source: string, number: number, emit: RunningCell['emit']): Promise<CellError | undefined> {
    return new Promise((resolve) => {
      const cell: RunningCell = {
        number,
        script: cellScript(number, ++runs),
        source,
        ended: false,
        interruptedAt: 0,
        looks: false,
        emit,
        streams: new StreamBuffer((name, text) => emit({ type: 'stream', name, text }), limit),
        diagnostics: [],
        stop: new AbortController(),
        settle: (error) => {
          if (cell.ended) return;
          cell.streams.end();
          cell.ended = true;
          running = undefined;
          resolve(error);
        },
      };
      running = latest = cell;
      soon(() => {
        scope.run(cell, () => {
          run(cell).then(cell.settle, (error: unknown) => cell.settle(describe(error, cell)));
        });
      });
    });
  }

  async function evaluate(expressions: Record<string, string>): Promise<Record<string, ExpressionResult>> {
    const results: Record<string, ExpressionResult> = {};
    for (const [name, expression] of Object.entries(expressions)) {
      let shown: CellMessage | undefined;
      const error = await start(`(${expression}\n)`, count, (message) => {
        if (message.type === 'execute_result') shown = message;
      });
      if (error) {
        const { ename, evalue, traceback } = error;
        results[name] = { status: 'error', ename, evalue, traceback };
      } else {
        const { data, metadata } = (shown as
          Extract<CellMessage, { type: 'execute_result' }> | undefined) ?? {
          data: { 'text/plain': 'undefined' },
          metadata: {},
        };
        results[name] = { status: 'ok', data, metadata };
      }
    }
    return results;
  }

  function interruptCell(cell: RunningCell): void {
    cell.interruptedAt ||= Date.now();
    cell.stop.abort(interrupted);
  }

  return {
    async execute(source, onMessage, { number, expressions } = {}) {
      if (running) throw new Error(`cell [${running.number}] is still running`);
      count = number ?? count + 1;
      const executionCount = count;
      const notice = reloader?.beforeCell();
      if (notice) onMessage({ type: 'stream', name: 'stderr', text: `${notice.text}\n` });
      const error = await start(source, executionCount, onMessage);
      if (error) {
        onMessage({ type: 'error', error, late: false });
        return { status: 'error', executionCount, error };
      }
      if (!expressions || Object.keys(expressions).length === 0) return { status: 'ok', executionCount };
      return { status: 'ok', executionCount, expressions: await evaluate(expressions) };
    },
    complete: (code, position) => complete(executor.language, code, position),
    inspect: (code, position) => inspect(executor.language, code, position),
    isComplete: (code) => completenessOf(executor.language.ts, code),
    interrupt() {
      if (running) interruptCell(running);
    },
    stopped(frames) {
      hooks[mendSymbol]?.();
      const cell = running;
      if (!cell) return;
      interruptCell(cell);
      executor.stopped();
      cell.settle(describeInterruption(cell.number, cell.script, frames, maps));
    },
    close() {
      process.off('unhandledRejection', onRejection);
      process.off('uncaughtException', onException);
      process.off('exit', onExit);
      delete hooks[abortSymbol];
      reloader?.close();
      setDisplaySink(undefined);
      setTslabDisplay(null);
      for (const undo of restore.reverse()) undo();
      executor.close();
    },
  };
}

const interrupted: Error = new Error('the cell was interrupted');
interrupted.name = 'Interrupted';

/** What a last expression shows; a promise is waited for. */
async function lastShown(value: unknown): Promise<ShownBundle | undefined> {
  return shownResult(isThenable(value) ? await value : value);
}

/** A stand-in (proxy) that answers every name with a function looks like a promise, and would never settle. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (types.isPromise(value)) return true;
  if (Object(value) !== value || types.isProxy(value)) return false;
  try {
    return typeof (value as { then?: unknown }).then === 'function';
  } catch {
    return false;
  }
}

function isInterruption(value: unknown): boolean {
  return value === interrupted;
}
