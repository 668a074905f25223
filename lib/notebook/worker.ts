/** The child process that runs one notebook's cells for the runner: the kernel's core with a pipe to the parent. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CellMessage, ExecuteOutcome } from './session';
import { createSession } from './session';

/** What the runner asks of a worker. */
export type WorkerRequest = { type: 'execute'; source: string } | { type: 'finish' };

/** What a worker tells the runner. `cell` counts executed cells from 1. */
export type WorkerReport =
  | { type: 'ready' }
  | { type: 'message'; cell: number; message: CellMessage }
  | { type: 'done'; cell: number; outcome: ExecuteOutcome }
  | { type: 'exit-called'; code: number }
  | { type: 'finished'; info: Record<string, string> };

function report(message: WorkerReport, sent?: () => void): void {
  if (process.connected) process.send!(message, undefined, {}, () => sent?.());
}

/**
 * A runner that is killed can't end its workers, and a cell that never yields does not notice that the pipe was closed: a
 * thread of its own watches who the parent is.
 */
function dieWithParent(): void {
  const watch = `const { workerData } = require('node:worker_threads');
    setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 1000);`;
  new Worker(watch, { eval: true, workerData: process.ppid }).unref();
  process.on('disconnect', () => process.exit(0));
}

/** Which backend computed, as far as the library was used. */
function info(): Record<string, string> {
  const loaded = require.cache[path.join(__dirname, '..', 'tensor', 'backend.js')]?.exports as
    { backendInfo?: () => { line: string } | undefined } | undefined;
  const line = loaded?.backendInfo?.()?.line;
  return line ? { backend: line.replace(/^backend: /, '') } : {};
}

function main(): void {
  dieWithParent();
  let cell = 0;
  const session = createSession({ cwd: process.cwd() });
  let finishing = false;
  process.on('exit', (code) => {
    if (!finishing) report({ type: 'exit-called', code });
  });
  process.on('message', (request: WorkerRequest) => {
    if (request.type === 'finish') {
      // Work that was left running gets a moment to fail where it can still be seen.
      setTimeout(() => {
        finishing = true;
        session.close();
        report({ type: 'finished', info: info() }, () => process.exit(0));
      }, 50);
      return;
    }
    const number = ++cell;
    session
      .execute(request.source, (message) => report({ type: 'message', cell: number, message }))
      .then((outcome) => report({ type: 'done', cell: number, outcome }))
      .catch((error: unknown) => {
        console.error(error);
        process.exit(70);
      });
  });
  report({ type: 'ready' });
}

main();
