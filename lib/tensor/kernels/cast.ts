/** Casts to truth values on the wasm backend, where tfjs cuts numbers to bytes: 0.2 became false and -1.5 255. */
import { type tf } from '../tf';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';

/** Replaces the kernel. Any number of calls does what one does. */
export function registerWasmCast(): void {
  replaceKernel('Cast', 'wasm', (original) =>
    asKernelFunc((args: KernelArguments<{ x: tf.Tensor }, { dtype: tf.DataType }>) => {
      const { x } = args.inputs;
      if (args.attrs.dtype !== 'bool' || (x.dtype !== 'float32' && x.dtype !== 'int32')) {
        return (original as tf.KernelConfig).kernelFunc(args as never) as tf.TensorInfo;
      }
      const out = args.backend.makeOutput(x.shape, 'bool');
      const from = args.backend.typedArrayFromHeap(x);
      const to = args.backend.typedArrayFromHeap(out);
      for (let i = 0; i < from.length; i++) to[i] = from[i] === 0 ? 0 : 1;
      return out;
    }),
  );
}
