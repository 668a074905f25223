// A thread of the pool in pool.ts: sleeps until a job is there, takes pieces of it until none is left, and sleeps again.
'use strict';
const { parentPort, workerData } = require('node:worker_threads');

const { module: compiled, memory, names, words, scratch } = workerData;
const instance = new WebAssembly.Instance(compiled, { env: { memory } });
const kernels = names.map((name) => instance.exports[name]);
// The memory may grow; this view of its beginning stays valid.
const control = new Int32Array(memory.buffer, words.address, words.count);

/** Looks for a new job this often before it sleeps: waking up takes longer than most kernels do. */
const looks = 20_000;

function waitForJob(seen) {
  for (let i = 0; i < looks; i++) if (Atomics.load(control, words.job) !== seen) return;
  Atomics.wait(control, words.job, seen);
}

/** Joins the job, unless it is over: then the door is closed. */
function join() {
  for (;;) {
    const door = Atomics.load(control, words.door);
    if (door >= words.closed) return false;
    if (Atomics.compareExchange(control, words.door, door, door + 1) === door) return true;
  }
}

Atomics.add(control, words.ready, 1);
parentPort.postMessage('ready');
for (let seen = 0; ;) {
  waitForJob(seen);
  seen = Atomics.load(control, words.job);
  if (!join()) continue;
  const [kernel, items, piece] = [control[words.kernel], control[words.items], control[words.piece]];
  try {
    for (;;) {
      const begin = Atomics.add(control, words.next, piece);
      if (begin >= items) break;
      kernels[kernel](words.address + words.parameters * 4, scratch, begin, Math.min(items, begin + piece));
    }
  } catch {
    Atomics.store(control, words.failed, 1);
  }
  Atomics.sub(control, words.door, 1);
  Atomics.notify(control, words.door);
}
