/** `fpnLevels` as tensor operations: for regions that the step itself proposed. */
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';
import type { FpnLevelOptions } from './fpn-levels';

/**
 * The level of each region, `[N]` int32: what `fpnLevels` computes, by comparisons in place of a logarithm, so that every backend
 * gives the same. The caller disposes the result.
 * @param boxes `[N, 4]` xyxy in pixels of the network's input
 */
export function fpnLevelsTensor(boxes: tf.Tensor2D, options: FpnLevelOptions = {}): tf.Tensor1D {
  const { minLevel = 2, maxLevel = 5, canonicalSize = 224, canonicalLevel = 4 } = options;
  return tf.tidy(() => {
    const levels = withoutGradient((corners) => {
      const [x1, y1, x2, y2] = tf.split(corners, 4, 1).map((column) => tf.squeeze(column, [1]));
      const size = tf.sqrt(tf.mul(tf.relu(tf.sub(x2, x1)), tf.relu(tf.sub(y2, y1))));
      let level: tf.Tensor = tf.fill(size.shape, minLevel);
      for (let next = minLevel + 1; next <= maxLevel; next++) {
        // The reference adds 1e-6 to a logarithm in float32, which lowers the limit by so much.
        const limit = canonicalSize * 2 ** (next - canonicalLevel) * (1 - 7.5e-7);
        level = tf.add(level, tf.cast(tf.greaterEqual(size, limit), 'float32'));
      }
      return level;
    }, boxes);
    return tf.cast(levels, 'int32') as tf.Tensor1D;
  });
}
