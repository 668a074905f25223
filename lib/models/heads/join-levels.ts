/** From a map a level to one table of anchors. */
import { tf } from '../../tensor/tf';

/**
 * `[B, A, columns]`: the levels' predictions one after another, in the anchors' order. The caller disposes it.
 * @param maps `[B, H_i, W_i, anchors a cell * columns]` a level; not disposed
 */
export function joinLevels(maps: readonly tf.Tensor4D[], columns: number): tf.Tensor3D {
  return tf.tidy(() =>
    tf.concat(
      maps.map((map) => tf.reshape<tf.Rank.R3>(map, [map.shape[0], -1, columns])),
      1,
    ),
  );
}
