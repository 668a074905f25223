/** Whether a disk has room for what is to come. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatSize } from '../../plot/format';

/** Bytes free for this user on the disk of a folder that may not exist yet; `undefined` where that can't be told. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize, blocks } = await fs.statfs(folder);
    // Some network and virtual file systems report nothing at all.
    return blocks === 0 ? undefined : bavail * bsize;
  } catch (error) {
    const above = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) return undefined;
    return freeBytes(above);
  }
}

/** Left free beside what is asked for: file systems need some, and so do others. */
const reserve = 100_000_000;

/** @throws Error that names both numbers and the ways out, where the disk has too little. */
export function checkSpace(folder: string, needed: number, free: number | undefined): void {
  if (free === undefined || needed === 0 || needed + reserve <= free) return;
  throw new Error(
    `${formatSize(needed + reserve)} are needed on the disk of ${folder}, ${formatSize(free)} are free. ` +
      'Make room, choose a folder on another disk with --to, or fewer splits with --splits.',
  );
}
