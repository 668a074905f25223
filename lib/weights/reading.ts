/** Reading single tensors from an open file. */
import type fs from 'node:fs/promises';
import { readBytes } from './atomic-file';
import { printable, sizeOfShape } from './checks';
import { formatOf, readableDtypes } from './dtypes';
import type { HostTensor } from './host-tensor';
import type { TensorInfo, WeightFile } from './weight-file';

/** Bytes that are converted at a time where the file's format is not the result's. */
const chunk = 2 ** 20;

/**
 * Reads `shape` values of format `dtype` at byte `begin`. What needs no conversion goes from the file to its place without a copy.
 * @throws RangeError saying what is wrong, to be completed with the file's and the tensor's name.
 */
export async function readValues(
  handle: fs.FileHandle,
  { dtype, shape }: TensorInfo,
  begin: number,
): Promise<HostTensor> {
  const format = formatOf(dtype);
  const size = sizeOfShape(shape);
  if (!format || size === undefined || !(format.asIs || format.convert)) {
    throw new RangeError(
      `its format ${dtype} can't be read; these can: ${readableDtypes().join(', ')}. Convert the file`,
    );
  }
  const values = format.integer ? new Int32Array(size) : new Float32Array(size);
  if (format.asIs) {
    await readBytes(handle, new Uint8Array(values.buffer), begin);
  } else {
    const buffer = new Uint8Array(Math.min(chunk, size * format.bytes));
    for (let at = 0; at < size; at += chunk / format.bytes) {
      const part = buffer.subarray(0, Math.min(chunk, (size - at) * format.bytes));
      await readBytes(handle, part, begin + at * format.bytes);
      format.convert?.(part, values, at);
    }
  }
  return { shape, values };
}

/** The `read` and `readAll` of a file whose tensors `readOne` reads. */
export function reading<Info extends TensorInfo>(
  file: string,
  tensors: ReadonlyMap<string, Info>,
  readOne: (info: Info) => Promise<HostTensor>,
): Pick<WeightFile, 'read' | 'readAll'> {
  const read = async (name: string): Promise<HostTensor> => {
    const info = tensors.get(name);
    if (!info)
      throw new RangeError(
        `${file}: ${printable(`there is no tensor "${name}"; it has ${someNames([...tensors.keys()])}`)}`,
      );
    try {
      return await readOne(info);
    } catch (error) {
      throw new Error(`${file}: ${printable(`tensor "${name}": ${(error as Error).message}`)}`, {
        cause: error,
      });
    }
  };
  return {
    read,
    async readAll(wanted = () => true) {
      const found = new Map<string, HostTensor>();
      for (const name of tensors.keys()) if (wanted(name)) found.set(name, await read(name));
      return found;
    },
  };
}

/** The first of many names: `"a", "b" and 40 more`. */
export function someNames(names: readonly string[], most: number = 5): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, most).map((name) => `"${name}"`);
  return names.length > most ? `${shown.join(', ')} and ${names.length - most} more` : shown.join(', ');
}
