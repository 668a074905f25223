/** Rearrangements of NHWC tensors that the recast convolutions and poolings are built from. All are plain, cheap copies. */
import { tf } from '../tf';

/**
 * Pads height and width by `value`; negative amounts crop instead.
 * @param x [N, H, W, C].
 * @returns [N, top + H + bottom, left + W + right, C]; `x` itself when nothing is to be done.
 */
export function padOrCrop(
  x: tf.Tensor4D,
  top: number,
  bottom: number,
  left: number,
  right: number,
  value: number = 0,
): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  let y = x;
  if (top < 0 || bottom < 0 || left < 0 || right < 0) {
    const y0 = Math.max(0, -top);
    const x0 = Math.max(0, -left);
    const height = h - y0 - Math.max(0, -bottom);
    const width = w - x0 - Math.max(0, -right);
    y = tf.slice4d(x, [0, y0, x0, 0], [n, height, width, c]);
  }
  if (top <= 0 && bottom <= 0 && left <= 0 && right <= 0) return y;
  const p = (amount: number): number => Math.max(0, amount);
  return tf.pad4d(
    y,
    [
      [0, 0],
      [p(top), p(bottom)],
      [p(left), p(right)],
      [0, 0],
    ],
    value,
  );
}

/**
 * Interleaves phases: pixel (i, j) of phase (a, b) becomes pixel (i * phases.length + a, j * phases[0].length + b).
 * @param phases one [N, H, W, C] each, indexed by row phase, then column phase.
 * @returns [N, H * row phases, W * column phases, C].
 */
export function interleave(phases: readonly (readonly tf.Tensor4D[])[]): tf.Tensor4D {
  const [n, h, w, c] = phases[0][0].shape;
  const [sh, sw] = [phases.length, phases[0].length];
  // [N, H, W, C] x sw -> [N * H * W, sw * C], which read in order is [N, H, W * sw, C]
  const rows = phases.map((row) =>
    sw === 1
      ? row[0].reshape([n * h, w * c])
      : concatColumns(row.map((p) => p.reshape([n * h * w, c]))).reshape([n * h, -1]),
  );
  return (sh === 1 ? rows[0] : concatColumns(rows)).reshape([n, h * sh, w * sw, c]);
}

function concatColumns(parts: tf.Tensor[]): tf.Tensor {
  return tf.concat(parts as tf.Tensor2D[], 1);
}

/**
 * Inserts `strideHeight - 1` zero rows after each row and `strideWidth - 1` zero columns after each column.
 * @param x [N, H, W, C].
 * @returns [N, H * strideHeight, W * strideWidth, C] (the trailing zeros are kept); `x` itself for strides of 1.
 */
export function insertZeros(x: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return x;
  const zero = tf.zerosLike(x);
  return interleave(
    Array.from({ length: strideHeight }, (_, a) =>
      Array.from({ length: strideWidth }, (_, b) => (a === 0 && b === 0 ? x : zero)),
    ),
  );
}
