/**
 * What reaches a process that runs cells even while a cell never yields: a thread of its own (lifeline-thread.ts) holds a pipe
 * from the parent. A line on it, with an execution's id, is an interrupt; its end means that the parent is gone, and the process ends itself.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { StoppedFrame } from '../session';

/** The pipe's number among the process's standard streams. */
export const lifelineFd: number = 4;

/** Shared with the thread: places in an Int32Array. */
export const flag: { readonly heard: 0; readonly compiling: 1 } = { heard: 0, compiling: 1 };

/** What the thread says. */
export type LifelineMessage =
  { type: 'interrupt'; serial: number; id: number } | { type: 'stopped'; frames: StoppedFrame[] };

export interface LifelineHandlers {
  /** An interrupt of an execution arrived, and the event loop is alive to hear of it. */
  interrupt: (id: number) => void;
  /** Running code was ended, since the event loop did not hear of an interrupt. */
  stopped: (frames: StoppedFrame[]) => void;
}

/** Evaluated by the debugger just before it ends running code; see `unwinder`. */
export const unwindSymbol: string = 'detlab.unwind';

/** Starts the thread. It ends no code while `setCompiling` says that the compiler works, as at the start. */
export function holdLifeline(handlers: LifelineHandlers): { setCompiling: (busy: boolean) => void } {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  Atomics.store(flags, flag.compiling, 1);
  (globalThis as Record<symbol, unknown>)[Symbol.for(unwindSymbol)] = unwinder();
  const thread = new Worker(path.join(__dirname, 'lifeline-thread.js'), {
    workerData: { flags: flags.buffer },
  });
  thread.unref();
  thread.on('message', (message: LifelineMessage) => {
    if (message.type === 'stopped') handlers.stopped(message.frames);
    else {
      Atomics.store(flags, flag.heard, message.serial);
      handlers.interrupt(message.id);
    }
  });
  const { exit } = process;
  thread.on('error', (error) => {
    // Without the lifeline an endless cell could not be stopped, nor would the process end with its parent.
    console.error('The thread that listens for interrupts failed:', error);
    exit(70);
  });
  return { setCompiling: (busy) => Atomics.store(flags, flag.compiling, busy ? 1 : 0) };
}

/**
 * Ending code from outside skips what Node does after a callback. One part of it matters: the stack of asynchronous contexts,
 * which Node checks at its next step and ends the process over. Emptying it is what Node itself does after an uncaught error.
 */
function unwinder(): () => void {
  const { noDeprecation } = process;
  // The only way to this function; Node announces its end, but still has it (24 too).
  process.noDeprecation = true;
  const { binding } = process as unknown as { binding(name: 'async_wrap'): { clearAsyncIdStack(): void } };
  const asyncWrap = binding.call(process, 'async_wrap');
  process.noDeprecation = noDeprecation;
  return () => asyncWrap.clearAsyncIdStack();
}
