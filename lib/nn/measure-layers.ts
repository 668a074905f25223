/** What the layers of a chain keep for their gradients and how long they take, measured. */
import { withTape } from '../tensor/gradient-tape';
import { liveBytes } from '../tensor/live-bytes';
import { median } from '../tensor/median';
import { drawnAgain } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import type { ForwardContext } from './module';
import type { ChainLayer } from './recompute-plan';
import type { MapLayer } from './run-segments';

/** One layer of a chain, measured. */
export interface MeasuredLayer extends ChainLayer {
  /** One forward pass, without what it notes for its gradient. Includes reading one number of the result. */
  readonly seconds: number;
  /** For the whole batch, as `summarize` counts them. */
  readonly multiplyAdds: number;
  /** Shape of its output. */
  readonly outputShape: readonly number[];
}

/** Options of `measureLayers`. */
export interface MeasureLayersOptions {
  /** Forward passes of each layer that are timed, after one that is not; `seconds` is their median. Default 3. */
  readonly repeats?: number;
  /** What `cost` is: the time (default), or the multiply-adds, which make the same plan every time. */
  readonly cost?: 'seconds' | 'multiplyAdds';
}

/**
 * Runs layers one after another in training and measures each: the bytes of TensorFlow.js's tensors that are alive after its forward pass
 * and were not before, its output's bytes, and its time. Running statistics are left alone, and random numbers drawn here are drawn again
 * in training.
 *
 * An output counts as kept also where no gradient needs it (that of a batch norm before an addition): cut a chain at blocks, as networks
 * are, for planned bytes to be exact.
 * @param x `[B, H, W, C]` of the batch that will be trained on; not disposed.
 */
export function measureLayers(
  layers: readonly MapLayer[],
  x: tf.Tensor4D,
  context: Omit<ForwardContext, 'training'> = {},
  { repeats = 3, cost = 'seconds' }: MeasureLayersOptions = {},
): MeasuredLayer[] {
  if (!(Number.isInteger(repeats) && repeats > 0)) {
    throw new RangeError(`measureLayers: repeats must be a positive whole number, got ${repeats}`);
  }
  let multiplyAdds = 0;
  const training: ForwardContext = {
    ...context,
    training: true,
    statistics: undefined,
    trace: (entry) => (multiplyAdds += entry.multiplyAdds),
  };
  const { random } = context;
  const run = (layer: MapLayer, input: tf.Tensor4D): tf.Tensor4D =>
    drawnAgain(random, () => tf.tidy(() => layer.forward(input, training)));
  const measured: MeasuredLayer[] = [];
  tf.tidy(() => {
    let y = x;
    for (const layer of layers) {
      const times = Array.from({ length: repeats + 1 }, () => secondsOf(() => run(layer, y))).slice(1);
      const input = y;
      multiplyAdds = 0;
      const { output, keptBytes } = keptOf(() => run(layer, input));
      y = output;
      const seconds = median(times);
      const outputBytes = y.size * tf.util.bytesPerElement(y.dtype);
      const costs = { seconds, multiplyAdds };
      measured.push({ keptBytes, outputBytes, cost: costs[cost], ...costs, outputShape: y.shape });
    }
  });
  return measured;
}

/** Runs `forward` with a gradient in view, which is then not taken. */
function keptOf(forward: () => tf.Tensor4D): { output: tf.Tensor4D; keptBytes: number } {
  let keptBytes = 0;
  let output: tf.Tensor4D | undefined;
  liveBytes((added) =>
    withTape(() => {
      const before = added();
      output = tf.keep(forward());
      keptBytes = added() - before;
    }),
  );
  const kept = output as unknown as tf.Tensor4D;
  // A clone that the surrounding tidy disposes.
  const tracked = kept.clone();
  kept.dispose();
  return { output: tracked, keptBytes };
}

function secondsOf(forward: () => tf.Tensor4D): number {
  const start = performance.now();
  tf.tidy(() => forward().slice([0, 0, 0, 0], [1, 1, 1, 1]).dataSync());
  return (performance.now() - start) / 1000;
}
