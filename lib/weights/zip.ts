/** The directory of a zip archive whose members are stored as they are: the container of PyTorch's checkpoints. */
import type fs from 'node:fs/promises';
import { readBytes } from './atomic-file';

/** Where a member's bytes are in the file. */
export interface ZipMember {
  readonly begin: number;
  readonly size: number;
}

/** A checkpoint has a member for every tensor and a few more. */
const mostMembers = 100_000;
const largestDirectory = 2 ** 26;

/**
 * Finds the members of a zip archive, large ones (zip64) included.
 * @throws saying what is damaged, or which member is compressed or encrypted; PyTorch's are neither.
 */
export async function zipMembers(handle: fs.FileHandle, fileSize: number): Promise<Map<string, ZipMember>> {
  const read = async (position: number, length: number): Promise<DataView> => {
    const bytes = new Uint8Array(length);
    await readBytes(handle, bytes, position);
    return new DataView(bytes.buffer);
  };
  const { count, offset, size } = await findDirectory(read, fileSize);
  if (size > largestDirectory || offset + size > fileSize) {
    throw new RangeError(
      `the archive's directory of ${size} bytes at ${offset} is not in the file; it is damaged`,
    );
  }
  if (count > mostMembers)
    throw new RangeError(`the archive has ${count} members; no checkpoint has so many`);
  const directory = await read(offset, size);
  const members = new Map<string, ZipMember>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const entry = parseEntry(directory, at);
    at = entry.next;
    if (members.has(entry.name)) throw new RangeError(`the archive has "${entry.name}" twice`);
    // The header before the bytes has a name and extra fields of its own length.
    if (entry.header + 30 > fileSize) throw new RangeError(`"${entry.name}" lies outside the file`);
    const header = await read(entry.header, 30);
    if (header.getUint32(0, true) !== 0x04034b50) {
      throw new RangeError(`there is no "${entry.name}" where the archive's directory says`);
    }
    const begin = entry.header + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    if (begin + entry.size > fileSize) throw new RangeError(`"${entry.name}" lies outside the file`);
    members.set(entry.name, { begin, size: entry.size });
  }
  return members;
}

type Read = (position: number, length: number) => Promise<DataView>;

async function findDirectory(
  read: Read,
  fileSize: number,
): Promise<{ count: number; offset: number; size: number }> {
  // The end record is 22 bytes and a comment of up to 65,535.
  const length = Math.min(fileSize, 22 + 65_535);
  const start = fileSize - length;
  const tail = await read(start, length);
  let at = length - 22;
  while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw new RangeError("the archive's directory is missing; is the file cut short?");
  const plain = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  if (plain.count !== 0xffff && plain.size !== 0xffffffff && plain.offset !== 0xffffffff) return plain;
  if (at < 20 || tail.getUint32(at - 20, true) !== 0x07064b50) return plain;
  const position = safeInteger(tail, at - 20 + 8);
  if (position + 56 > fileSize) throw new RangeError("the archive's large directory is not in the file");
  const record = await read(position, 56);
  if (record.getUint32(0, true) !== 0x06064b50)
    throw new RangeError("the archive's large directory is damaged");
  return { count: safeInteger(record, 32), size: safeInteger(record, 40), offset: safeInteger(record, 48) };
}

function parseEntry(
  directory: DataView,
  at: number,
): { name: string; size: number; header: number; next: number } {
  const need = (bytes: number): void => {
    if (at + bytes > directory.byteLength) throw new RangeError("the archive's directory is damaged");
  };
  need(46);
  if (directory.getUint32(at, true) !== 0x02014b50)
    throw new RangeError("the archive's directory is damaged");
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => directory.getUint16(at + o, true));
  const next = at + 46 + nameLength + extraLength + commentLength;
  need(next - at);
  const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameLength));
  if (directory.getUint16(at + 8, true) & 1) throw new RangeError(`"${name}" is encrypted`);
  if (directory.getUint16(at + 10, true) !== 0) {
    throw new RangeError(`"${name}" is compressed, which PyTorch never does; was the file packed again?`);
  }
  let [stored, size, header] = [20, 24, 42].map((o) => directory.getUint32(at + o, true));
  // Extra fields: what does not fit into 32 bits stands in the one numbered 1, in this order.
  const extraEnd = at + 46 + nameLength + extraLength;
  for (let field = at + 46 + nameLength; field + 4 <= extraEnd;) {
    const length = directory.getUint16(field + 2, true);
    if (directory.getUint16(field, true) === 1) {
      let position = field + 4;
      const large = (value: number): number => {
        if (value !== 0xffffffff) return value;
        if (position + 8 > Math.min(extraEnd, field + 4 + length)) {
          throw new RangeError(`the archive's directory is damaged at "${name}"`);
        }
        position += 8;
        return safeInteger(directory, position - 8);
      };
      [size, stored, header] = [size, stored, header].map(large);
    }
    field += 4 + length;
  }
  if (stored !== size) throw new RangeError(`"${name}" has ${size} bytes of which ${stored} are stored`);
  return { name, size, header, next };
}

function safeInteger(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError("the archive's directory is damaged");
  return Number(value);
}
