import { describe, expect, test } from 'vitest';
import {
  createRandom,
  inference,
  Ssd,
  ssd300Config,
  ssd512Config,
  type SsdConfig,
  ssdCosts,
  summarize,
  tf,
  type Vgg,
} from 'detlab';
import { zeroRandom } from '../../lib/tensor/random';
import { backends, on } from '../tensor/kernels/backends';

const tiny: SsdConfig = {
  inputSize: 32,
  backbone: { stages: [[4], [6, 6], [8]] },
  taps: [1, 2],
  extras: [{ squeeze: 4, channels: 8, stride: 2, padding: 1 }],
  anchorsPerCell: [4, 6, 4],
  classes: 3,
  batchNorm: { backbone: true, head: false },
};

// The parameters of VGG16's convolutions, fc6 and fc7, counted by hand.
const trunk = [
  [3, 64], [64, 64], [64, 128], [128, 128], [128, 256], [256, 256], [256, 256],
  [256, 512], [512, 512], [512, 512], [512, 512], [512, 512], [512, 512], [512, 1024],
].reduce((sum, [i, o]) => sum + 9 * i * o + o, 0) + 1024 * 1024 + 1024; // prettier-ignore

describe('SSD300 on VGG16', () => {
  on('cpu');

  // Counted by hand from the layer table: extra layers, and heads of 9 * channels * (anchors * width) + anchors * width.
  const extra = (i: number, s: number, o: number) => i * s + s + 9 * s * o + o;
  const extras = extra(1024, 256, 512) + extra(512, 128, 256) + extra(256, 128, 256) + extra(256, 128, 256);
  const heads = [[512, 4], [1024, 6], [512, 6], [256, 6], [256, 4], [256, 4]]
    .reduce((sum, [channels, anchors]) => sum + (9 * channels + 1) * anchors * (21 + 4), 0); // prettier-ignore

  test('has the published number of parameters for the 20 classes of VOC', () => {
    const model = new Ssd(ssd300Config(20, { backbone: false, head: false }), createRandom(1));
    expect(model.parameterCount()).toBe(trunk + extras + heads);
    // The released PyTorch SSD300 has 26,285,486: the L2 normalisation that ScratchDet removes holds 512 of them.
    expect(model.parameterCount()).toBe(26_285_486 - 512);
    model.dispose();
  });

  test('has maps of 38, 19, 10, 5, 3 and 1 cells and 8732 anchors', () => {
    const config = ssd300Config(20, { backbone: false, head: false });
    const model = new Ssd({ ...config, backbone: { ...config.backbone } }, createRandom(1));
    const sizes = model.mapSizes();
    expect(sizes).toEqual([38, 19, 10, 5, 3, 1]);
    expect(sizes.reduce((sum, size, i) => sum + size * size * config.anchorsPerCell[i], 0)).toBe(8732);
    model.dispose();
  });
});

describe('SSD512 on VGG16', () => {
  on('cpu');

  test('has maps of 64 to 1 cells, 24564 anchors, and the parameters of its layer table', () => {
    const config = ssd512Config(20, { backbone: false, head: false });
    const model = new Ssd(config, zeroRandom);
    const sizes = model.mapSizes();
    expect(sizes).toEqual([64, 32, 16, 8, 4, 2, 1]);
    expect(sizes.reduce((sum, size, i) => sum + size * size * config.anchorsPerCell[i], 0)).toBe(24_564);

    const pair = (from: number, squeeze: number, to: number, window: number): number =>
      from * squeeze + squeeze + window * squeeze * to + to;
    const extras =
      pair(1024, 256, 512, 9) + pair(512, 128, 256, 9) + 2 * pair(256, 128, 256, 9) + pair(256, 128, 256, 16);
    const heads = [[512, 4], [1024, 6], [512, 6], [256, 6], [256, 6], [256, 4], [256, 4]]
      .reduce((sum, [channels, anchors]) => sum + (9 * channels + 1) * anchors * (21 + 4), 0); // prettier-ignore
    expect(model.parameterCount()).toBe(trunk + extras + heads);
    model.dispose();
  });
});

describe.each(backends)('Ssd, on %s', (backend) => {
  on(backend);
  test('predicts every anchor of every map, and mapSizes agrees with the maps', () => {
    const model = new Ssd(tiny, createRandom(1));
    const before = tf.memory().numTensors;
    const maps = model.features(tf.zeros([2, 32, 32, 3]), inference);
    expect(maps.map((map) => map.shape)).toEqual([
      [2, 16, 16, 6],
      [2, 8, 8, 8],
      [2, 4, 4, 8],
    ]);
    expect(maps.map((map) => map.shape[1])).toEqual(model.mapSizes());
    tf.dispose(maps);
    const anchors = 16 * 16 * 4 + 8 * 8 * 6 + 4 * 4 * 4;
    const { classLogits, boxDeltas } = model.forward(tf.zeros([2, 32, 32, 3]), inference);
    expect(classLogits.shape).toEqual([2, anchors, 4]);
    expect(boxDeltas.shape).toEqual([2, anchors, 4]);
    tf.dispose([classLogits, boxDeltas]);
    expect(tf.memory().numTensors).toBe(before + 2); // the two inputs of zeros
    model.dispose();
  });

  test('anchors run level by level, row by row, cell by cell, anchor by anchor', () => {
    const model = new Ssd(tiny, createRandom(1));
    // Silence every prediction but one: the second anchor's class 2 on the middle map is its bias.
    for (const { variable } of model.head.parameters()) variable.assign(tf.zerosLike(variable));
    const bias = new Float32Array(6 * 4);
    bias[1 * 4 + 2] = 5;
    model.head.classification[1].conv.bias!.assign(tf.tensor1d(bias));
    const { classLogits } = model.forward(tf.randomNormal([1, 32, 32, 3], 0, 1, 'float32', 1), inference);
    const values = classLogits.dataSync();
    const lit = [...values.keys()].filter((i) => values[i] !== 0);
    const first = 16 * 16 * 4;
    expect(lit).toEqual([...Array(64).keys()].map((cell) => (first + cell * 6 + 1) * 4 + 2));
    model.dispose();
  });

  test('batch norm in backbone and head are separate switches', () => {
    const names = (backbone: boolean, head: boolean) => {
      const model = new Ssd({ ...tiny, batchNorm: { backbone, head } }, createRandom(1));
      const found = model.parameters().map(({ name }) => name);
      model.dispose();
      return {
        backbone: found.some((n) => /^(backbone|extras).*bn/.test(n)),
        head: found.some((n) => /^head.*bn/.test(n)),
      };
    };
    for (const backbone of [false, true]) {
      for (const head of [false, true]) expect(names(backbone, head)).toEqual({ backbone, head });
    }
  });

  test('batch norm after the max-pools stands where it is asked for and the backbone is normalised', () => {
    const stages = [[4], [6, 6], [8]];
    const atrous = { channels: 10, dilation: 1 };
    const norms = (backbone: SsdConfig['backbone'], normed: boolean): string[] => {
      const model = new Ssd(
        { ...tiny, backbone, batchNorm: { backbone: normed, head: false } },
        createRandom(1),
      );
      const names = model.parameters().map(({ name }) => name);
      model.dispose();
      return names.filter((name) => name.includes('poolNorm'));
    };
    expect(norms({ stages, poolNorm: true }, true)).toEqual(
      ['backbone.poolNorms.0.weight', 'backbone.poolNorms.0.bias', 'backbone.poolNorms.1.weight', 'backbone.poolNorms.1.bias'], // prettier-ignore
    );
    expect(norms({ stages, atrous, poolNorm: true }, true)).toHaveLength(6);
    expect(norms({ stages, poolNorm: true }, false)).toEqual([]);
    expect(norms({ stages }, true)).toEqual([]);
  });

  test('a max-pool’s batch norm is what the next stage sees', () => {
    const model = new Ssd({ ...tiny, backbone: { stages: [[4], [4]], poolNorm: true }, taps: [0, 1], extras: [], anchorsPerCell: [4, 4] }, createRandom(1)); // prettier-ignore
    const { poolNorms } = model.backbone as Vgg;
    tf.tidy(() => {
      const x = tf.ones<tf.Rank.R4>([1, 8, 8, 3]);
      const before = model.features(x, inference);
      poolNorms![0].weight.assign(tf.zeros([4]));
      poolNorms![0].bias.assign(tf.fill([4], -1));
      const after = model.features(x, inference);
      expect(Array.from(after[0].dataSync())).toEqual(Array.from(before[0].dataSync()));
      // ReLU turns -1 into nothing, of which the second stage, at its first state without shift, makes nothing.
      expect(Math.max(...before[1].dataSync())).toBeGreaterThan(0);
      expect(Math.max(...after[1].dataSync())).toBe(0);
    });
    model.dispose();
  });

  test('sourceChannels gives the head what it asks for, and leaves alone what has it', () => {
    const model = new Ssd({ ...tiny, sourceChannels: [6, 10, 10] }, createRandom(1));
    expect(model.equalize!.map((layers) => layers.length)).toEqual([0, 1, 1]);
    const maps = tf.tidy(() => model.features(tf.zeros([1, 32, 32, 3]), inference));
    expect(maps.map((map) => map.shape[3])).toEqual([6, 10, 10]);
    expect(model.head.classification.map(({ conv }) => conv.weight.shape[2])).toEqual([6, 10, 10]);
    tf.dispose(maps);
    model.dispose();

    const equal = new Ssd({ ...tiny, sourceChannels: 8 }, createRandom(1));
    expect(equal.equalize!.map((layers) => layers.length)).toEqual([1, 0, 0]);
    equal.dispose();
  });

  test('ssdCosts shares out what summarize counts', () => {
    const model = new Ssd({ ...tiny, l2Norm: 20, sourceChannels: 8 }, createRandom(1));
    const parts = ssdCosts(model);
    const { parameters, multiplyAdds } = summarize(model, [32, 32, 3]);
    expect(parts.map(({ part }) => part)).toEqual(['backbone', 'extras', 'adapters', 'head']);
    expect(parts.reduce((sum, part) => sum + part.parameters, 0)).toBe(parameters);
    expect(parts.reduce((sum, part) => sum + part.multiplyAdds, 0)).toBe(multiplyAdds);
    // 6 scales, and 6 to 8 channels on 16 x 16 cells with batch norm
    expect(parts[2]).toEqual({ part: 'adapters', parameters: 6 + 6 * 8 + 2 * 8, multiplyAdds: 256 * 48 });
    model.dispose();
  });

  test('refuses what does not go together', () => {
    const build = (change: Partial<SsdConfig>) => () => new Ssd({ ...tiny, ...change }, createRandom(1));
    expect(build({ anchorsPerCell: [4, 6] })).toThrow(
      /2 anchorsPerCell \[4, 6\], but 3 detection maps \(2 taps and 1 extra layers\)/,
    );
    expect(build({ sourceChannels: [8] })).toThrow(/1 sourceChannels \[8\], but 3 detection maps/);
    const unpadded = { squeeze: 4, channels: 8, stride: 1, padding: 0 } as const;
    const extras = [unpadded, unpadded, unpadded, unpadded];
    expect(build({ extras, anchorsPerCell: [4, 4, 4, 4, 4, 4] })).toThrow(
      /at 32 pixels extra layer 3 gets a map of 2x2, smaller than its window/,
    );
    expect(
      build({
        extras: [{ block: 'residual', channels: 8, stride: 2, padding: 1 }],
        batchNorm: { backbone: false, head: true },
      }),
    ).toThrow(/residual extra layers have batch norm/);
  });

  test('refuses a tap that is not a stage', () => {
    expect(() => new Ssd({ ...tiny, taps: [1, 7] }, createRandom(1))).toThrow(/tap 7 is not a stage.*0 to 2/);
  });
});
