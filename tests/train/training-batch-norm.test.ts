/** How a run's passes normalise: over groups of images where it is told so. */
import { describe, expect, test } from 'vitest';
import { BatchNorm2d } from '../../lib/nn/batch-norm';
import { batchNormByImages } from '../../lib/nn/batch-norm-by-images';
import { Conv2d } from '../../lib/nn/conv';
import { type ForwardContext, Module, type TrainingBatchNorm } from '../../lib/nn/module';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';
import { train, type TrainOptions } from '../../lib/train/train';
import { temporaryFolder } from '../data/temporary';
import { backends, expectClose, normals, on } from '../tensor/kernels/backends';

class Net extends Module {
  readonly first = new Conv2d({ inChannels: 1, outChannels: 3, kernel: 1 }, createRandom(1));
  readonly norm = new BatchNorm2d({ channels: 3 });
  readonly last = new Conv2d({ inChannels: 3, outChannels: 1, kernel: 1 }, createRandom(2));

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return this.last.forward(this.norm.forward(this.first.forward(x, context), context).relu(), context);
  }
}

interface Images {
  readonly ids: readonly string[];
  readonly values: Float32Array;
}

/** Twelve pictures of four pixels, `size` to a batch. */
async function* pictures(size: number): AsyncGenerator<Images> {
  for (let start = 0; start < 12; start += size) {
    const ids = Array.from({ length: size }, (_, i) => `${start + i}`);
    const values = ids.map((id) => normals(4, `picture ${id}`));
    yield await Promise.resolve({ ids, values: Float32Array.from(values.flatMap((one) => [...one])) });
  }
}

type Options = TrainOptions<Images, { images: tf.Tensor4D }>;

function netRun(model: Net, size: number, more: Partial<Options>): Options {
  return {
    model,
    batches: pictures(size),
    steps: 3,
    schedule: () => 0.1,
    prepare: ({ ids, values }) => ({ images: tf.tensor4d(values, [ids.length, 2, 2, 1]) }),
    loss: ({ images }, context) => ({
      total: model.forward(images, context).sub(images.square()).square().mean(),
      parts: {},
    }),
    onNotice: () => undefined,
    ...more,
  };
}

const trained = async (model: Net): Promise<number[]> =>
  (await Promise.all(model.parameters().map(({ variable }) => variable.data()))).flatMap((one) => [...one]);

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test.each([true, false])('groups of two are batches of two of their own; compiled: %s', async (compile) => {
    const [groups, batches, whole] = [new Net(), new Net(), new Net()];
    const batchNorm = batchNormByImages(2);
    const { logs } = await train(netRun(groups, 4, { batchNorm, compile }));
    const other = await train(netRun(batches, 2, { accumulate: 2, compile }));
    await train(netRun(whole, 4, { compile }));
    expectClose(
      logs.map(({ loss }) => loss),
      other.logs.map(({ loss }) => loss),
      1e-5,
      'losses',
    );
    expectClose(await trained(groups), await trained(batches), 1e-5, 'parameters');
    const apart = await trained(whole);
    const furthest = (await trained(groups)).map((value, i) => Math.abs(value - apart[i]));
    expect(Math.max(...furthest)).toBeGreaterThan(1e-3);
    for (const net of [groups, batches, whole]) net.dispose();
  });
});

describe('a run', () => {
  on('cpu');

  test('is not taken up again with another normalisation, and is told of NaN in its own', async () => {
    const folder = temporaryFolder();
    const batchNorm = batchNormByImages(2);
    const model = new Net();
    await train(netRun(model, 4, { batchNorm, steps: 2, checkpoint: folder }));
    await expect(train(netRun(model, 4, { checkpoint: folder }))).rejects.toThrow(
      /batchNorm: was "given", now it is missing/,
    );
    const broken: TrainingBatchNorm = (x, ...rest) => batchNorm(x.mul(NaN), ...rest);
    const { logs } = await train(netRun(model, 4, { batchNorm: broken }));
    expect(logs[0].problem).toMatch(/the output of last$/);
    model.dispose();
  });
});
