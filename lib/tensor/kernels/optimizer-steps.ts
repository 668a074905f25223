/** One step of an optimiser for one parameter, running averages, and the norm of gradients: in one pass each where the backend can. */
import { tf } from '../tf';
import { runKernel, runKernels } from './registry';

const onWasm = (): boolean => tf.getBackend() === 'wasm';

const scalarOf = (value: number | tf.Scalar): tf.Scalar =>
  typeof value === 'number' ? tf.scalar(value) : value;

/** What `momentumStep` and `adamStep` have in common. All tensors but scalars have the weight's shape. */
export interface StepInputs {
  readonly weight: tf.Tensor;
  readonly gradient: tf.Tensor;
  /** The learning rate. */
  readonly rate: number | tf.Scalar;
  /** Coefficient of a weight decay that is part of the gradient (L2). Default 0. */
  readonly decay?: number;
  /** What the weight is multiplied by before the step: 1 - rate * decay for decoupled decay. Default 1. */
  readonly kept?: tf.Scalar;
}

/** What `momentumStep` takes. */
export interface MomentumStep extends StepInputs {
  readonly velocity: tf.Tensor;
  readonly momentum: number;
  /** Step along g + momentum v instead of v. Default false. */
  readonly nesterov?: boolean;
}

/**
 * v <- momentum v + (g + decay w);  w <- kept w - rate v.
 * @returns new weight and velocity; the caller disposes them.
 */
export function momentumStep(step: MomentumStep): { weight: tf.Tensor; velocity: tf.Tensor } {
  const { weight, velocity, gradient, rate, momentum, decay = 0, kept, nesterov = false } = step;
  return tf.tidy(() => {
    if (onWasm()) {
      const inputs = { weight, velocity, gradient, rate: scalarOf(rate), kept: kept ?? tf.scalar(1) };
      const updated = runKernels('MomentumUpdate', inputs, { momentum, decay, nesterov });
      return { weight: updated[0], velocity: updated[1] };
    }
    const g = decay > 0 ? gradient.add(weight.mul(decay)) : gradient;
    const v = velocity.mul(momentum).add(g);
    const direction = nesterov ? g.add(v.mul(momentum)) : v;
    return { weight: (kept ? weight.mul(kept) : weight).sub(direction.mul(rate)), velocity: v };
  });
}

/** What `adamStep` takes. */
export interface AdamStep extends StepInputs {
  /** Moments: running averages of the gradient and of its square. */
  readonly first: tf.Tensor;
  readonly second: tf.Tensor;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The square root of 1 - beta2^t. */
  readonly rootCorrection: tf.Scalar;
}

/**
 * m <- m + (1 - beta1) (g - m) and s <- s + (1 - beta2) (g^2 - s) for g + decay w in the place of g, and
 * w <- kept w - rate m / (sqrt(s) / rootCorrection + epsilon).
 * @returns new weight and moments; the caller disposes them.
 */
export function adamStep(step: AdamStep): { weight: tf.Tensor; first: tf.Tensor; second: tf.Tensor } {
  const {
    weight,
    first,
    second,
    gradient,
    rate,
    beta1,
    beta2,
    epsilon,
    rootCorrection,
    decay = 0,
    kept,
  } = step;
  return tf.tidy(() => {
    if (onWasm()) {
      const scalars = { rate: scalarOf(rate), kept: kept ?? tf.scalar(1), rootCorrection };
      const inputs = { weight, first, second, gradient, ...scalars };
      const updated = runKernels('AdamUpdate', inputs, { beta1, beta2, epsilon, decay });
      return { weight: updated[0], first: updated[1], second: updated[2] };
    }
    const g = decay > 0 ? gradient.add(weight.mul(decay)) : gradient;
    const m = first.add(g.sub(first).mul(1 - beta1));
    const s = second.add(
      g
        .square()
        .sub(second)
        .mul(1 - beta2),
    );
    const root = s.sqrt().div(rootCorrection).add(epsilon);
    return { weight: (kept ? weight.mul(kept) : weight).sub(m.div(root).mul(rate)), first: m, second: s };
  });
}

/** share a + (1 - share) b, for a and b of the same shape. The caller disposes the result. */
export function blend<T extends tf.Tensor>(a: T, b: T, share: number): T {
  return tf.tidy(() =>
    onWasm() ? (runKernel('Blend', { a, b }, { share }) as T) : (a.mul(share).add(b.mul(1 - share)) as T),
  );
}

/** The sum of the squares of all numbers in all tensors, at least one tensor: a scalar, which the caller disposes. */
export function sumOfSquares(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() =>
    onWasm()
      ? (runKernel('SumOfSquares', Object.fromEntries(tensors.entries()), {}) as tf.Scalar)
      : tf.sum(tf.stack(tensors.map((tensor) => tf.sum(tf.square(tensor))))),
  );
}
