/**
 * Reads zip archives from strangers: every size is checked, entries may not lie over each other, and none may yield more than it
 * promises. (`lib/tensor/prepare/unzip.ts` takes single files out of Python wheels.)
 */
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import zlib from 'node:zlib';
import { ArchiveError, type ArchiveEntry, type ArchiveLimits } from './entries';

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locatorSignature = 0x07064b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;

const chunkBytes = 1 << 20;

/** Bytes of an entry in the table of contents: more is nobody's data set. */
const mostPerEntry = 512;

interface ZipEntry {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly type: ArchiveEntry['type'];
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

/**
 * The entries of an archive, in the order of their bytes. Its table of contents says what they are, as far as their own headers agree.
 * @throws ArchiveError where it is damaged, encrypted or deceitful.
 */
export async function* zipEntries(
  file: string,
  limits: ArchiveLimits,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const handle = await fs.open(file, 'r');
  try {
    const { entries, tableStart } = await readTable(file, handle, limits);
    entries.sort((a, b) => a.offset - b.offset);
    let free = 0;
    for (const entry of entries) {
      const { name, offset, packed } = entry;
      const header = await readAt(file, handle, offset, 30);
      if (header.readUInt32LE(0) !== localSignature)
        throw new ArchiveError(`${file}: the header of ${shown(name)} is damaged`);
      const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
      if (!(await readAt(file, handle, offset + 30, header.readUInt16LE(26))).equals(entry.nameBytes)) {
        throw new ArchiveError(`${file}: ${shown(name)} has another name in its own header`);
      }
      // Entries that share bytes are how a small archive becomes endless.
      if (offset < free || start + packed > tableStart) {
        throw new ArchiveError(
          `${file}: the bytes of ${shown(name)} overlap with other parts of the archive`,
        );
      }
      free = start + packed;
      if (entry.flags & 1) throw new ArchiveError(`${file}: ${shown(name)} is encrypted`);
      if (entry.method !== 0 && entry.method !== 8) {
        throw new ArchiveError(
          `${file}: ${shown(name)} is compressed by method ${entry.method}, which is not supported`,
        );
      }
      yield {
        name,
        type: entry.type,
        size: entry.size,
        content: () => contentOf(file, handle, entry, start),
      };
    }
  } finally {
    await handle.close();
  }
}

/** The content as it is promised: so many bytes with that checksum. */
async function* contentOf(
  file: string,
  handle: fs.FileHandle,
  entry: ZipEntry,
  start: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { name, size, packed } = entry;
  let crc = 0;
  let done = 0;
  try {
    for await (const chunk of unpacked(file, handle, entry, start)) {
      done += chunk.length;
      if (done > size) break;
      crc = zlib.crc32(chunk, crc);
      yield chunk;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    throw new ArchiveError(`${file}: ${shown(name)} is damaged (${(error as Error).message})`, {
      cause: error,
    });
  }
  if (done > size)
    throw new ArchiveError(`${file}: ${shown(name)} holds more than the ${size} bytes that it promises`);
  if (done !== size || crc !== entry.crc) {
    const reason = done === size ? 'its checksum is another' : `${done} bytes of ${size}, from ${packed}`;
    throw new ArchiveError(`${file}: ${shown(name)} is damaged (${reason})`);
  }
}

/** The bytes of an entry: stored ones as they lie there, small ones at once, large ones as a stream. */
async function* unpacked(
  file: string,
  handle: fs.FileHandle,
  { method, packed, size }: ZipEntry,
  start: number,
): AsyncGenerator<Buffer, void, undefined> {
  if (method === 0) {
    for (let at = 0; at < packed; at += chunkBytes)
      yield await readAt(file, handle, start + at, Math.min(chunkBytes, packed - at));
    return;
  }
  if (packed <= chunkBytes && size <= 16 * chunkBytes) {
    const bytes = await readAt(file, handle, start, packed);
    try {
      yield zlib.inflateRawSync(bytes, { maxOutputLength: size + 1 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
      yield Buffer.alloc(size + 1); // more than was promised, whatever it is
    }
    return;
  }
  const source = createReadStream(file, { start, end: start + packed - 1, highWaterMark: chunkBytes });
  const inflate = zlib.createInflateRaw({ chunkSize: 1 << 18 });
  source.on('error', (error) => inflate.destroy(error));
  try {
    yield* source.pipe(inflate) as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
    inflate.destroy();
  }
}

/** The table of contents, which stands at the end. */
async function readTable(
  file: string,
  handle: fs.FileHandle,
  { mostEntries }: ArchiveLimits,
): Promise<{ entries: ZipEntry[]; tableStart: number }> {
  const { size: total } = await handle.stat();
  const tailLength = Math.min(total, 22 + 65535);
  const tail = await readAt(file, handle, total - tailLength, tailLength);
  // A comment of known length follows; it may hold the signature, too.
  let at = tail.length - 22;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === endSignature && at + 22 + tail.readUInt16LE(at + 20) === tail.length)
  )
    at--;
  if (at < 0) {
    if (/^\s*<(!doctype|html|\?xml)/i.test((await readAt(file, handle, 0, Math.min(total, 100))).toString()))
      throw new ArchiveError(`${file} is a web page, no archive`);
    throw new ArchiveError(`${file} is no zip archive, or is cut short: it has no end record`);
  }
  let count = tail.readUInt16LE(at + 10);
  let length = tail.readUInt32LE(at + 12);
  let start = tail.readUInt32LE(at + 16);
  let disk = tail.readUInt16LE(at + 4) % 0xffff;
  let modulus = 1 << 16;
  if (at >= 20 && tail.readUInt32LE(at - 20) === locatorSignature) {
    const end64 = await readAt(file, handle, Number(tail.readBigUInt64LE(at - 12)), 56);
    if (end64.readUInt32LE(0) !== end64Signature)
      throw new ArchiveError(`${file}: its end record is damaged`);
    disk = end64.readUInt32LE(16);
    count = Number(end64.readBigUInt64LE(32));
    length = Number(end64.readBigUInt64LE(40));
    start = Number(end64.readBigUInt64LE(48));
    modulus = Infinity;
  }
  if (disk !== 0) throw new ArchiveError(`${file} is one of several parts, which is not supported`);
  if (start + length > total) throw new ArchiveError(`${file}: its table of contents is damaged`);
  if (count > mostEntries || length > mostEntries * mostPerEntry)
    throw new ArchiveError(`${file} has more than ${mostEntries} entries`);
  const entries = parseTable(file, await readAt(file, handle, start, length), mostEntries);
  // Old programs count to 65,535 and start again.
  if (entries.length % modulus !== count)
    throw new ArchiveError(`${file} has ${entries.length} entries and claims ${count}`);
  return { entries, tableStart: start };
}

function parseTable(file: string, table: Buffer, mostEntries: number): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at < table.length;) {
    if (entries.length === mostEntries)
      throw new ArchiveError(`${file} has more than ${mostEntries} entries`);
    const damaged = at + 46 > table.length || table.readUInt32LE(at) !== entrySignature;
    const nameLength = damaged ? 0 : table.readUInt16LE(at + 28);
    const extraLength = damaged ? 0 : table.readUInt16LE(at + 30);
    const next = damaged ? Infinity : at + 46 + nameLength + extraLength + table.readUInt16LE(at + 32);
    if (next > table.length)
      throw new ArchiveError(`${file}: entry ${entries.length} of its table of contents is damaged`);
    const nameBytes = table.subarray(at + 46, at + 46 + nameLength);
    const name = nameBytes.toString(isUtf8(nameBytes) ? 'utf8' : 'latin1');
    const sizes = {
      size: table.readUInt32LE(at + 24),
      packed: table.readUInt32LE(at + 20),
      offset: table.readUInt32LE(at + 42),
    };
    applyZip64(sizes, table.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
    // 3: Unix, 19: macOS.
    const unix = [3, 19].includes(table[at + 5]) ? table.readUInt16LE(at + 40) & 0o170000 : 0;
    entries.push({
      name,
      nameBytes,
      type: typeOf(unix, name),
      flags: table.readUInt16LE(at + 8),
      method: table.readUInt16LE(at + 10),
      crc: table.readUInt32LE(at + 16),
      ...sizes,
    });
    at = next;
  }
  return entries;
}

function typeOf(unix: number, name: string): ArchiveEntry['type'] {
  if (unix === 0o120000) return 'link';
  if (unix === 0o040000 || name.endsWith('/')) return 'folder';
  return unix === 0 || unix === 0o100000 ? 'file' : 'other';
}

/** Values over 4 GB stand in an extra field, in this order, only those whose 32 bits are all set. */
function applyZip64(sizes: { size: number; packed: number; offset: number }, extra: Buffer): void {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let next = at + 4;
    for (const key of ['size', 'packed', 'offset'] as const) {
      if (sizes[key] !== 0xffffffff || next + 8 > extra.length) continue;
      sizes[key] = Number(extra.readBigUInt64LE(next));
      next += 8;
    }
  }
}

async function readAt(
  file: string,
  handle: fs.FileHandle,
  position: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = length > 0 ? await handle.read(buffer, 0, length, position) : { bytesRead: 0 };
  if (bytesRead < length) throw new ArchiveError(`${file} is no whole zip archive: it ends too early`);
  return buffer;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
