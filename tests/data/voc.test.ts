import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodePng } from '../../lib/data/image';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { splitDataset } from '../../lib/data/split';
import type { DetectionDataset } from '../../lib/data/types';
import { readVoc } from '../../lib/data/voc';
import { writeVoc } from '../../lib/data/voc-write';
import { temporaryFolder } from './temporary';

const grey = (width: number, height: number): { width: number; height: number; data: Uint8Array } => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(90),
});

const object = (name: string, corners: readonly (number | string)[], extra = ''): string =>
  `<object><name>${name}</name>${extra}<bndbox><xmin>${corners[0]}</xmin><ymin>${corners[1]}</ymin>` +
  `<xmax>${corners[2]}</xmax><ymax>${corners[3]}</ymax></bndbox></object>`;

const annotation = (
  objects: string,
  size = '<size><width>40</width><height>30</height><depth>3</depth></size>',
): string => `<annotation><filename>whatever.jpg</filename>${size}${objects}</annotation>`;

/** A VOC folder of 40 x 30 images out of annotation texts by id. */
function vocFolder(annotations: Record<string, string>, sets: Record<string, string> = {}): string {
  const folder = temporaryFolder();
  for (const part of ['Annotations', 'JPEGImages', 'ImageSets/Main'])
    fs.mkdirSync(path.join(folder, part), { recursive: true });
  for (const [id, text] of Object.entries(annotations)) {
    fs.writeFileSync(path.join(folder, 'Annotations', `${id}.xml`), text);
    fs.writeFileSync(path.join(folder, 'JPEGImages', `${id}.jpg`), encodeJpeg(grey(40, 30), 80));
  }
  for (const [name, text] of Object.entries(sets))
    fs.writeFileSync(path.join(folder, 'ImageSets/Main', `${name}.txt`), text);
  return folder;
}

describe('readVoc', () => {
  test('1-based inclusive corners become continuous boxes; flags and classes are read', async () => {
    const flags = '<difficult>1</difficult><truncated>1</truncated><pose>Unspecified</pose>';
    const folder = vocFolder({
      a: annotation(object('dog', [1, 1, 40, 30], flags) + object('cat', [5, '6.5', 20, 7])),
      b: annotation(''),
    });
    const data = await readVoc(folder);
    expect(data.classes).toEqual(['cat', 'dog']);
    expect(data.problems).toEqual([]);
    expect(data.examples.map(({ id, width, height, objects }) => ({ id, width, height, objects }))).toEqual([
      {
        id: 'a',
        width: 40,
        height: 30,
        objects: [
          { box: [0, 0, 40, 30], label: 1, difficult: true, truncated: true },
          { box: [4, 5.5, 20, 7], label: 0, difficult: false, truncated: false },
        ],
      },
      { id: 'b', width: 40, height: 30, objects: [] },
    ]);
    expect((await data.examples[0].image()).width).toBe(40);
    expect((await readVoc(folder, { keepDifficult: false })).examples[0].objects).toHaveLength(1);
  });

  test('boxes without area or outside are dropped, boxes that stick out are clipped; each is reported', async () => {
    const boxes = [
      [9, 9, 9, 9],
      [9, 9, 20, 8],
      [41, 1, 50, 9],
      [30, 20, 44, 35],
      [0, 0, 10, 10],
    ].map((b) => object('a', b));
    const folder = vocFolder({ one: annotation(boxes.join('')) });
    const { problems, examples } = await readVoc(folder);
    const file = path.join(folder, 'Annotations', 'one.xml');
    expect(problems.map(({ object: index, action, problem }) => [index, action, problem])).toEqual([
      [0, 'dropped', 'the box has no area'],
      [1, 'dropped', 'the box has no area'],
      [2, 'dropped', 'the box lies outside the image (40 x 30)'],
      [3, 'clipped', 'the box reaches out of the image (40 x 30)'],
      [4, 'clipped', 'the box reaches out of the image (40 x 30)'],
    ]);
    expect(problems[3]).toMatchObject({ file, box: [30, 20, 44, 35] });
    expect(examples[0].objects.map(({ box }) => box)).toEqual([
      [29, 19, 40, 30],
      [0, 0, 10, 10],
    ]);
  });

  test('a wrong or missing <size> gives way to the image; photos annotated upright are read upright', async () => {
    const folder = vocFolder({
      missing: annotation('', ''),
      wrong: annotation('', '<size><width>41</width><height>30</height></size>'),
      zero: annotation('', '<size><width>0</width><height>0</height></size>'),
    });
    const { problems, examples } = await readVoc(folder);
    expect(examples.map(({ width, height }) => [width, height])).toEqual([
      [40, 30],
      [40, 30],
      [40, 30],
    ]);
    expect(problems.map(({ object: index, action, problem }) => [index, action, problem])).toEqual([
      [-1, 'corrected', 'no usable <size>; the image is 40 x 30'],
      [-1, 'corrected', '<size> says 41 x 30, the image is 40 x 30'],
      [-1, 'corrected', 'no usable <size>; the image is 40 x 30'],
    ]);

    const turned = vocFolder({ a: annotation('', '<size><width>30</width><height>40</height></size>') });
    const jpeg = encodeJpeg(grey(40, 30), 80);
    const exif = [
      0xff, 0xe1, 0, 34, 0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0,
      0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
    ];
    fs.writeFileSync(
      path.join(turned, 'JPEGImages/a.jpg'),
      Uint8Array.from([0xff, 0xd8, ...exif, ...jpeg.subarray(2)]),
    );
    const [example] = (await readVoc(turned)).examples;
    expect([example.width, (await example.image()).width, (await example.image()).height]).toEqual([
      30, 30, 40,
    ]);
  });

  test('image sets choose and order; per-class lists give their first column; limit takes the beginning', async () => {
    const folder = vocFolder(
      { a: annotation(object('x', [1, 1, 5, 5])), b: annotation(''), c: annotation('') },
      { train: 'c\r\na\r\n\r\n', x_train: 'b  1\n' },
    );
    const ids = async (split?: string, limit?: number): Promise<string[]> =>
      (await readVoc(folder, { split, limit })).examples.map((example) => example.id);
    expect(await ids()).toEqual(['a', 'b', 'c']);
    expect(await ids('train')).toEqual(['c', 'a']);
    expect(await ids('train', 1)).toEqual(['c']);
    expect(await ids('x_train')).toEqual(['b']);
    // Labels must not depend on which list is read.
    expect((await readVoc(folder, { split: 'x_train' })).classes).toEqual(['x']);
    await expect(ids('trian')).rejects.toThrow(
      /no image set "trian".*Available: train, x_train\. Did you mean "train"/,
    );
  });

  test('without ImageSets a seeded split stands in: disjoint, complete, reproducible', async () => {
    const folder = vocFolder(
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`i${i}`, annotation('')])),
    );
    const part = async (split: string, seed?: number): Promise<string[]> =>
      (await readVoc(folder, { split, seed, classes: ['x'] })).examples.map((example) => example.id);
    const [train, val, test] = [await part('train'), await part('val'), await part('test')];
    expect([train.length, val.length, test.length]).toEqual([14, 2, 4]);
    expect(new Set([...train, ...val, ...test]).size).toBe(20);
    expect(await part('train')).toEqual(train);
    expect(await part('train', 7)).not.toEqual(train);
    await expect(part('dev')).rejects.toThrow('the splits are train, val, test; there is no "dev"');
  });

  test('finds .png and .JPEG images, and those only <filename> names', async () => {
    const folder = vocFolder({ a: annotation(''), b: annotation(''), c: annotation('') });
    const images = path.join(folder, 'JPEGImages');
    fs.renameSync(path.join(images, 'a.jpg'), path.join(images, 'a.JPEG'));
    fs.rmSync(path.join(images, 'b.jpg'));
    fs.writeFileSync(path.join(images, 'b.png'), await encodePng(grey(40, 30)));
    fs.renameSync(path.join(images, 'c.jpg'), path.join(images, 'whatever.jpg'));
    const { examples } = await readVoc(folder);
    for (const example of examples) expect((await example.image()).height).toBe(30);
    fs.rmSync(path.join(images, 'whatever.jpg'));
    await expect(readVoc(folder)).rejects.toThrow(
      /No image for .*c\.xml: JPEGImages has none of c\.jpg, .*whatever\.jpg/,
    );
  });

  test('errors name file, reason and a way out', async () => {
    const good = annotation(object('dog', [1, 1, 5, 5]));
    const folder = vocFolder({ a: good }, { train: 'a\nb\n' });
    const file = path.join(folder, 'Annotations', 'a.xml');
    await expect(readVoc(folder, { split: 'train' })).rejects.toThrow(
      /no annotation .*b\.xml, though .*train\.txt lists "b"/,
    );
    await expect(readVoc(folder, { classes: ['dgo'] })).rejects.toThrow(
      /a\.xml: object 0 is of class "dog", .*"dgo"/,
    );
    const lenient = await readVoc(folder, { classes: ['cat'], ignoreUnknownClasses: true });
    expect(lenient.problems).toMatchObject([
      { file, object: 0, action: 'dropped', problem: 'class dog is not asked for' },
    ]);
    for (const [text, reason] of [
      ['<annotation><object></annotation>', 'the XML is broken'],
      ['<html></html>', '<annotation> was expected, found <html>'],
      ['', '<annotation> was expected|the XML is broken'],
      [annotation(object('dog', [1, 'x', 5, 5])), 'object 0 \\(dog\\): <ymin> is x, not a number'],
      [
        annotation(object('dog', [1, '', 5, 5])),
        'object 0 \\(dog\\): <ymin> is missing, not a number|<ymin> is , not',
      ],
      [annotation('<object><name>dog</name></object>'), 'object 0 \\(dog\\) has no <bndbox>'],
    ]) {
      fs.writeFileSync(file, text);
      await expect(readVoc(folder)).rejects.toThrow(
        new RegExp(`Can't read the annotation .*a\\.xml: .*(${reason})`, 's'),
      );
    }
    fs.writeFileSync(file, good);
    fs.writeFileSync(path.join(folder, 'JPEGImages/a.jpg'), '');
    await expect(readVoc(folder)).rejects.toThrow(/a\.jpg: the file is empty/);
  });

  test('a folder that is not VOC: says what was expected and found, and where one may be', async () => {
    const outer = temporaryFolder();
    await expect(readVoc(path.join(outer, 'nope'))).rejects.toThrow('not a folder that can be read');
    await expect(readVoc(outer)).rejects.toThrow(
      /not in Pascal VOC layout: expected Annotations.*found nothing/,
    );
    const inner = path.join(outer, 'VOCdevkit', 'VOC2007');
    for (const part of ['Annotations', 'JPEGImages'])
      fs.mkdirSync(path.join(inner, part), { recursive: true });
    await expect(readVoc(outer)).rejects.toThrow(`${inner} is: use that folder`);
    await expect(readVoc(inner)).rejects.toThrow('holds no .xml file');
  });

  test('entities do not expand; the predefined ones are read', async () => {
    const bomb =
      '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' +
      annotation(object('&b;&amp;', [1, 1, 5, 5]));
    const { classes } = await readVoc(vocFolder({ a: bomb }));
    expect(classes).toEqual(['&b;&']);
  });
});

test('writeVoc and readVoc round trip, names escaped', async () => {
  const folder = temporaryFolder();
  const dataset: DetectionDataset = {
    name: 'x',
    classes: ['a & <b>', 'c'],
    examples: [
      {
        id: 'one',
        width: 40,
        height: 30,
        objects: [
          { box: [3, 4, 20, 30], label: 0, difficult: true, truncated: false },
          { box: [0, 0, 40, 2], label: 1, difficult: false, truncated: true },
        ],
        image: () => Promise.resolve(grey(40, 30)),
      },
    ],
  };
  await writeVoc(folder, dataset, { split: 'val' });
  const back = await readVoc(folder, { split: 'val' });
  expect(back.classes).toEqual(dataset.classes);
  expect(back.examples[0].objects).toEqual(dataset.examples[0].objects);
  expect((await back.examples[0].image()).data).toEqual(grey(40, 30).data);
});

test('splitDataset refuses shares that make no sense', () => {
  const empty: DetectionDataset = { name: 'e', classes: [], examples: [] };
  expect(splitDataset(empty, { a: 0.5, b: 0.5 }, 0).a.examples).toEqual([]);
  expect(() => splitDataset(empty, { a: 0.8, b: 0.3 }, 0)).toThrow('more than 1');
  expect(() => splitDataset(empty, { a: 0 }, 0)).toThrow('fraction of a is 0');
});
