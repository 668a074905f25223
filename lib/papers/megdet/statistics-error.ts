/** How far the statistics of a few images are from those of all: why batch normalisation fails detectors with two images a device. */
import type { Batch } from '../../data/loader';
import type { BatchNorm2d } from '../../nn/batch-norm';
import type { ForwardContext, Module, TrainingBatchNorm } from '../../nn/module';
import { batchNormLayers } from '../../nn/freeze-batch-norm';
import { batchNormInference } from '../../tensor/kernels/batch-norm';
import { tf } from '../../tensor/tf';
import { batchTensor } from '../../train/batch-tensor';

/** What one batch normalisation is given, image by image: enough to have the statistics of any group of images. */
export interface ImageStatistics {
  /** The layer's name in the network; with `(2)` and so on behind it where it runs again in one pass. */
  readonly layer: string;
  readonly images: number;
  readonly channels: number;
  /** Of the layer's map: height times width. */
  readonly pixels: number;
  /** `[images, channels]`: mean over an image's pixels. */
  readonly means: Float64Array;
  /** `[images, channels]`: their biased variance. */
  readonly variances: Float64Array;
  /** What the layer adds to a variance. */
  readonly epsilon: number;
}

/** Options of `imageStatistics`. */
export interface ImageStatisticsOptions {
  /** Layers to measure, by name. Default all. */
  readonly layers?: (name: string) => boolean;
  /**
   * How layers normalise meanwhile. Default: by their running statistics, so that what a layer is given of an image does not depend on the
   * other images of its batch.
   */
  readonly batchNorm?: TrainingBatchNorm;
}

/**
 * Runs a network over images and reads what each batch normalisation is given. Frozen layers are left out, as they have no use for
 * statistics.
 * @param model a network, or a part that takes images, such as a trunk
 * @param batches e.g. a loader's `epoch(0)`; their size does not matter
 * @throws RangeError when maps of one layer differ in size, or no layer was run.
 */
export async function imageStatistics(
  model: Module & { forward(images: tf.Tensor4D, context: ForwardContext): unknown },
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  options: ImageStatisticsOptions = {},
): Promise<ImageStatistics[]> {
  const { layers: isWanted = () => true, batchNorm } = options;
  const layers = new Map(batchNormLayers(model).map((layer) => [layer.weight as tf.Tensor1D, layer]));
  const names = new Map(model.namedVariables().map(({ name, variable }) => [variable.id, name]));
  const found = new Map<string, Collected>();
  for await (const batch of batches) {
    const moments: Moments[] = [];
    const runs = new Map<string, number>();
    const hook: TrainingBatchNorm = (x, scale, offset, epsilon) => {
      const layer = layers.get(scale);
      if (!layer) throw new Error('imageStatistics: a batch normalisation was run that is not in the model');
      const own = names.get(layer.weight.id)!.replace(/\.?weight$/, '');
      const run = (runs.get(own) ?? 0) + 1;
      runs.set(own, run);
      if (isWanted(own)) {
        const name = run > 1 ? `${own} (${run})` : own;
        const { mean, variance } = tf.moments(x, [1, 2]);
        moments.push({ name, layer, x: x.shape, mean: tf.keep(mean), variance: tf.keep(variance) });
      }
      return batchNorm ? batchNorm(x, scale, offset, epsilon) : byRunning(layer, x);
    };
    try {
      tf.tidy(() => {
        model.forward(batchTensor(batch), { training: true, batchNorm: hook });
      });
      for (const entry of moments) await collect(found, entry);
    } finally {
      for (const { mean, variance } of moments) tf.dispose([mean, variance]);
    }
  }
  if (found.size === 0) {
    throw new RangeError(
      'imageStatistics: no batch normalisation was run; give images, and layers that are not frozen',
    );
  }
  return [...found].map(([layer, { means, variances, channels, pixels, epsilon }]) => ({
    layer,
    images: means.length / channels,
    channels,
    pixels,
    means: Float64Array.from(means),
    variances: Float64Array.from(variances),
    epsilon,
  }));
}

/** What a layer was given of a batch; `mean` and `variance` are `[B, C]`, kept. */
interface Moments {
  readonly name: string;
  readonly layer: BatchNorm2d;
  readonly x: readonly number[];
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
}

/** What a layer was given so far. */
interface Collected {
  readonly channels: number;
  readonly pixels: number;
  readonly epsilon: number;
  readonly means: number[];
  readonly variances: number[];
}

async function collect(found: Map<string, Collected>, entry: Moments): Promise<void> {
  const { name, layer, x, mean, variance } = entry;
  const pixels = x[1] * x[2];
  const before = found.get(name) ?? {
    channels: x[3],
    pixels,
    epsilon: layer.epsilon,
    means: [],
    variances: [],
  };
  if (before.pixels !== pixels) {
    throw new RangeError(
      `imageStatistics: ${name} has a map of ${pixels} pixels, and had one of ${before.pixels}; give images of one size`,
    );
  }
  for (const value of await mean.data()) before.means.push(value);
  for (const value of await variance.data()) before.variances.push(value);
  found.set(name, before);
}

function byRunning(layer: BatchNorm2d, x: tf.Tensor4D): ReturnType<TrainingBatchNorm> {
  const { weight, bias, running_mean: mean, running_var: variance, epsilon } = layer;
  const output = batchNormInference(x, weight, bias, mean, variance, epsilon);
  return { output, mean: mean.clone(), variance: variance.clone() };
}

/** How far groups of images are from all, root mean squares over groups and channels. */
export interface StatisticsError {
  /** Error of a channel's mean, in standard deviations of the channel: by so much its normalised values are shifted. */
  readonly mean: number;
  /** Error of a channel's variance, as a share of it. */
  readonly variance: number;
  /** Mean, not root mean square, of the variance's error: below 0, as the pixels of few images are more alike than those of many. */
  readonly varianceBias: number;
}

/**
 * The error of the mean and variance that a layer would normalise by, had it the images of one group only. The channel's own variance, over
 * all images, is taken with the layer's epsilon, as normalisation takes it.
 * @param groups indices of images. Of `drawBatches`, the mean's error falls as 1 / sqrt(group size); groups without repetition fall faster.
 */
export function statisticsError(
  { images, channels, means, variances, epsilon }: ImageStatistics,
  groups: readonly (readonly number[])[],
): StatisticsError {
  const all = Array.from({ length: images }, (_, i) => i);
  let [mean, variance, bias] = [0, 0, 0];
  for (let c = 0; c < channels; c++) {
    const moments = (group: readonly number[]): { mean: number; variance: number } => {
      const center = group.reduce((sum, i) => sum + means[i * channels + c], 0) / group.length;
      // Within images, and between them.
      const spread = (i: number): number =>
        variances[i * channels + c] + (means[i * channels + c] - center) ** 2;
      return { mean: center, variance: group.reduce((sum, i) => sum + spread(i), 0) / group.length };
    };
    const whole = moments(all);
    const scale = whole.variance + epsilon;
    for (const group of groups) {
      const own = moments(group);
      const relative = (own.variance - whole.variance) / scale;
      mean += (own.mean - whole.mean) ** 2 / scale;
      variance += relative * relative;
      bias += relative;
    }
  }
  const count = channels * groups.length;
  return { mean: Math.sqrt(mean / count), variance: Math.sqrt(variance / count), varianceBias: bias / count };
}

/**
 * How many independent pixels an image is worth to a channel's mean. Pixels of one image are alike, so there are as a rule far fewer than
 * `pixels`; more only where images differ less from one another than chance would make them. The mean of n images drawn at random is off by
 * sqrt(1 / (n * this)) standard deviations.
 */
export function effectivePixels(statistics: ImageStatistics): number {
  const single = Array.from({ length: statistics.images }, (_, i) => [i]);
  return 1 / statisticsError(statistics, single).mean ** 2;
}
