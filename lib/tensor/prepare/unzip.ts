/** Takes single files out of a zip archive (a Python wheel is one), streaming: no program and no package is needed for it. */
import fs from 'node:fs';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';

/** One file of an archive. */
export interface ZipEntry {
  name: string;
  /** 0: stored, 8: deflated. */
  method: number;
  crc32: number;
  compressedSize: number;
  size: number;
  /** Where its local header starts. */
  offset: number;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const end64LocatorSignature = 0x07064b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;

/** Reads an archive's table of contents. @throws where the file is no zip archive or is cut off. */
export function zipEntries(file: string): ZipEntry[] {
  const descriptor = fs.openSync(file, 'r');
  try {
    const length = fs.fstatSync(descriptor).size;
    const read = (position: number, count: number): Buffer => {
      const buffer = Buffer.alloc(count);
      if (position < 0 || fs.readSync(descriptor, buffer, 0, count, position) !== count) {
        throw new Error(`${file} is not a whole zip archive (${length} bytes): it ends too early`);
      }
      return buffer;
    };
    // The end record is the last thing in the file, before a comment of at most 65535 bytes.
    const tailLength = Math.min(length, 22 + 65535);
    const tail = read(length - tailLength, tailLength);
    let at = tail.length - 22;
    while (at >= 0 && tail.readUInt32LE(at) !== endSignature) at--;
    if (at < 0) throw new Error(`${file} is not a zip archive, or is cut off: it has no end record`);
    let count = tail.readUInt16LE(at + 10);
    let size = tail.readUInt32LE(at + 12);
    let offset = tail.readUInt32LE(at + 16);
    if (at >= 20 && tail.readUInt32LE(at - 20) === end64LocatorSignature) {
      const end64 = read(Number(tail.readBigUInt64LE(at - 20 + 8)), 56);
      if (end64.readUInt32LE(0) !== end64Signature)
        throw new Error(`${file}: its zip64 end record is damaged`);
      count = Number(end64.readBigUInt64LE(32));
      size = Number(end64.readBigUInt64LE(40));
      offset = Number(end64.readBigUInt64LE(48));
    }
    return parseEntries(read(offset, size), count, file);
  } finally {
    fs.closeSync(descriptor);
  }
}

function parseEntries(table: Buffer, count: number, file: string): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > table.length || table.readUInt32LE(at) !== entrySignature) {
      throw new Error(`${file}: entry ${i} of its table of contents is damaged`);
    }
    const nameLength = table.readUInt16LE(at + 28);
    const extraLength = table.readUInt16LE(at + 30);
    const entry: ZipEntry = {
      name: table.toString('utf8', at + 46, at + 46 + nameLength),
      method: table.readUInt16LE(at + 10),
      crc32: table.readUInt32LE(at + 16),
      compressedSize: table.readUInt32LE(at + 20),
      size: table.readUInt32LE(at + 24),
      offset: table.readUInt32LE(at + 42),
    };
    const extra = table.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    applyZip64(entry, extra);
    entries.push(entry);
    at += 46 + nameLength + extraLength + table.readUInt16LE(at + 32);
  }
  return entries;
}

/** Values over 4 GB stand in an extra field, in this order, only those whose 32 bits are all set. */
function applyZip64(entry: ZipEntry, extra: Buffer): void {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let next = at + 4;
    for (const key of ['size', 'compressedSize', 'offset'] as const) {
      if (entry[key] !== 0xffffffff) continue;
      entry[key] = Number(extra.readBigUInt64LE(next));
      next += 8;
    }
  }
}

/**
 * Writes the archive's files whose names start with one of `prefixes` below `target`, each checked by size and CRC-32.
 * @param onProgress told the bytes written so far.
 * @returns the names written. @throws on a damaged file, naming it.
 */
export async function unzip(
  file: string,
  target: string,
  prefixes: readonly string[],
  onProgress?: (bytes: number) => void,
): Promise<string[]> {
  const wanted = zipEntries(file).filter(
    (entry) => !entry.name.endsWith('/') && prefixes.some((prefix) => entry.name.startsWith(prefix)),
  );
  let total = 0;
  for (const entry of wanted) {
    const out = path.resolve(target, entry.name);
    if (!out.startsWith(path.resolve(target) + path.sep)) {
      throw new Error(`${file}: the entry ${entry.name} would be written outside ${target}`);
    }
    fs.mkdirSync(path.dirname(out), { recursive: true });
    await writeEntry(file, entry, out, (bytes) => onProgress?.((total += bytes)));
  }
  return wanted.map((entry) => entry.name);
}

async function writeEntry(
  file: string,
  entry: ZipEntry,
  out: string,
  onBytes: (count: number) => void,
): Promise<void> {
  const header = Buffer.alloc(30);
  const descriptor = fs.openSync(file, 'r');
  try {
    fs.readSync(descriptor, header, 0, 30, entry.offset);
  } finally {
    fs.closeSync(descriptor);
  }
  if (header.readUInt32LE(0) !== localSignature)
    throw new Error(`${file}: the header of ${entry.name} is damaged`);
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (entry.compressedSize === 0) {
    fs.writeFileSync(out, '');
    return;
  }
  let crc = 0;
  let size = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      crc = zlib.crc32(chunk, crc);
      size += chunk.length;
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  const source = fs.createReadStream(file, { start, end: start + entry.compressedSize - 1 });
  const sink = fs.createWriteStream(out);
  if (entry.method === 8) await pipeline(source, zlib.createInflateRaw({ chunkSize: 1 << 18 }), check, sink);
  else if (entry.method === 0) await pipeline(source, check, sink);
  else
    throw new Error(`${file}: ${entry.name} is compressed by method ${entry.method}, which is not supported`);
  if (size !== entry.size || crc !== entry.crc32) {
    throw new Error(
      `${file}: ${entry.name} is damaged (${size} bytes, checksum ${crc}; expected ${entry.size}, ${entry.crc32})`,
    );
  }
}
