/** cropAndResize and its gradients in the image and in the boxes, and bilinear sampling made of gathers. */
import { describe, expect, it } from 'vitest';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, normals, on } from './backends';
import { expectLikeLoop } from './differences';

const [n, height, width, channels] = [2, 6, 5, 3];
const images = [n, height, width, channels] as const;
/** [y1, x1, y2, x2] in shares of the image; the second reaches out of it, the third is upside down. */
const boxes = [0.13, 0.22, 0.71, 0.93, -0.31, 0.42, 0.63, 1.37, 0.91, 0.12, 0.23, 0.79];
const images_of = [1, 0, 1];

type Numbers = ArrayLike<number>;

/** cropAndResize as its documentation says it, a sample at a time in float64. */
function crops(
  image: Numbers,
  box: Numbers,
  [rows, columns]: readonly [number, number],
  method: string,
  outside: number,
): number[] {
  const place = (first: number, last: number, i: number, count: number, length: number): number =>
    count > 1
      ? first * (length - 1) + (i * (last - first) * (length - 1)) / (count - 1)
      : 0.5 * (first + last) * (length - 1);
  return images_of.flatMap((which, b) => {
    const [y1, x1, y2, x2] = [0, 1, 2, 3].map((i) => box[4 * b + i]);
    return Array.from({ length: rows * columns * channels }, (_, i) => {
      const c = i % channels;
      const y = place(y1, y2, Math.floor(i / channels / columns), rows, height);
      const x = place(x1, x2, Math.floor(i / channels) % columns, columns, width);
      if (y < 0 || x < 0 || y > height - 1 || x > width - 1) return outside;
      const pixel = (r: number, s: number): number =>
        image[((which * height + Math.min(r, height - 1)) * width + Math.min(s, width - 1)) * channels + c];
      if (method === 'nearest') return pixel(Math.round(y), Math.round(x));
      const [r, s] = [Math.floor(y), Math.floor(x)];
      const [v, u] = [y - r, x - s];
      return (
        (1 - v) * ((1 - u) * pixel(r, s) + u * pixel(r, s + 1)) +
        v * ((1 - u) * pixel(r + 1, s) + u * pixel(r + 1, s + 1))
      );
    });
  });
}

describe.each(backends)('cropAndResize on %s', (backend) => {
  on(backend);

  const cases = (['bilinear', 'nearest'] as const).flatMap((method) =>
    (
      [
        [4, 3],
        [1, 1],
        [7, 1],
      ] as [number, number][]
    ).map((crop) => ({ method, crop })),
  );
  const image = normals(n * height * width * channels, 'image');
  const run = (
    a: tf.Tensor,
    b: tf.Tensor,
    crop: [number, number],
    method: 'bilinear' | 'nearest',
  ): tf.Tensor =>
    tf.image.cropAndResize(
      a as tf.Tensor4D,
      b as tf.Tensor2D,
      tf.tensor1d(images_of, 'int32'),
      crop,
      method,
      0.5,
    );

  it.each(cases)('gradient in the image: $method, $crop', ({ method, crop }) => {
    expectLikeLoop(
      (x) => run(x, tf.tensor2d(boxes, [3, 4]), crop, method),
      (x) => crops(x, boxes, crop, method, 0.5),
      image,
      images,
    );
  });

  it.each(cases)('gradient in the boxes: $method, $crop', ({ method, crop }) => {
    // float32 coordinates are off by 1e-7 of the image, differences between pixels by 1
    expectLikeLoop(
      (x) => run(tf.tensor(image, [...images]), x, crop, method),
      (x) => crops(image, x, crop, method, 0.5),
      Float32Array.from(boxes),
      [3, 4],
      2e-5,
    );
  });

  it('of whole images takes every pixel, also at the edges', () => {
    tf.tidy(() => {
      const whole = tf.tensor2d([0, 0, 1, 1, 0, 0, 1, 1], [2, 4]);
      const f = (x: tf.Tensor): tf.Tensor =>
        tf.image.cropAndResize(x as tf.Tensor4D, whole, tf.tensor1d([0, 1], 'int32'), [height, width]);
      const gradient = tf.grad(f)(tf.tensor(image, [...images]));
      expectClose(gradient.dataSync(), new Array(image.length).fill(1), 1e-5, 'gradient');
    });
  });

  it('adds all that many crops send to the same pixels, and nothing is lost between threads', () => {
    // Of these backends one alone has threads.
    const crops = backend === 'tensorflow' ? 2000 : 100;
    const dx = tf.tidy(() => {
      const whole = tf.tile(tf.tensor2d([[0, 0, 1, 1]]), [crops, 1]);
      const gradient = tf.grad((x: tf.Tensor) =>
        tf.image.cropAndResize(x as tf.Tensor4D, whole, tf.zeros([crops], 'int32'), [16, 16]).sum(),
      );
      return gradient(tf.ones([1, 1, 1, 32])).dataSync();
    });
    expect(new Set(dx)).toEqual(new Set([crops * 16 * 16]));
  });

  it('leaks nothing', () => {
    expectNoLeak(() => {
      const [a, b] = [tf.ones<tf.Rank.R4>([...images]), tf.tensor2d(boxes, [3, 4])];
      const ids = tf.tensor1d(images_of, 'int32');
      const f = (x: tf.Tensor, y: tf.Tensor): tf.Tensor =>
        tf.image.cropAndResize(x as tf.Tensor4D, y as tf.Tensor2D, ids, [4, 3]);
      tf.dispose([tf.grads(f)([a, b]), a, b, ids]);
    });
  });
});

describe.each(backends)('bilinear samples made of gathers on %s', (backend) => {
  on(backend);

  it('differentiate in the image and in the places', () => {
    const places = Float32Array.from([1.3, 0.6, 3.7, 2.2, 0.45, 3.55, 4.1, 1.75]);
    const image = normals(height * width * channels, 'image');
    const sample = (x: tf.Tensor, at: tf.Tensor): tf.Tensor => {
      const low = tf.floor(at);
      const [rows, columns] = [0, 1].map((axis) => tf.cast(low, 'int32').gather(tf.scalar(axis, 'int32'), 1));
      const [v, u] = tf.split(tf.sub(at, low), 2, 1);
      const flat = x.reshape<tf.Tensor2D>([height * width, channels]);
      const pixel = (down: number, right: number): tf.Tensor =>
        tf.gather(
          flat,
          tf.add(
            tf.mul(rows.add(tf.scalar(down, 'int32')), tf.scalar(width, 'int32')),
            columns.add(tf.scalar(right, 'int32')),
          ),
        );
      const line = (down: number): tf.Tensor =>
        tf.add(tf.mul(pixel(down, 0), tf.sub(1, u)), tf.mul(pixel(down, 1), u));
      return tf.add(tf.mul(line(0), tf.sub(1, v)), tf.mul(line(1), v));
    };
    const loop = (x: Numbers, at: Numbers): number[] =>
      [0, 1, 2, 3].flatMap((k) => {
        const [y, z] = [at[2 * k], at[2 * k + 1]];
        const [r, s] = [Math.floor(y), Math.floor(z)];
        const pixel = (c: number, down: number, right: number): number =>
          x[((r + down) * width + s + right) * channels + c];
        return [0, 1, 2].map((c) =>
          [0, 1].reduce(
            (sum, down) =>
              sum +
              [0, 1].reduce(
                (part, right) =>
                  part + (1 - Math.abs(y - r - down)) * (1 - Math.abs(z - s - right)) * pixel(c, down, right),
                0,
              ),
            0,
          ),
        );
      });
    const at = tf.tensor(places, [4, 2]);
    const x = tf.tensor(image, [height, width, channels]);
    expectLikeLoop(
      (a) => sample(a, at),
      (a) => loop(a, places),
      image,
      [height, width, channels],
    );
    expectLikeLoop(
      (a) => sample(x, a),
      (a) => loop(image, a),
      places,
      [4, 2],
    );
    expect(tf.dispose([at, x])).toBeUndefined();
  });
});
