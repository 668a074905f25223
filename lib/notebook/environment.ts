/** What a notebook is told about how it is run: its scale, the user's data, whether somebody is watching. */
import fs from 'node:fs';
import path from 'node:path';
import type { Profile } from '../papers/profile';
import { nearest } from '../tensor/nearest';

/** The profiles, from the smallest. */
export const profiles: readonly Profile[] = ['quick', 'default', 'paper'];

export interface NotebookEnvironment {
  profile: Profile;
  /** The user's own data set, an absolute path (`--data`, `DETLAB_DATA`). */
  data?: string;
  /** Run by the runner, without anybody to press keys. */
  headless: boolean;
}

/** The profile that a text names. @throws naming the valid ones and the nearest. */
export function parseProfile(text: string, origin: string): Profile {
  const found = profiles.find((profile) => profile === text.trim().toLowerCase());
  if (found) return found;
  const near = nearest(text, profiles);
  throw new Error(
    `${origin}: there is no profile '${text}'. Valid: ${profiles.join(', ')}.${near ? ` Did you mean '${near}'?` : ''}`,
  );
}

/** The absolute path of a data folder. @throws where it is not a folder that can be read. */
export function parseDataFolder(text: string, origin: string): string {
  const folder = path.resolve(text);
  let reason: string | undefined;
  try {
    if (!fs.statSync(folder).isDirectory()) reason = 'it is not a folder';
    else fs.readdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    reason =
      code === 'ENOENT'
        ? 'it does not exist'
        : code === 'EACCES'
          ? 'it must not be read'
          : (error as Error).message;
  }
  if (reason === undefined) return folder;
  throw new Error(
    `${origin}: ${folder} can't be used as data: ${reason}. Give a folder of annotated images.`,
  );
}

/**
 * Reads `DETLAB_PROFILE`, `DETLAB_DATA` and `DETLAB_HEADLESS`. Without them: the default profile, the shipped data.
 * @throws on a profile or folder that does not exist, naming the nearest valid one.
 */
export function notebookEnvironment(env: NodeJS.ProcessEnv = process.env): NotebookEnvironment {
  const profile = env.DETLAB_PROFILE ? parseProfile(env.DETLAB_PROFILE, 'DETLAB_PROFILE') : 'default';
  const headless = env.DETLAB_HEADLESS === '1';
  if (!env.DETLAB_DATA) return { profile, headless };
  return { profile, headless, data: parseDataFolder(env.DETLAB_DATA, 'DETLAB_DATA') };
}
