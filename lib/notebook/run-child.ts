/** Programs that take over this terminal. */
import { type ChildProcess, spawn } from 'node:child_process';
import os from 'node:os';
import { onInterrupts } from '../tensor/signals';

/** How a program is run. */
export interface ChildOptions {
  readonly cwd: string;
  /** This process's own unless told. */
  readonly env?: NodeJS.ProcessEnv;
  /** It leads a process group of its own, which Ctrl-C does not reach. Default false. */
  readonly detached?: boolean;
  /** What a signal to this process does. By default it is passed on. */
  readonly onSignal?: (child: ChildProcess, signal: NodeJS.Signals) => void;
}

/**
 * Runs a program in this terminal until it ends. Returns its exit code, 128 + n where signal n ended it.
 * @throws the system's error where it can't be started.
 */
export function runChild(file: string, args: readonly string[], options: ChildOptions): Promise<number> {
  // Ctrl-C goes to the whole terminal group; a signal sent to this process alone is passed on.
  const { onSignal = (child, signal): void => void child.kill(signal), ...how } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...how, stdio: 'inherit' });
    const deafen = onInterrupts((signal) => onSignal(child, signal));
    child.on('error', (error) => {
      deafen();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      deafen();
      resolve(code ?? 128 + (signal ? os.constants.signals[signal] : 0));
    });
  });
}
