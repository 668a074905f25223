/** The two stages' losses against a plain loop, and their gradients against its differences. */
import { describe, expect, test } from 'vitest';
import {
  boxAnchors,
  poolRegions,
  regionLoss,
  retinaNetCoder,
  roiAlign,
  rpnLoss,
  type SampledRegions,
  tf,
} from 'detlab';
import { backends, expectClose, normals, on } from '../../tensor/kernels/backends';
import { expectLikeLoop } from '../../tensor/kernels/differences';

const smooth = (d: number, beta: number): number =>
  Math.abs(d) < beta ? (0.5 * d * d) / beta : Math.abs(d) - 0.5 * beta;
const softplus = (z: number): number => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

describe.each(backends)('the losses of two stages on %s', (backend) => {
  on(backend);

  const anchors = boxAnchors({
    imageWidth: 32,
    imageHeight: 16,
    levels: [{ rows: 1, cols: 3, shapes: [[10, 10], [8, 16]] }], // prettier-ignore
  });
  /** Two images of 6 anchors: positive for objects 1 and 0, background, ignored; the second without an object. */
  const anchorObjects = [1, -1, 0, -2, -1, -1, -1, -2, -1, -1, -1, -1];
  const objects = [
    [2, 3, 14, 15],
    [4, 1, 11, 12],
  ];
  const rpnInputs = () => ({
    targets: {
      anchorObjects: tf.tensor2d(anchorObjects, [2, 6], 'int32'),
      objectBoxes: tf.tensor3d([...objects.flat(), 0, 0, 0, 0, 0, 0, 0, 0], [2, 2, 4]),
    },
    keys: tf.tensor2d([0.1, 0.9, 0.3, 0.7, 0.2, 0.5, 0.8, 0.4, 0.6, 0.05, 0.15, 0.25], [2, 6]),
  });
  const beta = 0.2;
  /** Which anchors a sample of 3, one of them positive, takes: the highest keys. */
  const sampled = [1, 2, 5, 6, 8, 11];
  const sample = { size: 3, positiveFraction: 0.5 };

  test('objectness', () => {
    expectLikeLoop(
      (logits) => {
        const { targets, keys } = rpnInputs();
        const predictions = { logits: logits as tf.Tensor2D, deltas: tf.zeros<tf.Rank.R3>([2, 6, 4]) };
        return rpnLoss(predictions, targets, anchors, keys, { sample, beta }).objectness;
      },
      (z) => [sampled.reduce((sum, a) => sum + softplus(anchorObjects[a] >= 0 ? -z[a] : z[a]), 0) / 6],
      normals(12, 'logits'),
      [2, 6],
    );
  });

  test('boxes of proposals', () => {
    const target = retinaNetCoder.encode(Float32Array.from(objects[0]), anchors.boxes.slice(8, 12));
    expectLikeLoop(
      (deltas) => {
        const { targets, keys } = rpnInputs();
        const predictions = { logits: tf.zeros<tf.Rank.R2>([2, 6]), deltas: deltas as tf.Tensor3D };
        return rpnLoss(predictions, targets, anchors, keys, { sample, beta }).box;
      },
      (d) => [target.reduce((sum, t, k) => sum + smooth(d[8 + k] - t, beta), 0) / 6],
      normals(48, 'deltas'),
      [2, 6, 4],
    );
  });

  const labels = [2, 0, 1, 0, 0, 0];
  const valid = [1, 1, 1, 1, 1, 0];
  const offsets = normals(24, 'offsets').map((v, i) => (labels[Math.floor(i / 4)] > 0 ? v : 0));
  const regions = (): SampledRegions => ({
    boxes: tf.zeros([2, 3, 4]),
    valid: tf.tensor2d(valid, [2, 3]),
    classTargets: tf.tensor2d(labels, [2, 3], 'int32'),
    boxTargets: tf.tensor3d(offsets, [2, 3, 4]),
    isObject: tf.zeros([2, 3]),
  });

  test('classes of regions', () => {
    expectLikeLoop(
      (logits) =>
        regionLoss(
          { classLogits: logits as tf.Tensor2D, boxDeltas: tf.zeros<tf.Rank.R2>([6, 4]) },
          regions(),
          beta,
        ).class,
      (z) => [
        labels.reduce((sum, label, i) => {
          const row = [0, 1, 2].map((c) => z[3 * i + c]);
          const partition = Math.log(row.reduce((s, v) => s + Math.exp(v), 0));
          return sum + (valid[i] * (partition - row[label])) / 5;
        }, 0),
      ],
      normals(18, 'class logits'),
      [6, 3],
    );
  });

  test.each([
    ['a box a class', 3],
    ['one box for all classes', 1],
  ])('boxes of regions: %s', (_, boxes) => {
    expectLikeLoop(
      (deltas) =>
        regionLoss(
          { classLogits: tf.zeros<tf.Rank.R2>([6, 3]), boxDeltas: deltas as tf.Tensor2D },
          regions(),
          beta,
        ).box,
      (d) => [
        labels.reduce((sum, label, i) => {
          if (label === 0) return sum;
          const own = (i * boxes + (boxes > 1 ? label : 0)) * 4;
          return (
            sum + [0, 1, 2, 3].reduce((s, k) => s + smooth(d[own + k] - offsets[4 * i + k], beta), 0) / 5
          );
        }, 0),
      ],
      normals(24 * boxes, 'box deltas'),
      [6, 4 * boxes],
    );
  });

  test('a sample without anything has a loss of 0', () => {
    tf.tidy(() => {
      const empty = {
        ...regions(),
        valid: tf.zeros<tf.Rank.R2>([2, 3]),
        classTargets: tf.zeros<tf.Rank.R2>([2, 3], 'int32'),
      };
      const loss = regionLoss({ classLogits: tf.ones([6, 3]), boxDeltas: tf.ones([6, 4]) }, empty, 1);
      expect([loss.class.dataSync()[0], loss.box.dataSync()[0]]).toEqual([0, 0]);
      const { targets, keys } = rpnInputs();
      const ignored = { ...targets, anchorObjects: tf.fill<tf.Rank.R2>([2, 6], -2, 'int32') };
      const { objectness, box } = rpnLoss(
        { logits: tf.ones([2, 6]), deltas: tf.ones([2, 6, 4]) },
        ignored,
        anchors,
        keys,
      );
      expect([objectness.dataSync()[0], box.dataSync()[0]]).toEqual([0, 0]);
    });
  });

  test('regions are pooled from the level that fits their size, image by image', () => {
    tf.tidy(() => {
      const maps = [
        tf.tensor4d(normals(2 * 8 * 12 * 3, 'fine'), [2, 8, 12, 3]),
        tf.tensor4d(normals(2 * 4 * 6 * 3, 'coarse'), [2, 4, 6, 3]),
      ];
      const [small, large] = [
        [3, 2, 12, 9],
        [1, 4, 40, 30],
      ];
      const pooled = poolRegions(maps, tf.tensor3d([...small, ...large, ...large, ...small], [2, 2, 4]), 32, {
        outputSize: 2,
        canonicalSize: 48,
      });
      const expected = [
        [small, 0, 0],
        [large, 1, 0],
        [large, 1, 1],
        [small, 0, 1],
      ].flatMap(([box, level, image]) => [
        ...roiAlign(
          maps[level as number],
          tf.tensor2d(box as number[], [1, 4]),
          tf.tensor1d([image as number], 'int32'),
          { outputSize: 2, spatialScale: level === 0 ? 1 / 4 : 1 / 8 },
        ).dataSync(),
      ]);
      expect(pooled.shape).toEqual([4, 2, 2, 3]);
      expectClose(pooled.dataSync(), expected, 1e-6, 'pooled');
    });
  });
});
