/** The process that runs one notebook's cells: the kernel's core with a pipe to the parent (cell-process.ts). */
import path from 'node:path';
import { type CellMessage, createSession } from '../session';
import { holdLifeline } from './lifeline';
import type { CellReport, CellRequest } from './messages';

const { exit } = process;

function report(message: CellReport, sent?: () => void): void {
  if (process.connected) process.send!(message, undefined, {}, () => sent?.());
}

/** Which backend computed, as far as the library was used. */
function info(): Record<string, string> {
  const loaded = require.cache[path.join(__dirname, '..', '..', 'tensor', 'backend.js')]?.exports as
    { backendInfo?: () => { line: string } | undefined } | undefined;
  const line = loaded?.backendInfo?.()?.line;
  return line ? { backend: line.replace(/^backend: /, '') } : {};
}

function main(): void {
  // An interrupt may be faster than the execution that it is for: they come by different pipes.
  let started = 0;
  let awaited = 0;
  const lifeline = holdLifeline({
    interrupt: (id) => {
      if (id > started) awaited = id;
      else session.interrupt();
    },
    stopped: (frames) => session.stopped(frames),
  });
  const session = createSession({
    cwd: process.cwd(),
    onCompile: lifeline.setCompiling,
    // A run that nobody watches ends with the code that it began with.
    reload: process.env.DETLAB_HEADLESS !== '1',
  });
  lifeline.setCompiling(false);
  process.on('disconnect', () => exit(0));
  process.on('SIGINT', () => session.interrupt());
  process.on('message', (request: CellRequest) => {
    void answer(request).then(
      (value) => {
        // A process that was asked to finish ends when its answer is on the way.
        const sent = request.call === 'finish' ? () => exit(0) : undefined;
        report({ type: 'answer', id: request.id, value }, sent);
      },
      (error: unknown) => {
        const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
        report({ type: 'failed', id: request.id, reason });
      },
    );
  });

  async function answer(request: CellRequest): Promise<unknown> {
    switch (request.call) {
      case 'execute': {
        const { id } = request;
        const send = (message: CellMessage): void => report({ type: 'message', id, message });
        started = id;
        const outcome = session.execute(request.code, send, request.options);
        if (awaited === id) session.interrupt();
        return outcome;
      }
      case 'complete':
        return session.complete(request.code, request.position);
      case 'inspect':
        return session.inspect(request.code, request.position);
      case 'isComplete':
        return session.isComplete(request.code);
      case 'finish':
        // Work that was left running gets a moment to fail where it can still be seen.
        await new Promise((resolve) => setTimeout(resolve, 50));
        session.close();
        return info();
    }
  }
  report({ type: 'ready' });
}

main();
