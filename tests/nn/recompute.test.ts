/** Gradient checkpointing: the plain gradients to the bit, statistics once, the same random numbers, less memory. */
import { describe, expect, it } from 'vitest';
import { ConvBlock } from '../../lib/nn/conv-block';
import {
  applyStatistics,
  type BatchStatistics,
  type ForwardContext,
  Module,
  type NamedVariable,
} from '../../lib/nn/module';
import { recompute } from '../../lib/nn/recompute';
import { compile } from '../../lib/tensor/compile/compile';
import { liveBytes } from '../../lib/tensor/live-bytes';
import { createRandom, type Random } from '../../lib/tensor/random';
import { RandomStream } from '../../lib/tensor/random-stream';
import { tf } from '../../lib/tensor/tf';
import { backends, on, randomTensor } from '../tensor/kernels/backends';

const size = 12;
const channels = 4;

/** Convolution, batch norm, ReLU, then a random mask. */
class NoisyBlock extends Module {
  readonly block: ConvBlock;

  constructor(random: Random) {
    super();
    this.block = new ConvBlock(
      { inChannels: channels, outChannels: channels, kernel: 3, batchNorm: true },
      random,
    );
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.block.forward(x, context);
      return context.random ? y.mul(context.random.bernoulli(y.shape, 0.8)) : y;
    });
  }
}

/** Blocks in segments of `length`, recomputed if wanted. */
class Chain extends Module {
  constructor(
    readonly blocks: NoisyBlock[],
    private readonly length: number,
    private readonly again: boolean,
  ) {
    super();
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => {
      let y = x;
      for (let i = 0; i < this.blocks.length; i += this.length) {
        const blocks = this.blocks.slice(i, i + this.length);
        const segment = {
          forward: (z: tf.Tensor4D, c: ForwardContext): tf.Tensor4D =>
            blocks.reduce((u, block) => block.forward(u, c), z),
          parameters: (): NamedVariable[] => blocks.flatMap((block) => block.parameters()),
        };
        y = this.again ? recompute(segment, y, context) : segment.forward(y, context);
      }
      return y;
    });
  }
}

function build(count: number, length: number, again: boolean): Chain {
  const random = createRandom(7);
  return new Chain(
    Array.from({ length: count }, () => new NoisyBlock(random)),
    length,
    again,
  );
}

/** One step's loss, gradients and running statistics. */
function step(chain: Chain, x: tf.Tensor4D, random?: RandomStream) {
  const statistics: BatchStatistics[] = [];
  const { value, grads } = tf.variableGrads(
    () => chain.forward(x, { training: true, statistics, random }).square().mean() as tf.Scalar,
    chain.parameters().map(({ variable }) => variable),
  );
  const count = statistics.length;
  applyStatistics(statistics);
  return { value, gradients: chain.parameters().map(({ variable }) => grads[variable.name]), count };
}

for (const backend of backends) {
  describe(`recompute on ${backend}`, () => {
    on(backend);

    for (const noisy of [false, true]) {
      it(`has the plain gradients to the bit${noisy ? ', with random numbers' : ''}`, () => {
        const tensors = tf.memory().numTensors;
        const x = randomTensor<tf.Rank.R4>([2, size, size, channels], 1);
        const results = [false, true].map((again) => {
          const chain = build(4, 2, again);
          const random = noisy ? new RandomStream(3) : undefined;
          const numbers: number[][] = [];
          for (let i = 0; i < 2; i++) {
            const { value, gradients, count } = step(chain, x, random);
            expect(count).toBe(4);
            numbers.push([...value.dataSync()], ...gradients.map((gradient) => [...gradient.dataSync()]));
            tf.dispose([value, gradients]);
          }
          numbers.push(...chain.buffers().map(({ variable }) => [...variable.dataSync()]));
          if (random) numbers.push([...random.state.dataSync()]);
          chain.dispose();
          random?.dispose();
          return numbers;
        });
        expect(results[1]).toEqual(results[0]);
        // The first two steps' masks differ: the numbers are drawn anew, only not within one step.
        if (noisy) expect(results[0][0]).not.toEqual(results[0][results[0].length / 2]);
        expect(results[0].flat().every(Number.isFinite)).toBe(true);
        x.dispose();
        expect(tf.memory().numTensors).toBe(tensors);
      });
    }

    it('needs less memory, with sqrt(n) blocks a segment less than with all in one', () => {
      const x = randomTensor<tf.Rank.R4>([2, size, size, channels], 1);
      const map = 4 * 2 * size * size * channels;
      const maps = (length: number, again: boolean): number => {
        const chain = build(16, length, again);
        const { result, before, peak } = liveBytes(() => step(chain, x));
        tf.dispose([result.value, result.gradients]);
        chain.dispose();
        return (peak - before) / map;
      };
      const [plain, four, all] = [maps(4, false), maps(4, true), maps(16, true)];
      expect(four).toBeLessThan(all);
      expect(four).toBeLessThan(plain * 0.6);
      x.dispose();
    });

    it('compiles: the same numbers, and less memory where there are graphs', () => {
      const x = randomTensor<tf.Rank.R4>([2, size, size, channels], 1);
      const results = [false, true].map((again) => {
        const chain = build(16, 4, again);
        const random = new RandomStream(3);
        const compiled = compile(({ x }: { x: tf.Tensor4D }) => {
          const { value, gradients } = step(chain, x, random);
          chain
            .parameters()
            .forEach(({ variable }, i) => variable.assign(variable.sub(gradients[i].mul(0.1))));
          return value;
        });
        const losses = Array.from({ length: 5 }, () => {
          const value = compiled({ x });
          const [loss] = value.dataSync();
          value.dispose();
          return loss;
        });
        const bytes = compiled.plannedBytes;
        compiled.dispose();
        const buffers = chain.buffers().flatMap(({ variable }) => [...variable.dataSync()]);
        chain.dispose();
        random.dispose();
        return { losses, bytes, buffers };
      });
      const [plain, again] = results;
      again.losses.forEach((loss, i) => expect(Math.abs(loss / plain.losses[i] - 1)).toBeLessThan(1e-5));
      again.buffers.forEach((value, i) => expect(Math.abs(value - plain.buffers[i])).toBeLessThan(1e-5));
      if (backend === 'tensorflow') expect(again.bytes).toBeLessThan(plain.bytes * 0.6);
      else expect(plain.bytes).toBe(0);
      x.dispose();
    });
  });
}

it('is the plain forward pass outside training', async () => {
  await tf.setBackend('cpu');
  const chain = build(1, 1, true);
  const x = randomTensor<tf.Rank.R4>([1, 4, 4, channels], 1);
  const y = chain.forward(x, { training: false });
  const z = chain.blocks[0].forward(x, { training: false });
  expect([...y.dataSync()]).toEqual([...z.dataSync()]);
  tf.dispose([x, y, z]);
  chain.dispose();
});
