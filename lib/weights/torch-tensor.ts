/** PyTorch's tensors as its pickles describe them: views into storages that stand elsewhere in the file. */
import { sizeOfShape } from './checks';
import { formatOf } from './dtypes';
import { PickledName, type PickleValue, type PickleWorld } from './unpickle';

/** Numbers of one format, somewhere in the file. */
export interface TorchStorage {
  readonly key: string;
  readonly dtype: string;
  readonly itemBytes: number;
  readonly bytes: number;
}

/** A view into a storage; sizes, strides and offset in numbers, not bytes. */
export interface TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const dtypes: ReadonlyMap<string, string> = new Map([
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.DoubleStorage', 'F64'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

/** All that the pickle of a state dictionary may ask for, and the storages that it has asked for so far. */
export function torchWorld(): PickleWorld & { readonly storages: ReadonlyMap<string, TorchStorage> } {
  const storages = new Map<string, TorchStorage>();
  const noCall = (): never => {
    throw new RangeError('the pickle makes a storage of its own, which no checkpoint does');
  };
  return {
    storages,
    functions: new Map<string, (args: PickleValue[]) => PickleValue>([
      ['collections.OrderedDict', orderedDict],
      ['torch._utils._rebuild_tensor', rebuildTensor],
      ['torch._utils._rebuild_tensor_v2', rebuildTensor],
      ['torch._utils._rebuild_parameter', ([data]) => data],
      ['torch.Size', ([sizes]) => sizes],
      ...[...dtypes.keys()].map((name) => [name, noCall] as const),
    ]),
    persistent(id) {
      const [kind, type, key, , count, view] = Array.isArray(id) ? id : [];
      const dtype = type instanceof PickledName ? dtypes.get(type.name) : undefined;
      if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isCount(count)) {
        throw new RangeError('the pickle points to something that is no storage');
      }
      if (view !== undefined && view !== null) {
        throw new RangeError(
          `the storage "${key}" is a view of another; save the file again with today's PyTorch`,
        );
      }
      const { bytes: itemBytes } = formatOf(dtype)!;
      const known = storages.get(key);
      const storage = known ?? { key, dtype, itemBytes, bytes: count * itemBytes };
      if (storage.dtype !== dtype || storage.bytes !== count * itemBytes) {
        throw new RangeError(`the storage "${key}" is described in two ways`);
      }
      storages.set(key, storage);
      return storage;
    },
  };
}

function orderedDict([items = []]: PickleValue[]): PickleValue {
  if (!Array.isArray(items) || !items.every((item) => Array.isArray(item) && item.length === 2)) {
    throw new RangeError('the pickle makes a dictionary of what are no pairs');
  }
  return new Map(items as [PickleValue, PickleValue][]);
}

function rebuildTensor([storage, offset, shape, strides]: PickleValue[]): TorchTensor {
  const isStorage = typeof storage === 'object' && storage !== null && 'itemBytes' in storage;
  const areCounts = (values: PickleValue): values is number[] =>
    Array.isArray(values) && values.every(isCount);
  if (
    !isStorage ||
    !isCount(offset) ||
    !areCounts(shape) ||
    !areCounts(strides) ||
    shape.length !== strides.length
  ) {
    throw new RangeError('the pickle describes a tensor that can be none');
  }
  return { storage: storage as TorchStorage, offset, shape, strides };
}

function isCount(value: PickleValue): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/**
 * A tensor with its format, and the byte in its storage where it begins.
 * @throws RangeError where it is not inside its storage, or has more values than there are stored.
 */
export function locate(name: string, tensor: TorchTensor): TorchTensor & { dtype: string; first: number } {
  const { storage, offset, shape, strides } = tensor;
  const { itemBytes, bytes, dtype } = storage;
  const size = sizeOfShape(shape);
  const count = bytes / itemBytes;
  if (size === undefined || size > count) {
    throw new RangeError(
      `tensor "${name}" of shape [${shape.join(', ')}] has more values than its storage of ${count}`,
    );
  }
  const last = shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis], offset);
  if (size > 0 && last >= count) {
    throw new RangeError(
      `tensor "${name}" reaches to value ${last} of its storage, which has ${count}: shape [${shape.join(', ')}], ` +
        `strides [${strides.join(', ')}], offset ${offset}`,
    );
  }
  return { ...tensor, dtype, first: offset * itemBytes };
}

/** Whether the values stand in the storage in the tensor's own order, without gaps. */
export function isContiguous({ shape, strides }: TorchTensor): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}
