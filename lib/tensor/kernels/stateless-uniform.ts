/**
 * Uniform random numbers as a pure function of a seed that is a tensor, on `tensorflow` by TensorFlow's op, on `wasm` and `cpu` by the
 * same generator in TypeScript: the same seed gives the same bits everywhere.
 */
import { statelessUniform } from '../philox';
import { tf } from '../tf';
import { overArrays } from './cpu';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';
import { runOp } from './tensorflow-ops';

/** The kernel's name: input `seed` (int32 [2]), attribute `shape`; float32 in [0, 1). */
export const statelessUniformKernel = 'StatelessRandomUniform';

type Arguments = KernelArguments<{ seed: tf.Tensor }, { shape: number[] }>;

function onHeap({ inputs, attrs, backend }: Arguments): tf.TensorInfo {
  const out = backend.makeOutput(attrs.shape, 'float32');
  const [seed, draw] = backend.typedArrayFromHeap(inputs.seed);
  statelessUniform([seed, draw], backend.typedArrayFromHeap(out) as Float32Array);
  return out;
}

function onTensorFlow({ inputs, attrs }: Arguments): tf.TensorInfo {
  const shape = tf.tensor1d(attrs.shape, 'int32');
  const types = { dtype: 'float32', T: 'int32', Tseed: 'int32' } as const;
  const [values] = runOp(statelessUniformKernel, types, [shape, inputs.seed]);
  shape.dispose();
  return values;
}

/** Registers the kernel for `backend`. Any number of calls does what one does. */
export function registerStatelessUniform(backend: 'cpu' | 'wasm' | 'tensorflow'): void {
  const kernels = {
    cpu: overArrays(onHeap),
    wasm: asKernelFunc(onHeap),
    tensorflow: asKernelFunc(onTensorFlow),
  };
  replaceKernel(statelessUniformKernel, backend, () => kernels[backend]);
}
