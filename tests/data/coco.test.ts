import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCoco } from '../../lib/data/coco';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { DatasetError } from '../../lib/data/problems';
import { temporaryFolder } from './temporary';

const jpeg = encodeJpeg({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }, 80);

interface Content {
  readonly images?: readonly unknown[];
  readonly annotations?: readonly unknown[];
  readonly categories?: readonly unknown[];
  readonly [key: string]: unknown;
}

const image = (id: unknown, extra: object = {}): object => ({
  id,
  file_name: `${String(id)}.jpg`,
  width: 40,
  height: 30,
  ...extra,
});

const annotation = (id: unknown, image_id: unknown, bbox: unknown, extra: object = {}): object => ({
  segmentation: [[1, 2, 3, 4, 5, 6]],
  area: 12.5,
  iscrowd: 0,
  image_id,
  bbox,
  category_id: 3,
  id,
  ...extra,
});

const categories = [
  { id: 90, name: 'toothbrush', supercategory: 'indoor' },
  { id: 3, name: 'car' },
  { id: 17, name: 'cat' },
];

/** A folder in COCO's layout, with an image for each name. */
function cocoFolder(
  splits: Record<string, Content | string | Buffer>,
  images: Record<string, string[]>,
): string {
  const folder = temporaryFolder();
  fs.mkdirSync(path.join(folder, 'annotations'));
  for (const [split, content] of Object.entries(splits)) {
    const text = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);
    fs.writeFileSync(path.join(folder, 'annotations', `instances_${split}.json`), text);
  }
  for (const [below, names] of Object.entries(images)) {
    fs.mkdirSync(path.join(folder, below), { recursive: true });
    for (const name of names) fs.writeFileSync(path.join(folder, below, name), jpeg);
  }
  return folder;
}

const one = (content: Content, names: string[] = ['7.jpg']): string =>
  cocoFolder({ val: content }, { val: names });

describe('readCoco', () => {
  test('sparse category ids become labels by rising id; boxes, crowds, areas and ids are kept to the digit', async () => {
    const annotations = [
      annotation(11, 7, [1.25, 2, 10.5, 20]),
      annotation(5, 7, [0, 0, 40, 30], {
        iscrowd: 1,
        category_id: 90,
        segmentation: { counts: [1, 2], size: [30, 40] },
      }),
      annotation(6, 139, [30.4, 1, 10.2, 5], { category_id: 17, area: undefined }),
    ];
    const folder = cocoFolder(
      { val2017: { info: {}, images: [image(139), image(7), image(8)], annotations, categories } },
      { val2017: ['7.jpg', '8.jpg', '139.jpg'] },
    );
    const data = await readCoco(folder, { split: 'val2017' });
    expect(data.classes).toEqual(['car', 'cat', 'toothbrush']);
    expect(data.categoryIds).toEqual([3, 17, 90]);
    expect(data.problems).toEqual([]);
    expect(data.name).toBe(`${path.basename(folder)}/val2017`);
    expect(
      data.examples.map(({ id, imageId, fileName, width, objects }) => ({
        id,
        imageId,
        fileName,
        width,
        objects,
      })),
    ).toEqual([
      {
        id: '139',
        imageId: 139,
        fileName: '139.jpg',
        width: 40,
        // Out by 0.6 of a pixel: COCO's evaluation takes such boxes as they are.
        objects: [{ box: [30.4, 1, 30.4 + 10.2, 6], label: 1, crowd: false, id: 6 }],
      },
      {
        id: '7',
        imageId: 7,
        fileName: '7.jpg',
        width: 40,
        objects: [
          { box: [1.25, 2, 11.75, 22], label: 0, crowd: false, area: 12.5, id: 11 },
          { box: [0, 0, 40, 30], label: 2, crowd: true, area: 12.5, id: 5 },
        ],
      },
      { id: '8', imageId: 8, fileName: '8.jpg', width: 40, objects: [] },
    ]);
    expect((await data.examples[1].image()).height).toBe(30);
  });

  test('keys come in any order, over many lines, with texts as ids', async () => {
    const content = {
      categories,
      annotations: [annotation('a', 'x/7', [1, 1, 5, 5])],
      images: [image('x/7', { file_name: '7.jpg' })],
    };
    const data = await readCoco(one(JSON.stringify(content, undefined, 2) as unknown as Content));
    expect(data.examples).toMatchObject([{ id: 'x/7', imageId: 'x/7', objects: [{ id: 'a', label: 0 }] }]);
  });

  test('every object of any file is found again, whatever the order', async () => {
    const anyAnnotations = fc.array(
      fc.record({
        image: fc.integer({ min: 0, max: 4 }),
        category: fc.integer({ min: 0, max: 2 }),
        x: fc.integer({ min: 0, max: 30 }),
      }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(anyAnnotations, async (objects) => {
        const images = [3, 1, 4, 0, 2].map((id) => image(id, { file_name: '7.jpg' }));
        const annotations = objects.map((object, id) =>
          annotation(id, object.image, [object.x, 1, 5, 5], { category_id: categories[object.category].id }),
        );
        const folder = one({ images, annotations, categories });
        const data = await readCoco(folder);
        const found = data.examples.flatMap(({ imageId, objects: all }) =>
          all.map(({ id, label, box }) => [id, imageId, data.categoryIds[label], box[0]]),
        );
        const wanted = objects.map(({ image: at, category, x }, id) => [id, at, categories[category].id, x]);
        expect(found.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(wanted);
        fs.rmSync(folder, { recursive: true });
      }),
      { numRuns: 25 },
    );
  });

  test('classes filters and orders; ignoreUnknownClasses leaves out the rest', async () => {
    const annotations = [annotation(1, 7, [1, 1, 5, 5]), annotation(2, 7, [1, 1, 6, 6], { category_id: 17 })];
    const folder = one({ images: [image(7)], annotations, categories });
    const data = await readCoco(folder, { classes: ['cat'], ignoreUnknownClasses: true });
    expect([data.classes, data.categoryIds]).toEqual([['cat'], [17]]);
    expect(data.examples[0].objects).toMatchObject([{ id: 2, label: 0 }]);
    expect(data.problems).toMatchObject([
      { id: 1, problem: 'class car is not asked for', action: 'dropped' },
    ]);
    await expect(readCoco(folder, { classes: ['dog', 'caar'] })).rejects.toThrow(
      /id 1, box \[1, 1, 5, 5\]: class "car" is not one of dog, caar\. Did it mean "caar"/,
    );
  });

  test('everything that is wrong is told at once, with line and id', async () => {
    const lines = [
      '{"categories": [{"id": 3, "name": "car"}, {"id": 3, "name": "lorry"}, {"name": "none"}],',
      '"images": [',
      `${JSON.stringify(image(1))},`,
      `${JSON.stringify(image(1))},`,
      `${JSON.stringify(image(2))},`,
      `${JSON.stringify(image(3))},`,
      `${JSON.stringify(image(4, { width: 400, height: 300 }))},`,
      '{"id": 5}],',
      '"annotations": [',
      ...[
        annotation(1, 1, [1, 1, 5, 5]),
        annotation(1, 1, [1, 1, 6, 6]),
        annotation(2, 1, [41, 1, 5, 5]),
        annotation(3, 1, [1, 1, 0, 5]),
        annotation(4, 1, [1, 1, 5]),
        annotation(5, 9, [1, 1, 5, 5]),
        annotation(6, 1, [1, 1, 5, 5], { category_id: 4 }),
        annotation(7, 1, [1, 1, 50, 5]),
        annotation(8, 1, [1, 1, 5, 5], { iscrowd: 2, area: -1 }),
        annotation(9, undefined, [1, 1, 5, 5]),
      ].map((element) => `${JSON.stringify(element)},`),
      '{"id": 10, "image_id": 1, "category_id": 3, "bbox": [NaN, 1, 5, 5], "area": 1},',
      '{"id": 11, "image_id": 1, "category_id": 3, "bbox": [1 1, 5, 5]},',
      '{"id": 12, "image_id": 1, "category_id": 3, "bbox": [2, 2, 5, 5], "note": "f\xfcr"},',
      '7]}',
    ];
    const folder = one(Buffer.from(lines.join('\n'), 'latin1') as unknown as Content, [
      '1.jpg',
      '3.jpg',
      '4.jpg',
    ]);
    fs.writeFileSync(path.join(folder, 'val', '3.jpg'), jpeg.subarray(0, 400));
    const error = await readCoco(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    const told = (error as DatasetError).problems.map(
      ({ file, line, id, kind }) => `${path.basename(file)}:${line} ${id} ${kind}`,
    );
    const wanted = [
      'instances_val.json:1 3 duplicate',
      'instances_val.json:1 undefined broken-annotation',
      'instances_val.json:4 1 duplicate',
      'instances_val.json:5 2 missing-image',
      '3.jpg:undefined 3 broken-image',
      'instances_val.json:7 4 image-size',
      'instances_val.json:8 5 broken-annotation',
      'instances_val.json:11 1 duplicate',
      'instances_val.json:12 2 box-outside',
      'instances_val.json:13 3 box-without-area',
      'instances_val.json:14 4 broken-annotation',
      'instances_val.json:15 5 missing-image',
      'instances_val.json:16 6 unknown-class',
      'instances_val.json:17 7 box-reaches-out',
      'instances_val.json:18 8 broken-annotation',
      'instances_val.json:19 9 missing-image',
      'instances_val.json:20 10 box-not-finite',
      'instances_val.json:21 undefined broken-annotation',
      'instances_val.json:22 undefined encoding',
      'instances_val.json:23 undefined broken-annotation',
    ];
    expect(told.sort()).toEqual(wanted.sort());
    const dropped = await readCoco(folder, { invalid: 'drop' });
    expect(dropped.examples.map(({ imageId, objects }) => [imageId, objects.map(({ id }) => id)])).toEqual([
      [1, [1]],
    ]);
    expect(dropped.problems).toHaveLength(wanted.length);
    const mended = await readCoco(folder, { invalid: 'mend' });
    expect(
      mended.examples.map(({ imageId, width, objects }) => [imageId, width, objects.map(({ box }) => box)]),
    ).toEqual([
      [
        1,
        40,
        [
          [1, 1, 6, 6],
          [1, 1, 40, 6],
        ],
      ],
      [4, 40, []],
    ]);
  });

  test('splits of a folder are found and named; a single file is divided by the seed', async () => {
    const images = Array.from({ length: 20 }, (_, i) => image(i));
    const names = images.map((_, i) => `${i}.jpg`);
    const content = { images, annotations: [], categories };
    const folder = cocoFolder(
      { train2017: content, val2017: content },
      { 'images/train2017': names, val2017: names },
    );
    fs.writeFileSync(path.join(folder, 'annotations', 'captions_val2017.json'), JSON.stringify(content));
    await expect(readCoco(folder)).rejects.toThrow('choose one of train2017, val2017 by split');
    await expect(readCoco(folder, { split: 'val2071' })).rejects.toThrow('Did you mean "val2017"?');
    expect((await readCoco(folder, { split: 'train2017' })).examples[0].file?.path).toBe(
      path.join(folder, 'images', 'train2017', '0.jpg'),
    );
    const single = one(content, names);
    const ids = async (split: string, seed?: number): Promise<string[]> =>
      (await readCoco(single, { split, seed })).examples.map(({ id }) => id);
    const parts = [await ids('train'), await ids('test')];
    expect(parts.map(({ length }) => length)).toEqual([14, 4]);
    expect(await ids('val')).toHaveLength(20); // the file's own name
    expect(await ids('train', 5)).not.toEqual(parts[0]);
    await expect(ids('dev')).rejects.toThrow('the splits are train, val, test; there is no "dev"');
    const file = path.join(single, 'annotations', 'instances_val.json');
    expect((await readCoco(file, { limit: 3 })).examples).toHaveLength(3);
    expect((await readCoco(file, { images: path.join(single, 'val') })).examples).toHaveLength(20);
  });

  test('names of images can not lead out of their folder', async () => {
    const folder = cocoFolder(
      { val: { images: [image(7, { file_name: '../../secret.jpg' })], annotations: [], categories } },
      { 'val/x': ['7.jpg'] },
    );
    fs.writeFileSync(path.join(folder, '..', 'secret.jpg'), jpeg);
    try {
      await expect(readCoco(folder, { images: path.join(folder, 'val', 'x') })).rejects.toThrow(
        'no image "../../secret.jpg" in',
      );
    } finally {
      fs.rmSync(path.join(folder, '..', 'secret.jpg'));
    }
  });

  test.each([
    ['{"images": [], "annotations": [', 'line 1: it is cut short: it ends at the start of "annotations"'],
    ['{"images": [{"id": 1, "width": 5}], "categories": []}', 'it has no "annotations"'],
    ['{"images": [{"id": 1, "width": 5}], "annotations": []}', 'it has no "categories"'],
  ])('refuses %s', async (text, message) => {
    const folder = one(text as unknown as Content);
    const file = path.join(folder, 'annotations', 'instances_val.json');
    await expect(readCoco(file)).rejects.toThrow(message);
    await expect(readCoco(file)).rejects.toThrow(file);
  });

  test('a folder without annotations, and a path that is none', async () => {
    await expect(readCoco(temporaryFolder())).rejects.toThrow('holds no COCO annotations');
    await expect(readCoco('/no/such/file.json')).rejects.toThrow('neither a file nor a folder');
  });
});
