/** The first half of a training step: forward pass and gradient. */
import type { Loss } from '../losses/loss';
import type { BatchStatistics, ForwardContext, NamedVariable } from '../nn/module';
import { releaseAsUsed } from '../tensor/release-as-used';
import { tf } from '../tensor/tf';

/** What a forward and a backward pass give. */
export interface GradientPass<Gradient extends tf.Tensor | undefined = tf.Tensor> {
  /** The loss. */
  readonly value: tf.Scalar;
  /** One a parameter, in their order. */
  readonly gradients: readonly Gradient[];
  /** Of the batch, layer by layer; kept: `applyStatistics` or `releasePass` disposes them. */
  readonly statistics: BatchStatistics[];
  /** Parts of the loss by name; kept. */
  readonly parts: Readonly<Record<string, tf.Scalar>>;
}

/** Releases what a pass has kept, where no update takes it. */
export function releasePass({ parts, statistics }: Pick<GradientPass, 'parts' | 'statistics'>): void {
  tf.dispose([parts, statistics.flatMap(({ mean, variance }) => [mean, variance])]);
}

/**
 * Runs a loss forward and backward, in training mode.
 * @param loss the differentiated function.
 * @param context what else the forward pass is given.
 * @throws naming the parameter that the loss does not depend on.
 */
export function gradientPass(
  parameters: readonly NamedVariable[],
  loss: (context: ForwardContext) => Loss,
  context: Omit<ForwardContext, 'training' | 'statistics'>,
): GradientPass {
  const pass = partialGradientPass(parameters, loss, context);
  const gradients = pass.gradients.map((gradient, i) => {
    if (gradient) return gradient;
    throw new Error(
      `train: the loss does not depend on the parameter ${parameters[i].name}; use it, or freeze it (rateFactor 0)`,
    );
  });
  return { ...pass, gradients };
}

/** The same, with no gradient of a parameter that the loss does not depend on: of the blocks that a path leaves out. */
export function partialGradientPass(
  parameters: readonly NamedVariable[],
  loss: (context: ForwardContext) => Loss,
  context: Omit<ForwardContext, 'training' | 'statistics'>,
): GradientPass<tf.Tensor | undefined> {
  const statistics: BatchStatistics[] = [];
  let parts: Record<string, tf.Scalar> = {};
  const { value, grads } = tf.variableGrads(
    () => {
      const result = releaseAsUsed(() => loss({ ...context, training: true, statistics }));
      // Kept: what is computed for the gradient's sake is tidied away with it.
      const kept = Object.entries(result.parts).map(([name, part]) => [name, tf.keep(part.clone())] as const);
      parts = Object.fromEntries(kept);
      return result.total;
    },
    parameters.map(({ variable }) => variable),
  );
  const gradients = parameters.map(({ variable }) => (grads[variable.name] as tf.Tensor | null) ?? undefined);
  return { value, gradients, statistics, parts };
}
