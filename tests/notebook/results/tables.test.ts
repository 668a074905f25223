import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  type DatasetDetections,
  type Detection,
  type DetectionDataset,
  gridAnchors,
  type GroundTruth,
} from 'detlab';
import { shownResult } from '../../../lib/notebook/engine/result';
import { cleanHtml } from '../../../lib/notebook/page/html';

async function formsOf(value: unknown): Promise<string[]> {
  return Object.keys((await shownResult(value))!.bundle);
}

async function textOf(value: unknown): Promise<string[]> {
  return String((await shownResult(value))?.bundle['text/plain']).split('\n');
}

/** The cells of a table, row by row, the caption first. */
async function cellsOf(value: unknown): Promise<string[][]> {
  const html = String((await shownResult(value))?.bundle['text/html']);
  expect(cleanHtml(html, 'output')).toBe(html);
  const plain = (text: string): string => text.replace(/<[^>]+>/g, '');
  const caption = /<caption[^>]*>(.*?)<\/caption>/.exec(html)?.[1];
  const rows = [...html.matchAll(/<tr>(.*?)<\/tr>/g)].map((row) =>
    [...row[1].matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/g)].map((cell) => plain(cell[1])),
  );
  return [...(caption === undefined ? [] : [[caption]]), ...rows];
}

describe('an array of objects', () => {
  test('is a table beside its text', async () => {
    const rows = [
      { name: 'a <b>', steps: 1_234_567, loss: 0.25, tags: ['x', 'y'] },
      { name: 'c', steps: 2, loss: NaN, tags: [], late: true },
    ];
    expect(await cellsOf(rows)).toEqual([
      ['name', 'steps', 'loss', 'tags', 'late'],
      ['a &lt;b&gt;', '1234567', '0.25', '[ &#39;x&#39;, &#39;y&#39; ]', ''],
      ['c', '2', 'NaN', '[]', 'true'],
    ]);
    const { bundle, metadata } = (await shownResult(rows))!;
    expect(bundle['text/plain']).toBe(inspect(rows, { depth: 4, breakLength: 100 }));
    expect(bundle['text/html']).toContain('<td style="text-align:right">1234567</td>');
    expect(metadata).toEqual({});
  });

  test('is cut to what can be read, and looks no further', async () => {
    const rows = Array.from({ length: 1500 }, (_, i) =>
      Object.fromEntries(Array.from({ length: 23 }, (_, k) => [`k${k}`, i * k])),
    );
    Object.defineProperty(rows, 1000, { get: () => expect.unreachable() });
    const cells = await cellsOf(rows);
    expect(cells[0]).toEqual(['the first 60 of 1,500 rows, the first 20 of 23 columns']);
    expect(cells).toHaveLength(62);
    expect(cells[1]).toHaveLength(20);
  });

  test('holds values of any kind in a few words', async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const kinds = {
      big: 12n,
      date: new Date(0),
      map: new Map([[1, 2]]),
      run: () => 1,
      symbol: Symbol('s'),
      circle,
      long: 'word '.repeat(50),
      get lazy(): number {
        return expect.unreachable();
      },
    };
    const [head, first] = await cellsOf([kinds, kinds]);
    expect(Object.fromEntries(head.map((key, i) => [key, first[i]]))).toEqual({
      big: '12',
      date: '1970-01-01T00:00:00.000Z',
      map: 'Map(1) { 1 =&gt; 2 }',
      run: '[Function: run]',
      symbol: 'Symbol(s)',
      circle: '&lt;ref *1&gt; { self: [Circular *1] }',
      long: `${'word '.repeat(16).slice(0, 79)}…`,
      lazy: '[getter]',
    });
  });

  class Point {
    constructor(
      readonly x: number,
      readonly y: number,
    ) {}
  }

  test.each<[string, unknown]>([
    ['nothing', []],
    ['one object', [{ a: 1, b: 2 }]],
    ['one key', [{ a: 1 }, { a: 2 }]],
    [
      'few shared keys',
      [
        { a: 1, b: 1 },
        { c: 1, d: 2 },
        { e: 1, f: 2 },
      ],
    ],
    ['numbers', [1, 2, 3]],
    [
      'arrays',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['instances of a class', [new Point(1, 2), new Point(3, 4)]],
    ['objects and nothing', [{ a: 1, b: 2 }, undefined]],
    ['objects with an inspector', [1, 2].map((a) => ({ a, b: 2, [inspect.custom]: () => 'mine' }))],
    ['deep objects', [1, 2].map((a) => ({ a, b: Array(40).fill({ c: 'value' }) }))],
  ])('stays text where that says more: %s', async (_, value) => {
    expect(await formsOf(value)).toEqual(['text/plain']);
  });
});

describe('detections', () => {
  const at = (score: number, label: number = 0): Detection => ({ box: [1, 2.25, 30, 40], label, score });

  test('are listed from the surest', async () => {
    expect(await textOf([at(0.25, 3), at(0.987654, 11)])).toEqual([
      '2 detections',
      'class  score   x1   y1    x2    y2',
      '─────  ─────  ───  ───  ────  ────',
      '   11  0.988  1.0  2.3  30.0  40.0',
      '    3  0.250  1.0  2.3  30.0  40.0',
    ]);
    expect((await cellsOf([at(0.25, 3)]))[2]).toEqual(['3', '0.250', '1.0', '2.3', '30.0', '40.0']);
  });

  test('are cut to the surest', async () => {
    const lines = await textOf(Array.from({ length: 200 }, (_, i) => at(i / 200)));
    expect(lines[0]).toBe('200 detections; the surest 20');
    expect(lines).toHaveLength(23);
    expect(lines[3]).toContain('0.995');
  });

  test('of several images share the table', async () => {
    expect((await cellsOf([[at(0.5), at(0.75)], [], [at(0.25, 1)]])).map((row) => row.slice(0, 3))).toEqual([
      ['3 detections in 3 images'],
      ['image', 'class', 'score'],
      ['0', '0', '0.750'],
      ['0', '0', '0.500'],
      ['2', '1', '0.250'],
    ]);
    const many = Array.from({ length: 4 }, (_, image) =>
      Array.from({ length: 50 }, (_, i) => at(i / 50, image)),
    );
    const cells = await cellsOf(many);
    expect(cells[0]).toEqual(['200 detections in 4 images; 5 at most of each are shown']);
    expect(cells.slice(2).map(([image]) => image)).toEqual(
      [0, 1, 2, 3].flatMap((i) => Array(5).fill(`${i}`)),
    );
    expect(cells[2][2]).toBe('0.980');
  });

  test('are read from parallel arrays, flat or nested, with ids or names', async () => {
    const row = ['dog', '0.900', '5.0', '6.0', '7.0', '8.0'];
    const scores = Float32Array.of(0.2, 0.9);
    for (const value of [
      { boxes: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), scores, labels: ['cat', 'dog'] },
      {
        boxes: [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ],
        scores: [0.2, 0.9],
        classes: ['cat', 'dog'],
        ms: 12,
      },
    ]) {
      expect((await cellsOf(value))[2]).toEqual(row);
    }
    expect((await cellsOf({ boxes: [[1, 2, 3, 4]], scores: [0.5], classIds: [7] }))[2][0]).toBe('7');
    for (const value of [
      { boxes: [1, 2, 3], scores, labels: [1, 2] },
      { boxes: [[1, 2, 3, 4]], scores, labels: [1, 2] },
      { boxes: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), scores },
    ]) {
      expect(await formsOf(value)).toEqual(['text/plain']);
    }
  });

  test('that carry more than a detection are shown with it', async () => {
    const rows = [at(0.5), at(0.25)].map((found, id) => ({ id, ...found }));
    expect((await cellsOf(rows))[1]).toEqual(['0', '[ 1, 2.25, 30, 40 ]', '0', '0.50']);
  });
});

test('annotated objects are listed in their order, with their flags', async () => {
  const objects: GroundTruth[] = [
    { box: [0, 0, 10, 10], label: 2, difficult: true, truncated: true },
    { box: [5, 5, 9, 9], label: 0, difficult: false },
  ];
  expect(await textOf(objects)).toEqual([
    '2 objects',
    'class   x1   y1    x2    y2  notes',
    '─────  ───  ───  ────  ────  ────────────────────',
    '    2  0.0  0.0  10.0  10.0  difficult, truncated',
    '    0  5.0  5.0   9.0   9.0',
  ]);
});

test('a data set is shown by its classes', async () => {
  const example = (labels: number[], difficult: boolean = false): DetectionDataset['examples'][number] => ({
    id: 'x',
    width: 8,
    height: 8,
    objects: labels.map((label) => ({ box: [0, 0, 1, 1], label, difficult })),
    image: () => Promise.reject(new Error('not read')),
  });
  const examples = [example([0, 0, 1]), example([]), example([0], true)];
  const dataset: DetectionDataset = { name: 'mine', classes: ['cat', 'dog'], examples };
  expect(await textOf(dataset)).toEqual([
    'mine: 3 images, 4 objects (1 difficult), 1 image without any',
    'id  class  objects  images',
    '──  ─────  ───────  ──────',
    ' 0  cat          3       2',
    ' 1  dog          1       1',
  ]);
});

test('anchors are shown by their levels', async () => {
  const anchors = gridAnchors({
    imageWidth: 64,
    imageHeight: 32,
    maps: [
      [4, 8],
      [1, 2],
    ],
  });
  expect(await textOf(anchors)).toEqual([
    '136 anchors for images of 64 x 32 pixels',
    'level  rows x columns  step (px)  width x height (px)                                 anchors',
    '─────  ──────────────  ─────────  ──────────────────────────────────────────────────  ───────',
    '    0  4 x 8           8          6.4 x 6.4, 13.6 x 13.6, 9.1 x 4.5, 4.5 x 9.1            128',
    '    1  1 x 2           32         28.8 x 28.8, 38.4 x 38.4, 40.7 x 20.4, 20.4 x 40.7        8',
  ]);
});

test('what was found in a data set is shown by its images', async () => {
  const found: DatasetDetections = {
    ids: Array.from({ length: 25 }, (_, i) => `image-${i}`),
    groundTruth: Array.from({ length: 25 }, () => [{ box: [0, 0, 1, 1] as const, label: 0 }]),
    detections: Array.from({ length: 25 }, (_, i) =>
      Array.from({ length: i % 3 }, (_, k) => ({
        box: [0, 0, 1, 1] as const,
        label: 0,
        score: 0.25 + k / 2,
      })),
    ),
    seconds: 2,
  };
  const lines = await textOf(found);
  expect(lines[0]).toBe('25 images in 2.0 s: 25 objects, 24 detections; the first 20');
  expect(lines).toHaveLength(23);
  expect(lines.slice(3, 6)).toEqual([
    'image-0         1           0',
    'image-1         1           1       0.250',
    'image-2         1           2       0.750',
  ]);
});
