/** Paths as a person wants to read them. */
import path from 'node:path';

/** Relative to the current folder, where the file lies in it; else as it is. */
export function shortPath(file: string): string {
  const short = path.relative(process.cwd(), file) || '.';
  return short.startsWith('..') ? file : short;
}
