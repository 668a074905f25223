/** Finds the images that annotations name, in folders that are listed once. */
import fs from 'node:fs';
import path from 'node:path';
import { imageExtensions } from './files';

/** Finds images by the names that annotation files give them. */
export interface ImageFinder {
  /**
   * The file of that name: below one of the folders (as written, then by its last part alone, case and extension as a last
   * resort), never outside of them.
   */
  find(name: string): { readonly path: string } | { readonly missing: string };
}

/** A finder over these folders, the likeliest first; folders that do not exist hold nothing. */
export function createImageFinder(folders: readonly string[]): ImageFinder {
  const places = [...new Set(folders.map((folder) => path.resolve(folder)))];
  /** Names in a folder: as they are, and by lower case. */
  const listings = new Map<string, ReadonlyMap<string, string>>();
  const listing = (folder: string): ReadonlyMap<string, string> => {
    let names = listings.get(folder);
    if (names === undefined) {
      const made = new Map<string, string>();
      try {
        for (const name of fs.readdirSync(folder)) {
          made.set(name, name);
          if (!made.has(name.toLowerCase())) made.set(name.toLowerCase(), name);
        }
      } catch {
        // no such folder: it holds nothing
      }
      names = made;
      listings.set(folder, names);
    }
    return names;
  };
  const lookUp = (folder: string, name: string): string | undefined => {
    const names = listing(folder);
    const variants = path.extname(name) === '' ? imageExtensions.map((extension) => name + extension) : [];
    for (const one of [name, name.toLowerCase(), ...variants, ...variants.map((v) => v.toLowerCase())]) {
      const found = names.get(one);
      if (found !== undefined) return path.join(folder, found);
    }
    return undefined;
  };
  return {
    find(name) {
      const parts = name
        .replaceAll('\\', '/')
        .split('/')
        .filter((part) => part !== '' && part !== '.');
      const base = parts.at(-1) ?? '';
      // A path of another machine, or one that leads out: only its last part counts.
      const inside = !path.isAbsolute(name) && !/^[a-z]:/i.test(name) && !parts.includes('..');
      const below = inside ? parts.slice(0, -1).join(path.sep) : '';
      if (base !== '' && base !== '..') {
        for (const relative of new Set([below, ''])) {
          for (const place of places) {
            const found = lookUp(path.join(place, relative), base);
            if (found !== undefined) return { path: found };
          }
        }
      }
      const searched = places.slice(0, 4).join(', ') + (places.length > 4 ? ', ...' : '');
      return { missing: `no image "${name}" in ${searched}` };
    },
  };
}
