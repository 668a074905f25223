/** Making folders. */
import fs from 'node:fs';
import path from 'node:path';

/**
 * Makes a folder and those above it; one that is there is fine. One level at a time: Node's own recursive way never returns
 * where a file system denies that the parent exists (/proc).
 */
export function makeFolders(folder: string): void {
  if (fs.existsSync(folder)) return;
  makeFolders(path.dirname(folder));
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    // Another process may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
