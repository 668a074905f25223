/** Runs a program with limits: a deadline, a limit on silence, and its whole process group ended with it. */
import { spawn } from 'node:child_process';
import type { Command } from './plan';

/** How a program ended. */
export interface Outcome {
  /** `stalled`: neither output nor progress for too long. `missing`: it could not be started. */
  how: 'done' | 'failed' | 'timeout' | 'stalled' | 'missing';
  code: number | null;
  /** stdout and stderr together, the last 64 kB. */
  output: string;
  seconds: number;
}

/** Limits and ears of a run. */
export interface RunOptions {
  deadlineSeconds: number;
  /** Ended when neither output nor `progress()` moves for so long. */
  stallSeconds?: number;
  /** Asked twice a second; a number that grows while there is progress (bytes on disk). */
  progress?: () => number;
  /** Told the value of `progress` each time it is asked. */
  onProgress?: (value: number, seconds: number) => void;
  /** Told the output so far whenever there is more. */
  onOutput?: (output: string) => void;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

const running = new Set<number>();

/** Ends every program that `runBounded` has started and that still runs. For a process that is told to stop. */
export function endAll(): void {
  for (const pid of running) endGroup(pid);
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended already
  }
}

/** Runs the command. Never throws and never outlives its limits: pip's own children are ended with it. */
export function runBounded(command: Command, options: RunOptions): Promise<Outcome> {
  const start = Date.now();
  const seconds = (): number => (Date.now() - start) / 1000;
  options.onProgress?.(0, 0);
  return new Promise((resolve) => {
    // A group of its own, so that the whole of it can be ended: pip starts processes too.
    const child = spawn(command.file, command.args, {
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      cwd: options.cwd,
    });
    if (child.pid !== undefined) running.add(child.pid);
    let output = '';
    let ended: 'timeout' | 'stalled' | undefined;
    let lastMove = Date.now();
    let lastValue = 0;
    const hear = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-65536);
      lastMove = Date.now();
      options.onOutput?.(output);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const end = (why: 'timeout' | 'stalled'): void => {
      if (ended) return;
      ended = why;
      if (child.pid !== undefined) endGroup(child.pid);
      child.kill('SIGKILL');
    };
    const timer = setInterval(
      () => {
        const value = options.progress?.() ?? 0;
        if (value !== lastValue) [lastValue, lastMove] = [value, Date.now()];
        options.onProgress?.(value, seconds());
        if (seconds() > options.deadlineSeconds) end('timeout');
        else if (options.stallSeconds && Date.now() - lastMove > options.stallSeconds * 1000) end('stalled');
      },
      Math.min(500, Math.max(20, options.deadlineSeconds * 250)),
    );
    const finish = (how: Outcome['how'], code: number | null): void => {
      clearInterval(timer);
      if (child.pid !== undefined) running.delete(child.pid);
      resolve({ how, code, output, seconds: seconds() });
    };
    child.on('error', (error) => {
      output += error.message;
      finish('missing', null);
    });
    // 'exit', not 'close': a grandchild that keeps the pipe open must not hold us.
    child.on('exit', (code) => {
      if (child.pid !== undefined) endGroup(child.pid);
      setImmediate(() => finish(ended ?? (code === 0 ? 'done' : 'failed'), code));
    });
  });
}
