/** VOC 2007 and 2012 together: which lists are trained on and tested on, also without the annotations that are not published. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingVocYears, readVocYears } from '../../lib/data/voc-years';
import { makeVocFolders, writeVoc } from '../../lib/data/voc-write';

let folder: string;

/** A list of annotated images of one class. */
async function write(year: string, split: string, count: number): Promise<void> {
  const examples = Array.from({ length: count }, (_, i) => ({
    id: `${year.slice(3)}_${split}${i}`,
    width: 16,
    height: 12,
    objects: [{ box: [2, 2, 10, 9] as const, label: 0 }],
    image: () => Promise.resolve({ width: 16, height: 12, data: new Uint8Array(16 * 12 * 3).fill(90) }),
  }));
  await writeVoc(path.join(folder, year), { name: year, classes: ['dog'], examples }, { split });
}

/** 2012's test images as they are published: pictures and their list. */
async function writeUnannotated(ids: readonly string[]): Promise<void> {
  const year = path.join(folder, 'VOC2012');
  const jpeg = fs.readFileSync(path.join(folder, 'VOC2007/JPEGImages/2007_trainval0.jpg'));
  await makeVocFolders(year);
  for (const id of ids) fs.writeFileSync(path.join(year, 'JPEGImages', `${id}.jpg`), jpeg);
  fs.writeFileSync(path.join(year, 'ImageSets/Main/test.txt'), ids.map((id) => `${id}\n`).join(''));
}

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-years-'));
  await write('VOC2007', 'trainval', 3);
  await write('VOC2007', 'test', 2);
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('readVocYears', () => {
  test('names the list that is missing', async () => {
    const list = path.join('VOC2012', 'ImageSets', 'Main', 'trainval.txt');
    expect(await missingVocYears(folder)).toBe(list);
    await expect(readVocYears(folder)).rejects.toThrow(`has no ${list}, which VOC 07+12 needs`);
  });

  test('07+12: both years’ trainval, 2007’s test', async () => {
    await write('VOC2012', 'trainval', 4);
    expect(await missingVocYears(folder)).toBeUndefined();
    const { train, test: held, source, format, problems } = await readVocYears(folder);
    expect(train.examples.map(({ id }) => id.slice(0, -1))).toEqual([
      ...Array.from({ length: 3 }, () => '2007_trainval'),
      ...Array.from({ length: 4 }, () => '2012_trainval'),
    ]);
    expect(held.examples.map(({ id }) => id)).toEqual(['2007_test0', '2007_test1']);
    expect([format, problems]).toEqual(['voc', []]);
    expect(source).toBe(
      'Pascal VOC 07+12: trained on trainval of 2007, trainval of 2012; tested on test of 2007',
    );
  });

  test('07++12: trained on 2007’s test too, tested on images whose annotations nobody has', async () => {
    expect(await missingVocYears(folder, '07++12')).toBe(
      path.join('VOC2012', 'ImageSets', 'Main', 'test.txt'),
    );
    await writeUnannotated(['2012_t0', '2012_t1', '2012_t2']);
    const { train, test: held, problems } = await readVocYears(folder, '07++12');
    expect(train.examples).toHaveLength(9);
    expect(train.examples.filter(({ id }) => id.startsWith('2007_test'))).toHaveLength(2);
    expect(held.examples.map(({ width, height, objects }) => [width, height, objects.length])).toEqual(
      Array.from({ length: 3 }, () => [16, 12, 0]),
    );
    expect(held.classes).toEqual(['dog']);
    expect(problems).toEqual([]);
  });
});
