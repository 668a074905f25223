/** Where what DetNAS's runs share is kept: each under the hash of all that it hangs on. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { makeFolders } from '../../tensor/folders';
import { interruptSignal } from '../../tensor/interrupt';
import { sortedJson } from '../../tensor/plain-json';
import { FolderTakenError } from '../../train/run-lock';
import type { DetNasRecipe } from './recipes';

/** Part of the names: raise it when the code begins to compute something else from the same recipe. */
const version = 1;

/** Parts of a recipe that neither a supernet's training nor that of a network on its own hangs on. */
const without = ['expect', 'limit', 'evolution', 'recalibration', 'ranked'] as const;

/** What a kept thing hangs on, as plain JSON. */
export interface CachedFacts {
  /** All parts but those that nothing kept hangs on, and `omit`. */
  readonly recipe: DetNasRecipe;
  readonly seed: number;
  readonly [name: string]: unknown;
}

/**
 * Its file, in a folder that is made.
 * @param omit parts of the recipe that this kind of thing does not hang on
 * @param cache default: `detnas` in the cache directory
 */
export function cachedFile(
  kind: string,
  { recipe, ...facts }: CachedFacts,
  omit: readonly (keyof DetNasRecipe)[],
  extension: string,
  cache: string = path.join(cacheDirectory(), 'detnas'),
): string {
  makeFolders(cache);
  const left = new Set<string>([...without, ...omit]);
  const fixed = Object.fromEntries(Object.entries(recipe).filter(([part]) => !left.has(part)));
  const hash = createHash('sha256')
    .update(sortedJson({ version, recipe: fixed, ...facts }))
    .digest('hex');
  return path.join(cache, `${kind}-${facts.seed}-${hash.slice(0, 16)}.${extension}`);
}

/** How often a run looks whether another one has made what it waits for, milliseconds. */
const waitMs = 2000;

/**
 * Has a kept file made, unless it is there: by one run, while others that want it wait.
 * @param make writes the file; it trains in the folder that it is given, which goes afterwards. A training that was broken off goes on there.
 */
export async function makeOnce(file: string, make: (work: string) => Promise<void>): Promise<void> {
  const work = `${file}.training`;
  while (!(await exists(file))) {
    try {
      await make(work);
      await fs.rm(work, { recursive: true, force: true });
    } catch (error) {
      if (!(error instanceof FolderTakenError)) throw error;
      interruptSignal()?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
