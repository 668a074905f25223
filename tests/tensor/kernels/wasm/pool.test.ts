/** Threads that share the work of kernels: that each item is done once, and that threads never keep a process or a caller waiting. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { type Kernel, kernel } from '../../../../lib/tensor/kernels/wasm/kernel';
import { Pool } from '../../../../lib/tensor/kernels/wasm/pool';
import { buildLibrary, projectRoot } from '../../../notebook/helpers';

const countFields = { counts: 'int', by: 'float' } as const;

/** Adds `by` to a float for each item. */
const count: Kernel<typeof countFields> = kernel('count', countFields, (f, p, { begin, end }) => {
  f.for(begin, end, 1, (item) => {
    const at = f.int(p.counts.add(item.shl(2)));
    f.store(at, at.float().add(p.by));
  });
});

/** Reads beyond the end of the memory at one of its items. */
const fail: Kernel<{ readonly at: 'int' }> = kernel('fail', { at: 'int' }, (f, p, { begin, end }) => {
  f.for(begin, end, 1, (item) => {
    f.if(item.eq(p.at), () => f.store(f.int(-64), f.int(-8).int()));
  });
});

const pools: Pool[] = [];

/** A pool over its own memory, whose first 64 kB are the test's. */
function createPool(threads: number, shared: boolean = true): { pool: Pool; memory: WebAssembly.Memory } {
  const memory = shared
    ? new WebAssembly.Memory({ initial: 200, maximum: 65_536, shared })
    : new WebAssembly.Memory({ initial: 200 });
  let free = 65_536;
  const allocate = (bytes: number): number => (free += bytes) - bytes;
  const pool = new Pool({ memory, allocate }, [count, fail] as unknown as Kernel[], threads);
  pools.push(pool);
  return { pool, memory };
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.dispose();
});

describe.each([
  [1, false],
  [1, true],
  [2, true],
  [5, true],
])('%d threads, shared memory: %s', (threads, shared) => {
  it('do every item once', async () => {
    const { pool, memory } = createPool(threads, shared);
    await pool.started;
    expect(pool.threads).toBe(threads);
    for (let round = 1; round <= 300; round++)
      pool.run(count, { counts: 0, by: 0.5 }, 1000, 1 + (round % 40));
    expect(Array.from(new Float32Array(memory.buffer, 0, 1001))).toEqual([
      ...Array<number>(1000).fill(150),
      0,
    ]);
  });

  it('work on memory that has grown', async () => {
    const { pool, memory } = createPool(threads, shared);
    await pool.started;
    const counts = memory.buffer.byteLength;
    memory.grow(2);
    for (let round = 0; round < 50; round++) pool.run(count, { counts, by: 1 }, 100, 1);
    expect(new Float32Array(memory.buffer, counts, 101)).toEqual(
      new Float32Array([...Array<number>(100).fill(50), 0]),
    );
  });

  it('report a kernel that fails, and go on', async () => {
    const { pool, memory } = createPool(threads, shared);
    await pool.started;
    for (let at = 0; at < 40; at++) {
      expect(() => pool.run(fail, { at }, 40, 1), `item ${at}`).toThrow(/out of bounds|a thread failed/);
    }
    pool.run(count, { counts: 0, by: 1 }, 100, 1);
    expect(new Float32Array(memory.buffer, 0, 100)).toEqual(new Float32Array(100).fill(1));
  });
});

it('unshared memory is left to one thread', () => {
  expect(createPool(4, false).pool.threads).toBe(1);
});

it('works before the other threads are there, and alone after they have gone', async () => {
  const { pool, memory } = createPool(3);
  pool.run(count, { counts: 0, by: 1 }, 100, 1);
  await pool.started;
  await pool.dispose();
  expect(pool.threads).toBe(1);
  pool.run(count, { counts: 0, by: 1 }, 100, 1);
  expect(new Float32Array(memory.buffer, 0, 100)).toEqual(new Float32Array(100).fill(2));
});

it('puts right what an interrupted job has left', async () => {
  const { pool, memory } = createPool(2);
  await pool.started;
  pool.run(count, { counts: 0, by: 1 }, 100, 1);
  // the second word of the control block, which lies where the first allocation was: the door of the job, left open
  Atomics.store(new Int32Array(memory.buffer), 65_536 / 4 + 1, 0);
  pool.run(count, { counts: 0, by: 1 }, 100, 1);
  expect(new Float32Array(memory.buffer, 0, 100)).toEqual(new Float32Array(100).fill(2));
});

describe('a process that computes with threads', () => {
  const compute =
    `const { useBackend, tf } = require('detlab');` +
    `useBackend({ backend: 'wasm' }).then(async (backend) => {` +
    `  const x = tf.ones([2, 32, 32, 16]);` +
    `  for (let i = 0; i < 20; i++) tf.conv2d(x, tf.ones([3, 3, 16, 16]), 1, 'same').dispose();` +
    `  console.log(backend.threads);`;
  const run = (end: string) => {
    buildLibrary();
    return spawnSync(process.execPath, ['-e', `${compute} ${end} })`], {
      cwd: projectRoot,
      encoding: 'utf8',
      env: { ...process.env, DETLAB_THREADS: '3' },
      timeout: 50_000,
    });
  };

  it.each([
    ['ends by itself', '', 0],
    ['ends when it is told to', 'process.exit(3);', 3],
    ['ends by an error', 'setImmediate(() => { throw new Error("wanted"); });', 1],
    ['ends by a rejection that nothing handles', 'void Promise.reject(new Error("wanted"));', 1],
  ])('%s', (_, end, status) => {
    const ended = run(end);
    expect(ended.error, 'did not end').toBeUndefined();
    expect(ended.stdout.trim()).toBe('3');
    expect(ended.status).toBe(status);
    if (status !== 1) expect(ended.stderr).toBe('');
    else expect(ended.stderr).toContain('Error: wanted');
  });
});
