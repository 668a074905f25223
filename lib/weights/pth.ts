/**
 * PyTorch's checkpoints (`.pth`, `.pt`): what `torch.save` writes today, a zip archive with a pickle and a member for every storage, and
 * what it wrote before version 1.6, pickles and storages one after another. No code of the file is ever run; see `unpickle`.
 */
import fs from 'node:fs/promises';
import { readBytes } from './atomic-file';
import { isReservedName, printable, sizeOfShape } from './checks';
import { formatOf } from './dtypes';
import type { HostTensor } from './host-tensor';
import { reading, readValues, someNames } from './reading';
import { isContiguous, locate, type TorchTensor, torchWorld } from './torch-tensor';
import { PickleTruncated, type PickleValue, type PickleWorld, unpickle } from './unpickle';
import type { TensorInfo, WeightFile } from './weight-file';
import { zipMembers } from './zip';

/** Options of `openPth`. */
export interface OpenPthOptions {
  /**
   * Where the checkpoint is a dictionary of dictionaries: the key of the one that holds the weights. Default: the only one that holds
   * tensors, or else `state_dict`, `model_state_dict`, `model` or `state_dict_ema`, in this order.
   */
  readonly key?: string;
}

/** The longest pickle, in bytes; a network of thousands of tensors needs a few hundred thousand. */
const longestPickle = 100_000_000;
/** What stands at the beginning of the old format. */
const oldMagic = 0x1950a86a20f9469cfc6cn;
const usualKeys = ['state_dict', 'model_state_dict', 'model', 'state_dict_ema'] as const;

/** A storage's place in the file. */
type Storages = (key: string, bytes: number) => number;

/**
 * Opens a checkpoint that holds tensors in a dictionary. Values are read when they are asked for.
 * @throws naming the file, and what in it is not allowed: a function that is none of the few that rebuild tensors, a whole network instead of
 *   its state dictionary, a tensor that is not inside its storage, a compressed or damaged archive.
 */
export async function openPth(file: string, options: OpenPthOptions = {}): Promise<WeightFile> {
  const handle = await fs.open(file, 'r');
  try {
    const { size } = await handle.stat();
    const start = new Uint8Array(Math.min(4, size));
    await readBytes(handle, start, 0);
    const zip = start[0] === 0x50 && start[1] === 0x4b;
    const { root, storages } = zip ? await parseZip(handle, size) : await parseOld(handle, size);
    const tensors = new Map<string, TensorInfo & TorchTensor & { begin: number }>();
    for (const [name, tensor] of tensorsOf(root, options.key)) {
      const located = locate(name, tensor);
      tensors.set(name, {
        ...located,
        begin: storages(located.storage.key, located.storage.bytes) + located.first,
      });
    }
    checkTotal(tensors, size);
    return {
      tensors,
      metadata: {},
      ...reading(file, tensors, (tensor) => readStrided(handle, tensor)),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw new Error(`${file}: ${printable((error as Error).message)}`, { cause: error });
  }
}

/** Tensors may share a storage, as tied weights do; a file of a megabyte that unfolds to terabytes is none of a network. */
function checkTotal(tensors: ReadonlyMap<string, TensorInfo>, fileSize: number): void {
  const total = [...tensors.values()].reduce((sum, { shape }) => sum + 4 * (sizeOfShape(shape) ?? 0), 0);
  const most = 64 * fileSize;
  if (total > most) {
    throw new RangeError(
      `its tensors share their storages so often that they take ${total} bytes of memory, from a file of ${fileSize}; the limit is 64 times as many`,
    );
  }
}

async function parseZip(
  handle: fs.FileHandle,
  fileSize: number,
): Promise<{ root: PickleValue; storages: Storages }> {
  const members = await zipMembers(handle, fileSize);
  const pickle = [...members.keys()].find((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickle === undefined)
    throw new RangeError('the archive has no data.pkl; it is no checkpoint of PyTorch');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const order = members.get(`${folder}byteorder`);
  if (order) {
    const text = Buffer.alloc(Math.min(16, order.size));
    await readBytes(handle, text, order.begin);
    if (text.toString().trim() !== 'little')
      throw new RangeError(`the numbers' byte order is ${text.toString()}`);
  }
  const { begin, size } = members.get(pickle)!;
  if (size > longestPickle)
    throw new RangeError(`the pickle has ${size} bytes, the limit is ${longestPickle}`);
  const bytes = new Uint8Array(size);
  await readBytes(handle, bytes, begin);
  const { value } = unpickle(bytes, 0, torchWorld());
  const storages: Storages = (key, length) => {
    const member = members.get(`${folder}data/${key}`);
    if (!member) throw new RangeError(`the archive has no storage "${key}"`);
    if (member.size < length) {
      throw new RangeError(`the storage "${key}" has ${member.size} bytes instead of ${length}`);
    }
    return member.begin;
  };
  return { root: value, storages };
}

/** Pickles of a magic number, a version, the system's sizes, the object, and the storages' keys; then each storage: its length, its values. */
async function parseOld(
  handle: fs.FileHandle,
  fileSize: number,
): Promise<{ root: PickleValue; storages: Storages }> {
  const world = torchWorld();
  const [pickles, end] = await unpickleMany(handle, fileSize, 5, world);
  const [magic, , system, root, keys] = pickles;
  if (magic !== oldMagic) throw new RangeError('this is no checkpoint of PyTorch');
  if (!(system instanceof Map) || system.get('little_endian') !== true) {
    throw new RangeError('the numbers are not little-endian');
  }
  if (!Array.isArray(keys)) throw new RangeError('the list of storages is damaged');
  const places = new Map<string, number>();
  let at = end;
  for (const key of keys) {
    const storage = world.storages.get(key as string);
    if (typeof key !== 'string' || !storage)
      throw new RangeError(`there is a storage ${String(key)} of no tensor`);
    const length = new DataView(new ArrayBuffer(8));
    await readBytes(handle, new Uint8Array(length.buffer), at);
    const bytes = Number(length.getBigInt64(0, true)) * storage.itemBytes;
    if (bytes !== storage.bytes || at + 8 + bytes > fileSize) {
      throw new RangeError(
        `the storage "${key}" has ${bytes} bytes instead of ${storage.bytes}, or ends outside the file`,
      );
    }
    places.set(key, at + 8);
    at += 8 + bytes;
  }
  const storages: Storages = (key) => {
    const place = places.get(key);
    if (place === undefined) throw new RangeError(`the storage "${key}" is not in the file`);
    return place;
  };
  return { root, storages };
}

/** Reads so many pickles from the beginning of a file, of which only as much is read as they need. */
async function unpickleMany(
  handle: fs.FileHandle,
  fileSize: number,
  count: number,
  world: PickleWorld,
): Promise<[values: PickleValue[], end: number]> {
  for (let length = Math.min(2 ** 20, fileSize); ; length = Math.min(length * 4, longestPickle, fileSize)) {
    const bytes = new Uint8Array(length);
    await readBytes(handle, bytes, 0);
    try {
      const values: PickleValue[] = [];
      let at = 0;
      for (let i = 0; i < count; i++) {
        const { value, end } = unpickle(bytes, at, world);
        values.push(value);
        if (i === 0 && value !== oldMagic) return [values, end];
        at = end;
      }
      return [values, at];
    } catch (error) {
      if (!(error instanceof PickleTruncated) || length === Math.min(longestPickle, fileSize)) throw error;
    }
  }
}

/** The dictionary of tensors in what the pickle held. */
function tensorsOf(root: PickleValue, key: string | undefined): [name: string, tensor: TorchTensor][] {
  const tensors = (value: PickleValue | undefined): [string, TorchTensor][] =>
    value instanceof Map
      ? [...value].filter(
          (entry): entry is [string, TorchTensor] => typeof entry[0] === 'string' && isTensor(entry[1]),
        )
      : [];
  const inside = root instanceof Map ? [...root].filter(([, value]) => tensors(value).length > 0) : [];
  const keys = inside.map(([name]) => String(name));
  if (key !== undefined) {
    const found = inside.find(([name]) => name === key);
    if (!found)
      throw new RangeError(`no dictionary of tensors is called "${key}"; there are: ${someNames(keys, 20)}`);
    return checked(tensors(found[1]));
  }
  const direct = tensors(root);
  if (direct.length > 0) return checked(direct);
  const chosen = inside.length === 1 ? keys[0] : usualKeys.find((usual) => keys.includes(usual));
  if (chosen === undefined) {
    throw new RangeError(
      inside.length > 1
        ? `there are several dictionaries of tensors: ${someNames(keys, 20)}; choose one by the option key`
        : 'there is no dictionary of tensors in it',
    );
  }
  return checked(tensors(inside.find(([name]) => name === chosen)?.[1]));
}

function isTensor(value: PickleValue): value is TorchTensor {
  return typeof value === 'object' && value !== null && 'storage' in value;
}

function checked(tensors: [string, TorchTensor][]): [string, TorchTensor][] {
  for (const [name] of tensors) {
    if (isReservedName(name)) throw new RangeError(`a tensor is called "${name}", which is no name for one`);
  }
  return tensors;
}

/** A tensor's values in its own order, whatever the order in the storage. */
async function readStrided(
  handle: fs.FileHandle,
  tensor: TensorInfo & TorchTensor & { begin: number },
): Promise<HostTensor> {
  const { shape, strides, dtype, begin } = tensor;
  const size = sizeOfShape(shape) ?? 0;
  if (size === 0 || isContiguous(tensor)) return readValues(handle, tensor, begin);
  const span = 1 + shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis], 0);
  const { values: stored } = await readValues(handle, { dtype, shape: [span] }, begin);
  const values = formatOf(dtype)?.integer ? new Int32Array(size) : new Float32Array(size);
  const index = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < size; i++) {
    values[i] = stored[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { shape, values };
}
