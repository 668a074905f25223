/** Tensors, told by what they are made of: the kernel does not load TensorFlow.js only to recognise one. */

/** What the views use of a tensor or variable. */
export interface TensorLike {
  readonly dataId: unknown;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly size: number;
  readonly isDisposed: boolean;
  /** Of variables only. */
  readonly trainable?: boolean;
  readonly name?: string;
  data(): Promise<TensorValues>;
  dataSync(): TensorValues;
}

/** A tensor's values, row-major; complex ones as real and imaginary parts in turn. */
export type TensorValues = ArrayLike<number> | readonly string[];

/** Whether a value is a tensor or variable of TensorFlow.js. */
export function isTensor(value: unknown): value is TensorLike {
  if (typeof value !== 'object' || value === null) return false;
  const tensor = value as Partial<TensorLike>;
  return (
    'dataId' in tensor &&
    'isDisposed' in tensor &&
    Array.isArray(tensor.shape) &&
    typeof tensor.dtype === 'string' &&
    typeof tensor.dataSync === 'function'
  );
}

/** Kind, type and shape: "Tensor float32 [8, 300, 300, 3]". */
export function tensorTitle(tensor: TensorLike): string {
  const kind = tensor.trainable === undefined ? 'Tensor' : 'Variable';
  return `${kind} ${tensor.dtype} [${tensor.shape.join(', ')}]${tensor.isDisposed ? ' (disposed)' : ''}`;
}

/** A tensor in one line, as it stands inside of other values. A scalar's value, such as a loss, is worth reading. */
export function tensorLine(tensor: TensorLike): string {
  if (tensor.isDisposed || tensor.size !== 1 || tensor.shape.length > 0) return tensorTitle(tensor);
  try {
    return scalarText(tensor, tensor.dataSync());
  } catch {
    return tensorTitle(tensor); // some backends read asynchronously only
  }
}

/** A scalar with its value: "Tensor float32: 2.5". */
export function scalarText(tensor: TensorLike, values: TensorValues): string {
  const { dtype } = tensor;
  const kind = tensor.trainable === undefined ? 'Tensor' : 'Variable';
  const [first, second] = [values[0], values[1]];
  let text = typeof first === 'string' ? JSON.stringify(first) : float32Text(Number(first));
  if (dtype === 'bool') text = String(Boolean(first));
  if (dtype === 'int32') text = String(first);
  if (dtype === 'complex64') text = complexText(Number(first), Number(second), float32Text);
  return `${kind} ${dtype}: ${text}`;
}

/** The shortest text that is this 32-bit number: 0.1 and not 0.10000000149011612. */
function float32Text(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

/** "1 - 2i". */
export function complexText(real: number, imaginary: number, write: (value: number) => string): string {
  const negative = imaginary < 0 || Object.is(imaginary, -0);
  return `${write(real)} ${negative ? '-' : '+'} ${write(Math.abs(imaginary))}i`;
}
