/** Training as one graph against training op by op: the same numbers, on every kind of network that there is. */
import { describe, expect, it } from 'vitest';
import { ResNet, resNetStems } from '../../lib/models/backbones/resnet';
import { Ssd, type SsdConfig } from '../../lib/models/ssd';
import { Conv2d } from '../../lib/nn/conv';
import { ConvBlock } from '../../lib/nn/conv-block';
import { MBConv } from '../../lib/nn/mbconv';
import { type ForwardContext, inference, Module } from '../../lib/nn/module';
import { ShuffleBlock } from '../../lib/nn/shuffle-block';
import { createRandom, type Random } from '../../lib/tensor/random';
import { compile } from '../../lib/tensor/compile/compile';
import { nodeBackend } from '../../lib/tensor/compile/node-backend';
import { tf } from '../../lib/tensor/tf';
import { AdamW } from '../../lib/train/adamw';
import { Sgd } from '../../lib/train/sgd';
import type { Loss } from '../../lib/losses/loss';
import { type StepLog, train } from '../../lib/train/train';
import { normals, on } from '../tensor/kernels/backends';

interface Net extends Module {
  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor;
}

/** Blocks one after another, and a 1x1 convolution at the end. */
class Stack extends Module implements Net {
  constructor(
    readonly blocks: (Module & { forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D })[],
    readonly last: Conv2d,
  ) {
    super();
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor {
    return tf.tidy(() =>
      this.last.forward(
        this.blocks.reduce((y, block) => block.forward(y, context), x),
        context,
      ),
    );
  }
}

/** An SSD as a net of one output. */
class OneOutput extends Module implements Net {
  constructor(readonly ssd: Ssd) {
    super();
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor {
    return tf.tidy(() => {
      const { classLogits, boxDeltas } = this.ssd.forward(x, context);
      return tf.concat([classLogits, boxDeltas], 2);
    });
  }
}

const ssd = (backbone: SsdConfig['backbone'], batchNorm: SsdConfig['batchNorm'], random: Random): OneOutput =>
  new OneOutput(
    new Ssd(
      {
        inputSize: 16,
        backbone,
        taps: [0, 1],
        extras: [{ squeeze: 4, channels: 8, stride: 2, padding: 1 }],
        anchorsPerCell: [2, 2, 2],
        classes: 2,
        batchNorm,
      },
      random,
    ),
  );

const nets: Record<string, (random: Random) => Net> = {
  'VGG SSD without batch norm': (random) =>
    ssd({ stages: [[4], [8, 8]] }, { backbone: false, head: false }, random),
  'VGG SSD with batch norm': (random) =>
    ssd({ stages: [[4], [8, 8]] }, { backbone: true, head: true }, random),
  'ResNet SSD': (random) =>
    ssd(
      (r) => new ResNet({ stem: resNetStems.half, widths: [4, 8], blocks: [1, 1] }, r),
      { backbone: true, head: false },
      random,
    ),
  'MBConv net': (random) =>
    new Stack(
      [
        new ConvBlock({ inChannels: 3, outChannels: 4, kernel: 3, stride: 2, batchNorm: true }, random),
        new MBConv({ inChannels: 4, outChannels: 4, kernel: 3 }, random),
        new MBConv({ inChannels: 4, outChannels: 8, kernel: 5, stride: 2 }, random),
      ],
      new Conv2d({ inChannels: 8, outChannels: 3, kernel: 1 }, random),
    ),
  'shuffle net': (random) =>
    new Stack(
      [
        new ConvBlock({ inChannels: 3, outChannels: 4, kernel: 3, batchNorm: true }, random),
        new ShuffleBlock({ inChannels: 4, outChannels: 8, stride: 2, kind: 'shuffle3' }, random),
        new ShuffleBlock({ inChannels: 8, outChannels: 8, stride: 1, kind: 'xception' }, random),
      ],
      new Conv2d({ inChannels: 8, outChannels: 3, kernel: 1 }, random),
    ),
};

async function* batches(
  count: number,
  bad?: number,
): AsyncGenerator<{ ids: string[]; images: Float32Array }> {
  for (let i = 0; i < count; i++) {
    const images = normals(2 * 16 * 16 * 3, `batch ${i}`);
    if (i === bad) images[5] = NaN;
    yield { ids: ['a', 'b'], images };
  }
}

const steps = 6;

/** Trains `net` and returns every number of the log and every variable. */
async function trained(net: Net, options: Partial<Parameters<typeof train>[0]>) {
  const logs: StepLog[] = [];
  const result = await train({
    model: net,
    batches: batches(steps),
    steps,
    schedule: (step) => 0.02 / (step + 1),
    gradientChange: true,
    prepare: ({ images }) => ({ images: tf.tensor4d(images, [2, 16, 16, 3]) }),
    loss: ({ images }: { images: tf.Tensor4D }, context): Loss => {
      const total = tf.tidy(() => net.forward(images, context).sub(1).square().mean()) as tf.Scalar;
      return { total, parts: { half: total.mul(0.5) } };
    },
    onStep: (log) => void logs.push(log),
    ...(options as object),
  });
  const numbers = logs.map(({ loss, gradientNorm, gradientChange, parts }) => [
    loss,
    gradientNorm,
    gradientChange,
    parts.half,
  ]);
  const variables = net.namedVariables().map(({ variable }) => Array.from(variable.dataSync()));
  return { result, numbers, variables };
}

function expectEqual(actual: number[][], expected: number[][], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((row, i) => {
    const scale = 1 + Math.max(...expected[i].filter(Number.isFinite).map(Math.abs));
    row.forEach((value, j) => {
      if (Number.isNaN(expected[i][j])) expect(value).toBeNaN();
      else expect(Math.abs(value - expected[i][j])).toBeLessThanOrEqual(tolerance * scale);
    });
  });
}

describe('compiled training', () => {
  on('tensorflow');

  for (const [name, build] of Object.entries(nets)) {
    it(`does with a ${name} what the eager step does`, async () => {
      const tensors = tf.memory().numTensors;
      const eager = build(createRandom(1));
      const compiled = build(createRandom(1));
      const expected = await trained(eager, { compile: false });
      const actual = await trained(compiled, {});
      expect(expected.result.divergedAt).toBeUndefined();
      expect(expected.numbers[5][0]).toBeLessThan(expected.numbers[0][0]);
      expectEqual(actual.numbers, expected.numbers, 2e-6);
      expectEqual(actual.variables, expected.variables, 2e-6);
      eager.dispose();
      compiled.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      expect(nodeBackend()?.binding.getNumOfSavedModels()).toBe(0);
    });
  }

  const optimizers = {
    'Nesterov and decoupled decay': (net: Net) =>
      new Sgd(net.parameters(), { nesterov: true, weightDecay: 0.1, decayKind: 'decoupled' }),
    'momentum and decay in the gradient': (net: Net) => new Sgd(net.parameters(), { weightDecay: 0.1 }),
    AdamW: (net: Net) => new AdamW(net.parameters(), { weightDecay: 0.1 }),
    Adam: (net: Net) => new AdamW(net.parameters(), { weightDecay: 0.1, decayKind: 'l2' }),
  };
  for (const [name, make] of Object.entries(optimizers)) {
    it(`updates with ${name} and clipping as the eager step does, and the slots can be read`, async () => {
      // Without batch norm, behind which some gradients are nothing but rounding, which Adam would blow up.
      const [eager, compiled] = [0, 1].map(() => nets['VGG SSD without batch norm'](createRandom(2)));
      const runs = [];
      for (const [net, compile] of [
        [eager, false],
        [compiled, true],
      ] as const) {
        const optimizer = make(net);
        const run = await trained(net, { compile, optimizer, clipNorm: 0.1 });
        const slots = optimizer.slots().map(({ variable }) => Array.from(variable.dataSync()));
        runs.push([...run.numbers, ...run.variables, ...slots]);
        optimizer.dispose();
        net.dispose();
      }
      expectEqual(runs[1], runs[0], 2e-5);
    });
  }

  it('evaluates, averages and freezes between steps: the model is at hand all the time', async () => {
    const net = nets['VGG SSD with batch norm'](createRandom(3));
    const twin = nets['VGG SSD with batch norm'](createRandom(3));
    const x = tf.tensor4d(normals(2 * 16 * 16 * 3, 9), [2, 16, 16, 3]);
    const outputs: number[][][] = [];
    for (const [model, compiled] of [
      [net, true],
      [twin, false],
    ] as const) {
      const seen: number[][] = [];
      const infer = compile(({ images }: { images: tf.Tensor4D }) => model.forward(images, inference));
      await trained(model, {
        compile: compiled,
        onStep: ({ step }: StepLog) => {
          const y = compiled ? infer({ images: x }) : model.forward(x, inference);
          seen.push(Array.from(y.dataSync()));
          y.dispose();
          // A checkpoint of three steps ago is put back.
          if (step === 4)
            tf.tidy(() =>
              model.namedVariables().forEach(({ variable }) => variable.assign(variable.mul(0.5))),
            );
        },
      });
      infer.dispose();
      outputs.push(seen);
    }
    expectEqual(outputs[0], outputs[1], 5e-6);
    tf.dispose(x);
    net.dispose();
    twin.dispose();
  });
});

for (const backend of ['tensorflow', 'wasm']) {
  describe(`a step that is not finite, on ${backend}`, () => {
    on(backend);

    for (const nonFinite of ['skip', 'stop'] as const) {
      it(`is named, changes nothing, and the run can ${nonFinite}`, async () => {
        const net = nets['VGG SSD with batch norm'](createRandom(4));
        const states: number[][][] = [];
        const { result } = await trained(net, {
          batches: batches(steps, 3),
          nonFinite,
          onStep: () =>
            void states.push(net.namedVariables().map(({ variable }) => Array.from(variable.dataSync()))),
        });
        expect(states[3]).toEqual(states[2]);
        expect(result.logs[3].problem).toBe(
          'step 3, learning rate 0.005: the loss is NaN; the first that is not finite: the batch itself (images)',
        );
        expect(result.logs.length).toBe(nonFinite === 'skip' ? steps : 4);
        expect(result.skipped).toEqual(nonFinite === 'skip' ? [3] : []);
        expect(result.divergedAt).toBe(nonFinite === 'skip' ? undefined : 3);
        if (nonFinite === 'skip') expect(states[4]).not.toEqual(states[3]);
        net.dispose();
      });
    }

    it('names the layer in which a number overflows', async () => {
      const net = nets['VGG SSD without batch norm'](createRandom(4)) as OneOutput;
      const weight = net.namedVariables().find(({ name }) => name === 'ssd.backbone.stages.1.0.conv.weight');
      tf.tidy(() => weight?.variable.assign(tf.fill(weight.variable.shape, 3e38)));
      const { result } = await trained(net, {});
      expect(result.divergedAt).toBe(0);
      expect(result.logs[0].problem).toMatch(
        /step 0, learning rate 0.02: the (loss|gradient) is (NaN|Infinity); .*: the output of ssd.backbone.stages.1.0.conv$/,
      );
      net.dispose();
    });

    it('names the parameter whose gradient is not finite', async () => {
      const net = nets['MBConv net'](createRandom(5));
      const { result } = await trained(net, {
        // sqrt has an infinite slope at 0, where relu leaves the sum of this branch
        loss: ({ images }: { images: tf.Tensor4D }, context: ForwardContext): Loss => {
          const y = net.forward(images, context);
          return { total: y.mean().add(y.sub(y).abs().sum().sqrt()) as tf.Scalar, parts: {} };
        },
      } as object);
      expect(result.logs[0].problem).toMatch(/the gradient is NaN; .*: the gradient of last\.bias$/);
      net.dispose();
    });
  });
}
