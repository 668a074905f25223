/** Gradient clipping, by the norm of all gradients together (Pascanu et al., arXiv 1211.5063) or value by value. */
import { whereChosen } from '../tensor/compile/choose';
import { tf } from '../tensor/tf';
import { checkLimit } from './checks';

/** What a clipping returns. */
export interface ClippedGradients {
  /** New tensors under the same names; the caller disposes them, and the ones that were given. */
  readonly gradients: Record<string, tf.Tensor>;
  /** L2 norm of all gradients together before the clipping; NaN or infinite exactly where one of the values is. */
  readonly norm: number;
}

/**
 * g <- g * min(1, maxNorm / (||g|| + 1e-6)), with ||g|| over all gradients together, as PyTorch's `clip_grad_norm_`.
 *
 * Where ||g|| is NaN or infinite the gradients are returned as they are: scaling would turn an infinity into NaN and everything
 * beside it into 0.
 * @param gradients by name, as `tf.variableGrads` returns them; not disposed.
 * @param maxNorm above 0; `Infinity` only measures.
 */
export async function clipGradientNorm(
  gradients: Readonly<Record<string, tf.Tensor>>,
  maxNorm: number,
): Promise<ClippedGradients> {
  checkLimit('clipGradientNorm', 'maxNorm', maxNorm);
  const norm = await globalNorm(gradients);
  const scale = clipScale(norm, maxNorm);
  return { gradients: mapped(gradients, (gradient) => (scale < 1 ? gradient.mul(scale) : gradient)), norm };
}

/**
 * g <- min(limit, max(-limit, g)), value by value, as PyTorch's `clip_grad_value_`. Where a value is NaN or infinite, so is
 * the norm, and all gradients are returned as they are.
 * @param gradients by name, as `tf.variableGrads` returns them; not disposed.
 * @param limit above 0.
 */
export async function clipGradientValue(
  gradients: Readonly<Record<string, tf.Tensor>>,
  limit: number,
): Promise<ClippedGradients> {
  checkLimit('clipGradientValue', 'limit', limit);
  const norm = await globalNorm(gradients);
  const finite = Number.isFinite(norm);
  return {
    gradients: mapped(gradients, (gradient) => (finite ? gradient.clipByValue(-limit, limit) : gradient)),
    norm,
  };
}

/** What gradients of this norm are multiplied by to have at most `maxNorm`; 1 where the norm is not finite. */
export function clipScale(norm: number, maxNorm: number): number {
  return Number.isFinite(norm) ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}

/**
 * The sum of the squares of all numbers in all tensors: a scalar, which the caller disposes. Infinite where a square overflows. What a step has
 * not computed, as it is of a branch that was not chosen, counts as 0.
 */
export function squaredNorm(tensors: readonly (tf.Tensor | undefined)[]): tf.Scalar {
  const known = tensors.filter((tensor) => tensor !== undefined);
  return tf.tidy(() => tf.sum(tf.stack(known.map((tensor) => whereChosen(tf.sum(tf.square(tensor)))))));
}

async function globalNorm(gradients: Readonly<Record<string, tf.Tensor>>): Promise<number> {
  const tensors = Object.values(gradients);
  if (tensors.length === 0) return 0;
  const measure = async (scale: number): Promise<number> => {
    const squares = tf.tidy(() => tf.stack(tensors.map((gradient) => gradient.mul(scale).square().sum())));
    const values = await squares.data<'float32'>();
    squares.dispose();
    return Math.sqrt(values.reduce((sum, value) => sum + value, 0)) / scale;
  };
  const norm = await measure(1);
  // In float32 the squares of numbers above 1e19 overflow; only infinities and NaN are infinite when scaled down, too.
  return Number.isFinite(norm) ? norm : measure(2 ** -96);
}

function mapped(
  gradients: Readonly<Record<string, tf.Tensor>>,
  clip: (gradient: tf.Tensor) => tf.Tensor,
): Record<string, tf.Tensor> {
  return tf.tidy(() =>
    Object.fromEntries(
      Object.entries(gradients).map(([name, gradient]) => [name, clip(gradient).clone()] as const),
    ),
  );
}
