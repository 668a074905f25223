/** Kernels of the `cpu` backend, which are those of `wasm` run over plain arrays. */
import { tf } from '../tf';
import { asKernelFunc, type KernelArguments, replaceKernel, type WasmBackend } from './registry';
import { unsortedSegmentSum } from './wasm/segments';

/** The part of `MathBackendCPU` used here. */
interface CpuBackend {
  readonly data: {
    get(dataId: tf.TensorInfo['dataId']): { values: ReturnType<WasmBackend['typedArrayFromHeap']> };
  };
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: tf.TypedArray): tf.TensorInfo;
}

/** A kernel written for the wasm heap as one for the cpu backend. */
export function overArrays<Inputs, Attributes>(
  kernel: (args: KernelArguments<Inputs, Attributes>) => tf.TensorInfo,
): tf.KernelFunc {
  return asKernelFunc((args: KernelArguments<Inputs, Attributes>) => {
    const cpu = args.backend as unknown as CpuBackend;
    return kernel({
      ...args,
      backend: {
        makeOutput: (shape, dtype) =>
          cpu.makeTensorInfo(
            shape,
            dtype,
            tf.util.makeZerosTypedArray(tf.util.sizeFromShape(shape), dtype as 'float32'),
          ),
        typedArrayFromHeap: (info) => cpu.data.get(info.dataId).values,
      },
    });
  });
}

/** Replaces UnsortedSegmentSum, which takes a pass over all values for each segment. Any number of calls does what one does. */
export function registerCpuKernels(): void {
  replaceKernel('UnsortedSegmentSum', 'cpu', () => overArrays(unsortedSegmentSum));
}
