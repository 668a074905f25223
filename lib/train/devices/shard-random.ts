/** Random numbers of a device's own images, as one device would draw them for the whole batch. */
import { RandomStream } from '../../tensor/random-stream';
import { tf } from '../../tensor/tf';
import type { Shard } from './shards';

/**
 * A stream whose draws are a shard's rows of what a `RandomStream` of the same seed draws for the whole batch: so that how many devices there are does
 * not change which anchors and regions are sampled, or what dropout drops. All shards' streams are in the same state after each draw.
 */
export class ShardRandom extends RandomStream {
  /** Of the batch that is being computed. */
  shard: Shard = { from: 0, count: 1, total: 1 };
  private whole = false;

  override uniform(shape: readonly number[]): tf.Tensor {
    return this.rows(shape, (all) => super.uniform(all));
  }

  override normal(shape: readonly number[]): tf.Tensor {
    return this.rows(shape, (all) => super.normal(all));
  }

  /** The shard's rows of a draw for the whole batch. @param shape its first dimension is a multiple of the shard's images. */
  private rows(shape: readonly number[], draw: (shape: readonly number[]) => tf.Tensor): tf.Tensor {
    // A draw may be made of others.
    if (this.whole) return draw(shape);
    const { from, count, total } = this.shard;
    const [first, ...rest] = shape;
    const each = first / count;
    if (!Number.isInteger(each)) {
      throw new RangeError(
        `ShardRandom: a draw of the shape [${shape.join(', ')}] is not one of so many numbers an image, for ${count} images; ` +
          'on several devices the first dimension counts images, or things of which each image has as many',
      );
    }
    this.whole = true;
    try {
      return tf.tidy(() =>
        tf.slice(draw([each * total, ...rest]), [each * from, ...rest.map(() => 0)], [first, ...rest]),
      );
    } finally {
      this.whole = false;
    }
  }
}
