import { describe, expect, test } from 'vitest';
import { createRandom, inference, Ssd, ssd300Config, type SsdConfig, tf } from 'detlab';
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

describe('SSD300 on VGG16', () => {
  on('cpu');

  // Counted by hand from the layer table: trunk, extra layers, and heads of 9 * channels * (anchors * width) + anchors * width.
  const trunk = [
    [3, 64], [64, 64], [64, 128], [128, 128], [128, 256], [256, 256], [256, 256],
    [256, 512], [512, 512], [512, 512], [512, 512], [512, 512], [512, 512], [512, 1024],
  ].reduce((sum, [i, o]) => sum + 9 * i * o + o, 0) + 1024 * 1024 + 1024; // prettier-ignore
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

  test('refuses a tap that is not a stage', () => {
    expect(() => new Ssd({ ...tiny, taps: [1, 7] }, createRandom(1))).toThrow(/tap 7 is not a stage.*0 to 2/);
  });
});
