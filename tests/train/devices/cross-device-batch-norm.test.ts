/** Normalising over several devices is normalising the whole batch: values, statistics and all gradients, to 1e-5 and better. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  batchNormTraining,
  createSharedMemory,
  type SharedMemory,
  type SynchronisationMethod,
  tf,
} from 'detlab';
import { backends, normals, on } from '../../tensor/kernels/backends';
import { buildLibrary } from '../../notebook/helpers';

buildLibrary();

const [height, width, channels, epsilon] = [5, 4, 3, 1e-3];
const each = height * width * channels;
const [scale, shift] = [
  [0.5, -1.5, 2],
  [0.1, 0, -1],
];
const names = ['output', 'mean', 'variance', 'dx', 'dScale', 'dShift'] as const;

interface Device {
  readonly memory: SharedMemory;
  readonly rank: number;
  readonly from: number;
  readonly images: number;
}

interface Answer {
  readonly values: readonly Float32Array[];
  readonly left: number;
}

function device(
  { memory, rank, from, images }: Device,
  x: Float32Array,
  dy: Float32Array,
  method: SynchronisationMethod,
  backend: string,
): Promise<Answer> {
  const part = (all: Float32Array): Float32Array => all.slice(from * each, (from + images) * each);
  const workerData = {
    ...{ memory, rank, method, backend, scale, shift, epsilon },
    ...{ x: part(x), dy: part(dy), shape: [images, height, width, channels] },
  };
  const worker = new Worker(path.join(__dirname, 'batch-norm-thread.cjs'), { workerData, execArgv: [] });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** What one device gives for images of its own, by name. */
function alone(x: Float32Array, dy: Float32Array): Float32Array[] {
  const shape: [number, number, number, number] = [x.length / each, height, width, channels];
  return tf.tidy(() => {
    let kept: tf.Tensor[] = [];
    const gradients = tf.grads((...xs) => {
      const { output, mean, variance } = batchNormTraining(
        ...(xs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D]),
        epsilon,
      );
      kept = [output, mean, variance].map((tensor) => tf.keep(tensor.clone()));
      return output.mul(tf.tensor4d(dy, shape)).sum();
    })([tf.tensor4d(x, shape), tf.tensor1d(scale), tf.tensor1d(shift)]);
    const values = [...kept, ...gradients].map((tensor) => Float32Array.from(tensor.dataSync()));
    tf.dispose(kept);
    return values;
  });
}

/** The largest difference, relative to the largest value. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  return Math.max(...Array.from(actual, (value, i) => Math.abs(value - expected[i]))) / (largest || 1);
}

const joined = (parts: readonly Float32Array[]): Float32Array =>
  Float32Array.from(parts.flatMap((part) => [...part]));
const added = (parts: readonly Float32Array[]): Float32Array =>
  parts[0].map((_, i) => parts.reduce((sum, part) => sum + part[i], 0));

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test.each([
    { method: 'mean-then-variance', shards: [2, 2], offset: 0 },
    { method: 'sums', shards: [2, 2], offset: 0 },
    { method: 'mean-then-variance', shards: [3, 1, 2], offset: 0 },
    { method: 'sums', shards: [3, 1, 2], offset: 0 },
    // Where the mean is large, the sums of squares lose digits; the paper's way does not.
    { method: 'mean-then-variance', shards: [1, 3], offset: 100 },
  ] as const)('$method, shards of $shards images, mean $offset', async ({ method, shards, offset }) => {
    const total = shards.reduce((sum, count) => sum + count, 0);
    const x = normals(total * each, `x ${shards}`).map((value, i) => value * (1 + (i % 3)) + offset);
    const dy = normals(total * each, `dy ${shards}`);
    const memory = createSharedMemory(shards.map((_, rank) => rank));
    let from = 0;
    const answers = await Promise.all(
      shards.map((images, rank) => {
        const answer = device({ memory, rank, from, images }, x, dy, method, backend);
        from += images;
        return answer;
      }),
    );
    const whole = alone(x, dy);
    const parts = answers.map(({ values }) => values);
    const ours = {
      output: joined(parts.map((part) => part[0])),
      mean: parts[0][1],
      variance: parts[0][2],
      dx: joined(parts.map((part) => part[3])),
      // Each device has its share, which the all-reduce of gradients adds up.
      dScale: added(parts.map((part) => part[4])),
      dShift: added(parts.map((part) => part[5])),
    };
    names.forEach((name, i) => {
      expect(difference(ours[name], whole[i]), name).toBeLessThan(offset > 0 ? 1e-4 : 1e-5);
    });
    // Every device has the same statistics to the bit, and keeps no tensor.
    for (const { values, left } of answers) {
      expect(values[1]).toEqual(parts[0][1]);
      expect(values[2]).toEqual(parts[0][2]);
      expect(left).toBe(0);
    }
  });

  test('two groups of two are two batches', async () => {
    const x = normals(4 * each, 'x of groups').map((value, i) => value + (i < 2 * each ? 0 : 3));
    const dy = normals(4 * each, 'dy of groups');
    const memories = [createSharedMemory([0, 1]), createSharedMemory([2, 3])];
    const answers = await Promise.all(
      [0, 1, 2, 3].map((rank) =>
        device(
          { memory: memories[rank >> 1], rank, from: rank, images: 1 },
          x,
          dy,
          'mean-then-variance',
          backend,
        ),
      ),
    );
    for (const group of [0, 1]) {
      const part = (all: Float32Array): Float32Array => all.slice(2 * group * each, (2 * group + 2) * each);
      const whole = alone(part(x), part(dy));
      const [a, b] = answers.slice(2 * group, 2 * group + 2).map(({ values }) => values);
      expect(difference(joined([a[0], b[0]]), whole[0])).toBeLessThan(1e-5);
      expect(difference(joined([a[3], b[3]]), whole[3])).toBeLessThan(1e-5);
      expect(difference(a[1], whole[1])).toBeLessThan(1e-5);
    }
  });
});
