import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonScanner } from '../../lib/data/json-scanner';
import { streamJson } from '../../lib/data/json-stream';
import { temporaryFolder } from './temporary';

/** What the scanner makes of a text that comes in pieces of these lengths, in turn. */
function scan(
  text: string | Buffer,
  lengths: readonly number[],
  skip: readonly string[] = [],
): { keys: string[]; elements: [string, unknown][]; lines: number[] } {
  const elements: [string, unknown][] = [];
  const lines: number[] = [];
  const told =
    (key: string) =>
    (element: unknown, { line }: { line: number }) => {
      elements.push([key, element]);
      lines.push(line);
    };
  const scanner = new JsonScanner({ arrays: { '': told(''), a: told('a'), b: told('b') }, skip });
  const bytes = Buffer.from(text);
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length];
    scanner.write(Uint8Array.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return { keys: scanner.end(), elements, lines };
}

const anyLengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
const anyValue = fc.jsonValue({ maxDepth: 4 });

describe('JsonScanner', () => {
  test('hands out what JSON.parse finds, however the bytes are cut', () => {
    const anyDocument = fc.record({
      info: anyValue,
      a: fc.array(anyValue, { maxLength: 5 }),
      other: anyValue,
      b: fc.array(anyValue, { maxLength: 5 }),
      end: anyValue,
    });
    fc.assert(
      fc.property(
        anyDocument,
        anyLengths,
        fc.constantFrom(undefined, 1, '\t'),
        (document, lengths, indent) => {
          const text = JSON.stringify(document, undefined, indent);
          const { keys, elements } = scan(text, lengths);
          expect(keys).toEqual(['info', 'a', 'other', 'b', 'end']);
          const parsed = JSON.parse(text) as { a: unknown[]; b: unknown[] };
          expect(elements).toEqual([
            ...parsed.a.map((element) => ['a', element]),
            ...parsed.b.map((element) => ['b', element]),
          ]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a file that is an array', () => {
    fc.assert(
      fc.property(fc.array(anyValue), anyLengths, (document, lengths) => {
        const text = JSON.stringify(document);
        expect(scan(text, lengths).elements.map(([, element]) => element)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('members to pass over arrive as null, and only at the top of an element', () => {
    const anyElement = fc.dictionary(
      fc.constantFrom('skip', 'keep', 'segmentation', 'ski', 'skipp'),
      anyValue,
    );
    fc.assert(
      fc.property(fc.array(anyElement), anyLengths, (a, lengths) => {
        const wanted = a.map((element) => ('skip' in element ? { ...element, skip: null } : element));
        const found = scan(JSON.stringify({ a }), lengths, ['skip']).elements.map(([, element]) => element);
        expect(found).toEqual(JSON.parse(JSON.stringify(wanted)));
      }),
      { numRuns: 300 },
    );
    const nested = { a: [{ x: { skip: 1 }, skip: [{ skip: ['}', ']', '\\"'] }], y: 'skip' }, [{ skip: 2 }]] };
    expect(scan(JSON.stringify(nested), [3], ['skip']).elements).toEqual([
      ['a', { x: { skip: 1 }, skip: null, y: 'skip' }],
      ['a', [{ skip: 2 }]],
    ]);
  });

  test('lines of elements are those in the file', () => {
    const text = '{\n"other": [\n1,\n2],\n"a": [{"x":\n1}, 5,\n\n"t"]}';
    expect(scan(text, [4])).toMatchObject({
      lines: [5, 6, 8],
      elements: [
        ['a', { x: 1 }],
        ['a', 5],
        ['a', 't'],
      ],
    });
  });

  test('numbers that JSON does not have arrive as texts', () => {
    const text = '{"a":[{"bbox":[NaN,-Infinity,Infinity,1],"name":"NaN, \\"Infinity\\""},NaN]}';
    expect(scan(text, [7]).elements.map(([, element]) => element)).toEqual([
      { bbox: ['NaN', '-Infinity', 'Infinity', 1], name: 'NaN, "Infinity"' },
      'NaN',
    ]);
  });

  test.each([
    ['', 'line 1: it is empty'],
    ['  ', 'line 1: it is empty'],
    ['5', 'an object or an array was expected at the start, found "5"'],
    ['{"a": [1, 2', 'it is cut short: it ends in a[1]'],
    ['{"a": [{"x": [1, 2', 'it is cut short: it ends in a[0]'],
    ['{"a": [1],', 'it is cut short: it ends after "a"'],
    ['{"a": [1', 'it is cut short: it ends in a[0]'],
    ['{"a": [1 2]}', '"," or "]" was expected after a[0], found "2"'],
    ['{"a": [1,]}', 'a value was expected before a[1], found "]"'],
    ['{"a": [1]} x', 'nothing was expected after "a", found "x"'],
    ['{"a" [1]}', '":" was expected after "a", found "["'],
    ['{a: 1}', 'a key was expected at the start, found "a"'],
    ['{"a": [1],}', 'a key was expected after "a", found "}"'],
    ['{"a": [\n{"x": 1]]}', 'line 2: "}" was expected in a[0], found "]"'],
    ['{"other": {"x": ]}', '"}" was expected after "other", found "]"'],
    ['{"a": [{"x": 01}]}', 'line 1: in a[0]: '],
    [`{"other": ${'['.repeat(600)}`, 'nested more than 512 deep'],
    ['{"oth\ner": 1}', 'a string goes over the end of the line'],
    [Buffer.from('{"a": [1]}', 'utf16le'), 'it is not UTF-8 (UTF-16 by its looks)'],
    [Buffer.from('\ufeff{}', 'utf16le'), 'it is not UTF-8 (UTF-16 by its looks)'],
    [Buffer.from('{"a": [{"name": "f\xfcr"}]}', 'latin1'), 'in a[0]: it is not UTF-8 text'],
  ])('refuses %j', (text, message) => {
    for (const lengths of [[1000], [1], [3]]) {
      if (text.length < 2 || lengths[0] > 1) expect(() => scan(text, lengths)).toThrow(message);
    }
  });

  test('a broken element is told and left out where somebody listens', () => {
    const broken: unknown[] = [];
    const elements: unknown[] = [];
    const scanner = new JsonScanner({
      arrays: { a: (element) => elements.push(element) },
      onBroken: (key, place, reason, wrongEncoding) =>
        broken.push([key, place, wrongEncoding, reason.length > 0]),
    });
    scanner.write(Buffer.from('{"a": [{"x": },\n{"y": 2}, {"n": "\xfc"}, 3]}', 'latin1'));
    scanner.end();
    expect(elements).toEqual([{ y: 2 }, 3]);
    expect(broken).toEqual([
      ['a', { index: 0, line: 1 }, false, true],
      ['a', { index: 2, line: 2 }, true, true],
    ]);
  });

  test('a mark at the beginning is passed over', () => {
    expect(scan('\ufeff{"a": [1]}', [1000]).elements).toEqual([['a', 1]]);
  });
});

test('streamJson reads a file in pieces and says how far it is', async () => {
  const file = path.join(temporaryFolder(), 'big.json');
  const a = Array.from({ length: 60_000 }, (_, i) => ({
    id: i,
    name: `ü${i}`,
    skip: Array.from({ length: 9 }, () => i),
  }));
  fs.writeFileSync(file, JSON.stringify({ a }));
  let sum = 0;
  let count = 0;
  const keys = await streamJson(file, {
    arrays: {
      a: (element, { index }) => {
        const { id, name, skip } = element as { id: number; name: string; skip: unknown };
        if (id === index && name === `ü${id}` && skip === null) count++;
        sum += id;
      },
    },
    skip: ['skip'],
    onProgress: (done, total) => expect(done).toBeLessThanOrEqual(total),
  });
  expect(fs.statSync(file).size).toBeGreaterThan(3 << 20);
  expect({ keys, count, sum }).toEqual({
    keys: ['a'],
    count: a.length,
    sum: (a.length * (a.length - 1)) / 2,
  });
});
