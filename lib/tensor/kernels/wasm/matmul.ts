/** Matrix products on the wasm backend: faster than tfjs's, 10 to 70 times so where an operand is transposed. */
import { tf } from '../../tf';
import { addressOf, type WasmArguments } from './host';
import { multiplyMatrices } from './products';

interface Attributes {
  transposeA: boolean;
  transposeB: boolean;
}

/** Below this many multiply-adds a matrix, many small products are faster in tfjs's loop over them. */
const smallProduct = 32_768;

function transposed(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  [axes[x.rank - 2], axes[x.rank - 1]] = [axes[x.rank - 1], axes[x.rank - 2]];
  return tf.transpose(x, axes);
}

/** A BatchMatMul kernel; broadcast batches of more than one axis, and many small products, go to `original`. */
export function batchMatMulOn(
  original: tf.KernelConfig,
): (args: WasmArguments<{ a: tf.Tensor; b: tf.Tensor }, Attributes>) => tf.TensorInfo {
  const plain = (args: WasmArguments<{ a: tf.Tensor; b: tf.Tensor }, Attributes>): tf.TensorInfo => {
    const { transposeA, transposeB } = args.attrs;
    const a = transposeA ? transposed(args.inputs.a) : args.inputs.a;
    const b = transposeB ? transposed(args.inputs.b) : args.inputs.b;
    const product = original.kernelFunc({
      inputs: { a, b },
      backend: args.backend,
      attrs: { transposeA: false, transposeB: false },
    }) as tf.TensorInfo;
    if (transposeA) a.dispose();
    if (transposeB) b.dispose();
    return product;
  };
  return (args) => {
    const { backend, inputs, attrs } = args;
    const { a, b } = inputs;
    const { transposeA, transposeB } = attrs;
    const [k, m] = transposeA ? a.shape.slice(-2) : a.shape.slice(-2).reverse();
    const n = b.shape[transposeB ? b.rank - 2 : b.rank - 1];
    const batchShape = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const batch = tf.util.sizeFromShape(batchShape);
    const [batchA, batchB] = [a, b].map((x) => tf.util.sizeFromShape(x.shape.slice(0, -2)));
    const broadcast = [batchA, batchB].some((count) => count !== batch && count !== 1);
    const small = batch > 1 && m * k * n < smallProduct;
    if (broadcast || small || (transposeA && transposeB)) return plain(args);
    const out = backend.makeOutput([...batchShape, m, n], 'float32');
    // an empty sum
    if (k === 0) backend.typedArrayFromHeap(out).fill(0);
    if (m * k * n === 0) return out;
    for (let i = 0; i < batch; i++) {
      const at = (x: tf.TensorInfo, matrices: number, size: number): number =>
        addressOf(backend, x) + (matrices === 1 ? 0 : i * size * 4);
      multiplyMatrices(
        backend,
        { m, k, n },
        { address: at(a, batchA, m * k), transposed: transposeA },
        { address: at(b, batchB, k * n), transposed: transposeB },
        at(out, batch, m * n),
      );
    }
    return out;
  };
}
