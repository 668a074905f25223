import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeDataset, formatProblems, formatSummary } from '../../lib/data/describe';
import { findDataset, readFolder } from '../../lib/data/folder';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import type { DetectionDataset } from '../../lib/data/types';
import { temporaryFolder } from './temporary';

const jpeg = encodeJpeg({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }, 80);

/** A folder of these files; `undefined` is an image. */
function folderOf(files: Record<string, string | object | undefined>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(
      path.join(folder, name),
      content === undefined ? jpeg : typeof content === 'string' ? content : JSON.stringify(content),
    );
  }
  return folder;
}

const xml = (filename: string, name = 'dog'): string =>
  `<annotation><filename>${filename}</filename><size><width>40</width><height>30</height></size>` +
  `<object><name>${name}</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object></annotation>`;

const coco = (names: readonly string[]): object => ({
  images: names.map((file_name, id) => ({ id, file_name, width: 40, height: 30 })),
  annotations: names.map((_, id) => ({
    id,
    image_id: id,
    category_id: 1,
    bbox: [1, 2, 9, 10],
    area: 90,
    iscrowd: 0,
  })),
  categories: [{ id: 1, name: 'dog' }],
});

const labelme = (imagePath: string): object => ({
  shapes: [
    {
      label: 'dog',
      points: [
        [1, 2],
        [10, 12],
      ],
      shape_type: 'rectangle',
    },
  ],
  imagePath,
  imageWidth: 40,
  imageHeight: 30,
});

const row = 'filename,class,xmin,ymin,xmax,ymax\n';

/** The same object in every layout. */
const layouts: [string, string, Record<string, string | object | undefined>, string[]][] = [
  [
    'voc',
    'VOC',
    {
      'Annotations/a.xml': xml('a.jpg'),
      'JPEGImages/a.jpg': undefined,
      'ImageSets/Main/train.txt': 'a\n',
      'ImageSets/Main/dog_train.txt': 'a 1\n',
    },
    ['train'],
  ],
  [
    'voc',
    'VOC below',
    {
      'x/VOCdevkit/VOC2007/Annotations/a.xml': xml('a.jpg'),
      'x/VOCdevkit/VOC2007/JPEGImages/a.jpg': undefined,
    },
    [],
  ],
  [
    'coco',
    'COCO',
    {
      'annotations/instances_val2017.json': coco(['a.jpg']),
      'val2017/a.jpg': undefined,
      'annotations/captions_val2017.json': coco(['a.jpg']),
    },
    ['val2017'],
  ],
  [
    'coco',
    'COCO, a file a folder',
    { 'train/_annotations.coco.json': coco(['a.jpg']), 'train/a.jpg': undefined },
    ['train'],
  ],
  [
    'yolo',
    'YOLO',
    {
      'data.yaml': 'names: [dog]',
      'train/images/a.jpg': undefined,
      'train/labels/a.txt': '0 0.1375 0.2333333333 0.225 0.3333333333',
    },
    ['train'],
  ],
  [
    'csv',
    'a table',
    { 'boxes.csv': `${row}a.jpg,dog,1,2,10,12\n`, 'pictures/a.jpg': undefined, 'images/a.jpg': undefined },
    [],
  ],
  [
    'json',
    'a JSON file',
    { 'boxes.json': [{ image: 'a.jpg', label: 'dog', x: 1, y: 2, w: 9, h: 10 }], 'images/a.jpg': undefined },
    [],
  ],
  [
    'loose-xml',
    'XML beside images',
    { 'some/where/a.xml': xml('other.jpg'), 'some/where/a.jpg': undefined },
    [],
  ],
  ['loose-xml', 'XML in a folder', { 'xmls/x1.xml': xml('a.jpg'), 'photos/a.jpg': undefined }, []],
  [
    'loose-json',
    'labelme',
    Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e', 'f'].flatMap((id) => [
        [`${id}.jpg`, undefined],
        [`${id}.json`, labelme(`${id}.jpg`)],
      ]),
    ),
    [],
  ],
];

describe('readFolder', () => {
  test.each(layouts)('%s: %s', async (format, _, files, splits) => {
    const folder = folderOf(files);
    const data = await readFolder(folder);
    expect(data.found).toMatchObject({ format, splits });
    expect(data.classes).toEqual(['dog']);
    expect(data.problems).toEqual([]);
    expect(data.name).toBe(path.basename(folder));
    const { width, objects } = data.examples[0];
    expect([width, objects[0].label]).toEqual([40, 0]);
    objects[0].box.forEach((value, i) => expect(value).toBeCloseTo([1, 2, 10, 12][i], 6));
    expect((await data.examples[0].image()).height).toBe(30);
  });

  test('tables of several splits must be chosen from', async () => {
    const folder = folderOf({
      'train_labels.csv': `${row}a.jpg,dog,1,2,10,12\n`,
      'test_labels.csv': `${row}b.jpg,dog,1,2,10,12\n`,
      'images/a.jpg': undefined,
      'images/b.jpg': undefined,
    });
    const found = await findDataset(folder);
    expect(found.splits).toEqual(['test', 'train']);
    await expect(readFolder(folder)).rejects.toThrow('choose one of test, train by split');
    await expect(readFolder(folder, { split: 'trian' })).rejects.toThrow('Did you mean "train"?');
    expect((await readFolder(folder, { split: 'train' })).examples.map(({ id }) => id)).toEqual(['a']);
  });

  test('where there are several kinds, the first is taken, and format takes another', async () => {
    const folder = folderOf({
      'Annotations/a.xml': xml('a.jpg'),
      'JPEGImages/a.jpg': undefined,
      'boxes.csv': `${row}a.jpg,cat,1,2,10,12\n`,
    });
    expect((await readFolder(folder)).classes).toEqual(['dog']);
    expect((await readFolder(folder, { format: 'csv' })).classes).toEqual(['cat']);
    await expect(readFolder(folder, { format: 'cvs' as 'csv' })).rejects.toThrow('There is no format "cvs"');
    await expect(readFolder(folder, { format: 'yolo' })).rejects.toThrow(
      'expected data in the format "yolo"; found 1 .xml, 1 .jpg, 1 .csv',
    );
  });

  test('a file by itself', async () => {
    const folder = folderOf({
      'boxes.csv': `${row}a.jpg,dog,1,2,10,12\n`,
      'c.json': coco(['a.jpg']),
      'x.json': { a: 1 },
      'a.jpg': undefined,
    });
    expect((await readFolder(path.join(folder, 'boxes.csv'))).examples).toHaveLength(1);
    expect((await findDataset(path.join(folder, 'c.json'))).format).toBe('coco');
    await expect(findDataset(path.join(folder, 'x.json'))).rejects.toThrow(
      'neither a table nor a JSON file of boxes',
    );
    await expect(findDataset(path.join(folder, 'none'))).rejects.toThrow('neither a file nor a folder');
  });

  test('a folder without annotations says what is there', async () => {
    const folder = folderOf({
      'cats/a.jpg': undefined,
      'dogs/b.jpg': undefined,
      'notes.txt': 'buy milk 1 2 3 4 5',
    });
    await expect(readFolder(folder)).rejects.toThrow(
      /found 2 \.jpg, 1 \.txt\. The images alone say nothing of boxes/,
    );
    await expect(readFolder(temporaryFolder())).rejects.toThrow('found no files');
  });

  test('one file an image: what is wrong is told by file, images are divided by the seed', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [
        [`${i}.jpg`, undefined],
        [`${i}.xml`, xml(`${i}.jpg`)],
      ]).flat() as [string, string | undefined][],
    );
    const folder = folderOf({ ...files, 'x.xml': '<annotation', 'y.xml': xml('nowhere.jpg') });
    const data = await readFolder(folder, { invalid: 'drop' });
    expect(data.problems.map(({ file, kind }) => `${path.basename(file)} ${kind}`).sort()).toEqual([
      'x.xml broken-annotation',
      'y.xml missing-image',
    ]);
    expect(data.examples).toHaveLength(10);
    const part = await readFolder(folder, { invalid: 'drop', split: 'test', seed: 3 });
    expect(part.examples.length).toBeLessThan(4);
  });
});

describe('describeDataset', () => {
  const set: DetectionDataset = {
    name: 's',
    classes: ['a', 'b', 'c'],
    examples: [
      {
        id: '1',
        width: 100,
        height: 50,
        objects: [
          { box: [0, 0, 10, 10], label: 0 },
          { box: [0, 0, 40, 40], label: 0, difficult: true },
          { box: [0, 0, 100, 100], label: 1, crowd: true },
        ],
        image: () => Promise.reject(new Error()),
      },
      { id: '2', width: 300, height: 50, objects: [], image: () => Promise.reject(new Error()) },
    ],
  };

  test('counts', () => {
    const summary = describeDataset(set);
    expect(summary).toMatchObject({
      images: 2,
      empty: 1,
      objects: 3,
      mostObjects: 3,
      classes: [
        { class: 'a', objects: 2, images: 1, difficult: 1, crowd: 0 },
        { class: 'b', objects: 1, images: 1, difficult: 0, crowd: 1 },
        { class: 'c', objects: 0, images: 0, difficult: 0, crowd: 0 },
      ],
      width: { least: 100, median: 300, most: 300 },
      height: { least: 50, median: 50, most: 50 },
      side: { least: 10, median: 40, most: 100 },
      bySize: [1, 1, 1],
    });
    const text = formatSummary(summary, { mostClasses: 2 });
    expect(text).toContain('2 images (1 without objects), 3 objects, 3 classes');
    expect(text).toContain('image width 100 to 300 (median 300), height 50 pixels');
    expect(text).toContain('  a            2       1  1 difficult');
    expect(text).toContain('and 1 more');
  });

  test('an empty set, and problems', () => {
    const summary = describeDataset({ name: 'e', classes: [], examples: [] });
    expect(summary).toMatchObject({ images: 0, objects: 0, width: undefined, side: undefined });
    expect(formatSummary(summary)).toBe('0 images, 0 objects, 0 classes');
    expect(formatProblems([])).toBe('no problems');
    const problem = {
      kind: 'box-outside',
      file: 'a.xml',
      line: 3,
      object: 1,
      problem: 'far out',
      action: 'dropped',
    } as const;
    expect(formatProblems([problem, problem], 1)).toBe(
      '2 problems: 2 box outside (dropped)\n  a.xml:3: object 1: far out\n  and 1 more',
    );
  });
});
