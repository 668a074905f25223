/** Tensors in safetensors files, both ways: what PyTorch, NumPy and others write opens here, and what is written here opens there. */
import fs from 'node:fs/promises';
import { readBytes, writeAtomically, writeBytes } from './atomic-file';
import { isReservedName, isText, printable, sizeOfShape } from './checks';
import type { StateDict } from './host-tensor';
import { reading, readValues } from './reading';
import { headerLength, maximumHeader, parseHeader } from './safetensors-header';
import type { WeightFile } from './weight-file';

/** Options of `writeSafetensors`. */
export interface WriteSafetensorsOptions {
  /** Texts that the file carries beside the tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes tensors to `file`, float32 as F32 and int32 as I32, sorted by name, values from a multiple of 8 bytes on. The same tensors
 * always give the same bytes. The file is replaced in one step: it has the old content or the new one, whatever happens.
 * @throws naming the tensor whose values don't fill its shape, or whose name the format does not allow; and the system's errors.
 */
export async function writeSafetensors(
  file: string,
  tensors: StateDict,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const names = [...tensors.keys()].sort((a, b) => (a < b ? -1 : 1));
  const header: [string, unknown][] = [];
  const { metadata = {} } = options;
  for (const [key, text] of Object.entries(metadata)) {
    if (typeof text !== 'string' || !isText(text) || isReservedName(key)) {
      throw new TypeError(
        `writeSafetensors: ${file}: metadata are texts, but "${key}" is ${JSON.stringify(text)}`,
      );
    }
  }
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', metadata]);
  let offset = 0;
  for (const name of names) {
    const { shape, values } = tensors.get(name)!;
    if (isReservedName(name))
      throw new RangeError(printable(`writeSafetensors: ${file}: a tensor can't be called "${name}"`));
    if (sizeOfShape(shape) !== values.length) {
      throw new RangeError(
        `writeSafetensors: ${file}: tensor "${name}" has the shape [${shape.join(', ')}] and ${values.length} values`,
      );
    }
    const dtype = values instanceof Float32Array ? 'F32' : 'I32';
    header.push([name, { dtype, shape, data_offsets: [offset, offset + values.byteLength] }]);
    offset += values.byteLength;
  }
  const text = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  if (padded.length > maximumHeader) {
    throw new RangeError(
      `writeSafetensors: ${file}: ${names.length} tensors need a header of ${padded.length} bytes; the format allows ${maximumHeader}`,
    );
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  await writeAtomically(file, async (handle) => {
    await writeBytes(handle, length);
    await writeBytes(handle, padded);
    for (const name of names) {
      const { values } = tensors.get(name)!;
      await writeBytes(handle, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  });
}

/**
 * Opens a safetensors file and checks its header. Only the header is read until tensors are asked for.
 * @throws naming the file and the tensor, for a header that is damaged or hostile: longer than the file or 100 MB, no JSON, nested deeper than the format is, names twice,
 *   unknown formats, impossible shapes, offsets outside the file, overlaps, gaps.
 */
export async function openSafetensors(file: string): Promise<WeightFile> {
  const handle = await fs.open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size < 8) throw new RangeError(`the file has ${size} bytes; a safetensors file has more`);
    const start = new Uint8Array(8);
    await readBytes(handle, start, 0);
    const bytes = new Uint8Array(headerLength(start, size));
    await readBytes(handle, bytes, 8);
    const { entries, metadata } = parseHeader(bytes, size);
    return {
      tensors: entries,
      metadata,
      ...reading(file, entries, (entry) => readValues(handle, entry, entry.begin)),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw new Error(`${file}: ${printable((error as Error).message)}`, { cause: error });
  }
}

/**
 * Reads all tensors of a safetensors file, and the texts beside them: floats as float32, integers and booleans as int32.
 * @throws as `openSafetensors` and `WeightFile.read`.
 */
export async function readSafetensors(
  file: string,
): Promise<{ tensors: StateDict; metadata: Readonly<Record<string, string>> }> {
  const opened = await openSafetensors(file);
  try {
    return { tensors: await opened.readAll(), metadata: opened.metadata };
  } finally {
    await opened.close();
  }
}
