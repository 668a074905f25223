/** Finds where NaN or infinity entered a step: the batch, a parameter, a layer's output, a part of the loss or a gradient. */
import type { ForwardContext, Module, NamedVariable } from '../nn/module';
import { moduleNames } from '../nn/summary';
import { drawnAgain } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import type { Loss } from '../losses/loss';

/**
 * Runs the step again, eagerly and without updating anything, and looks at every tensor on the way, from the batch to the gradients.
 * @param inputs of the step that went wrong.
 * @returns the first thing that is not finite, in words: `the output of backbone.stages.0.0.conv`.
 */
export async function firstNonFinite<Inputs extends Record<string, tf.Tensor>>(
  model: Module,
  parameters: readonly NamedVariable[],
  inputs: Inputs,
  loss: (inputs: Inputs, context: ForwardContext) => Loss,
  context: Omit<ForwardContext, 'training' | 'statistics'> = {},
): Promise<string> {
  for (const [name, tensor] of Object.entries(inputs)) {
    if (tensor.dtype === 'float32' && !(await isFinite(tensor))) return `the batch itself (${name})`;
  }
  for (const { name, variable } of model.namedVariables()) {
    if (variable.dtype === 'float32' && !(await isFinite(variable)))
      return `the ${variable.trainable ? 'parameter' : 'buffer'} ${name}`;
  }
  const names = moduleNames(model);
  const seen: { what: string; tensor: tf.Tensor }[] = [];
  const look = (what: string, tensor: tf.Tensor): void => {
    seen.push({ what, tensor: tf.keep(tensor.clone()) });
  };
  const variables = parameters.map(({ variable }) => variable);
  const run = (): tf.Scalar => {
    const { total, parts } = loss(inputs, {
      ...context,
      training: true,
      trace: ({ module, output }) =>
        look(`the output of ${names.get(module) ?? module.constructor.name}`, output),
    });
    for (const [name, part] of Object.entries(parts)) look(`the ${name} part of the loss`, part);
    look('the loss', total);
    return total;
  };
  const { value, grads } = drawnAgain(context.random, () => tf.variableGrads(run, variables));
  // The gradient flows from the last layer to the first: the last that is affected is where it began.
  for (const { name, variable } of [...parameters].reverse()) {
    const gradient = grads[variable.name] as tf.Tensor | null;
    if (gradient) look(`the gradient of ${name}`, gradient);
  }
  tf.dispose([value, grads]);
  try {
    for (const { what, tensor } of seen) if (!(await isFinite(tensor))) return what;
    return 'nothing when it was run again';
  } finally {
    for (const { tensor } of seen) tensor.dispose();
  }
}

async function isFinite(tensor: tf.Tensor): Promise<boolean> {
  const answer = tf.tidy(() => tf.all(tf.isFinite(tensor)));
  const [finite] = await answer.data();
  answer.dispose();
  return finite !== 0;
}
