import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodePng } from '../../lib/data/image';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { DatasetError } from '../../lib/data/problems';
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
    const { problems, examples } = await readVoc(folder, { invalid: 'mend' });
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
    // `drop` leaves out what is out by more than a pixel.
    const dropped = await readVoc(folder, { invalid: 'drop' });
    expect(dropped.examples[0].objects.map(({ box }) => box)).toEqual([[0, 0, 10, 10]]);
    expect(dropped.problems.map(({ action }) => action)).toEqual([
      ...Array.from({ length: 4 }, () => 'dropped'),
      'clipped',
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
      /c\.xml: id c: no image: JPEGImages has none of c\.jpg, .*whatever\.jpg/,
    );
  });

  test('errors name file, line, reason and a way out', async () => {
    const good = annotation(object('dog', [1, 1, 5, 5]));
    const folder = vocFolder({ a: good }, { train: 'a\nb\n' });
    const file = path.join(folder, 'Annotations', 'a.xml');
    await expect(readVoc(folder, { split: 'train' })).rejects.toThrow(
      /train\.txt:2: id b: there is no annotation .*b\.xml/,
    );
    await expect(readVoc(folder, { classes: ['dgo'] })).rejects.toThrow(
      /a\.xml:1: object 0, .*class "dog" is not one of dgo\. Did it mean "dgo"/,
    );
    const lenient = await readVoc(folder, { classes: ['cat'], ignoreUnknownClasses: true });
    expect(lenient.problems).toMatchObject([
      { file, object: 0, line: 1, action: 'dropped', problem: 'class dog is not asked for' },
    ]);
    for (const [text, reason] of [
      ['<annotation><object></annotation>', 'the XML is broken'],
      ['<html></html>', '<annotation> was expected, found <html>'],
      ['', '<annotation> was expected|the XML is broken'],
      ['<a>'.repeat(5000) + '</a>'.repeat(5000), 'the XML is broken: Maximum nested tags'],
      [annotation(object('dog', [1, 'x', 5, 5])), 'object 0, .*class dog: <ymin> is x, not a number'],
      [annotation(object('dog', [1, 'NaN', 5, 5])), '<ymin> is NaN, not a number'],
      [annotation(object('dog', [1, '', 5, 'inf'])), '<ymin> is missing, not a number, <ymax> is inf, not'],
      [annotation('<object><name>dog</name></object>'), 'object 0, .*class dog: it has no <bndbox>'],
      [annotation(object('', [1, 1, 2, 2])), 'object 0, .*it has no <name>'],
    ]) {
      fs.writeFileSync(file, text);
      await expect(readVoc(folder)).rejects.toThrow(new RegExp(`a\\.xml(:1)?: .*(${reason})`, 's'));
    }
    fs.writeFileSync(file, good);
    fs.writeFileSync(path.join(folder, 'JPEGImages/a.jpg'), '');
    await expect(readVoc(folder)).rejects.toThrow(/a\.jpg: id a: the file is empty/);
  });

  test('everything that is wrong is told at once, with file, line or id; drop leaves it out', async () => {
    const jpeg = encodeJpeg(grey(40, 30), 80);
    const folder = vocFolder(
      {
        good: annotation(object('dog', [1, 1, 40, 30])),
        boxes: annotation(
          '\n' +
            [
              object('dog', [50, 1, 60, 9]),
              object('dog', [9, 9, 3, 12]),
              object('dog', [1, 1, 'nan', 5]),
              object('wolf', [1, 1, 5, 5]),
              object('dog', [2, 2, 9, 9]),
            ].join('\n'),
        ),
        noimage: annotation(object('dog', [50, 1, 60, 9])),
        cut: annotation(object('dog', [1, 1, 5, 5])),
        fake: annotation(''),
        size: annotation('', '<size><width>400</width><height>300</height></size>'),
        latin: annotation(''),
      },
      { train: 'good\nboxes\nnoimage\ncut\nfake\nsize\nlatin\ngood\nabsent\n../../outside\n' },
    );
    fs.rmSync(path.join(folder, 'JPEGImages/noimage.jpg'));
    fs.writeFileSync(path.join(folder, 'JPEGImages/cut.jpg'), jpeg.subarray(0, jpeg.length - 20));
    fs.writeFileSync(path.join(folder, 'JPEGImages/fake.jpg'), 'GIF89a, it says');
    const latin = Buffer.from(`<annotation>\n<filename>f\xfcr.jpg</filename></annotation>`, 'latin1');
    fs.writeFileSync(path.join(folder, 'Annotations/latin.xml'), latin);
    const options = { split: 'train', classes: ['dog'] } as const;
    const error = await readVoc(folder, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    const told = (error as DatasetError).problems.map(
      ({ file, line, id, kind, object: index }) => `${path.basename(file)}:${line} ${id} ${index} ${kind}`,
    );
    expect(told.sort()).toEqual(
      [
        'boxes.xml:2 boxes 0 box-outside',
        'boxes.xml:3 boxes 1 box-without-area',
        'boxes.xml:4 boxes 2 broken-annotation',
        'boxes.xml:5 boxes 3 unknown-class',
        'cut.jpg:undefined cut -1 broken-image',
        'fake.jpg:undefined fake -1 broken-image',
        'latin.xml:2 latin -1 encoding',
        'noimage.xml:1 noimage 0 box-outside',
        'noimage.xml:undefined noimage -1 missing-image',
        'size.xml:undefined size -1 image-size',
        'train.txt:10 ../../outside -1 missing-annotation',
        'train.txt:8 good -1 duplicate',
        'train.txt:9 absent -1 missing-annotation',
      ].sort(),
    );
    const dropped = await readVoc(folder, { ...options, invalid: 'drop' });
    expect(dropped.examples.map(({ id, objects }) => `${id} ${objects.length}`)).toEqual([
      'good 1',
      'boxes 1',
    ]);
    expect(dropped.problems).toHaveLength(13);
    const mended = await readVoc(folder, { ...options, invalid: 'mend' });
    expect(mended.examples.map(({ id, width }) => `${id} ${width}`)).toEqual([
      'good 40',
      'boxes 40',
      'size 40',
    ]);
    // A cut file is only seen where its end is looked at.
    const quick = await readVoc(folder, { ...options, invalid: 'drop', checkImages: 'headers' });
    expect(quick.examples.map(({ id }) => id)).toEqual(['good', 'boxes', 'cut']);
    await expect(readVoc(folder, { invalid: 'stop' as 'drop' })).rejects.toThrow("got 'stop'");
  });

  test('an encoding that the XML names is read, UTF-16 too; one that does not exist is told', async () => {
    const folder = vocFolder({ latin: annotation(''), wide: annotation(''), odd: annotation('') });
    const text = (encoding: string): string =>
      `<?xml version="1.0" encoding="${encoding}"?>${annotation(object('T\xfcr', [1, 1, 5, 5]))}`;
    const write = (id: string, bytes: Buffer): void =>
      fs.writeFileSync(path.join(folder, 'Annotations', `${id}.xml`), bytes);
    write('latin', Buffer.from(text('ISO-8859-1'), 'latin1'));
    write('wide', Buffer.from(`\ufeff${text('UTF-16')}`, 'utf16le'));
    write('odd', Buffer.from(text('klingon-1'), 'latin1'));
    const { classes, problems } = await readVoc(folder, { invalid: 'drop' });
    expect(classes).toEqual(['T\xfcr']);
    expect(problems).toMatchObject([{ kind: 'encoding', problem: 'there is no encoding "klingon-1"' }]);
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
