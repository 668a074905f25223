/** Where a run lives until it is finished: its checkpoints, and when it was worked on. */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { makeFolders } from '../tensor/folders';
import { lockFolder } from '../train/run-lock';
import { isRecord } from '../tensor/plain-json';
import type { Provenance, Sitting } from './provenance';
import type { RunKey } from './store';

/** A run's folder, this process's alone. */
export interface WorkFolder {
  /** For the run itself. */
  readonly folder: string;
  /** Whether an earlier try left something there. */
  readonly resumed: boolean;
  /** Notes how long this sitting has lasted; cheap, most calls do nothing. */
  tick(): void;
  /** Of all sittings, this one included. */
  provenance(): Provenance;
  /** Leaves everything for the next try. */
  release(): Promise<void>;
  /** The run is finished: nothing of it stays, nor of tries with other settings. */
  remove(): Promise<void>;
}

const noteEverySeconds = 5;

/** `WORK/STUDY/PROFILE/ARM-seedN-FINGERPRINT`: a run of other settings never finds these checkpoints. */
function workFolderOf(root: string, key: RunKey, fingerprint: string): string {
  return path.join(root, key.study, key.profile, `${key.arm}-seed${key.seed}-${fingerprint}`);
}

/**
 * Takes a run's folder, made where it is missing.
 * @throws when another process is at this run.
 */
export async function openWorkFolder(
  root: string,
  key: RunKey,
  fingerprint: string,
  begun: Sitting,
): Promise<WorkFolder> {
  const own = workFolderOf(root, key, fingerprint);
  makeFolders(own);
  const lock = await lockFolder(own);
  const folder = path.join(own, 'state');
  makeFolders(folder);
  const notes = path.join(own, 'sittings.json');
  const earlier = readSittings(notes);
  const start = performance.now();
  const now = (): Sitting => ({ ...begun, seconds: Math.round(performance.now() - start) / 1000 });
  let noted = -Infinity;
  const note = (): void => {
    noted = performance.now();
    const partial = `${notes}.tmp`;
    fs.writeFileSync(partial, JSON.stringify([...earlier, now()]));
    fs.renameSync(partial, notes);
  };
  note();
  return {
    folder,
    resumed: fs.readdirSync(folder).length > 0,
    tick() {
      if (performance.now() - noted < noteEverySeconds * 1000) return;
      note();
      void lock.touch();
    },
    provenance() {
      const last = now();
      if (earlier.length === 0) return last;
      const seconds = earlier.reduce((sum, sitting) => sum + sitting.seconds, last.seconds);
      return { ...last, seconds, earlier };
    },
    async release() {
      note();
      await lock.release();
    },
    async remove() {
      await lock.release();
      await removeWork(root, key);
    },
  };
}

/** Removes what is left of a finished run, whatever its settings; folders that a living process works in stay. */
export async function removeWork(root: string, key: RunKey): Promise<void> {
  const parent = path.join(root, key.study, key.profile);
  const start = `${key.arm}-seed${key.seed}-`;
  for (const name of await fsp.readdir(parent).catch(() => [])) {
    if (!name.startsWith(start) || !/^[0-9a-f]{16}$/.test(name.slice(start.length))) continue;
    const folder = path.join(parent, name);
    try {
      // A process that was killed has left its lock, which only taking it tells from that of a living one.
      await lockFolder(folder);
    } catch {
      continue;
    }
    await fsp.rm(folder, { recursive: true, force: true });
  }
}

/** Seconds are all that a run loses with this file: a damaged one counts as none. */
function readSittings(file: string): Sitting[] {
  try {
    const sittings = JSON.parse(fs.readFileSync(file, 'utf8')) as unknown;
    const good =
      Array.isArray(sittings) && sittings.every((one) => isRecord(one) && Number.isFinite(one.seconds));
    return good ? (sittings as Sitting[]) : [];
  } catch {
    return [];
  }
}
