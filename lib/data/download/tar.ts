/** Reads tar archives (ustar, GNU's and POSIX's extensions), plain or compressed by gzip, one entry after the other. */
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import zlib from 'node:zlib';
import { formatSize } from '../../plot/format';
import { ByteReader } from './byte-reader';
import { ArchiveError, type ArchiveEntry, type ArchiveLimits } from './entries';

const block = 512;
const chunkBytes = 1 << 20;
/** Long names and POSIX's extra fields are no longer than this. */
const mostExtra = 1 << 20;
/** Padding after the end of an archive; tapes had blocks of some kilobytes. */
const mostPadding = 1 << 24;

/**
 * The entries of an archive, in order.
 * @throws ArchiveError where it is damaged or cut short, also between two entries: an archive ends with a mark.
 */
export async function* tarEntries(
  file: string,
  limits: ArchiveLimits,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const source = createReadStream(file, { highWaterMark: chunkBytes });
  const gunzip = (await isGzip(file)) ? zlib.createGunzip({ chunkSize: 1 << 18 }) : undefined;
  if (gunzip) source.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  try {
    yield* readEntries(file, new ByteReader(unpacked(file, gunzip ?? source)), limits);
  } finally {
    source.destroy();
    gunzip?.destroy();
  }
}

async function* unpacked(
  file: string,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* bytes;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw new ArchiveError(`${file} is cut short or damaged (${(error as Error).message})`, { cause: error });
  }
}

async function* readEntries(
  file: string,
  reader: ByteReader,
  { mostBytes, mostEntries }: ArchiveLimits,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const cut = (): ArchiveError =>
    new ArchiveError(`${file} is cut short: it ends at byte ${reader.position}, within an entry`);
  let longName: string | undefined;
  let extra: ReadonlyMap<string, string> = new Map();
  let total = 0;
  for (let count = 0; ; count++) {
    if (count > mostEntries) throw new ArchiveError(`${file} has more than ${mostEntries} entries`);
    const at = reader.position;
    const header = await reader.exactly(block);
    if (header.length === 0) throw new ArchiveError(`${file} is cut short: the mark at its end is missing`);
    if (header.length < block) throw notTar(file, header, at, cut());
    // An empty block ends an archive, two by the letter; what follows is padding.
    if (header.every((byte) => byte === 0)) break;
    if (!sumIsRight(header)) throw notTar(file, header, at);
    const type = String.fromCharCode(header[156] || 48);
    const ownSize = numberAt(file, header, 124, 12);
    const size = type !== 'x' && extra.has('size') ? Number(extra.get('size')) : ownSize;
    if (!Number.isSafeInteger(size) || size < 0)
      throw new ArchiveError(`${file}: an entry's size is no number`);
    const padding = Math.ceil(size / block) * block - size;
    if ('LKxg'.includes(type)) {
      if (size > mostExtra) throw new ArchiveError(`${file}: a name or header of ${size} bytes`);
      const bytes = await reader.exactly(size);
      if (bytes.length < size || !(await reader.skip(padding))) throw cut();
      if (type === 'L') longName = bytes.toString('utf8').replace(/\0.*$/s, '');
      if (type === 'x') extra = parseExtra(file, bytes);
      continue; // K is a link's long target, g speaks of all entries: neither is needed
    }
    // What is passed over has to be unpacked, too.
    total += size;
    if (total > mostBytes)
      throw new ArchiveError(`${file} unpacks to more than ${formatSize(mostBytes)}, which it should not`);
    const name = extra.get('path') ?? longName ?? headerName(header);
    const sparse = [...extra.keys()].some((key) => key.startsWith('GNU.sparse'));
    longName = undefined;
    extra = new Map();
    let left = size;
    yield {
      name,
      type: sparse ? 'other' : typeOf(type, name),
      size,
      async *content() {
        while (left > 0) {
          const part = await reader.some(Math.min(left, chunkBytes));
          if (part === undefined) throw cut();
          left -= part.length;
          yield part;
        }
      },
    };
    if (!(await reader.skip(left + padding))) throw cut();
  }
  // To the very end: gzip's checksum stands there.
  const end = reader.position;
  while ((await reader.some(chunkBytes)) !== undefined) {
    if (reader.position - end > mostPadding) throw new ArchiveError(`${file} goes on after its end`);
  }
}

/** What is wrong with bytes that are no header. */
function notTar(file: string, header: Buffer, at: number, otherwise?: ArchiveError): ArchiveError {
  if (at > 0)
    return otherwise ?? new ArchiveError(`${file} is no tar archive, or is damaged (at byte ${at})`);
  if (/^\s*<(!doctype|html|\?xml)/i.test(header.toString('latin1')))
    return new ArchiveError(`${file} is a web page, no archive`);
  return new ArchiveError(`${file} is no tar archive, or is damaged (at byte 0)`);
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await fs.open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

function typeOf(type: string, name: string): ArchiveEntry['type'] {
  if (type === '5') return 'folder';
  if (type === '1' || type === '2') return 'link';
  // Old archives mark folders by their names alone.
  if (type === '0' || type === '7') return name.endsWith('/') ? 'folder' : 'file';
  return 'other';
}

/** The sum of a header's bytes, its own field counted as spaces, tells a header from anything else. */
function sumIsRight(header: Buffer): boolean {
  let sum = 0;
  let signed = 0;
  for (let i = 0; i < block; i++) {
    const byte = i >= 148 && i < 156 ? 32 : header[i];
    sum += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stored = parseNumber(header, 148, 8);
  return stored === sum || stored === signed;
}

function numberAt(file: string, header: Buffer, at: number, length: number): number {
  const value = parseNumber(header, at, length);
  if (value === undefined) throw new ArchiveError(`${file} is damaged: a header holds no number`);
  return value;
}

/** Octal digits, or, for what they can't hold, 256-based after a byte of 0x80. */
function parseNumber(header: Buffer, at: number, length: number): number | undefined {
  if (header[at] === 0x80) {
    let value = 0;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + header[i];
    return value;
  }
  const text = header
    .toString('latin1', at, at + length)
    .replace(/\0.*$/s, '')
    .trim();
  if (!/^[0-7]*$/.test(text)) return undefined;
  return text === '' ? 0 : parseInt(text, 8);
}

/** The name, after the prefix of the ustar format; GNU's has other things in that place. */
function headerName(header: Buffer): string {
  const text = (at: number, length: number): string =>
    header.toString('utf8', at, at + length).replace(/\0.*$/s, '');
  const prefix = header.toString('latin1', 257, 262) === 'ustar' && header[263] !== 32 ? text(345, 155) : '';
  return prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
}

/** POSIX's records: `length key=value\n`, the length in bytes with itself. */
function parseExtra(file: string, bytes: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(32, at);
    const length = Number(bytes.toString('latin1', at, space));
    const record = bytes.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (space < 0 || !Number.isInteger(length) || length < 5 || at + length > bytes.length || equals < 1) {
      throw new ArchiveError(`${file}: an entry's extra header is damaged`);
    }
    fields.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return fields;
}
