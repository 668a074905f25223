/** The project's folders as TypeScript writes paths. */
import path from 'node:path';
import { projectRoot } from '../../tensor/packages';

/** A path as TypeScript writes it, on Windows too. */
export function slashes(file: string): string {
  return file.replace(/\\/g, '/');
}

/** Where the library's sources lie, and where their compiled form does; both end with a slash. */
export const libFolder: string = slashes(path.join(projectRoot, 'lib')) + '/';
export const distFolder: string = slashes(path.join(projectRoot, 'dist')) + '/';

/** The compiled file that stands for a source of the library; `undefined` for any other file. */
export function compiledPlace(source: string, extension: '.js' | '.d.ts'): string | undefined {
  const file = slashes(source);
  if (!file.startsWith(libFolder) || !/\.(ts|js)$/.test(file) || file.endsWith('.d.ts')) return undefined;
  return distFolder + file.slice(libFolder.length).replace(/\.(ts|js)$/, extension);
}
