/** What tfjs 4.22's WebGPU backend computes wrongly, put right. It lacks no kernel that training needs. */
import { tf } from '../tf';
import type { WebgpuBackend, WebgpuProgram } from '../webgpu';
import { asKernelFunc, type KernelArguments, replaceKernel } from './registry';

/** Changes of a shader program before it is compiled for the first time. */
interface Repair {
  /** Of the programs whose `shaderKey` starts so. */
  readonly key: string;
  /** Types as they are stored: a cast to a wider type leaves the values as they are. */
  readonly applies?: (inputs: readonly tf.DataType[], output: tf.DataType) => boolean;
  /** What to add to the key. */
  readonly distinguish?: (program: WebgpuProgram) => string;
  /** What to put in place of what in the code. */
  readonly replace?: readonly [wrong: RegExp, right: string];
}

const storedInput = /setOutputAtIndex\(flatIndex, (A\[[^;]*\])\);/;

const repairs: readonly Repair[] = [
  {
    // A cumulative sum from the end has the axis' length written into its code, but not into its key: the second length ran
    // the code of the first. It is also the gradient of one from the start.
    key: 'cum_',
    distinguish: ({ outputShape }) => `_${outputShape[outputShape.length - 1]}`,
  },
  {
    // Whole numbers and truth values are stored as if they were floats, which does not compile.
    key: 'transpose_',
    applies: ([input], output) => input !== 'float32' && output !== 'float32',
    replace: [storedInput, 'setOutputAtIndexI32(flatIndex, $1);'],
  },
  {
    key: 'transpose_',
    applies: ([input], output) => input !== 'float32' && output === 'float32',
    replace: [storedInput, 'setOutputAtIndex(flatIndex, f32($1));'],
  },
  {
    // Rows of a segment beyond the last belong nowhere; they went round to the first segments.
    key: 'unsortedSegmentSum',
    replace: [/if \(segmentId >= 0\)/, 'if (segmentId >= 0 && segmentId < uniforms.numSegments)'],
  },
];

function repair(program: WebgpuProgram, inputs: readonly tf.DataType[], output: tf.DataType): void {
  for (const { key, applies, distinguish, replace } of repairs) {
    if (!program.shaderKey.startsWith(key) || applies?.(inputs, output) === false) continue;
    if (distinguish) program.shaderKey += distinguish(program);
    if (!replace) continue;
    const [wrong, right] = replace;
    const original = program.getUserCode.bind(program);
    // Called only where the program is compiled.
    program.getUserCode = () => {
      const code = original();
      if (wrong.test(code)) return code.replace(wrong, right);
      throw new Error(
        `webgpu: the program '${program.shaderKey}' is not the one that is repaired; @tensorflow/tfjs-backend-webgpu 4.22.0 is wanted`,
      );
    };
  }
}

const repaired = new WeakSet<WebgpuBackend>();

/** Reductions over nothing, which WebGPU has no buffer for: what TensorFlow gives. */
const ofNothing: Readonly<Record<string, { value: number; dtype?: tf.DataType }>> = {
  Sum: { value: 0 },
  Mean: { value: NaN, dtype: 'float32' },
  Prod: { value: 1 },
  Max: { value: -Infinity },
  Min: { value: Infinity },
  Any: { value: 0, dtype: 'bool' },
  All: { value: 1, dtype: 'bool' },
};

interface ReductionAttributes {
  axis?: number | number[];
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

function reduction(name: string, original: tf.KernelConfig): tf.KernelFunc {
  return asKernelFunc((args: KernelArguments<{ x: tf.Tensor }, ReductionAttributes>) => {
    const { x } = args.inputs;
    if (x.size > 0) return original.kernelFunc(args as never) as tf.TensorInfo;
    const { axis, reductionIndices, keepDims } = args.attrs;
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices ?? x.shape.map((_, i) => i), x.shape);
    const shape = x.shape.flatMap((length, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [length]));
    const { value, dtype = x.dtype } = ofNothing[name];
    return tf.fill(shape, value, dtype as 'float32');
  });
}

/**
 * Repairs a WebGPU backend and its kernels. Any number of calls does what one does. The package must have been imported: the
 * import registers tfjs's kernels over these.
 */
export function repairWebgpu(backend: WebgpuBackend): void {
  for (const name of Object.keys(ofNothing)) {
    replaceKernel(name, 'webgpu', (original) => reduction(name, original as tf.KernelConfig));
  }
  if (repaired.has(backend)) return;
  repaired.add(backend);
  // At the programs rather than the kernels: many kernels transpose inside.
  const { runWebGPUProgram } = backend;
  backend.runWebGPUProgram = (program, inputs, dtype, ...rest) => {
    const stored = inputs.map(({ dataId }) => backend.tensorMap.get(dataId).dtype);
    repair(program, stored, dtype);
    return runWebGPUProgram.call(backend, program, inputs, dtype, ...rest);
  };
}
