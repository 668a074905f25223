/** Work for threads of this process. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JobFailure } from '../../lib/jobs/failure';
import { type JobPool, openJobs } from '../../lib/jobs/pool';
import type { JobSource } from '../../lib/jobs/source';
import { useBackend } from '../../lib/tensor/backend';
import { buildLibrary, temporaryFolder } from '../notebook/helpers';

interface Task {
  readonly value: number;
  readonly ms?: number;
  readonly then?: string;
  readonly unless?: string;
}
type Sum = { readonly sum: number };

const module = path.join(__dirname, 'fixtures', 'worker.cjs');
let folder: string;
let log: string;
let pools: JobPool<never, unknown>[];
beforeAll(buildLibrary);
beforeEach(() => {
  folder = temporaryFolder();
  log = path.join(folder, 'log');
  pools = [];
});
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  fs.rmSync(folder, { recursive: true });
});

async function open<Result = Sum>(threads: number, attempts?: number): Promise<JobPool<Task, Result>> {
  const source: JobSource = { module, name: 'createWorker', settings: { add: 100, log }, backend: false };
  const pool = await openJobs<Task, Result>(source, { threads, attempts });
  pools.push(pool);
  return pool;
}
const lines = (): string[] => fs.readFileSync(log, 'utf8').trim().split('\n');
const linesOf = (word: string): string[] => lines().filter((line) => line.startsWith(word));
async function until(holds: () => boolean): Promise<void> {
  for (const start = performance.now(); !holds();) {
    if (performance.now() - start > 10_000) throw new Error('in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
async function failureOf(promise: Promise<unknown>): Promise<JobFailure> {
  const error: unknown = await promise.then(
    () => 'nothing',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(JobFailure);
  return error as JobFailure;
}

describe('threads', () => {
  test('do all payloads, so many side by side, the others in order', async () => {
    const pool = await open(2);
    expect(pool.jobs).toBe(2);
    const values = [0, 1, 2, 3, 4, 5, 6];
    const results = await Promise.all(values.map((value) => pool.run({ value, ms: 40 })));
    expect(results).toEqual(values.map((value) => ({ sum: value + 100 })));
    // Two threads write at the same time: neighbours may have changed places.
    const begun = linesOf('begin').map((line) => Number(line.split(' ')[1]));
    begun.forEach((value, i) => expect(Math.abs(value - i)).toBeLessThanOrEqual(1));
    let running = 0;
    const counts = lines().map(
      (line) => (running += line.startsWith('begin') ? 1 : line.startsWith('end') ? -1 : 0),
    );
    expect(Math.max(...counts)).toBe(2);
    expect(linesOf('load')).toHaveLength(2);
    await pool.close();
    expect(linesOf('close')).toHaveLength(2);
    await expect(pool.run({ value: 1 })).rejects.toThrow('the pool was closed');
  });

  test('that throw have failed at once, with their stack, and go on', async () => {
    const pool = await open(1);
    const [failed, next] = [pool.run({ value: 5, then: 'throw' }), pool.run({ value: 6 })];
    const failure = await failureOf(failed);
    expect(failure).toMatchObject({ place: 0, reason: 'threw' });
    expect(failure.message).toBe('openJobs: payload 0 failed: 5 is no good');
    expect((failure.cause as Error).stack).toMatch(/RangeError: 5 is no good\n\s+at .*worker\.cjs/);
    expect(await next).toEqual({ sum: 106 });
    expect(linesOf('begin 5')).toHaveLength(1);
    expect(linesOf('load')).toHaveLength(1);
  });

  test('that die are replaced, and their payload is tried again', async () => {
    const pool = await open(2);
    const unless = path.join(folder, 'died');
    const results = await Promise.all([
      pool.run({ value: 1, then: 'exit', unless }),
      pool.run({ value: 2, ms: 50 }),
      pool.run({ value: 3 }),
    ]);
    expect(results).toEqual([{ sum: 101 }, { sum: 102 }, { sum: 103 }]);
    expect(linesOf('begin 1')).toHaveLength(2);
    expect(linesOf('load')).toHaveLength(3);
  });

  test('that die each time are told with the place and why', async () => {
    const pool = await open(1, 2);
    await pool.run({ value: 0 });
    const failure = await failureOf(pool.run({ value: 1, then: 'exit' }));
    expect(failure).toMatchObject({ place: 1, reason: 'lost' });
    expect(failure.message).toBe(
      'openJobs: payload 1 could not be done: the thread that worked on it died: its thread ended with exit code 9 (each of the 2 times it was tried)',
    );
    expect(linesOf('begin 1')).toHaveLength(2);
    expect(await pool.run({ value: 2 })).toEqual({ sum: 102 });
  });

  test('that give up try it again, without a new thread', async () => {
    const pool = await open(1, 2);
    const unless = path.join(folder, 'gave-up');
    expect(await pool.run({ value: 1, then: 'lost', unless })).toEqual({ sum: 101 });
    const failure = await failureOf(pool.run({ value: 2, then: 'lost' }));
    expect(failure.message).toBe(
      'openJobs: payload 1 could not be done: no memory here (each of the 2 times it was tried)',
    );
    expect(linesOf('load')).toHaveLength(1);
  });

  test('hear of an abort, those who wait leave the line', async () => {
    const pool = await open(1);
    const [one, two, reason] = [new AbortController(), new AbortController(), new Error('enough')];
    const runs = [
      pool.run({ value: 1, ms: 60_000 }, one.signal),
      pool.run({ value: 2 }, two.signal),
      pool.run({ value: 3 }),
    ];
    await until(() => fs.existsSync(log) && linesOf('begin 1').length === 1);
    two.abort(reason);
    await expect(runs[1]).rejects.toBe(reason);
    one.abort(reason);
    await expect(runs[0]).rejects.toBe(reason);
    expect(await runs[2]).toEqual({ sum: 103 });
    expect(linesOf('aborted')).toEqual(['aborted 1: enough']);
    expect(linesOf('begin 2')).toEqual([]);
    await expect(pool.run({ value: 4 }, one.signal)).rejects.toBe(reason);
    expect(linesOf('load')).toHaveLength(1);
  });

  test('end in bounded time when the pool is closed, though one is deaf', async () => {
    const pool = await open(2);
    const runs = [pool.run({ value: 1, ms: 600_000, then: 'deaf' }), pool.run({ value: 2, ms: 600_000 })];
    const failed = Promise.all(runs.map((run) => expect(run).rejects.toThrow('the pool was closed')));
    await until(() => fs.existsSync(log) && linesOf('begin').length === 2);
    const start = performance.now();
    await Promise.all([pool.close(), pool.close(), failed]);
    expect(performance.now() - start).toBeLessThan(9000);
    expect(linesOf('aborted')).toEqual([
      'aborted 2: openJobs: the pool was closed before this payload was done',
    ]);
  });

  test('have a TensorFlow of their own, on the backend of the leading thread', async () => {
    await useBackend({ backend: 'cpu' });
    const pool = await openJobs<number[]>({ module, name: 'createTensorWorker' });
    pools.push(pool);
    expect(pool.jobs).toBe(1);
    expect(await pool.run([1, 2, 3])).toEqual({ sum: 6, backend: 'cpu' });
  });

  test('get the files themselves', async () => {
    const weights = path.join(folder, 'weights.bin');
    fs.writeFileSync(weights, 'abc');
    const source = { module, name: 'createWorker', backend: false, files: { weights } } as const;
    const pool = await openJobs<Task>(source, {});
    pools.push(pool);
    expect(await pool.run({ value: 1, then: 'files' })).toEqual({ weights: { file: weights, text: 'abc' } });
  });
});

describe('mistakes are named', () => {
  const source = { module, name: 'createWorker', backend: false } as const;
  test.each<[string, JobSource, object, string]>([
    ['no module', { ...source, module: '/nowhere.js' }, {}, "openJobs: /nowhere.js can't be loaded"],
    [
      'no export',
      { ...source, name: 'createWorkr' },
      {},
      "exports no function 'createWorkr'; did you mean 'createWorker'?",
    ],
    [
      'no worker',
      { ...source, name: 'createNothing' },
      {},
      "what createNothing of .* returned has no function 'run'",
    ],
    [
      'no file',
      { ...source, files: { weights: '/nowhere.bin' } },
      {},
      'there is no file /nowhere.bin \\(weights\\)',
    ],
    [
      'settings',
      { ...source, settings: { a: NaN } },
      {},
      'openJobs: settings.a is NaN; it must be plain JSON',
    ],
    ['threads', source, { threads: 0 }, 'threads is a whole number from 1, got 0'],
    ['attempts', source, { attempts: 1.5 }, 'attempts is a whole number from 1, got 1.5'],
    [
      'both',
      source,
      { threads: 2, queue: { redis: 'redis://a', name: 'a' } },
      'either threads of this process or a queue',
    ],
    [
      'no address',
      source,
      { queue: { redis: 'localhost:6379', name: 'a' } },
      "the queue's address is redis://host:port",
    ],
    [
      'a bad name',
      source,
      { queue: { redis: 'redis://a', name: 'a:b' } },
      "a queue's name is made of .*, got 'a:b'",
    ],
  ])('%s', async (_, wrong, options, message) => {
    await expect(openJobs(wrong, options)).rejects.toThrow(new RegExp(message));
  });

  test('payloads and results that are not plain JSON', async () => {
    const pool = await open<unknown>(1);
    await expect(pool.run({ value: NaN })).rejects.toThrow(
      'openJobs: payload 0.value is NaN; it must be plain JSON',
    );
    await expect(pool.run({ value: 1, then: 'nan' })).rejects.toThrow(
      'payload 1 failed: the result.sum is NaN',
    );
  });
});
