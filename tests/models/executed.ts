/** Counting what TensorFlow executes, for comparison with what is counted otherwise. */
import type { tf } from 'detlab';
import { nodeBackend, type OpAttribute } from '../../lib/tensor/compile/node-backend';

/** Multiply-adds of what TensorFlow executes: those of forward kernels, and of the gradients' by which they are of. */
export interface Executed {
  forward: number;
  weights: number;
  inputs: number;
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Runs `body` and counts by the names, shapes and attributes of the operations that reach TensorFlow. */
export function executed(body: () => void): Executed {
  const backend = nodeBackend()! as unknown as Record<
    string,
    (
      name: string,
      attributes: OpAttribute[],
      inputs: tf.Tensor[],
      outputs?: number,
    ) => tf.Tensor | tf.Tensor[]
  >;
  const count: Executed = { forward: 0, weights: 0, inputs: 0 };
  const rules: Record<string, (inputs: tf.Tensor[], output: tf.Tensor, attributes: OpAttribute[]) => void> = {
    Conv2D: ([, filter], { size }) => (count.forward += size * product(filter.shape.slice(0, 3))),
    DepthwiseConv2dNative: ([, filter], { size }) =>
      (count.forward += size * product(filter.shape.slice(0, 2))),
    Conv2DBackpropFilter: ([, , dy], { shape }) => (count.weights += dy.size * product(shape.slice(0, 3))),
    Conv2DBackpropInput: ([, filter, dy]) => (count.inputs += dy.size * product(filter.shape.slice(0, 3))),
    DepthwiseConv2dNativeBackpropFilter: ([, , dy], { shape }) =>
      (count.weights += dy.size * product(shape.slice(0, 2))),
    DepthwiseConv2dNativeBackpropInput: ([, filter, dy]) =>
      (count.inputs += dy.size * product(filter.shape.slice(0, 2))),
    BatchMatMulV2: ([a], { size, shape }, attributes) => {
      // Resizing's gradient is made of products, too, of many matrices each.
      if (shape.length > 2 && shape[0] > 1) return;
      const turned = (name: string): boolean =>
        attributes.some((own) => own.name === name && own.value === true);
      const kind = turned('adj_x') ? 'weights' : turned('adj_y') ? 'inputs' : 'forward';
      count[kind] += size * a.shape[a.rank - (kind === 'weights' ? 2 : 1)];
    },
  };
  const methods = ['executeSingleOutput', 'executeMultipleOutputs'];
  for (const method of methods) {
    const original = backend[method].bind(backend);
    backend[method] = (name, attributes, inputs, outputs) => {
      const result = original(name, attributes, inputs, outputs);
      rules[name]?.(inputs, [result].flat()[0], attributes);
      return result;
    };
  }
  try {
    body();
    return count;
  } finally {
    for (const method of methods) delete (backend as Partial<typeof backend>)[method];
  }
}
