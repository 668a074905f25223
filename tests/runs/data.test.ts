import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRunData } from '../../lib/runs/data';
import { writeRectangles } from './rectangles';

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-run-data-'));
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

const ids = (set: { examples: readonly { id: string }[] }) => set.examples.map(({ id }) => id);

test('takes a folder’s own lists train, val and test', async () => {
  await writeRectangles(folder, { train: 4, val: 2, test: 3 });
  const data = await openRunData({ folder, sceneSize: 64 });
  expect([ids(data.train).length, ids(data.val).length, ids(data.test).length]).toEqual([4, 2, 3]);
  expect(ids(data.test).every((id) => id.startsWith('test-'))).toBe(true);
  expect(data.train.classes).toEqual(data.test.classes);
  expect(data.source).toContain('its lists train, val and test');
  const cut = await openRunData({ folder, sceneSize: 64, limit: 2 });
  expect(ids(cut.test)).toEqual(ids(data.test).slice(0, 2));
});

test('with train and val alone, measures on val and chooses by a tenth of train', async () => {
  await writeRectangles(folder, { train: 20, val: 3 });
  const data = await openRunData({ folder, sceneSize: 64 });
  expect([ids(data.train).length, ids(data.val).length]).toEqual([18, 2]);
  expect(ids(data.test).every((id) => id.startsWith('val-'))).toBe(true);
  expect(ids(data.val).every((id) => id.startsWith('train-') && !ids(data.train).includes(id))).toBe(true);
});

test('without lists, divides by the seed', async () => {
  await writeRectangles(folder, { all: 20 });
  await fs.rm(path.join(folder, 'ImageSets'), { recursive: true });
  const data = await openRunData({ folder, sceneSize: 64, seed: 3 });
  const parts = [data.train, data.val, data.test].map(ids);
  expect(parts.map(({ length }) => length)).toEqual([14, 2, 4]);
  expect(new Set(parts.flat()).size).toBe(20);
  expect(ids((await openRunData({ folder, sceneSize: 64, seed: 3 })).test)).toEqual(parts[2]);
  expect(ids((await openRunData({ folder, sceneSize: 64, seed: 4 })).test)).not.toEqual(parts[2]);
});

test('says which list is empty', async () => {
  await writeRectangles(folder, { train: 2, val: 1, test: 0 });
  await expect(openRunData({ folder, sceneSize: 64 })).rejects.toThrow(/ImageSets.*test/);
});
