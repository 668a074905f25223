/** Holds a part of a detector, from maps to maps, to one of effdet's in training: outputs and all gradients. */
import { expect } from 'vitest';
import { type ForwardContext, loadStateDict, type Module, tf } from 'detlab';
import { layoutsOf, toTorch } from '../../../lib/weights/layout';
import { expectClose } from '../../tensor/kernels/backends';
import {
  expectSampled,
  hashed,
  type HashedTensor,
  hashedImage,
  hashedWeights,
  type Sampled,
} from '../../weights/hashed';

/** One case of `tests/reference/efficientdet.py`. */
export interface PartCase {
  /** Shapes, NHWC. */
  inputs: [number, number, number, number][];
  tensors: HashedTensor[];
  outputs: Sampled[];
  inputGradients: Sampled[];
  gradients: Record<string, { norm: number; first: number[] }>;
}

/** @param forward the part's maps. */
export function expectPart(
  model: Module,
  forward: (maps: tf.Tensor4D[], context: ForwardContext) => tf.Tensor4D[],
  wanted: PartCase,
): void {
  loadStateDict(model, hashedWeights(wanted.tensors));
  const layouts = layoutsOf(model);
  const training: ForwardContext = { training: true };
  const before = tf.memory().numTensors;
  tf.tidy(() => {
    const inputs = wanted.inputs.map((shape, i) => hashedImage(1000 + i, shape));
    const outputs = forward(inputs, training);
    expect(outputs).toHaveLength(wanted.outputs.length);
    outputs.forEach((map, i) => expectSampled(map, wanted.outputs[i], `output ${i}`, 1e-4));

    const loss = (maps: tf.Tensor4D[]): tf.Scalar =>
      forward(maps, training)
        .map((map, i) => {
          const upstream = tf.tensor(
            hashed(map.size, 2000 + i, (u) => u),
            map.shape,
          );
          return tf.sum(tf.mul(map, upstream)) as tf.Scalar;
        })
        .reduce((a, b) => tf.add(a, b));
    const inputGradients = tf.grads((...maps) => loss(maps as tf.Tensor4D[]))(inputs);
    inputGradients.forEach((gradient, i) => {
      const { largest } = wanted.inputGradients[i];
      expectSampled(gradient, wanted.inputGradients[i], `gradient of input ${i}`, 1e-3);
      expect(tf.max(tf.abs(gradient)).dataSync()[0] / largest).toBeCloseTo(1, 2);
    });

    const parameters = model.parameters();
    expect(parameters.map(({ name }) => name).sort()).toEqual(Object.keys(wanted.gradients).sort());
    const { grads } = tf.variableGrads(
      () => loss(inputs),
      parameters.map(({ variable }) => variable),
    );
    const largest = Math.max(...Object.values(wanted.gradients).map(({ norm }) => norm));
    for (const { name, variable } of parameters) {
      const { norm, first } = wanted.gradients[name];
      const gradient = grads[variable.name];
      const values: Float32Array = gradient.dataSync<'float32'>();
      const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      if (norm < 1e-9 * largest) {
        // a bias before a batch norm: 0 but for rounding
        expect(length, name).toBeLessThan(1e-4 * largest);
        continue;
      }
      expect(length / norm, `${name}: norm`).toBeCloseTo(1, 2);
      const torch = toTorch({ shape: variable.shape, values }, layouts.get(variable)).values;
      const scale = norm / Math.sqrt(values.length);
      expectClose(
        first.map((_, i) => torch[i] / scale),
        first.map((value) => value / scale),
        3e-3,
        name,
      );
    }
  });
  expect(tf.memory().numTensors, 'tensors left behind').toBe(before);
}
