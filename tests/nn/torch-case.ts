/** Holds a layer or network to one case of `tests/reference/networks.py`: values and every gradient, as PyTorch has them. */
import { expect } from 'vitest';
import { type ForwardContext, inference, type Module, tf } from 'detlab';
import { expectClose } from '../tensor/kernels/backends';

/** A tensor in a fixture. */
export interface Numbers {
  shape: number[];
  values: number[];
}

/** One case of the reference. `state` is loaded by name before anything runs. */
export interface TorchCase<Options> {
  name: string;
  options: Options;
  x: Numbers;
  state: Record<string, Numbers>;
  inference: Numbers[];
  training: Numbers[];
  upstream: Numbers[];
  dx: Numbers;
  gradients: Record<string, Numbers>;
}

type Maps = (x: tf.Tensor4D, context: ForwardContext) => tf.Tensor4D[];

const tensor = ({ shape, values }: Numbers): tf.Tensor => tf.tensor(values, shape);

/**
 * @param prefix what PyTorch's names have before ours.
 * @param forward the module's maps.
 * @param tolerance deep networks on a few pixels need more: normalising by so few multiplies float32's rounding.
 */
export function expectAsTorch(
  model: Module,
  forward: Maps,
  c: TorchCase<unknown>,
  prefix: string = '',
  tolerance: number = 2e-5,
): void {
  const before = tf.memory().numTensors;
  const variables = model.namedVariables();
  expect(variables.map(({ name }) => prefix + name)).toEqual(Object.keys(c.state));
  tf.tidy(() => {
    for (const { name, variable } of variables) {
      expect(variable.shape, name).toEqual(c.state[prefix + name].shape);
      variable.assign(tensor(c.state[prefix + name]));
    }
    const x = tensor(c.x) as tf.Tensor4D;
    const compare = (actual: tf.Tensor, expected: Numbers, what: string): void => {
      expect(actual.shape, what).toEqual(expected.shape);
      expectClose(actual.dataSync(), expected.values, tolerance, what);
    };
    forward(x, inference).forEach((map, i) => compare(map, c.inference[i], `inference, output ${i}`));
    forward(x, { training: true }).forEach((map, i) => compare(map, c.training[i], `training, output ${i}`));

    const loss = (input: tf.Tensor4D): tf.Scalar =>
      tf.addN(
        forward(input, { training: true }).map((map, i) => tf.sum(tf.mul(map, tensor(c.upstream[i])))),
      ) as tf.Scalar;
    const parameters = model.parameters();
    compare(tf.grad((input) => loss(input as tf.Tensor4D))(x), c.dx, 'gradient of the input');
    const { grads } = tf.variableGrads(
      () => loss(x),
      parameters.map(({ variable }) => variable),
    );
    for (const { name, variable } of parameters)
      compare(grads[variable.name], c.gradients[prefix + name], `gradient of ${name}`);
  });
  expect(tf.memory().numTensors, 'tensors left behind').toBe(before);
}
