/** Files of data sets: listing folders, finding an annotation's image, reading text, doing many things at a time. */
import { isUtf8 } from 'node:buffer';
import fs from 'node:fs/promises';
import path from 'node:path';

/** Formats that `readImage` decodes, by extension. */
export const imageExtensions: readonly string[] = ['.jpg', '.jpeg', '.png'];

export function isImageName(name: string): boolean {
  return imageExtensions.includes(path.extname(name).toLowerCase());
}

/** File name without folder and extension. */
export function stem(file: string): string {
  const base = path.posix.basename(file.replaceAll('\\', '/'));
  return base.slice(0, base.length - path.posix.extname(base).length);
}

/** Names in a folder, hidden ones left out, sorted; `undefined` where there is no such folder. */
export async function listFolder(folder: string): Promise<string[] | undefined> {
  try {
    return (await fs.readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch {
    return undefined;
  }
}

/** What `walk` found. */
export interface FolderTree {
  /** Files as paths relative to the folder, with `/`, sorted. */
  readonly files: readonly string[];
  /** Whether there was more than was looked at. */
  readonly incomplete: boolean;
}

/** All files in a folder and below; hidden ones and links to folders are left out. */
export async function walk(
  folder: string,
  { depth = 8, most = 2_000_000 }: { readonly depth?: number; readonly most?: number } = {},
): Promise<FolderTree> {
  const files: string[] = [];
  let incomplete = false;
  const visit = async (relative: string, left: number): Promise<void> => {
    const entries = await fs.readdir(path.join(folder, relative), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        if (left > 0) await visit(name, left - 1);
        else incomplete = true;
      } else if (files.length < most) files.push(name);
      else incomplete = true;
    }
  };
  await visit('', depth);
  return { files, incomplete };
}

/** Thousands of small files at once exhaust file handles; one after the other waits on the disk. */
export async function forEachLimited<T>(
  items: readonly T[],
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await task(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: 16 }, run));
}

/** Bytes that are no text in the encoding they should be in. */
export class EncodingError extends Error {
  override readonly name: string = 'EncodingError';

  constructor(
    readonly line: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Bytes as text: UTF-16 by its byte order mark, otherwise `encoding`. A mark is taken off.
 * @throws EncodingError with the line when the bytes are not in that encoding, or it has no such name.
 */
export function decodeText(bytes: Uint8Array, encoding = 'utf-8'): string {
  const mark = bytes.length < 2 ? 0 : (bytes[0] << 8) | bytes[1];
  const marked = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : undefined;
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(marked ?? encoding, { fatal: true });
  } catch {
    throw new EncodingError(1, `there is no encoding "${encoding}"`);
  }
  try {
    return decoder.decode(bytes);
  } catch {
    const at = decoder.encoding === 'utf-8' ? firstInvalid(bytes) : 0;
    let line = 1;
    for (let i = 0; i < at; i++) if (bytes[i] === 10) line++;
    const which = decoder.encoding === 'utf-8' ? `byte 0x${bytes[at].toString(16)} is` : 'it is';
    throw new EncodingError(line, `${which} not ${decoder.encoding.toUpperCase()} text; save it as UTF-8`);
  }
}

/** Offset of the first byte that can't be part of UTF-8 text: line by line, then byte by byte. */
function firstInvalid(bytes: Uint8Array): number {
  let from = 0;
  for (;;) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(from, to))) break;
    if (newline < 0) return bytes.length - 1;
    from = to;
  }
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let at = from; at < bytes.length; at++) {
    try {
      decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    } catch {
      return at;
    }
  }
  return bytes.length - 1;
}

/** What a failed file operation means, in plain words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES') return 'it may not be read (permissions)';
  return error.message;
}
