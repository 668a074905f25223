/** What may be wrong in annotations, in every format: all of it is told at once, and the user chooses to stop or to leave it out. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CheckedDataset, ReadDatasetOptions } from '../../lib/data/assemble';
import { readBoxCsv } from '../../lib/data/box-csv';
import { readBoxJson } from '../../lib/data/box-json';
import { readCoco } from '../../lib/data/coco';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { DatasetError, formatProblem } from '../../lib/data/problems';
import { readVoc } from '../../lib/data/voc';
import { readYolo } from '../../lib/data/yolo';
import { temporaryFolder } from './temporary';

const jpeg = encodeJpeg({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }, 80);

interface Case {
  readonly format: string;
  /** Files beside the images, as Latin-1 text. */
  readonly files: Readonly<Record<string, string>>;
  /** Folder of the images a.jpg, b.jpg, cut.jpg. */
  readonly images: string;
  readonly read: (folder: string, options: ReadDatasetOptions) => Promise<CheckedDataset>;
  /** File, line, id and kind of each problem; '-' where there is none. */
  readonly told: readonly string[];
}

const voc = (objects: readonly (readonly [string, ...(number | string)[]])[]): string =>
  `<annotation>\n${objects
    .map(
      ([name, x1, y1, x2, y2]) =>
        `<object><name>${name}</name><bndbox><xmin>${x1}</xmin><ymin>${y1}</ymin><xmax>${x2}</xmax><ymax>${y2}</ymax></bndbox></object>`,
    )
    .join('\n')}\n</annotation>`;

const classes = ['dog'];

const cases: Case[] = [
  {
    format: 'VOC',
    images: 'JPEGImages',
    files: {
      'Annotations/a.xml': voc([
        ['dog', 1, 1, 9, 9],
        ['dog', 50, 1, 60, 9],
        ['dog', 9, 1, 5, 9],
        ['wolf', 1, 1, 5, 5],
        ['dog', 'NaN', 1, 5, 5],
      ]),
      'Annotations/b.xml': voc([['h\xf6hle', 1, 1, 5, 5]]),
      'Annotations/cut.xml': voc([['dog', 1, 1, 5, 5]]),
      'Annotations/gone.xml': voc([['dog', 1, 1, 5, 5]]),
      'Annotations/torn.xml': '<annotation>\n<object>\n</annotation>',
      'ImageSets/Main/all.txt': 'a\nb\ncut\ngone\ntorn\na\n',
    },
    read: (folder, options) => readVoc(folder, { ...options, classes, split: 'all' }),
    told: [
      'all.txt 6 a duplicate',
      'a.xml 3 a box-outside',
      'a.xml 4 a box-without-area',
      'a.xml 5 a unknown-class',
      'a.xml 6 a broken-annotation',
      'b.xml 2 b encoding',
      'cut.jpg - cut broken-image',
      'gone.xml - gone missing-image',
      'torn.xml 3 torn broken-annotation',
    ],
  },
  {
    format: 'COCO',
    images: 'all',
    files: {
      'annotations/instances_all.json': `{"images": [
        {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30},
        {"id": 2, "file_name": "cut.jpg", "width": 40, "height": 30},
        {"id": 3, "file_name": "gone.jpg", "width": 40, "height": 30},
        {"id": 1, "file_name": "b.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 7, "name": "dog"}], "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9]},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [50, 1, 9, 9]},
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [9, 1, -4, 9]},
        {"id": 4, "image_id": 1, "category_id": 8, "bbox": [1, 1, 4, 4]},
        {"id": 5, "image_id": 1, "category_id": 7, "bbox": [NaN, 1, 4, 4]},
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 4]},
        {"id": 6, "image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 4], "note": "h\xf6hle"}]}`,
    },
    read: (folder, options) => readCoco(folder, options),
    told: [
      'instances_all.json 5 1 duplicate',
      'instances_all.json 8 2 box-outside',
      'instances_all.json 9 3 box-without-area',
      'instances_all.json 10 4 unknown-class',
      'instances_all.json 11 5 box-not-finite',
      'instances_all.json 12 1 duplicate',
      'instances_all.json 13 - encoding',
      'cut.jpg - 2 broken-image',
      'instances_all.json 4 3 missing-image',
    ],
  },
  {
    format: 'CSV',
    images: '.',
    files: {
      'boxes.csv': [
        'image,class,x1,y1,x2,y2',
        'a.jpg,dog,0,0,9,9',
        'a.jpg,dog,50,1,60,9',
        'a.jpg,dog,9,1,5,9',
        'a.jpg,wolf,1,1,5,5',
        'a.jpg,dog,nan,1,5,5',
        'a.jpg,dog,0,0,9,9',
        'a.jpg,h\xf6hle,1,1,5,5',
        'cut.jpg,dog,1,1,5,5',
        'gone.jpg,dog,1,1,5,5',
      ].join('\n'),
    },
    read: (folder, options) => readBoxCsv(path.join(folder, 'boxes.csv'), { ...options, classes }),
    told: [
      'boxes.csv 3 a box-outside',
      'boxes.csv 4 a box-without-area',
      'boxes.csv 5 a unknown-class',
      'boxes.csv 6 a box-not-finite',
      'boxes.csv 7 a duplicate',
      'boxes.csv 8 - encoding',
      'cut.jpg - cut broken-image',
      'boxes.csv 10 gone missing-image',
    ],
  },
  {
    format: 'JSON, a list of boxes',
    images: '.',
    files: {
      'boxes.json': `[
        {"image": "a.jpg", "class": "dog", "bbox": [0, 0, 9, 9]},
        {"image": "a.jpg", "class": "dog", "bbox": [50, 1, 60, 9]},
        {"image": "a.jpg", "class": "dog", "bbox": [9, 1, 5, 9]},
        {"image": "a.jpg", "class": "wolf", "bbox": [1, 1, 5, 5]},
        {"image": "a.jpg", "class": "dog", "bbox": [NaN, 1, 5, 5]},
        {"image": "a.jpg", "class": "dog", "bbox": [0, 0, 9, 9]},
        {"image": "a.jpg", "class": "h\xf6hle", "bbox": [1, 1, 5, 5]},
        {"image": "cut.jpg", "class": "dog", "bbox": [1, 1, 5, 5]},
        {"image": "gone.jpg", "class": "dog", "bbox": [1, 1, 5, 5]}]`,
    },
    read: (folder, options) =>
      readBoxJson(path.join(folder, 'boxes.json'), { ...options, classes, format: 'xyxy' }),
    told: [
      'boxes.json - a box-outside',
      'boxes.json - a box-without-area',
      'boxes.json - a unknown-class',
      'boxes.json - a box-not-finite',
      'boxes.json - a duplicate',
      'boxes.json 8 - encoding',
      'cut.jpg - cut broken-image',
      'boxes.json - gone missing-image',
    ],
  },
  {
    format: 'JSON, boxes by image',
    images: '.',
    files: {
      'boxes.json': `{
        "b.jpg": [{"class": "dog", "xmin": 3, "ymin": 3, "xmax": 7, "ymax": 7}],
        "a.jpg": [{"class": "dog", "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}],
        "b.jpg": [{"class": "dog", "xmin": 1, "ymin": 1, "xmax": 70, "ymax": 7}]}`,
    },
    read: (folder, options) => readBoxJson(path.join(folder, 'boxes.json'), { ...options, classes }),
    told: ['boxes.json - b.jpg duplicate', 'boxes.json - b box-reaches-out'],
  },
  {
    format: 'JSON, a list of images',
    images: '.',
    files: {
      'boxes.json': `[
        {"image": "a.jpg", "boxes": [{"class": "dog", "xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}]},
        {"image": "a.jpg", "boxes": [{"class": "dog", "xmin": 1, "ymin": 1, "xmax": 7, "ymax": 7}]}]`,
    },
    read: (folder, options) => readBoxJson(path.join(folder, 'boxes.json'), { ...options, classes }),
    told: ['boxes.json - a.jpg duplicate'],
  },
  {
    format: 'YOLO',
    images: 'images',
    files: {
      'data.yaml': 'names: [dog]\n',
      'labels/a.txt': [
        '0 0.1125 0.15 0.225 0.3',
        '0 1.5 0.5 0.1 0.1',
        '0 0.5 0.5 -0.1 0.1',
        '1 0.5 0.5 0.1 0.1',
        '0 nan 0.5 0.1 0.1',
        '0 0.1125 0.15 0.225 0.3',
      ].join('\n'),
      'labels/b.txt': '0 0.5 0.5 0.1 0.1\n# h\xf6hle\n',
      'labels/cut.txt': '0 0.5 0.5 0.1 0.1',
      'labels/gone.txt': '0 0.5 0.5 0.1 0.1',
      'images/cut.png': 'the same name',
    },
    read: (folder, options) => readYolo(folder, options),
    told: [
      'a.txt 2 a box-outside',
      'a.txt 3 a box-without-area',
      'a.txt 4 a unknown-class',
      'a.txt 5 a box-not-finite',
      'a.txt 6 a duplicate',
      'b.txt 2 b encoding',
      'cut.jpg - images/cut.jpg broken-image',
      'cut.txt - images/cut.png duplicate',
      'gone.txt - gone missing-image',
    ],
  },
];

describe.each(cases)('$format', ({ files, images, read, told }) => {
  function folder(): string {
    const made = temporaryFolder();
    const write = (name: string, bytes: string | Uint8Array): void => {
      const file = path.join(made, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, bytes);
    };
    for (const id of ['a', 'b', 'torn']) write(`${images}/${id}.jpg`, jpeg);
    write(`${images}/cut.jpg`, jpeg.subarray(0, jpeg.length - 30));
    if (images === 'images') fs.rmSync(path.join(made, images, 'torn.jpg'));
    for (const [name, text] of Object.entries(files)) write(name, Buffer.from(text, 'latin1'));
    return made;
  }

  test('stop: everything at once, with file and line or id', async () => {
    const error = await read(folder(), {}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    const { problems, message } = error as DatasetError;
    const short = problems.map(
      ({ file, line, id, kind }) => `${path.basename(file)} ${line ?? '-'} ${id ?? '-'} ${kind}`,
    );
    expect(short.sort()).toEqual([...told].sort());
    for (const problem of problems) expect(message).toContain(formatProblem(problem));
  });

  test('drop and mend: what is right is read, the rest is told', async () => {
    for (const invalid of ['drop', 'mend'] as const) {
      const dataset = await read(folder(), { invalid });
      expect(dataset.problems.length).toBeGreaterThanOrEqual(told.length);
      const [first] = dataset.examples.filter(({ id }) => id === 'a' || id === '1');
      expect(first.objects.map(({ label }) => label)).toEqual([0]);
      expect(first.objects[0].box.map((value) => Math.round(value))).toEqual([0, 0, 9, 9]);
      for (const { objects, width, height } of dataset.examples) {
        for (const { box, label } of objects) {
          expect(label).toBe(0);
          expect(box.every(Number.isFinite)).toBe(true);
          expect(box[0] < box[2] && box[1] < box[3] && box[2] <= width && box[3] <= height).toBe(true);
        }
      }
      expect(dataset.examples.map(({ id }) => id)).not.toContain('gone');
      expect(dataset.examples.map(({ id }) => id).filter((id) => id.includes('cut'))).toEqual([]);
    }
  });
});
