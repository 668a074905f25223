/** All-reduce between threads, and sharing a batch out. */
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  abortSharedMemory,
  type Batch,
  createRandom,
  createSharedMemory,
  shardOf,
  shareOut,
  type SharedMemory,
  sharedMemoryTransport,
} from 'detlab';
import { buildLibrary, projectRoot } from '../../notebook/helpers';

buildLibrary();

/** A thread that gives vectors to all-reduces and answers with the sums. */
function reducer(
  memory: SharedMemory,
  rank: number,
  vectors: readonly Float32Array[],
): Promise<Float32Array[] | string> {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { sharedMemoryTransport } = require(${JSON.stringify(`${projectRoot}/dist/train/devices/shared-memory.js`)});
    const transport = sharedMemoryTransport(workerData.memory, workerData.rank);
    try {
      for (const vector of workerData.vectors) transport.allReduce(vector);
      parentPort.postMessage(workerData.vectors);
    } catch (error) {
      parentPort.postMessage(error.constructor.name + ': ' + error.message);
    }`;
  const worker = new Worker(code, { eval: true, workerData: { memory, rank, vectors } });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('all-reduce', () => {
  test('adds vectors of any length up, to the same bits on each device, again and again', async () => {
    const random = createRandom('all-reduce');
    const [devices, lengths] = [3, [1, 7, 0, 64, 65, 200, 3]];
    const memory = createSharedMemory([0, 1, 2], 64);
    const vectors = Array.from({ length: devices }, () =>
      lengths.map((length) => Float32Array.from({ length }, () => random.normal() * 10 ** random.integer(6))),
    );
    const answers = await Promise.all(vectors.map((own, rank) => reducer(memory, rank, own)));
    lengths.forEach((length, i) => {
      const expected = Float32Array.from({ length }, (_, k) => {
        let sum = 0;
        for (const own of vectors) sum += own[i][k];
        return sum;
      });
      for (const answer of answers) expect((answer as Float32Array[])[i]).toEqual(expected);
    });
  });

  test('a device alone keeps what it has', () => {
    const values = Float32Array.of(1, 2);
    sharedMemoryTransport(createSharedMemory([4]), 4).allReduce(values);
    expect([...values]).toEqual([1, 2]);
  });

  test('vectors of different lengths are refused on all devices', async () => {
    const memory = createSharedMemory([5, 6]);
    const answers = await Promise.all([
      reducer(memory, 5, [new Float32Array(3)]),
      reducer(memory, 6, [new Float32Array(4)]),
    ]);
    for (const answer of answers)
      expect(answer).toBe(
        'TransportAborted: allReduce: devices must bring as many values each: device 5 has 3, device 6 has 4',
      );
  });

  test('who waits is woken by an abort, and nobody waits after it', async () => {
    const memory = createSharedMemory([0, 1]);
    const waiting = reducer(memory, 0, [new Float32Array(3)]);
    // Whether it waits already or only begins to, it gives up.
    await new Promise((resolve) => setTimeout(resolve, 50));
    abortSharedMemory(memory);
    expect(await waiting).toContain('TransportAborted: device 0: the others gave up');
    expect(() => sharedMemoryTransport(memory, 1).allReduce(new Float32Array(3))).toThrow('gave up');
  });

  test('a rank that is not there is named', () => {
    expect(() => sharedMemoryTransport(createSharedMemory([0, 1]), 2)).toThrow('rank 2 is not among 0, 1');
    expect(() => createSharedMemory([])).toThrow('one rank or more');
  });
});

describe('a batch', () => {
  const counts = (total: number, shares: number | number[]): number[] =>
    shareOut(total, shares).map(({ count }) => count);

  test('is shared out evenly, or in proportion, with an image for everybody', () => {
    expect(counts(8, 2)).toEqual([4, 4]);
    expect(counts(8, 3)).toEqual([3, 3, 2]);
    expect(counts(3, 3)).toEqual([1, 1, 1]);
    expect(counts(12, [3, 1])).toEqual([9, 3]);
    expect(counts(5, [100, 1])).toEqual([4, 1]);
    expect(shareOut(5, 2)).toEqual([
      { from: 0, count: 3, total: 5 },
      { from: 3, count: 2, total: 5 },
    ]);
  });

  test('whatever the shares, every image has one device', () => {
    const random = createRandom('shares');
    for (let i = 0; i < 300; i++) {
      const shares = Array.from({ length: 1 + random.integer(8) }, () => random.uniform(0.1, 10));
      const total = shares.length + random.integer(40);
      const shards = shareOut(total, shares);
      let next = 0;
      for (const { from, count } of shards) {
        expect(from).toBe(next);
        expect(count).toBeGreaterThanOrEqual(1);
        next += count;
      }
      expect(next).toBe(total);
    }
  });

  test('too few images, or shares that are none, are refused', () => {
    expect(() => shareOut(1, 2)).toThrow('a batch of 1 image leaves a device of 2 without one');
    expect(() => shareOut(4, [1, 0])).toThrow('shares are numbers above 0, one a device, got [1, 0]');
    expect(() => shareOut(4, [])).toThrow('got []');
  });

  test('a shard has its images alone, in memory of its own', () => {
    const batch: Batch = {
      images: Float32Array.from({ length: 3 * 2 * 1 * 3 }, (_, i) => i),
      shape: [3, 2, 1, 3],
      groundTruth: [[], [{ box: [0, 0, 1, 2], label: 0 }], []],
      ids: ['a', 'b', 'c'],
      fits: [0, 1, 2].map((x) => ({ scaleX: 1, scaleY: 1, x, y: 0 })) as unknown as Batch['fits'],
    };
    const shard = shardOf(batch, { from: 1, count: 1, total: 3 });
    expect(shard.shape).toEqual([1, 2, 1, 3]);
    expect([...shard.images]).toEqual([6, 7, 8, 9, 10, 11]);
    expect(shard.images.buffer.byteLength).toBe(24);
    expect(shard.ids).toEqual(['b']);
    expect(shard.groundTruth).toEqual([batch.groundTruth[1]]);
    expect(shard.fits).toEqual([batch.fits[1]]);
  });
});
