/** Where the memory of training goes: the bytes that every layer of a network leaves behind for its gradient. */
import { nextTensorId, type TapeNode, tapeState, withTape } from '../tensor/gradient-tape';
import { drawnAgain } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import type { ForwardContext, Module } from './module';
import { moduleNames } from './summary';

/** What one layer keeps. */
export interface LayerMemory {
  /**
   * The layer's name in the network, e.g. `backbone.body.layer1.0.conv1`; a block's or the network's own (empty) for what it computes
   * between its layers, such as activations and sums. `(input)` for images and targets, `(outside)` for what no layer computes: the loss.
   */
  readonly layer: string;
  /** The layer's class, e.g. `Conv2d`; empty for input and outside. */
  readonly type: string;
  readonly bytes: number;
}

const input = '(input)';
const outside = '(outside)';

/** Methods in which a module does its work. */
const methods = ['forward', 'predict', 'loss'] as const;

/**
 * Runs a forward pass in training and counts the bytes that are alive at its end because gradients need them, by the layer that computed
 * them. What several operations keep is counted once. Parameters are not counted; nor is memory that is free again when the pass has
 * ended.
 *
 *     activationMemory(model, (context) => model.forward(images, context));
 *
 * @param compute runs the network as a training step does; what it returns is disposed.
 * @param context for `compute`. Batch statistics are dropped; random numbers that are drawn here are drawn again in training.
 * @returns one row a layer that keeps something, in the order in which they begin to.
 */
export function activationMemory(
  model: Module,
  compute: (context: ForwardContext) => unknown,
  context: Omit<ForwardContext, 'training' | 'statistics'> = {},
): LayerMemory[] {
  const { random } = context;
  const training: ForwardContext = { ...context, training: true };
  const first = nextTensorId();
  const names = moduleNames(model);
  let bytes = new Map<string, number>();
  withTape(() => {
    const tape = tapeState().activeTape!;
    const { owners, unnoted } = watch(names, tape, () => drawnAgain(random, () => compute(training)));
    bytes = keptBytes(tape, owners, first, unnoted);
  });
  const types = new Map([...names].map(([module, name]) => [name, module.constructor.name]));
  return [...bytes].map(([layer, count]) => ({ layer, type: types.get(layer) ?? '', bytes: count }));
}

interface Watched {
  /** The name of the module at work, the innermost one, when each operation on the tape was run. */
  readonly owners: readonly string[];
  /** Who made the maps that come from where nothing is noted, such as a frozen trunk's. */
  readonly unnoted: ReadonlyMap<object, string>;
}

function watch(
  names: ReadonlyMap<Module, string>,
  tape: readonly TapeNode[],
  compute: () => unknown,
): Watched {
  const state = tapeState();
  const owners: string[] = [];
  const unnoted = new Map<object, string>();
  const stack: string[] = [outside];
  /** The last layer that ran where nothing is noted: the operation that comes next, a recomputed segment, has its output. */
  let hidden: string | undefined;
  const settle = (): void => {
    while (owners.length < tape.length) {
      owners.push(hidden ?? stack[stack.length - 1]);
      hidden = undefined;
    }
  };
  const undo: (() => void)[] = [];
  for (const [module, name] of names) {
    for (const method of methods) {
      const original = (module as unknown as Record<string, unknown>)[method];
      if (typeof original !== 'function') continue;
      const own = Object.getOwnPropertyDescriptor(module, method);
      const value = function (this: unknown, ...args: unknown[]): unknown {
        settle();
        stack.push(name);
        try {
          const result = original.apply(this, args) as tf.TensorContainer;
          if (state.kernelDepth > 0) {
            for (const { dataId } of tf.tensor_util.getTensorsInContainer(result)) {
              if (!unnoted.has(dataId)) unnoted.set(dataId, name);
            }
          }
          return result;
        } finally {
          settle();
          stack.pop();
          if (state.kernelDepth > 0) hidden = name;
        }
      };
      Object.defineProperty(module, method, { value, configurable: true });
      undo.push(() => {
        if (own) Object.defineProperty(module, method, own);
        else delete (module as unknown as Record<string, unknown>)[method];
      });
    }
  }
  try {
    compute();
    settle();
    return { owners, unnoted };
  } finally {
    undo.forEach((restore) => restore());
  }
}

/** Bytes of what is kept, by who computed it; by who keeps it first where that is not on the tape. */
function keptBytes(
  tape: readonly TapeNode[],
  owners: readonly string[],
  first: number,
  unnoted: ReadonlyMap<object, string>,
): Map<string, number> {
  const producers = new Map(unnoted);
  // Parameters are there in any case.
  const counted = new Set<object>(
    Object.values(tf.engine().registeredVariables).map(({ dataId }) => dataId as object),
  );
  const bytes = new Map<string, number>();
  tape.forEach(({ inputs, outputs, saved = [] }, i) => {
    for (const tensor of Object.values(inputs)) {
      if (tensor && tensor.id < first) producers.set(tensor.dataId, input);
    }
    for (const { dataId } of outputs) if (!producers.has(dataId)) producers.set(dataId, owners[i]);
    for (const { dataId, size, dtype } of saved) {
      if (counted.has(dataId)) continue;
      counted.add(dataId);
      const owner = producers.get(dataId) ?? owners[i];
      const own = dtype === 'string' ? 0 : size * tf.util.bytesPerElement(dtype);
      bytes.set(owner, (bytes.get(owner) ?? 0) + own);
    }
  });
  return bytes;
}
