/** RoIAlign against torchvision and against a loop, on every backend. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBoxArray } from '../../lib/boxes/geometry';
import { multiLevelRoiAlign, roiAlign, type RoiAlignOptions } from '../../lib/boxes/roi-align';
import { tf } from '../../lib/tensor/tf';
import { compile } from '../../lib/tensor/compile/compile';
import { backends, expectClose, expectNoLeak, normals, on } from '../tensor/kernels/backends';
import { expectLikeLoop } from '../tensor/kernels/differences';
import { fixture } from './detection-fixture';

const { regions } = fixture;
const rois = (boxes: readonly (readonly number[])[]): tf.Tensor2D =>
  tf.tensor2d(boxes.flat(), [boxes.length, 4]);

/** Mask R-CNN's appendix in words: a sample at a time, in double. `count` samples an axis of each cell, or adaptively. */
function pooledByLoop(
  features: ArrayLike<number>,
  [, height, width, channels]: readonly number[],
  boxes: readonly (readonly number[])[],
  images: readonly number[],
  [rows, cols]: readonly [number, number],
  count: number,
): number[] {
  const at = (image: number, y: number, x: number, c: number): number => {
    if (y < -1 || y > height || x < -1 || x > width) return 0;
    const clamp = (v: number, last: number): number => Math.min(Math.max(v, 0), last);
    const [v, u] = [clamp(y, height - 1), clamp(x, width - 1)];
    const [top, left] = [Math.floor(v), Math.floor(u)];
    let value = 0;
    for (const [r, wr] of [
      [top, 1 - (v - top)],
      [Math.min(top + 1, height - 1), v - top],
    ]) {
      for (const [s, ws] of [
        [left, 1 - (u - left)],
        [Math.min(left + 1, width - 1), u - left],
      ]) {
        value += wr * ws * features[((image * height + r) * width + s) * channels + c];
      }
    }
    return value;
  };
  return boxes.flatMap(([x1, y1, x2, y2], k) => {
    const [h, w] = [Math.max(y2 - y1, 1) / rows, Math.max(x2 - x1, 1) / cols];
    const [gy, gx] = count > 0 ? [count, count] : [Math.ceil(h), Math.ceil(w)];
    return Array.from({ length: rows * cols * channels }, (_, i) => {
      const [c, col, row] = [i % channels, Math.floor(i / channels) % cols, Math.floor(i / channels / cols)];
      let sum = 0;
      for (let iy = 0; iy < gy; iy++) {
        for (let ix = 0; ix < gx; ix++) {
          sum += at(images[k], y1 + (row + (iy + 0.5) / gy) * h, x1 + (col + (ix + 0.5) / gx) * w, c);
        }
      }
      return sum / (gy * gx);
    });
  });
}

describe.each(backends)('RoIAlign on %s', (backend) => {
  on(backend);

  test.each(regions.cases)(
    "equals torchvision's: aligned $aligned, output $size, ratio $ratio, scale $scale",
    ({ aligned, size, ratio, scale, pooled, dy, gradient }) => {
      tf.tidy(() => {
        const options: RoiAlignOptions = {
          outputSize: size,
          spatialScale: scale,
          samplingRatio: ratio || 'adaptive',
          // The boxes were made to reach beyond the map.
          maxSamples: 8,
          aligned,
        };
        const [boxes, images] = [rois(regions.boxes), tf.tensor1d(regions.images, 'int32')];
        const features = tf.tensor4d(regions.features, regions.shape);
        const pool = (x: tf.Tensor): tf.Tensor => roiAlign(x as tf.Tensor4D, boxes, images, options);
        const result = pool(features);
        expect(result.shape).toEqual([regions.boxes.length, ...size, regions.shape[3]]);
        expectClose(result.dataSync(), pooled, 2e-6, 'pooled');
        const dx = tf.grad(pool)(features, tf.tensor(dy, result.shape));
        expectClose(dx.dataSync(), gradient, 2e-6, 'gradient');
      });
    },
  );

  test('equals a loop, and its gradient the differences of the loop', () => {
    const shape = [2, 4, 5, 2];
    const boxes = [
      [0.3, 0.4, 3.9, 2.7],
      [-1.7, 2.2, 2.1, 5.3],
      [4.1, 0.2, 4.3, 3.6],
    ];
    const images = [1, 0, 1];
    for (const count of [2, 0]) {
      expectLikeLoop(
        (x) =>
          roiAlign(x as tf.Tensor4D, rois(boxes), tf.tensor1d(images, 'int32'), {
            outputSize: [2, 3],
            samplingRatio: count || 'adaptive',
          }),
        (x) => pooledByLoop(x, shape, boxes, images, [2, 3], count),
        normals(80, 'features'),
        shape,
      );
    }
  });

  test("each region from its own level, as torchvision's MultiScaleRoIAlign", () => {
    const { maps, boxes, images, levels, pooled } = regions.pyramid;
    expect(new Set(levels).size).toBe(3);
    const run = (): tf.Tensor =>
      tf.tidy(() =>
        multiLevelRoiAlign(
          maps.map(({ shape, values }) => tf.tensor4d(values, shape)),
          rois(boxes),
          tf.tensor1d(images, 'int32'),
          tf.tensor1d(levels, 'int32'),
          { outputSize: 3, spatialScales: [1, 1 / 2, 1 / 4] },
        ),
      );
    tf.tidy(() => expectClose(run().dataSync(), pooled, 2e-6, 'pooled'));
    expectNoLeak(() => run().dispose());
  });

  test('a map that rises evenly pools to its height at the middle of each cell, wherever the region lies', () => {
    const [height, width] = [9, 11];
    const slope = (y: number, x: number): number => 0.5 * y - 0.25 * x + 1;
    const map = tf.tensor4d(
      Array.from({ length: height * width }, (_, i) => slope(Math.floor(i / width), i % width)),
      [1, height, width, 1],
    );
    const quarter = (most: number): fc.Arbitrary<number> =>
      fc.integer({ min: 0, max: 4 * most }).map((v) => v / 4);
    const region = fc
      .tuple(quarter(3), quarter(3), quarter(4), quarter(4))
      .map(([x, y, w, h]) => [x, y, x + 1 + w, y + 1 + h]);
    const ratio = fc.constantFrom(1, 2, 3, 'adaptive' as const);
    fc.assert(
      fc.property(fc.array(region, { minLength: 1, maxLength: 4 }), ratio, (boxes, samplingRatio) => {
        tf.tidy(() => {
          const images = tf.zeros([boxes.length], 'int32') as tf.Tensor1D;
          const pooled = roiAlign(map, rois(boxes), images, {
            outputSize: [2, 3],
            samplingRatio,
            maxSamples: 5,
          });
          const expected = boxes.flatMap(([x1, y1, x2, y2]) =>
            [0.25, 0.75].flatMap((v) =>
              [1 / 6, 3 / 6, 5 / 6].map((u) => slope(y1 + v * (y2 - y1), x1 + u * (x2 - x1))),
            ),
          );
          expectClose(pooled.dataSync(), expected, 2e-6, 'pooled');
        });
      }),
      { numRuns: 15 },
    );
    map.dispose();
  });

  test('a constant map pools to the constant; samples far outside are 0', () => {
    tf.tidy(() => {
      const map = tf.fill([1, 5, 5, 1], 3) as tf.Tensor4D;
      const boxes = rois([
        [0, 0, 5, 5],
        [20, 20, 25, 25],
      ]);
      const images = tf.tensor1d([0, 0], 'int32');
      const pooled = roiAlign(map, boxes, images, { outputSize: 2, aligned: true }).dataSync();
      expectClose(pooled, [3, 3, 3, 3, 0, 0, 0, 0], 1e-6, 'pooled');
    });
  });

  test('no regions: an empty tensor, and no gradient', () => {
    tf.tidy(() => {
      const map = tf.ones([1, 4, 4, 2]) as tf.Tensor4D;
      const none = [tf.zeros([0, 4]), tf.zeros([0], 'int32')] as [tf.Tensor2D, tf.Tensor1D];
      expect(roiAlign(map, ...none).shape).toEqual([0, 7, 7, 2]);
      const dx = tf.grad((x: tf.Tensor) => tf.sum(roiAlign(x as tf.Tensor4D, ...none)))(map);
      expect([...dx.dataSync()]).toEqual(new Array<number>(32).fill(0));
    });
  });

  test('no gradient flows into the boxes, and no tensor is left behind', () => {
    const map = tf.tensor4d(normals(50, 'map'), [1, 5, 5, 2]);
    const boxes = rois([[1, 1, 3.5, 4]]);
    const images = tf.tensor1d([0], 'int32');
    const loss = (x: tf.Tensor, b: tf.Tensor): tf.Scalar =>
      tf.sum(tf.square(roiAlign(x as tf.Tensor4D, b as tf.Tensor2D, images, { samplingRatio: 'adaptive' })));
    tf.tidy(() => {
      expect([...tf.grads(loss)([map, boxes])[1].dataSync()]).toEqual([0, 0, 0, 0]);
    });
    expectNoLeak(() => tf.dispose(tf.grads(loss)([map, boxes])));
    tf.dispose([map, boxes, images]);
  });

  test('a compiled step follows its boxes', () => {
    const map = tf.tensor4d(normals(200, 'map'), [2, 10, 10, 1]);
    const step = compile(({ boxes, images }: { boxes: tf.Tensor2D; images: tf.Tensor1D }) => {
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) =>
        tf.sum(
          tf.square(roiAlign(x as tf.Tensor4D, boxes, images, { outputSize: 2, samplingRatio: 'adaptive' })),
        ),
      )(map);
      return { value, grad };
    });
    for (const shift of [0, 1, 2.5, 4]) {
      tf.tidy(() => {
        const boxes = rois([
          [shift, 1, shift + 4, 6],
          [1, shift, 3 + shift, 9],
        ]);
        const images = tf.tensor1d([shift % 2 === 0 ? 0 : 1, 1], 'int32');
        const { value, grad } = step({ boxes, images });
        const expected = tf.valueAndGrad((x: tf.Tensor) =>
          tf.sum(
            tf.square(
              roiAlign(x as tf.Tensor4D, boxes, images, { outputSize: 2, samplingRatio: 'adaptive' }),
            ),
          ),
        )(map);
        expectClose(value.dataSync(), expected.value.dataSync(), 1e-6, 'value');
        expectClose(grad.dataSync(), expected.grad.dataSync(), 1e-6, 'gradient');
      });
    }
    step.dispose();
    map.dispose();
  });
});

test('shapes and options that cannot be are named', () => {
  tf.tidy(() => {
    const map = tf.zeros([1, 4, 4, 2]) as tf.Tensor4D;
    const boxes = tf.tensor2d(toBoxArray([[0, 0, 2, 2]]), [1, 4]);
    const images = tf.tensor1d([0], 'int32');
    expect(() => roiAlign(map, boxes, tf.tensor1d([0, 0], 'int32'))).toThrow(
      'boxes [1,4], images [2]; wanted',
    );
    expect(() => roiAlign(map, boxes, images, { samplingRatio: 0 })).toThrow(
      'samplingRatio must be a positive whole number, got 0',
    );
    expect(() => multiLevelRoiAlign([map], boxes, images, images, { spatialScales: [1, 1] })).toThrow(
      '1 levels, but 2 spatialScales',
    );
  });
});
