/** Chains run by a plan: the plain pass' numbers to the bit, and the planned bytes. */
import { describe, expect, it } from 'vitest';
import { BasicBlock } from '../../lib/models/backbones/resnet';
import { ConvBlock } from '../../lib/nn/conv-block';
import { measureLayers } from '../../lib/nn/measure-layers';
import { applyStatistics, type BatchStatistics, type ForwardContext, Module } from '../../lib/nn/module';
import { planForBudget } from '../../lib/nn/recompute-budget';
import {
  equalSegmentsPlan,
  planPeakBytes,
  type RecomputePlan,
  squareRootPlan,
  storedPlan,
} from '../../lib/nn/recompute-plan';
import { runSegments } from '../../lib/nn/run-segments';
import { type Layer, runLayers } from '../../lib/nn/sequential';
import { compile } from '../../lib/tensor/compile/compile';
import { liveBytes } from '../../lib/tensor/live-bytes';
import { createRandom } from '../../lib/tensor/random';
import { RandomStream } from '../../lib/tensor/random-stream';
import { tf } from '../../lib/tensor/tf';
import { backends, on, randomTensor } from '../tensor/kernels/backends';

const size = 24;
const channels = 4;
const shape: [number, number, number, number] = [2, size, size, channels];
const smaller: [number, number, number, number] = [2, 8, 8, channels];
const map = 4 * 2 * size * size * channels;

/** A residual block with a random mask on its output. */
class NoisyBlock extends Module {
  readonly block: BasicBlock;

  constructor(seed: number) {
    super();
    this.block = new BasicBlock(channels, channels, 1, createRandom(seed));
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.block.forward(x, context);
      return context.random ? y.mul(context.random.bernoulli(y.shape, 0.8)) : y;
    });
  }
}

const convBlocks = (count: number): ConvBlock[] =>
  Array.from(
    { length: count },
    (_, i) =>
      new ConvBlock(
        { inChannels: channels, outChannels: channels, kernel: 3, batchNorm: true },
        createRandom(i),
      ),
  );
const dispose = (layers: readonly Layer[]): void => layers.forEach((layer) => layer.dispose());

/** Runs a chain by a plan, or plainly without one: the loss, and the gradients of x and of all parameters. */
function gradients(
  layers: readonly Layer[],
  x: tf.Tensor4D,
  context: ForwardContext,
  plan: RecomputePlan | undefined,
): { value: tf.Tensor; grads: tf.Tensor[] } {
  const variables = layers.flatMap((layer) => layer.parameters()).map(({ variable }) => variable);
  return tf.valueAndGrads((...xs: tf.Tensor[]) => {
    const input = xs[0] as tf.Tensor4D;
    const y = plan ? runSegments(layers, input, context, plan) : runLayers(layers, input, context);
    return y.square().mean() as tf.Scalar;
  })([x, ...variables]);
}

/**
 * Segments of 1, 2, 3, 4, 6, 8 and 16 blocks, in maps: on top of the plan come those that the gradients work with, as many for one as for
 * another.
 */
function expectPlanned(points: readonly { planned: number; alive: number }[], most: number): void {
  const extra = points.map(({ planned, alive }) => alive - planned);
  expect(Math.min(...extra)).toBeGreaterThan(0);
  expect(Math.max(...extra)).toBeLessThan(most);
  expect(Math.max(...extra) - Math.min(...extra)).toBeLessThan(1.5);
  const alive = points.map((point) => point.alive);
  expect(Math.min(...alive)).toBe(Math.min(...alive.slice(1, 4)));
  expect(alive[3]).toBeLessThan(0.6 * alive[6]);
}

const plans: Record<string, RecomputePlan> = {
  'square root': squareRootPlan(6),
  'all recomputed': squareRootPlan(6, true),
  stored: storedPlan(6),
  mixed: [
    { length: 1, recompute: false },
    { length: 2, recompute: true },
    { length: 2, recompute: false },
    { length: 1, recompute: true },
  ],
};

for (const backend of backends) {
  describe(`runSegments on ${backend}`, () => {
    on(backend);

    it.each(Object.keys(plans))('has the plain pass’ numbers to the bit: %s', (name) => {
      const tensors = tf.memory().numTensors;
      const x = randomTensor<tf.Rank.R4>(smaller, 1);
      const [plain, planned] = [undefined, plans[name]].map((plan) => {
        const layers = Array.from({ length: 6 }, (_, i) => new NoisyBlock(i));
        const random = new RandomStream(3);
        const numbers: number[][] = [];
        for (let step = 0; step < 2; step++) {
          const statistics: BatchStatistics[] = [];
          const { value, grads } = gradients(layers, x, { training: true, statistics, random }, plan);
          numbers.push([...value.dataSync()], ...grads.map((grad) => [...grad.dataSync()]));
          // Two batch norms a block, each with one entry: the second computation hands in none.
          expect(statistics).toHaveLength(12);
          applyStatistics(statistics);
          tf.dispose([value, grads]);
        }
        numbers.push(
          ...layers.flatMap((layer) => layer.buffers()).map(({ variable }) => [...variable.dataSync()]),
        );
        numbers.push([...random.state.dataSync()]);
        dispose(layers);
        random.dispose();
        return numbers;
      });
      expect(planned).toEqual(plain);
      expect(plain.flat().every(Number.isFinite)).toBe(true);
      expect(plain.flat().filter((value) => value !== 0).length).toBeGreaterThan(1000);
      x.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    });
  });

  describe(`measureLayers on ${backend}`, () => {
    on(backend);

    it('counts what is kept, as by hand', () => {
      const tensors = tf.memory().numTensors;
      const x = randomTensor<tf.Rank.R4>(shape, 1);
      const random = new RandomStream(5);
      const before = [...random.state.dataSync()];
      const half = new BasicBlock(channels, 2 * channels, 2, createRandom(1));
      const options = { inChannels: channels, outChannels: channels, kernel: 3 };
      const plain = new ConvBlock(options, createRandom(1));
      const normalised = convBlocks(1)[0];
      const layers = [plain, normalised, half];
      const measured = measureLayers(layers, x, { random }, { repeats: 1 });
      expect(measured.map(({ outputBytes }) => outputBytes)).toEqual([map, map, map / 2]);
      expect(measured.map(({ outputShape }) => outputShape)).toEqual([
        shape,
        shape,
        [2, size / 2, size / 2, 2 * channels],
      ]);
      // In maps: of convolution, bias and ReLU only the last is kept; batch norm keeps its input. A block whose output has half
      // a map: both convolutions' outputs, the ReLU between, the shortcut's convolution's, the output.
      [1, 2, 5 * 0.5].forEach((maps, i) => {
        const kept = measured[i].keptBytes / map;
        expect(kept).toBeGreaterThanOrEqual(maps);
        // means and deviations
        expect(kept).toBeLessThan(maps + 0.02);
      });
      expect(measured[0].multiplyAdds).toBe(2 * size * size * 9 * channels * channels);
      expect(measured.every(({ seconds, cost }) => seconds > 0 && cost === seconds)).toBe(true);
      expect([...random.state.dataSync()]).toEqual(before);
      expect(normalised.buffers()[0].variable.dataSync()[0]).toBe(0);
      dispose(layers);
      tf.dispose(x);
      random.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    });
  });
}

// The cpu backend's gradients work with many more maps than they keep.
for (const backend of ['wasm', 'tensorflow']) {
  describe(`the bytes of a plan on ${backend}`, () => {
    on(backend);

    it('keeps the bytes that were planned, for every length of a segment', () => {
      const x = randomTensor<tf.Rank.R4>(shape, 1);
      const layers = convBlocks(16);
      const measured = measureLayers(layers, x, {}, { repeats: 1 });
      const points = [1, 2, 3, 4, 6, 8, 16].map((length) => {
        const plan = equalSegmentsPlan(16, length);
        const { result, before, peak } = liveBytes(() => gradients(layers, x, { training: true }, plan));
        tf.dispose([result.value, result.grads]);
        return { planned: planPeakBytes(measured, plan) / map, alive: (peak - before) / map };
      });
      expectPlanned(points, 7);
      dispose(layers);
      x.dispose();
    });

    it('stays near a budget', () => {
      const x = randomTensor<tf.Rank.R4>(shape, 1);
      const layers = convBlocks(12);
      const measured = measureLayers(layers, x, {}, { repeats: 1 }).map((layer) => ({ ...layer, cost: 1 }));
      const plain = planPeakBytes(measured, storedPlan(12));
      for (const share of [0.5, 0.7, 0.9]) {
        const plan = planForBudget(measured, share * plain);
        const { result, before, peak } = liveBytes(() => gradients(layers, x, { training: true }, plan));
        tf.dispose([result.value, result.grads]);
        expect(peak - before).toBeLessThan(share * plain + 7 * map);
        expect(peak - before).toBeGreaterThan(planPeakBytes(measured, plan));
      }
      dispose(layers);
      x.dispose();
    });
  });
}

describe('compiled', () => {
  on('tensorflow');

  it('needs the planned bytes and a few maps', () => {
    const x = randomTensor<tf.Rank.R4>(shape, 1);
    const layers = convBlocks(16);
    const measured = measureLayers(layers, x, {}, { repeats: 1 });
    const points = [1, 2, 3, 4, 6, 8, 16].map((length) => {
      const plan = equalSegmentsPlan(16, length);
      const step = compile(({ input }: { input: tf.Tensor4D }) =>
        gradients(layers, input, { training: true }, plan),
      );
      const { value, grads } = step({ input: x });
      const [loss] = value.dataSync();
      tf.dispose([value, grads]);
      const bytes = step.plannedBytes;
      step.dispose();
      return { loss, planned: planPeakBytes(measured, plan) / map, alive: bytes / map };
    });
    expectPlanned(points, 7);
    for (const { loss } of points) expect(loss).toBeCloseTo(points[6].loss, 5);
    dispose(layers);
    x.dispose();
  });
});

it('refuses a plan for another chain', async () => {
  await tf.setBackend('cpu');
  const layers = convBlocks(2);
  const x = tf.zeros<tf.Rank.R4>(shape);
  expect(() => runSegments(layers, x, { training: true }, storedPlan(3))).toThrow(
    '3 layers (3), the chain has 2',
  );
  expect(() => measureLayers(layers, x, {}, { repeats: 0 })).toThrow(
    'repeats must be a positive whole number, got 0',
  );
  x.dispose();
  dispose(layers);
});
