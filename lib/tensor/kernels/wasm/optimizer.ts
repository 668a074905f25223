/** Updates of parameters, running averages and gradient norms on the wasm backend. */
import { tf } from '../../tf';
import { addressOf, run, type WasmArguments, type WasmHost, withMemory } from './host';
import { blockElements } from './map-kernels';
import { adam, blend, momentum, squares } from './optimizer-kernels';
import { reducers } from './reduce-kernels';

type Infos<Names extends string> = Readonly<Record<Names, tf.TensorInfo>>;

/** So many elements are worth a piece of work. */
const pieceElements = 16_384;

const blocks = (count: number): [items: number, piece: number] => [
  Math.ceil(count / blockElements),
  pieceElements / blockElements,
];

/** The addresses of tensors under their names, and those of as many new ones as `made` names. */
function addresses<In extends string, Out extends string>(
  backend: WasmHost,
  inputs: Infos<In>,
  made: readonly Out[],
  shape: number[],
): { outputs: tf.TensorInfo[]; at: Record<In | Out, number> } {
  const outputs = made.map(() => backend.makeOutput(shape, 'float32'));
  const entries = [
    ...Object.entries<tf.TensorInfo>(inputs),
    ...made.map((name, i) => [name, outputs[i]] as const),
  ];
  const at = Object.fromEntries(entries.map(([name, info]) => [name, addressOf(backend, info)]));
  return { outputs, at: at as Record<In | Out, number> };
}

const numberIn = (backend: WasmHost, scalar: tf.TensorInfo): number => backend.typedArrayFromHeap(scalar)[0];

/** [new weight, new velocity]. */
export function momentumUpdate({
  backend,
  inputs: { rate, kept, ...tensors },
  attrs,
}: WasmArguments<
  Infos<'weight' | 'velocity' | 'gradient' | 'rate' | 'kept'>,
  { momentum: number; decay: number; nesterov: boolean }
>): tf.TensorInfo[] {
  const { shape } = tensors.weight;
  const { outputs, at } = addresses(backend, tensors, ['newWeight', 'newVelocity'], shape);
  const count = tf.util.sizeFromShape(shape);
  const numbers = { rate: numberIn(backend, rate), kept: numberIn(backend, kept) };
  const { nesterov, ...rest } = attrs;
  run(backend, momentum, { ...at, ...numbers, ...rest, count, nesterov: Number(nesterov) }, ...blocks(count));
  return outputs;
}

/** [new weight, new first moment, new second moment]. */
export function adamUpdate({
  backend,
  inputs: { rate, kept, rootCorrection, ...tensors },
  attrs: { beta1, beta2, epsilon, decay },
}: WasmArguments<
  Infos<'weight' | 'first' | 'second' | 'gradient' | 'rate' | 'kept' | 'rootCorrection'>,
  { beta1: number; beta2: number; epsilon: number; decay: number }
>): tf.TensorInfo[] {
  const { shape } = tensors.weight;
  const { outputs, at } = addresses(backend, tensors, ['newWeight', 'newFirst', 'newSecond'], shape);
  const count = tf.util.sizeFromShape(shape);
  const numbers = {
    rate: numberIn(backend, rate),
    kept: numberIn(backend, kept),
    rootCorrection: numberIn(backend, rootCorrection),
  };
  const shares = { share1: 1 - beta1, share2: 1 - beta2 };
  run(backend, adam, { ...at, ...numbers, ...shares, epsilon, decay, count }, ...blocks(count));
  return outputs;
}

/** share a + (1 - share) b. */
export function blendTensors({
  backend,
  inputs,
  attrs: { share },
}: WasmArguments<Infos<'a' | 'b'>, { share: number }>): tf.TensorInfo {
  const { shape } = inputs.a;
  const { outputs, at } = addresses(backend, inputs, ['y'], shape);
  const count = tf.util.sizeFromShape(shape);
  run(backend, blend, { ...at, count, share, rest: 1 - share }, ...blocks(count));
  return outputs[0];
}

/** The sum of the squares of all numbers of all tensors. */
export function sumOfSquares({ backend, inputs }: WasmArguments<tf.TensorInfo[], object>): tf.TensorInfo {
  const tensors = Object.values(inputs);
  const counts = tensors.map(({ shape }) => tf.util.sizeFromShape(shape));
  const parts = counts.map((count) => Math.ceil(count / blockElements));
  const total = parts.reduce((a, b) => a + b, 0);
  const y = backend.makeOutput([], 'float32');
  withMemory(backend, total, (partial) => {
    let next = partial;
    tensors.forEach((tensor, i) => {
      run(
        backend,
        squares,
        { x: addressOf(backend, tensor), y: next, count: counts[i] },
        ...blocks(counts[i]),
      );
      next += parts[i] * 4;
    });
    const values = { x: partial, y: addressOf(backend, y), count: total, pieces: 1, piece: total, factor: 1 };
    run(backend, reducers.sum.numbers, values, 1);
  });
  return y;
}
