/** Gradients of several batches in one update. */
import { describe, expect, test } from 'vitest';
import { Conv2d } from '../../lib/nn/conv';
import { ConvBlock } from '../../lib/nn/conv-block';
import { Module } from '../../lib/nn/module';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';
import { AdamW } from '../../lib/train/adamw';
import { train } from '../../lib/train/train';
import { backends, expectClose, normals, on } from '../tensor/kernels/backends';
import { Line, lineRun, rows } from './small-run';

for (const backend of backends) {
  describe(`accumulated gradients, on ${backend}`, () => {
    on(backend);

    for (const options of [{}, { clipNorm: 0.5 }, { average: { decay: 0.5 } }, { adamw: true }]) {
      test(`are those of the large batch, where the loss is a mean: ${JSON.stringify(options)}`, async () => {
        const [model, large] = [new Line(), new Line()];
        const { adamw, ...more } = options as { adamw?: boolean };
        const optimizers = [model, large].map((line) => (adamw ? new AdamW(line.parameters()) : undefined));
        const common = { gradientChange: true, ...more };
        const many = await train(
          lineRun(model, { ...common, batches: rows(2), accumulate: 5, optimizer: optimizers[0] }),
        );
        const one = await train(lineRun(large, { ...common, batches: rows(10), optimizer: optimizers[1] }));
        expect(many.logs.length).toBe(8);
        many.logs.forEach((log, i) => {
          const { loss, gradientNorm, gradientChange, images } = one.logs[i];
          expect(log.images).toBe(images);
          expectClose([log.loss, log.gradientNorm], [loss, gradientNorm], 2e-6, `step ${i}`);
          if (i > 0) expectClose([log.gradientChange], [gradientChange], 2e-6, `change at step ${i}`);
        });
        expectClose(model.values(), large.values(), 2e-6, 'parameters');
        for (const thing of [model, large, ...optimizers]) thing?.dispose();
      });
    }

    test('leave nothing behind, and are the same compiled or not', async () => {
      const [model, twin] = [new Line(), new Line()];
      const before = tf.memory().numTensors;
      const counts: number[] = [];
      const onStep = (): void => void counts.push(tf.memory().numTensors);
      const [a, b] = [true, false].map((compile) => ({ compile, accumulate: 3, onStep }));
      const compiled = await train(lineRun(model, a));
      const eager = await train(lineRun(twin, b));
      expect(new Set(counts.slice(0, 8)).size).toBe(1);
      expect(new Set(counts.slice(8)).size).toBe(1);
      expect(tf.memory().numTensors).toBe(before);
      expectClose(
        compiled.logs.map(({ loss }) => loss),
        eager.logs.map(({ loss }) => loss),
        1e-6,
        'losses',
      );
      expectClose(model.values(), twin.values(), 1e-6, 'parameters');
      for (const thing of [model, twin]) thing.dispose();
    });

    for (const bad of [0, 2]) {
      test(`one batch that is not finite (${bad} of 3) spoils its step, and none after it`, async () => {
        const [model, twin] = [new Line(), new Line()];
        const clean = rows(2);
        async function* spoilt(from: number) {
          let number = 0;
          for (let epoch = 0; ; epoch++) {
            for await (const batch of clean.epoch(epoch)) {
              const isBad = number === 3 + bad;
              const isSkipped = number >= 3 && number < 6;
              number++;
              if (isSkipped && from === 0) continue;
              yield isBad ? { ...batch, x: batch.x.map((row) => row.map(() => Infinity)) } : batch;
            }
          }
        }
        const schedule = (): number => 0.05;
        const more = { accumulate: 3, nonFinite: 'skip', schedule } as const;
        const result = await train(lineRun(model, { ...more, steps: 5, batches: spoilt(1) }));
        expect(result.skipped).toEqual([1]);
        expect(result.logs[1].problem).toMatch(
          /the loss is (NaN|Infinity); the first .*: the batch itself \(x\)$/,
        );
        const without = await train(lineRun(twin, { ...more, steps: 4, batches: spoilt(0) }));
        expect(result.logs.map(({ loss }) => loss).filter((_, i) => i !== 1)).toEqual(
          without.logs.map(({ loss }) => loss),
        );
        expect(model.values()).toEqual(twin.values());
        for (const thing of [model, twin]) thing.dispose();
      });
    }

    test('batch normalisation takes in each batch', async () => {
      class Net extends Module {
        readonly block: ConvBlock;
        readonly last: Conv2d;
        constructor() {
          super();
          const random = createRandom(1);
          this.block = new ConvBlock({ inChannels: 1, outChannels: 2, kernel: 1, batchNorm: true }, random);
          this.last = new Conv2d({ inChannels: 2, outChannels: 1, kernel: 1 }, random);
        }
      }
      const net = new Net();
      const statistics = (): tf.Tensor =>
        net.namedVariables().find(({ name }) => /running_mean$/.test(name))!.variable;
      const values = [0, 1].map((i) => normals(2 * 4, `batch ${i}`));
      async function* batches() {
        for (const images of values) yield { ids: ['a', 'b'], images };
      }
      const kernel = net.block.namedVariables()[0].variable.dataSync().slice();
      await train({
        model: net,
        batches: batches(),
        steps: 1,
        accumulate: 2,
        schedule: () => 0.1,
        prepare: ({ images }) => ({ images: tf.tensor4d(images, [2, 2, 2, 1]) }),
        loss: ({ images }: { images: tf.Tensor4D }, context) => ({
          total: net.last.forward(net.block.forward(images, context), context).square().mean() as tf.Scalar,
          parts: {},
        }),
      });
      const expected = [0, 0];
      for (const images of values) {
        const mean = images.reduce((sum, value) => sum + value, 0) / images.length;
        expected.forEach((value, c) => (expected[c] = 0.9 * value + 0.1 * mean * kernel[c]));
      }
      expectClose(await statistics().data(), expected, 1e-6, 'running mean');
      net.dispose();
    });
  });
}

describe('accumulate', () => {
  on('cpu');

  test('is a whole number above 0, and needs as many batches', async () => {
    const model = new Line();
    for (const accumulate of [0, 1.5, NaN]) {
      await expect(train(lineRun(model, { accumulate }))).rejects.toThrow(
        `accumulate must be a whole number above 0, got ${accumulate}`,
      );
    }
    const batches = rows(2).epoch(0);
    await expect(train(lineRun(model, { accumulate: 2, batches }))).rejects.toThrow(
      'the loader ended after 5 batches, but 8 steps of 2 batches were asked for',
    );
    const onlyWeight = ({ x }: { x: tf.Tensor }) => ({
      total: model.weight.sum().add(x.sum()) as tf.Scalar,
      parts: {},
    });
    await expect(train(lineRun(model, { loss: onlyWeight }))).rejects.toThrow(
      'the loss does not depend on the parameter bias; use it, or freeze it',
    );
    model.dispose();
  });
});
