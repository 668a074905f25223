/** The thread that works: loads its source, then does one payload after another. */
import { parentPort, workerData } from 'node:worker_threads';
import { checkPlainJson, sortedJson } from '../tensor/plain-json';
import { type JobWorker, loadJobWorker } from './source';
import type { ThreadReply, ThreadRequest, ThreadStart } from './thread';

const port = parentPort!;
const start = workerData as ThreadStart;

let stop: AbortController = new AbortController();
let ending = false;
let work: Promise<void> = Promise.resolve();
const loaded: Promise<JobWorker | undefined> = load();

port.on('message', (request: ThreadRequest) => {
  if (request.type === 'run') {
    // Before anything is awaited: an abort that comes right after it is meant for it.
    const own = (stop = new AbortController());
    if (ending) own.abort(new Error('the pool was closed'));
    work = work.then(() => run(request.payload, own.signal));
  } else if (request.type === 'abort') stop.abort(new Error(request.why));
  else void end();
});

async function load(): Promise<JobWorker | undefined> {
  try {
    const { source, place, backend } = start;
    if (source.backend !== false) await (await import('../tensor/backend.js')).useBackend({ backend });
    const worker = await loadJobWorker(source, place);
    reply({ type: 'ready' });
    return worker;
  } catch (error) {
    fail(error);
    return undefined;
  }
}

async function run(payload: string, signal: AbortSignal): Promise<void> {
  // What `train` and the loader listen to: they save and throw.
  Object.assign(globalThis, { [Symbol.for('detlab.abort')]: signal });
  try {
    const worker = (await loaded)!;
    const result = await worker.run(JSON.parse(payload), signal);
    checkPlainJson(result, 'the result');
    const identity = sortedJson(worker.identity ? worker.identity(result) : result);
    reply({ type: 'done', result: JSON.stringify(result), identity });
  } catch (error) {
    fail(error);
  } finally {
    Object.assign(globalThis, { [Symbol.for('detlab.abort')]: undefined });
  }
}

async function end(): Promise<void> {
  ending = true;
  stop.abort(new Error('the pool was closed'));
  await work;
  // A source that still loads has nothing to close; it must not be waited for.
  const worker = await Promise.race([
    loaded,
    new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined))),
  ]);
  try {
    await worker?.close?.();
  } finally {
    // Timers and sockets that a worker has left must not keep the thread.
    process.exit(0);
  }
}

function reply(message: ThreadReply): void {
  port.postMessage(message);
}

function fail(error: unknown): void {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  // By its name: a user's file may have loaded the class from elsewhere.
  if (error instanceof Error && error.name === 'JobLost') reply({ type: 'lost', message });
  else reply({ type: 'failed', message, stack });
}
