/** Batch normalisation in training on the wasm backend. */
import { tf } from '../../tf';
import { addressOf, run, type WasmArguments, withMemory } from './host';
import {
  batchStatistics,
  blockRows,
  combineGradient,
  combineStatistics,
  normalize,
  normGradient,
  normGradientSums,
  pieceRows,
} from './norm-kernels';

/** So many numbers are worth a piece of work. */
const pieceWork = 16_384;

/** [output, mean, variance, 1 / deviation] of x [..., C], C at least 4. */
export function batchNormTraining(
  args: WasmArguments<{ x: tf.TensorInfo; scale: tf.TensorInfo; offset: tf.TensorInfo }, { epsilon: number }>,
): tf.TensorInfo[] {
  const { backend, inputs, attrs } = args;
  const channels = inputs.scale.shape[0];
  const rows = tf.util.sizeFromShape(inputs.x.shape) / channels;
  const output = backend.makeOutput(inputs.x.shape, 'float32');
  const vectors = [0, 1, 2].map(() => backend.makeOutput([channels], 'float32'));
  const at = (info: tf.TensorInfo): number => addressOf(backend, info);
  const [mean, variance, inverse] = vectors.map(at);
  const x = at(inputs.x);
  const pieces = Math.ceil(rows / pieceRows);
  withMemory(backend, (2 * pieces + 1) * channels, (partial) => {
    const factor = partial + 2 * pieces * channels * 4;
    const share = Math.max(1, Math.round(pieceWork / (pieceRows * channels)));
    run(backend, batchStatistics, { x, partial, rows, channels }, pieces, share);
    const { epsilon } = attrs;
    const scale = at(inputs.scale);
    run(
      backend,
      combineStatistics,
      { partial, rows, channels, scale, epsilon, mean, variance, inverse, factor },
      1,
    );
    run(
      backend,
      normalize,
      { x, y: at(output), rows, channels, mean, factor, offset: at(inputs.offset) },
      Math.ceil(rows / blockRows),
      Math.max(1, Math.round(pieceWork / (blockRows * channels))),
    );
  });
  return [output, ...vectors];
}

/** [dx, dScale, dOffset]. */
export function batchNormTrainingGradient(
  args: WasmArguments<Record<'dy' | 'x' | 'scale' | 'mean' | 'inverse', tf.TensorInfo>, object>,
): tf.TensorInfo[] {
  const { backend, inputs } = args;
  const channels = inputs.scale.shape[0];
  const rows = tf.util.sizeFromShape(inputs.x.shape) / channels;
  const dx = backend.makeOutput(inputs.x.shape, 'float32');
  const vectors = [0, 1].map(() => backend.makeOutput([channels], 'float32'));
  const at = (info: tf.TensorInfo): number => addressOf(backend, info);
  const [dScale, dOffset] = vectors.map(at);
  const { x, dy, mean, scale, inverse } = Object.fromEntries(
    Object.entries(inputs).map(([name, info]) => [name, at(info)]),
  ) as Record<keyof typeof inputs, number>;
  const pieces = Math.ceil(rows / pieceRows);
  withMemory(backend, (2 * pieces + 3) * channels, (partial) => {
    const factors = partial + 2 * pieces * channels * 4;
    const share = Math.max(1, Math.round(pieceWork / (pieceRows * channels)));
    run(backend, normGradientSums, { x, dy, mean, partial, rows, channels }, pieces, share);
    run(backend, combineGradient, { partial, rows, channels, scale, inverse, dScale, dOffset, factors }, 1);
    run(
      backend,
      normGradient,
      { x, dy, dx: at(dx), mean, factors, rows, channels },
      Math.ceil(rows / blockRows),
      Math.max(1, Math.round(pieceWork / (blockRows * channels))),
    );
  });
  return [dx, ...vectors];
}
