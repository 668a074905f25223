import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Sitting } from '../../lib/evidence/provenance';
import { openWorkFolder, removeWork, type WorkFolder } from '../../lib/evidence/work-folder';
import { temporaryFolder } from '../notebook/helpers';
import { provenance } from './runs';

const key = { study: 'tiny', profile: 'default', arm: 'plain', seed: 1 } as const;
const [now, before] = ['0123456789abcdef', 'fedcba9876543210'];
const sitting: Sitting = { ...provenance, commit: null, dirty: null, seconds: 0 };

let root: string;
beforeEach(() => void (root = temporaryFolder()));
afterEach(() => fs.rmSync(root, { recursive: true }));

const folders = (): string[] => fs.readdirSync(path.join(root, 'tiny', 'default')).sort();
const open = (fingerprint: string = now, change: object = {}): Promise<WorkFolder> =>
  openWorkFolder(root, { ...key, ...change }, fingerprint, sitting);
/** As a process of before the machine's last start left it. */
const killed = ({ folder }: WorkFolder): void => {
  const lock = path.join(folder, '..', 'run.lock');
  const holder = JSON.parse(fs.readFileSync(lock, 'utf8')) as object;
  fs.writeFileSync(lock, JSON.stringify({ ...holder, token: 'another', boot: 'earlier' }));
};

test('a finished run takes along what killed tries of any settings left, and nobody else’s', async () => {
  killed(await open(before));
  for (const change of [{ arm: 'plain-1' }, { seed: 11 }]) await (await open(now, change)).release();
  await (await open()).remove();
  expect(folders()).toEqual([`plain-1-seed1-${now}`, `plain-seed11-${now}`]);
});

test('what a killed process left behind a good result goes, what a living one works in stays', async () => {
  killed(await open(now));
  const living = await open(before);
  await removeWork(root, key);
  expect(folders()).toEqual([`plain-seed1-${before}`]);
  await living.release();
  await removeWork(root, key);
  expect(folders()).toEqual([]);
  await expect(removeWork(path.join(root, 'nowhere'), key)).resolves.toBeUndefined();
});

test('a run is one process’s, knows what was left to it, and counts the seconds of all sittings', async () => {
  const first = await open();
  expect(first.resumed).toBe(false);
  await expect(open()).rejects.toThrow(/belongs to another run of this very process/);
  fs.writeFileSync(path.join(first.folder, 'state'), '');
  expect(first.provenance().earlier).toBeUndefined();
  await first.release();

  const notes = path.join(first.folder, '..', 'sittings.json');
  fs.writeFileSync(notes, JSON.stringify([{ ...sitting, seconds: 100 }]));
  const second = await open();
  expect(second.resumed).toBe(true);
  const { seconds, earlier } = second.provenance();
  expect(earlier).toEqual([{ ...sitting, seconds: 100 }]);
  expect(seconds).toBeGreaterThanOrEqual(100);
  await second.release();
  fs.writeFileSync(notes, '[{');
  const third = await open();
  expect(third.provenance().earlier).toBeUndefined();
  await third.remove();
  expect(folders()).toEqual([]);
});
