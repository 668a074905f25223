/** How long the ways of fusing take (table 6), on this machine. */
import { fuseMaps, type FusionMethod } from '../../models/necks/fusion';
import { compile } from '../../tensor/compile/compile';
import { median } from '../../tensor/median';
import { tf } from '../../tensor/tf';

/** Options of `timeFusion`. */
export interface FusionTimeOptions {
  /** Of the maps that are fused, `[B, H, W, C]`. Default D0's finest level, `[1, 64, 64, 64]`. */
  readonly shape?: readonly [number, number, number, number];
  /** How many maps. Default 3. */
  readonly maps?: number;
  /** Measurements of each, of which the median counts. Default 31. */
  readonly rounds?: number;
}

/**
 * The time of a fusion with weights, forward and backward as in a training step, as a multiple of the plain sum's: the two take turns, so that
 * a machine that is busy for a while slows both.
 */
export async function timeFusion(
  method: Exclude<FusionMethod, 'sum'>,
  options: FusionTimeOptions = {},
): Promise<number> {
  const { shape = [1, 64, 64, 64], maps: count = 3, rounds = 31 } = options;
  const maps = Array.from({ length: count }, (_, i) => tf.fill([...shape], i + 1) as tf.Tensor4D);
  const weights = tf.ones([count]) as tf.Tensor1D;
  const runs = ([method, 'sum'] as const).map((way) =>
    compile((inputs: Record<string, tf.Tensor>) => {
      const given = maps.map((_, i) => inputs[`map${i}`] as tf.Tensor4D);
      const loss = (...xs: tf.Tensor[]): tf.Scalar =>
        tf.sum(
          fuseMaps(
            xs.slice(0, count) as tf.Tensor4D[],
            way === 'sum' ? undefined : (xs[count] as tf.Tensor1D),
            way,
          ),
        );
      const { value, grads } = tf.valueAndGrads(loss)(way === 'sum' ? given : [...given, inputs.weights]);
      return tf.tidy(() => grads.reduce((sum, grad) => tf.add(sum, tf.max(grad)), value as tf.Tensor));
    }),
  );
  const inputs = { weights, ...Object.fromEntries(maps.map((map, i) => [`map${i}`, map])) };
  const seconds: number[][] = [[], []];
  try {
    // The first rounds build the graphs.
    for (let round = -3; round < rounds; round++) {
      for (const [i, once] of runs.entries()) {
        const started = performance.now();
        const result = once(inputs);
        await result.data();
        if (round >= 0) seconds[i].push(performance.now() - started);
        result.dispose();
      }
    }
  } finally {
    for (const once of runs) once.dispose();
    tf.dispose([maps, weights]);
  }
  const [own, sum] = seconds.map(median);
  return own / sum;
}
