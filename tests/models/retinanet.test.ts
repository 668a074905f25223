/** RetinaNet against torchvision's, with weights of a formula (`tests/reference/retinanet.py`). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createRandom,
  createRetinaNetDetector,
  type GroundTruth,
  loadStateDict,
  ResNet,
  resNet18,
  RetinaNet,
  type RetinaNetConfig,
  stateDict,
  tf,
  useBackend,
} from 'detlab';
import { backends, expectClose, on } from '../tensor/kernels/backends';

interface Case {
  p6From: 'pyramid' | 'trunk';
  groupNorm: boolean;
  parameters: number;
  names: string[];
  maps: [number, number][];
  anchorTail: number[][];
  logits: number[];
  deltas: number[];
  classLoss: number;
  boxLoss: number;
  gradients: Record<string, { norm: number; first: number[] }>;
}
const { cases } = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'retinanet.json'), 'utf8')) as {
  cases: Case[];
};

const octaves = [16, 32, 64, 128, 256].map((size) =>
  [1, 2 ** (1 / 3), 2 ** (2 / 3)].map((octave) => Math.trunc(size * octave)),
);
const inputSize = { width: 64, height: 48 };
const groundTruth: GroundTruth[][] = [
  [
    { box: [4, 6, 30, 40], label: 2 },
    { box: [33, 2, 60, 20], label: 0 },
  ],
  [],
];

/** The reference's formula. */
function wave(k: number, count: number, amplitude: number): Float32Array {
  return Float32Array.from({ length: count }, (_, j) => {
    const noise = 4375.85453 * Math.sin(78.233 * k + 12.9898 * j);
    return amplitude * (2 * (noise - Math.floor(noise)) - 1);
  });
}

/** Every tensor of a network by the reference's formula, under PyTorch's names and in its layout. */
async function fill(model: RetinaNet): Promise<void> {
  const state = await stateDict(model);
  // PyTorch has a counter beside every running variance; its names take part in the numbering.
  const names = [...state.keys()];
  for (const name of state.keys())
    if (name.endsWith('running_var')) names.push(name.replace('running_var', 'num_batches_tracked'));
  names.sort();
  const filled = new Map(
    [...state].map(([name, tensor]) => {
      const k = names.indexOf(name);
      const { shape } = tensor;
      const count = tensor.values.length;
      if (name.endsWith('running_var')) return [name, { ...tensor, values: new Float32Array(count).fill(1) }];
      if (shape.length === 1) {
        const one = name.includes('bn') && name.endsWith('weight') ? 1 : 0;
        return [name, { ...tensor, values: wave(k, count, 0.1).map((value) => value + one) }];
      }
      const fanIn = count / shape[0];
      return [name, { ...tensor, values: wave(k, count, Math.sqrt(6 / fanIn)) }];
    }),
  );
  loadStateDict(model, filled);
}

function build({ p6From, groupNorm }: Pick<Case, 'p6From' | 'groupNorm'>): RetinaNet {
  const config: RetinaNetConfig = {
    backbone: (random) => new ResNet({ ...resNet18, blocks: [1, 1, 1, 1] }, random),
    taps: [1, 2, 3],
    outChannels: 64,
    p6From,
    groupNorm,
    classes: 3,
  };
  return new RetinaNet(config, createRandom(1));
}

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test.each(cases)('as torchvision: P6 from the $p6From, group norm $groupNorm', async (wanted) => {
    const model = build(wanted);
    const detector = createRetinaNetDetector(model, { inputSize, sizes: octaves });
    expect(model.parameterCount()).toBe(wanted.parameters);
    expect(
      model
        .parameters()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...wanted.names].sort());
    expect(model.backbone.mapSizes(inputSize)).toEqual(wanted.maps);
    const { boxes } = detector.anchors;
    expect([...boxes.subarray(boxes.length - 36)]).toEqual(wanted.anchorTail.flat());
    await fill(model);

    const images = tf.tensor4d(wave(0.5, 2 * 48 * 64 * 3, 1), [2, 48, 64, 3]);
    const targets = detector.targets(groundTruth);
    const chosen = model.parameters().filter(({ name }) => name in wanted.gradients);
    const { value, grads } = tf.variableGrads(
      () => {
        const { total, parts } = detector.loss(images, targets, { training: true });
        tf.keep(parts.class);
        tf.keep(parts.box);
        expectClose(parts.class.dataSync(), [wanted.classLoss], 1e-4, 'class loss');
        expectClose(parts.box.dataSync(), [wanted.boxLoss], 1e-4, 'box loss');
        return total;
      },
      chosen.map(({ variable }) => variable),
    );
    expect(value.dataSync()[0]).toBeCloseTo(wanted.classLoss + wanted.boxLoss, 3);
    expect(chosen.map(({ name }) => name).sort()).toEqual(Object.keys(wanted.gradients).sort());
    for (const { name, variable } of chosen) {
      const gradient = grads[variable.name];
      const torch = gradient.rank === 4 ? tf.transpose(gradient, [3, 2, 0, 1]) : gradient;
      const norm = tf.norm(gradient).dataSync()[0];
      expect(norm / wanted.gradients[name].norm, `${name}: norm`).toBeCloseTo(1, 3);
      const scale = wanted.gradients[name].norm / Math.sqrt(gradient.size);
      const first = [...torch.dataSync().subarray(0, 6)].map((g) => g / scale);
      expectClose(
        first,
        wanted.gradients[name].first.map((g) => g / scale),
        2e-3,
        name,
      );
    }
    model.dispose();
  });
});

describe('RetinaNet', () => {
  beforeAll(() => useBackend());

  test('raw predictions of every level, as torchvision', async () => {
    for (const wanted of cases) {
      const model = build(wanted);
      await fill(model);
      const { logits, deltas } = tf.tidy(() => {
        const images = tf.tensor4d(wave(0.5, 2 * 48 * 64 * 3, 1), [2, 48, 64, 3]);
        const { classLogits, boxDeltas } = model.forward(images, { training: true });
        return { logits: classLogits, deltas: boxDeltas };
      });
      const every7th = (tensor: tf.Tensor3D) => {
        const [, anchors, columns] = tensor.shape;
        return [...tensor.dataSync()].filter((_, i) => (Math.floor(i / columns) % anchors) % 7 === 0);
      };
      expectClose(every7th(logits), wanted.logits, 1e-4, 'logits');
      expectClose(every7th(deltas), wanted.deltas, 1e-4, 'deltas');
      tf.dispose([logits, deltas]);
      model.dispose();
    }
  });

  test('begins with the prior at every anchor, and finds nothing', async () => {
    const model = new RetinaNet(
      {
        backbone: (random) => new ResNet({ ...resNet18, widths: [8, 8, 8], blocks: [1, 1, 1] }, random),
        outChannels: 16,
        classes: 5,
        depth: 1,
        anchorsPerCell: 1,
      },
      createRandom(2),
    );
    const detector = createRetinaNetDetector(model, {
      inputSize: { width: 40, height: 24 },
      sizes: [[8], [16], [32], [64], [128]],
      ratios: [1],
    });
    expect(detector.anchors.levels.map(({ rows, cols }) => [rows, cols])).toEqual([
      [6, 10],
      [3, 5],
      [2, 3],
      [1, 2],
      [1, 1],
    ]);
    const images = tf.zeros([1, 24, 40, 3]) as tf.Tensor4D;
    const scores = tf.tidy(() => tf.sigmoid(detector.predict(images).classLogits).dataSync());
    scores.forEach((score) => expect(score).toBeCloseTo(0.01, 3));
    expect(await detector.detect(images)).toEqual([[]]);
    const before = tf.memory().numTensors;
    await detector.detect(images);
    expect(tf.memory().numTensors).toBe(before);
    const all = await detector.detect(images, { scoreThreshold: 0, maxOutput: 7 });
    expect(all[0]).toHaveLength(7);
    for (const { box } of all[0]) {
      expect(Math.min(...box)).toBeGreaterThanOrEqual(0);
      expect(box[2]).toBeLessThanOrEqual(40);
      expect(box[3]).toBeLessThanOrEqual(24);
    }
    images.dispose();
    model.dispose();
  });

  test('says which anchors do not go with the network', () => {
    const model = build(cases[0]);
    expect(() => createRetinaNetDetector(model, { inputSize, ratios: [1] })).toThrow(
      'level 0 has 3 anchors a cell (sizes by ratios), the network predicts 9',
    );
    model.dispose();
    expect(() => new RetinaNet({ ...model.config, taps: [1, 4] }, createRandom(1))).toThrow(
      'tap 4 is not a stage',
    );
    expect(() => new RetinaNet({ ...model.config, prior: 1 }, createRandom(1))).toThrow('prior is 1');
  });
});
