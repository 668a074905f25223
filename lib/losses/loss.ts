/** What a detector's loss gives to the training loop. */
import type { tf } from '../tensor/tf';

/** A loss with named parts, all scalars. */
export interface Loss {
  readonly total: tf.Scalar;
  readonly parts: Readonly<Record<string, tf.Scalar>>;
}
