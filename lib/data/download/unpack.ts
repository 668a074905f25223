/** Unpacks archives from strangers into a folder, and nowhere else. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatSize } from '../../plot/format';
import { ArchiveError, type ArchiveEntry } from './entries';
import { tarEntries } from './tar';
import { zipEntries } from './zip';

/** What may be unpacked, and how much of it. */
export interface UnpackOptions {
  /** Bytes that the archive may become. */
  readonly mostBytes: number;
  /** Entries that the archive may have. Default 1 million. */
  readonly mostEntries?: number;
  /**
   * How many times its own size the archive may become, where that is more than 50 MB. Default 100: pictures hardly shrink, text
   * shrinks to a fifth, bombs grow a thousandfold.
   */
  readonly mostRatio?: number;
  /** Whether a file is wanted, by its path within the archive (with `/`). Default: every one. */
  readonly wanted?: (name: string) => boolean;
  readonly signal?: AbortSignal;
  /** Told bytes written so far, a few times a second. */
  readonly onProgress?: (done: number) => void;
}

/** What was unpacked. */
export interface Unpacked {
  readonly files: number;
  readonly bytes: number;
}

/** Below this size no archive counts as a bomb. */
const harmless = 50_000_000;

/**
 * Unpacks a tar (also compressed by gzip) or zip file, whatever its name, into a folder that does not exist yet, or is empty. Names
 * that lead out of it (absolute, with `..`, drives or backslashes), links, devices, names that come twice or differ in case alone,
 * encrypted or overlapping entries, and more bytes than promised or allowed are refused before they are written. After an
 * error the folder is not to be used.
 * @throws ArchiveError with the archive's name and the entry's; an Error where the disk is full; what aborted the signal.
 */
export async function unpack(archive: string, folder: string, options: UnpackOptions): Promise<Unpacked> {
  const { mostEntries = 1_000_000, mostRatio = 100, wanted = () => true, signal, onProgress } = options;
  const { size: packed } = await fs.stat(archive);
  const mostBytes = Math.min(options.mostBytes, Math.max(harmless, packed * mostRatio));
  const limits = { mostBytes, mostEntries };
  const entries = (await isZip(archive)) ? zipEntries(archive, limits) : tarEntries(archive, limits);
  await fs.mkdir(folder, { recursive: true });
  if ((await fs.readdir(folder)).length > 0)
    throw new Error(`${folder} is not empty: nothing is unpacked into it.`);
  const names = new UniqueNames();
  let [bytes, files, told] = [0, 0, Date.now()];
  for await (const entry of entries) {
    signal?.throwIfAborted();
    const where = `${archive}: the entry ${JSON.stringify(entry.name.slice(0, 200))}`;
    const parts = safeParts(entry.name, where);
    if (entry.type === 'link') throw new ArchiveError(`${where} is a link; data sets have none`);
    if (entry.type === 'other') throw new ArchiveError(`${where} is neither a file nor a folder`);
    if (entry.type === 'folder' || parts.length === 0 || !wanted(parts.join('/'))) continue;
    if (bytes + entry.size > mostBytes) {
      throw new ArchiveError(`${archive} unpacks to more than ${formatSize(mostBytes)}, which it should not`);
    }
    const isNew = names.add(parts, where);
    const out = path.join(folder, ...parts);
    try {
      if (isNew) await fs.mkdir(path.dirname(out), { recursive: true });
      await writeEntry(entry, out, where, (written) => {
        signal?.throwIfAborted();
        bytes += written;
        if (Date.now() - told < 200) return;
        told = Date.now();
        onProgress?.(bytes);
      });
    } catch (error) {
      throw explained(error, where, folder);
    }
    files++;
  }
  onProgress?.(bytes);
  return { files, bytes };
}

async function isZip(file: string): Promise<boolean> {
  const handle = await fs.open(file, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    // An entry, or the end of an empty archive; tar's first bytes are a name.
    return ['PK\x03\x04', 'PK\x05\x06'].includes(buffer.toString('latin1')) || /\.zip$/i.test(file);
  } finally {
    await handle.close();
  }
}

/** Characters that end a name or hide in it. */
const control = /[\u0000-\u001f\u007f]/;

/** Windows opens devices by these names, whatever the folder and extension. */
const devices = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** The names of folders and file below the folder that an entry's name means. @throws ArchiveError where it means anything else. */
function safeParts(name: string, where: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  const bad =
    (name.startsWith('/') && 'begins at the root') ||
    (/^[a-z]:/i.test(name) && 'names a drive') ||
    (name.includes('\\') && 'holds a backslash') ||
    (control.test(name) && 'holds a control character') ||
    (parts.includes('..') && 'leads out of the folder') ||
    ((name.length > 4000 || parts.length > 50 || parts.some((part) => Buffer.byteLength(part) > 255)) &&
      'is too long') ||
    (process.platform === 'win32' &&
      parts.some((part) => devices.test(part) || /[. ]$|[<>:"|?*]/.test(part)) &&
      'is no file name');
  if (bad) throw new ArchiveError(`${where} ${bad}; nothing of the kind is unpacked`);
  return parts;
}

/** Sees to it that no name comes twice, also where a disk takes `A` for `a`, or one way of writing `ä` for another. */
class UniqueNames {
  private readonly files = new Set<string>();
  /** How a folder is written, by what disks may take it for. */
  private readonly folders = new Map<string, string>();

  /** @returns whether the file's folder is new. @throws ArchiveError where the name is taken. */
  add(parts: readonly string[], where: string): boolean {
    const name = parts.join('/');
    const key = name.normalize('NFC').toLowerCase();
    if (this.files.has(key)) throw new ArchiveError(`${where} comes twice, or another of the same letters`);
    if (this.folders.has(key)) throw new ArchiveError(`${where} has the name of a folder`);
    this.files.add(key);
    const folder = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    if (folder === '' || this.folders.get(folder.normalize('NFC').toLowerCase()) === folder) return false;
    for (let end = folder.indexOf('/'); ; end = folder.indexOf('/', end + 1)) {
      const above = end < 0 ? folder : folder.slice(0, end);
      const aboveKey = above.normalize('NFC').toLowerCase();
      const written = this.folders.get(aboveKey) ?? above;
      if (this.files.has(aboveKey)) throw new ArchiveError(`${where} has a file for a folder`);
      if (written !== above)
        throw new ArchiveError(`${where} is in a folder that differs from "${written}" in case alone`);
      this.folders.set(aboveKey, above);
      if (end < 0) return true;
    }
  }
}

async function writeEntry(
  entry: ArchiveEntry,
  out: string,
  where: string,
  onBytes: (count: number) => void,
): Promise<void> {
  // Never through a link, never over a file.
  const handle = await fs.open(out, 'wx');
  try {
    let done = 0;
    for await (const chunk of entry.content()) {
      if (done + chunk.length > entry.size) throw new ArchiveError(`${where} holds more than it promises`);
      for (let at = 0; at < chunk.length;)
        at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
      done += chunk.length;
      onBytes(chunk.length);
    }
  } finally {
    await handle.close();
  }
}

/** The disk's errors in plain words. */
function explained(error: unknown, where: string, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Error(`The disk of ${folder} is full.`, { cause: error });
  if (code === 'EEXIST' || code === 'ENOTDIR' || code === 'EISDIR')
    return new ArchiveError(`${where} comes twice`, { cause: error });
  if (code === 'ENAMETOOLONG') return new ArchiveError(`${where} is too long`, { cause: error });
  return error;
}
