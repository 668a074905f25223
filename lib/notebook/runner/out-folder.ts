/** The folder that results go to: made and tried before an hour of computing, not after it. */
import fs from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../tensor/folders';
import { UsageError } from './select';

/** Creates the folder and writes a file into it. @throws UsageError naming folder, reason and what would help. */
export function prepareOutFolder(folder: string): void {
  const probe = path.join(folder, `.write-test-${process.pid}`);
  try {
    makeFolders(folder);
    // Big enough that a full disk shows itself.
    fs.writeFileSync(probe, Buffer.alloc(64 * 1024, 1));
    fs.rmSync(probe);
  } catch (error) {
    // What was written of it on a full disk.
    if (fs.existsSync(probe)) fs.rmSync(probe, { force: true });
    throw new UsageError(describeWriteError(folder, error));
  }
}

/** Why something could not be written, with what would help. */
export function describeWriteError(target: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOSPC: 'the disk is full. Make room, or name another folder with --out',
    EDQUOT: 'your disk quota is used up. Make room, or name another folder with --out',
    EACCES: 'writing there is not allowed. Name another folder with --out',
    EPERM: 'writing there is not allowed. Name another folder with --out',
    EROFS: 'the file system is read-only. Name another folder with --out',
    ENOENT: 'folders can not be made there. Name another folder with --out',
    ENOTDIR: 'a part of that path is a file. Name another folder with --out',
    EEXIST: 'there is a file of that name. Name another folder with --out',
    EISDIR: 'there is a folder of that name',
  };
  return `${target} can't be written: ${reasons[code ?? ''] ?? message}.`;
}
