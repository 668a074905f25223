import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBoxCsv } from '../../lib/data/box-csv';
import { findBoxFields } from '../../lib/data/box-fields';
import { readBoxJson } from '../../lib/data/box-json';
import { toCorners } from '../../lib/data/box-rows';
import { parseCsv } from '../../lib/data/csv';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { DatasetError } from '../../lib/data/problems';
import { temporaryFolder } from './temporary';

const jpeg = encodeJpeg({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }, 80);

/** A file beside images of 40 x 30. */
function fileWith(
  name: string,
  content: string | Buffer | object,
  images: string[] = ['a.jpg', 'b.jpg'],
): string {
  const folder = temporaryFolder();
  for (const image of images) {
    fs.mkdirSync(path.dirname(path.join(folder, image)), { recursive: true });
    fs.writeFileSync(path.join(folder, image), jpeg);
  }
  const file = path.join(folder, name);
  const text = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);
  fs.writeFileSync(file, text);
  return file;
}

const shown = (data: {
  examples: readonly { id: string; objects: readonly { box: readonly number[]; label: number }[] }[];
}): unknown =>
  data.examples.map(({ id, objects }) => [id, ...objects.map(({ box, label }) => [label, ...box])]);

describe('parseCsv', () => {
  test('reads back any table, whatever the separator', () => {
    const anyCell = fc.string({ unit: fc.constantFrom('a', 'b', '"', ',', ';', '\t', '\n', ' ', 'ü') });
    const anyTable = fc.array(fc.array(anyCell, { minLength: 2, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        anyTable,
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n'),
        (table, separator, newline) => {
          const text = table
            .map((cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(separator))
            .join(newline);
          expect(parseCsv(text, separator).map(({ cells }) => cells)).toEqual(table);
        },
      ),
    );
  });

  test('lines are those of the file; empty lines and a mark at the beginning do not count', () => {
    const text = '\ufeffa,b\r\n\r\n"x\ny",1\n  z , " q" ';
    expect(parseCsv(text)).toEqual([
      { cells: ['a', 'b'], line: 1 },
      { cells: ['x\ny', '1'], line: 3 },
      { cells: ['z', ' q'], line: 5 },
    ]);
    expect(() => parseCsv('a,b\n1,"2')).toThrow('a quote is opened here');
  });
});

describe('findBoxFields', () => {
  test.each([
    [
      'filename,width,height,class,xmin,ymin,xmax,ymax',
      'xyxy',
      ['xmin', 'ymin', 'xmax', 'ymax'],
      'class',
      'width',
    ],
    ['image_id,width,height,bbox,source', undefined, ['bbox'], undefined, 'width'],
    [
      'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf',
      'xyxy',
      ['XMin', 'YMin', 'XMax', 'YMax'],
      'LabelName',
      undefined,
    ],
    ['img,x,y,w,h,label', 'xywh', ['x', 'y', 'w', 'h'], 'label', undefined],
    [
      'path,x_center,y_center,width,height,name',
      'cxcywh',
      ['x_center', 'y_center', 'width', 'height'],
      'name',
      undefined,
    ],
    [
      'Image Path,BBox X1,BBox Y1,BBox X2,BBox Y2,Category',
      'xyxy',
      ['BBox X1', 'BBox Y1', 'BBox X2', 'BBox Y2'],
      'Category',
      undefined,
    ],
    [
      'file,left,top,width,height,image_width,image_height,class_name',
      'xywh',
      ['left', 'top', 'width', 'height'],
      'class_name',
      'image_width',
    ],
  ])('%s', (header, format, box, className, width) => {
    expect(findBoxFields(header.split(','))).toMatchObject({ format, box, class: className, width });
  });

  test('no box', () => {
    expect(findBoxFields(['filename', 'class', 'x', 'y'])).toBeUndefined();
  });
});

test('toCorners', () => {
  expect(toCorners([1, 2, 3, 4], 'xyxy')).toEqual([1, 2, 3, 4]);
  expect(toCorners([1, 2, 3, 4], 'xywh')).toEqual([1, 2, 4, 6]);
  expect(toCorners([5, 6, 4, 2], 'cxcywh')).toEqual([3, 5, 7, 7]);
});

describe('readBoxCsv', () => {
  test('columns by name, in any order; images in a folder beside; lines without a box', async () => {
    const text =
      'class,xmin,ymin,xmax,ymax,filename,difficult\ndog,1,2,11,12,a.jpg,1\ncat,0,0,40,30,a.jpg,0\n,,,,,b.jpg,\n"dog",3,4,5,6,sub/c.jpg,0\n';
    const file = fileWith('boxes.csv', text, ['images/a.jpg', 'images/b.jpg', 'images/sub/c.jpg']);
    const data = await readBoxCsv(file);
    expect(data).toMatchObject({
      format: 'xyxy',
      units: 'pixels',
      classes: ['cat', 'dog'],
      problems: [],
      name: 'boxes',
    });
    expect(shown(data)).toEqual([['a', [1, 1, 2, 11, 12], [0, 0, 0, 40, 30]], ['b'], ['c', [1, 3, 4, 5, 6]]]);
    expect(data.examples[0].objects[0].difficult).toBe(true);
    expect((await data.examples[2].image()).width).toBe(40);
  });

  test('normalised centres, tabs, no class', async () => {
    const file = fileWith('t.tsv', 'image\tcx\tcy\tw\th\na.jpg\t0.5\t0.5\t0.25\t1\n');
    const data = await readBoxCsv(file);
    expect(data).toMatchObject({ format: 'cxcywh', units: 'normalised', classes: ['object'] });
    expect(shown(data)).toEqual([['a', [0, 15, 0, 25, 30]]]);
    expect(shown(await readBoxCsv(file, { units: 'pixels' }))).toEqual([['a', [0, 0.375, 0, 0.625, 1]]]);
  });

  test('no line of names: path, corners, class; other columns by option', async () => {
    expect(shown(await readBoxCsv(fileWith('k.csv', './a.jpg,1,2,11,12,dog\nb.jpg,,,,,\n')))).toEqual([
      ['a', [0, 1, 2, 11, 12]],
      ['b'],
    ]);
    const file = fileWith('k.csv', '1;2;10;10;a\n');
    const columns = ['x', 'y', 'w', 'h', 'image'];
    expect(shown(await readBoxCsv(file, { columns }))).toEqual([['a', [0, 1, 2, 11, 12]]]);
  });

  test('four numbers in one column: sizes betray themselves, otherwise the format must be said', async () => {
    const file = fileWith('w.csv', 'image_id,bbox\na,"[20.0, 10, 5, 6]"\nb,"1 2 3 4"\n');
    const data = await readBoxCsv(file);
    expect(data.format).toBe('xywh');
    expect(shown(data)).toEqual([
      ['a', [0, 20, 10, 25, 16]],
      ['b', [0, 1, 2, 4, 6]],
    ]);
    const either = fileWith('w.csv', 'image_id,bbox\na,"[1, 2, 5, 6]"\n');
    await expect(readBoxCsv(either)).rejects.toThrow("Say which: format: 'xyxy', 'xywh' or 'cxcywh'");
    expect(shown(await readBoxCsv(either, { format: 'xyxy' }))).toEqual([['a', [0, 1, 2, 5, 6]]]);
  });

  test('class numbers are labels where names are given, and sorted by number where not', async () => {
    const file = fileWith('n.csv', 'image,class,x1,y1,x2,y2\na,10,1,1,5,5\na,2,1,1,6,6\n');
    expect((await readBoxCsv(file)).classes).toEqual(['2', '10']);
    const names = ['zero', 'one', 'two'];
    await expect(readBoxCsv(file, { classes: names })).rejects.toThrow(
      'class 10 does not exist: there are 3',
    );
    expect(shown(await readBoxCsv(file, { classes: names, invalid: 'drop' }))).toEqual([
      ['a', [2, 1, 1, 6, 6]],
    ]);
  });

  test('a split column, or a division by the seed; labels do not hang on the split', async () => {
    const file = fileWith(
      's.csv',
      'image,class,x1,y1,x2,y2,split\na,cat,1,1,5,5,train\nb,dog,1,1,6,6,test\n',
    );
    const data = await readBoxCsv(file, { split: 'test' });
    expect([data.name, data.classes, shown(data)]).toEqual([
      's/test',
      ['cat', 'dog'],
      [['b', [1, 1, 1, 6, 6]]],
    ]);
    await expect(readBoxCsv(file, { split: 'val' })).rejects.toThrow(
      'no split "val". Available: train, test',
    );
    const names = Array.from({ length: 10 }, (_, i) => `${i}.jpg`);
    const plain = fileWith(
      'p.csv',
      `image,x1,y1,x2,y2\n${names.map((name) => `${name},1,1,5,5`).join('\n')}`,
      names,
    );
    expect((await readBoxCsv(plain, { split: 'train' })).examples).toHaveLength(7);
  });

  test('everything that is wrong is told at once, by line', async () => {
    const text = Buffer.from(
      [
        'filename,class,xmin,ymin,xmax,ymax',
        'a.jpg,dog,1,1,5,5',
        'a.jpg,dog,1,one,5,5',
        'a.jpg,dog,nan,1,5,5',
        'a.jpg,dog,9,9,3,12',
        'a.jpg,dog,50,1,60,5',
        'a.jpg,,1,1,5,5',
        'a.jpg,dog,1,1,5',
        'a.jpg,dog,1,1,5,5,extra',
        'a.jpg,h\xf6hle,1,1,5,5',
        ',dog,1,1,5,5',
        'nowhere.jpg,dog,1,1,5,5',
        'b.jpg,dog,1,1,90,5',
        'cut.jpg,dog,1,1,9,5',
      ].join('\n'),
      'latin1',
    );
    const file = fileWith('bad.csv', text);
    fs.writeFileSync(path.join(path.dirname(file), 'cut.jpg'), jpeg.subarray(0, 300));
    const error = await readBoxCsv(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DatasetError);
    const told = (error as DatasetError).problems.map(
      ({ file: at, line, kind }) => `${path.basename(at)}:${line} ${kind}`,
    );
    expect(told.sort()).toEqual(
      [
        'bad.csv:10 encoding',
        'bad.csv:11 broken-annotation',
        'bad.csv:12 missing-image',
        'bad.csv:13 box-reaches-out',
        'bad.csv:3 broken-annotation',
        'bad.csv:4 box-not-finite',
        'bad.csv:5 box-without-area',
        'bad.csv:6 box-outside',
        'bad.csv:7 broken-annotation',
        'bad.csv:8 broken-annotation',
        'bad.csv:9 broken-annotation',
        'cut.jpg:undefined broken-image',
      ].sort(),
    );
    expect(shown(await readBoxCsv(file, { invalid: 'drop' }))).toEqual([['a', [0, 1, 1, 5, 5]], ['b']]);
    const latin = await readBoxCsv(file, { invalid: 'drop', encoding: 'latin1' });
    expect(latin.classes).toContain('höhle');
  });

  test('other encodings, other tables, no file', async () => {
    const wide = Buffer.from('\ufeffimage,x1,y1,x2,y2,class\na,1,1,5,5,für\n', 'utf16le');
    expect((await readBoxCsv(fileWith('w.csv', wide))).classes).toEqual(['für']);
    await expect(readBoxCsv(fileWith('x.csv', 'name,price\ntea,1\n'))).rejects.toThrow(
      'is no table of boxes: found name, price',
    );
    await expect(readBoxCsv(fileWith('x.csv', 'x1,y1,x2,y2\n1,1,2,2\n'))).rejects.toThrow(
      'no column that names the image',
    );
    await expect(readBoxCsv(fileWith('x.csv', 'file,xmin,ymin,xmx,ymax\na,1,1,2,2\n'))).rejects.toThrow(
      'meant to be "xm',
    );
    await expect(readBoxCsv(fileWith('x.csv', ''))).rejects.toThrow('is empty');
    await expect(readBoxCsv(fileWith('x.csv', 'image,x1\n"a,1'))).rejects.toThrow(
      /x\.csv:2: a quote is opened here/,
    );
    await expect(readBoxCsv('/no/such.csv')).rejects.toThrow('there is no such file');
  });

  test('two images of one name in different folders are told apart', async () => {
    const file = fileWith('d.csv', 'image,x1,y1,x2,y2\np/a.jpg,1,1,5,5\nq/a.jpg,1,1,6,6\nb.jpg,1,1,2,2\n', [
      'p/a.jpg',
      'q/a.jpg',
      'b.jpg',
    ]);
    expect((await readBoxCsv(file)).examples.map(({ id }) => id)).toEqual(['p/a.jpg', 'q/a.jpg', 'b']);
  });
});

describe('readBoxJson', () => {
  test.each<[string, object, unknown]>([
    [
      'rows',
      [
        { image: 'a.jpg', label: 'dog', xmin: 1, ymin: 2, xmax: 5, ymax: 6 },
        { image: 'a.jpg', label: 'cat', xmin: '1', ymin: 2, xmax: 5, ymax: 7 },
      ],
      [['a', [1, 1, 2, 5, 6], [0, 1, 2, 5, 7]]],
    ],
    [
      'images with boxes',
      [
        { file_name: 'a.jpg', width: 40, height: 30, objects: [{ category: 'dog', x: 1, y: 2, w: 4, h: 5 }] },
        { file_name: 'b.jpg', objects: [] },
      ],
      [['a', [0, 1, 2, 5, 7]], ['b']],
    ],
    [
      'names with boxes',
      { 'a.jpg': [{ class: 'dog', xyxy: [1, 2, 3, 4] }], 'b.jpg': [] },
      [['a', [0, 1, 2, 3, 4]], ['b']],
    ],
    ['names with numbers', { 'a.jpg': [[20, 10, 5, 6]] }, [['a', [0, 20, 10, 25, 16]]]],
    [
      'an object around',
      {
        version: 1,
        images: [{ image: 'a.jpg', boxes: [{ label: 'x', bbox: { x1: 1, y1: 2, x2: 3, y2: 4 } }] }],
      },
      [['a', [0, 1, 2, 3, 4]]],
    ],
    [
      'labelme',
      {
        imagePath: '..\\pictures\\a.jpg',
        imageWidth: 40,
        imageHeight: 30,
        shapes: [
          {
            label: 'r',
            points: [
              [9, 8],
              [1, 2],
            ],
            shape_type: 'rectangle',
          },
          {
            label: 'p',
            points: [
              [1, 5],
              [4, 1],
              [6, 9],
            ],
            shape_type: 'polygon',
          },
          {
            label: 'c',
            points: [
              [10, 10],
              [13, 14],
            ],
            shape_type: 'circle',
          },
        ],
      },
      [['a', [2, 1, 2, 9, 8], [1, 1, 1, 6, 9], [0, 5, 5, 15, 15]]],
    ],
    [
      'CreateML',
      [{ image: 'a.jpg', annotations: [{ label: 'x', coordinates: { x: 10, y: 10, width: 4, height: 6 } }] }],
      [['a', [0, 8, 7, 12, 13]]],
    ],
    [
      'VGG Image Annotator',
      {
        'a.jpg123': {
          filename: 'a.jpg',
          size: 123,
          regions: [
            {
              shape_attributes: { name: 'rect', x: 1, y: 2, width: 3, height: 4 },
              region_attributes: { kind: 'dog' },
            },
          ],
        },
      },
      [['a', [0, 1, 2, 4, 6]]],
    ],
  ])('%s', async (_, content, wanted) => {
    expect(shown(await readBoxJson(fileWith('boxes.json', content)))).toEqual(wanted);
  });

  test('everything that is wrong is told at once, with index and image', async () => {
    const text = `[
      {"image": "a.jpg", "label": "x", "x1": 1, "y1": 1, "x2": 5, "y2": 5},
      {"image": "a.jpg", "label": "x", "x1": NaN, "y1": 1, "x2": 5, "y2": 5},
      {"image": "a.jpg", "label": "x", "x1": 1, "y1": 1, "x2": 5},
      {"image": "a.jpg", "label": "x", "x1": 5, "y1": 1, "x2": 5, "y2": 5},
      {"image": "gone.jpg", "label": "x", "x1": 1, "y1": 1, "x2": 5, "y2": 5},
      {"label": "x", "x1": 1, "y1": 1, "x2": 5, "y2": 5}]`;
    const file = fileWith('bad.json', text);
    const error = await readBoxJson(file).catch((thrown: unknown) => thrown);
    const told = (error as DatasetError).problems.map(({ id, object, kind }) => `${id} ${object} ${kind}`);
    expect(told.sort()).toEqual([
      'a 1 box-not-finite',
      'a 2 broken-annotation',
      'a 3 box-without-area',
      'gone -1 missing-image',
      'undefined 5 broken-annotation',
    ]);
    expect(shown(await readBoxJson(file, { invalid: 'drop' }))).toEqual([['a', [0, 1, 1, 5, 5]]]);
  });

  test('what holds no boxes is refused, and says why', async () => {
    await expect(readBoxJson(fileWith('x.json', [{ image: 'a', colour: 'red' }]))).rejects.toThrow(
      'holds no boxes: found image, colour',
    );
    await expect(readBoxJson(fileWith('x.json', [1]))).rejects.toThrow('element 0 of the list is no object');
    await expect(readBoxJson(fileWith('x.json', '5'))).rejects.toThrow('neither a list nor an object');
    await expect(readBoxJson(fileWith('x.json', '[1'))).rejects.toThrow('the JSON is broken');
    await expect(readBoxJson(fileWith('x.json', Buffer.from('["f\xfc"]', 'latin1')))).rejects.toThrow(
      'x.json:1: the line is not UTF-8 text',
    );
    await expect(
      readBoxJson(fileWith('x.json', { images: [], annotations: [], categories: [] })),
    ).rejects.toThrow('read it with readCoco');
    await expect(readBoxJson(fileWith('x.json', { 'a.jpg': 5 }))).rejects.toThrow(
      '"a.jpg" is neither a list of boxes',
    );
  });
});
