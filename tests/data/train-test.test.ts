import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Example, loadTrainTest, writeVoc } from 'detlab';

let root: string;

beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-train-test-'));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const example = (id: string, label: number): Example => ({
  id,
  width: 20,
  height: 10,
  objects: [{ box: [1, 2, 11, 9], label }],
  image: () => Promise.resolve({ width: 20, height: 10, data: new Uint8Array(600).fill(90) }),
});

/** A VOC folder whose lists hold these ids; the class of image i is i modulo 2. */
async function folder(name: string, lists: Record<string, string[]>): Promise<string> {
  const target = path.join(root, name);
  for (const [split, ids] of Object.entries(lists)) {
    const examples = ids.map((id, i) => example(id, i % 2));
    await writeVoc(target, { name, classes: ['cat', 'dog'], examples }, { split });
  }
  return target;
}

const options = { size: 64, trainImages: 100, testImages: 100, difficulty: 'headline' } as const;
const ids = (set: { examples: readonly Example[] }) => set.examples.map(({ id }) => id);

describe('loadTrainTest of a folder', () => {
  test('takes trainval and test where both are there, and only so many images', async () => {
    const place = await folder('voc', {
      train: ['a'],
      trainval: ['a', 'b', 'c'],
      test: ['d', 'e'],
      val: ['b'],
    });
    const data = await loadTrainTest({ ...options, folder: place, trainImages: 2 });
    expect(ids(data.train)).toEqual(['a', 'b']);
    expect(ids(data.test)).toEqual(['d', 'e']);
    expect(data.train.classes).toEqual(['cat', 'dog']);
    expect(data.test.classes).toEqual(['cat', 'dog']);
    expect(data.unseen).toBeUndefined();
    expect(data.source).toContain('trainval and test');
  });

  test('takes train and val where there is no test', async () => {
    const place = await folder('two', { train: ['a', 'b'], val: ['c'] });
    const data = await loadTrainTest({ ...options, folder: place });
    expect(ids(data.train)).toEqual(['a', 'b']);
    expect(ids(data.test)).toEqual(['c']);
  });

  test('divides a folder without lists, the same way each time, with no image in both parts', async () => {
    const place = await folder('plain', { all: Array.from({ length: 10 }, (_, i) => `image${i}`) });
    fs.rmSync(path.join(place, 'ImageSets'), { recursive: true });
    const first = await loadTrainTest({ ...options, folder: place });
    const again = await loadTrainTest({ ...options, folder: place });
    expect(ids(first.train)).toHaveLength(8);
    expect(ids(first.test)).toHaveLength(2);
    expect(new Set([...ids(first.train), ...ids(first.test)]).size).toBe(10);
    expect(ids(again.test)).toEqual(ids(first.test));
  });

  test('takes tables of the parts, with labels that mean the same in both', async () => {
    const place = path.join(root, 'tables');
    await folder('pixels', { all: ['a', 'b'] });
    fs.cpSync(path.join(root, 'pixels', 'JPEGImages'), place, { recursive: true });
    fs.writeFileSync(
      path.join(place, 'train_labels.csv'),
      'filename,class,xmin,ymin,xmax,ymax\na.jpg,dog,1,1,9,9\n',
    );
    fs.writeFileSync(
      path.join(place, 'test_labels.csv'),
      'filename,class,xmin,ymin,xmax,ymax\nb.jpg,cat,1,1,9,9\n',
    );
    const { train, test: held, source } = await loadTrainTest({ ...options, folder: place });
    expect([train.classes, held.classes]).toEqual([
      ['cat', 'dog'],
      ['cat', 'dog'],
    ]);
    expect([train.examples[0].objects[0].label, held.examples[0].objects[0].label]).toEqual([1, 0]);
    expect(source).toBe('your folder tables: its lists train and test');
  });

  test('refuses a folder that holds several data sets, or none, saying what was expected', async () => {
    await expect(loadTrainTest({ ...options, folder: root })).rejects.toThrow(
      /data sets in Pascal VOC's layout: choose one of/,
    );
    const empty = path.join(root, 'nothing');
    fs.mkdirSync(empty);
    await expect(loadTrainTest({ ...options, folder: empty })).rejects.toThrow(
      /expected annotations in Pascal VOC's layout/,
    );
  });
});
