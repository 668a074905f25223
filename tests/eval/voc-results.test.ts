/** Results files of Pascal VOC's kit, against its format (devkit documentation, section 8.3). */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeVocResults } from '../../lib/eval/voc-results';
import { temporaryFolder } from '../data/temporary';

const dog = { label: 1, score: 0.65, box: [7, 10.5, 117, 183] as const };

describe('writeVocResults', () => {
  test('a file a class, a line a detection, 1-based corners', async () => {
    const folder = path.join(temporaryFolder(), 'results', 'VOC2012');
    const files = await writeVocResults(folder, {
      ids: ['VOC2012/000004', '000006'],
      classes: ['cat', 'dog'],
      detections: [[dog], [{ ...dog, score: 1e-7 }, dog]],
    });
    expect(files.map((file) => path.basename(file))).toEqual([
      'comp4_det_test_cat.txt',
      'comp4_det_test_dog.txt',
    ]);
    expect(fs.readFileSync(files[0], 'utf8')).toBe('');
    expect(fs.readFileSync(files[1], 'utf8')).toBe(
      '000004 0.65 8.000000 11.500000 117.000000 183.000000\n' +
        '000006 1e-7 8.000000 11.500000 117.000000 183.000000\n' +
        '000006 0.65 8.000000 11.500000 117.000000 183.000000\n',
    );
  });

  test('refuses labels without a class, and lists that do not fit', async () => {
    const folder = temporaryFolder();
    await expect(
      writeVocResults(folder, { ids: ['a'], classes: ['cat'], detections: [[dog]] }),
    ).rejects.toThrow('image a has a detection of class 1; there are 1 classes');
    await expect(writeVocResults(folder, { ids: ['a'], classes: ['cat'], detections: [] })).rejects.toThrow(
      '1 images, but detections of 0',
    );
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});
