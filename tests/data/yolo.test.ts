import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { DatasetError } from '../../lib/data/problems';
import { readYolo } from '../../lib/data/yolo';
import { parseYoloNames } from '../../lib/data/yolo-names';
import { temporaryFolder } from './temporary';

const jpeg = encodeJpeg({ width: 40, height: 20, data: new Uint8Array(2400).fill(90) }, 80);

function folderOf(files: Record<string, string | Uint8Array | undefined>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), content ?? jpeg);
  }
  return folder;
}

describe('parseYoloNames', () => {
  test.each([
    ['classes.txt', 'cat\r\ndog\n\n', ['cat', 'dog']],
    [
      'data.yaml',
      'train: ../x\nnames: [\'cat\', "a, b", big dog] # three\nnc: 3',
      ['cat', 'a, b', 'big dog'],
    ],
    [
      'data.yaml',
      'names:\n  0: cat\n  1: dog  # the other\n\n# more\n  3: "cow"\nnc: 4\n',
      ['cat', 'dog', 'class 2', 'cow'],
    ],
    ['data.yml', "names:\n- cat\n- 'it''s'\npath: x", ['cat', "it's"]],
    ['data.yaml', 'names: {0: cat, 1: dog}', ['cat', 'dog']],
    ['data.yaml', 'names: [cat,\n  dog,\n  cow]\nnc: 3', ['cat', 'dog', 'cow']],
    ['data.yaml', 'nc: 3', undefined],
    ['classes.txt', '\n', undefined],
  ])('%s %j', (file, text, names) => {
    expect(parseYoloNames(file, text)).toEqual(names);
  });
});

describe('readYolo', () => {
  test('images/ and labels/ with folders of splits; outlines; an image without a file', async () => {
    const folder = folderOf({
      'data.yaml': 'names: [cat, dog]',
      'images/train/a.jpg': undefined,
      'labels/train/a.txt': '1 0.5 0.5 0.5 1\n\n0 0.25 0 0.75 0 0.5 0.5\n',
      'images/train/b.jpg': undefined,
      'images/val/a.jpg': undefined,
      'labels/val/a.txt': '0 0.1 0.1 0.2 0.2',
    });
    const train = await readYolo(folder, { split: 'train' });
    expect(train.classes).toEqual(['cat', 'dog']);
    expect(train.problems).toEqual([]);
    expect(
      train.examples.map(({ id, objects }) => [id, ...objects.map(({ box, label }) => [label, ...box])]),
    ).toEqual([['a', [1, 10, 0, 30, 20], [0, 10, 0, 30, 10]], ['b']]);
    const all = await readYolo(folder);
    expect(all.examples.map(({ id }) => id)).toEqual(['images/train/a.jpg', 'b', 'images/val/a.jpg']);
    await expect(readYolo(folder, { split: 'test' })).rejects.toThrow(
      'no split "test". Available: train, val',
    );
  });

  test('text files beside the images; classes without names are numbers, whatever the part', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [
        [`${i}.jpg`, undefined],
        [`${i}.txt`, `${i % 4} 0.5 0.5 0.2 0.2`],
      ]).flat() as [string, string | undefined][],
    );
    const part = await readYolo(folderOf(files), { split: 'val' });
    expect([part.classes, part.examples.length]).toEqual([['0', '1', '2', '3'], 1]);
  });

  test('everything that is wrong is told at once, by line', async () => {
    const folder = folderOf({
      'classes.txt': 'cat\n',
      'images/a.jpg': undefined,
      'labels/a.txt': [
        '0 0.5 0.5 0.2 0.2',
        '1 0.5 0.5 0.2 0.2',
        '0 0.5 0.5 0.2',
        '0 0.5 0.5 0.2 0.2 0.9',
        '-1 0.5 0.5 0.2 0.2',
        '0 1.5 0.5 0.2 0.2',
        '0 0.5 0.5 0 0.2',
        '0 nan 0.5 0.2 0.2',
        '0 0.9 0.5 0.6 0.2',
        'cat 0.5 0.5 0.2 0.2',
      ].join('\n'),
      'images/b.jpg': jpeg.subarray(0, 300),
      'images/c.jpg': undefined,
      'labels/c.txt': Buffer.from('0 0.5 0.5 0.2 0.2\n\xff\n', 'latin1'),
      'labels/d.txt': '0 0.5 0.5 0.2 0.2',
    });
    const error = await readYolo(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    const told = (error as DatasetError).problems.map(
      ({ file, line, kind }) => `${path.basename(file)}:${line} ${kind}`,
    );
    expect(told.sort()).toEqual(
      [
        'a.txt:2 unknown-class',
        'a.txt:3 broken-annotation',
        'a.txt:4 broken-annotation',
        'a.txt:5 broken-annotation',
        'a.txt:6 box-outside',
        'a.txt:7 box-without-area',
        'a.txt:8 box-not-finite',
        'a.txt:9 box-reaches-out',
        'a.txt:10 broken-annotation',
        'b.jpg:undefined broken-image',
        'c.txt:2 encoding',
        'd.txt:undefined missing-image',
      ].sort(),
    );
    const dropped = await readYolo(folder, { invalid: 'drop' });
    expect(dropped.examples.map(({ id, objects }) => [id, objects.length])).toEqual([['a', 1]]);
    await expect(readYolo(folderOf({ 'x.txt': '0 1 1 1 1' }))).rejects.toThrow('holds no images');
  });
});
