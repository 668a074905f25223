/** Running out of memory, said in words: what was asked for, and what helps. Both backends say it badly, or not at all. */
import { tf } from './tf';

/** A tensor that did not fit into memory. */
export class OutOfMemoryError extends Error {
  /** Of the tensor that was asked for. */
  readonly shape: readonly number[];

  constructor(message: string, shape: readonly number[]) {
    super(
      `${message}. A smaller batch or image needs less; so does keeping less for the gradient (recompute)`,
    );
    this.name = 'OutOfMemoryError';
    this.shape = shape;
  }
}

/** `1.5 GB`, `320 MB`. */
function amount(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.ceil(bytes / 1e6)} MB`;
}

interface Calls {
  executeOp(name: string, ...rest: unknown[]): unknown;
  runSavedModel(...args: unknown[]): unknown;
}

/** TensorFlow's binding with its errors for want of memory replaced; everything else goes through. */
export function explainingBinding<Binding extends object>(binding: Binding): Binding {
  const source = binding as Binding & Calls;
  const wrapped = Object.create(binding) as Binding;
  const attempt = <T>(what: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw explained(error, what);
    }
  };
  const own: Record<string, unknown> = {
    executeOp: (name: string, ...rest: unknown[]) => attempt(name, () => source.executeOp(name, ...rest)),
    runSavedModel: (...args: unknown[]) => attempt('a compiled step', () => source.runSavedModel(...args)),
  };
  for (
    let at: object | null = binding;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const value = (binding as Record<string, unknown>)[name];
      // Native methods look at `this`.
      if (typeof value === 'function' && name !== 'constructor') own[name] ??= value.bind(binding);
    }
  }
  for (const [name, value] of Object.entries(own)) {
    // Assigning would be refused: the binding's own properties can't be written to.
    Object.defineProperty(wrapped, name, { value, configurable: true });
  }
  return wrapped;
}

function explained(error: unknown, what: string): unknown {
  const message = error instanceof Error ? error.message : String(error);
  const found = /OOM when allocating tensor with shape\[([\d,]*)\] and type (\w+)/.exec(message);
  if (!found) return error;
  const shape = found[1] ? found[1].split(',').map(Number) : [];
  const width = /double|int64/.test(found[2]) ? 8 : /bool|8/.test(found[2]) ? 1 : 4;
  const bytes = shape.reduce((product, size) => product * size, width);
  return new OutOfMemoryError(
    `out of memory: ${what} asked for a tensor [${shape.join(', ')}] of ${found[2]}, ${amount(bytes)}`,
    shape,
  );
}

interface WasmMemory {
  move(dataId: object, values: unknown, shape: number[], dtype: tf.DataType, refCount: number): void;
  readonly dataIdMap: { get(dataId: object): { memoryOffset: number }; delete(dataId: object): void };
}

const guarded = new WeakSet<object>();

/**
 * Makes the wasm backend notice that its heap (4 GB at most) is full. By itself it writes to address 0 and fails later, somewhere
 * else.
 */
export function guardWasmMemory(): void {
  const backend = tf.backend() as unknown as WasmMemory;
  if (guarded.has(backend)) return;
  guarded.add(backend);
  const move = backend.move.bind(backend);
  backend.move = (dataId, values, shape, dtype, refCount) => {
    // Texts are not on the heap.
    if (dtype === 'string') return move(dataId, values, shape, dtype, refCount);
    const bytes = tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype);
    const refuse = (): never => {
      throw new OutOfMemoryError(
        `out of memory: a tensor [${shape.join(', ')}] of ${dtype}, ${amount(bytes)}, does not fit into the heap of wasm (4 GB in all, ` +
          `${amount(tf.memory().numBytes)} of it in tensors)`,
        shape,
      );
    };
    if (bytes >= 2 ** 32) refuse();
    move(dataId, values, shape, dtype, refCount);
    if (bytes > 0 && backend.dataIdMap.get(dataId).memoryOffset === 0) {
      backend.dataIdMap.delete(dataId);
      refuse();
    }
  };
}
