/** TFLite files that a test writes: whole, damaged and hostile ones. What a real one holds, tests/models/open-images sees. */
import fc from 'fast-check';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTflite, readTflite, TfliteWalk } from 'detlab';
import { type Table, writeFlatBuffer } from './flatbuffer-writer';

const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x3555, 0x8000).buffer);
const floats = Buffer.from(Float32Array.of(0.1).buffer);

const tensor = (name: string, shape: number[], type: number, buffer: number): Table => ({
  0: { int32s: shape },
  1: { int8: type },
  2: { int32: buffer },
  3: { text: name },
});
const operator = (code: number, inputs: number[], outputs: number[], options: Table = {}): Table => ({
  0: { int32: code },
  1: { int32s: inputs },
  2: { int32s: outputs },
  ...options,
});

/** x [1, 2, 2, 3] under a 1x1 convolution of stride 2 whose filter is kept in half precision; a custom operator has the last word. */
function small(): { model: Table; graph: Table; operators: Table[]; tensors: Table[] } {
  const tensors = [
    tensor('x', [1, 2, 2, 3], 0, 0),
    tensor('filter16', [2, 1, 1, 3], 1, 1),
    tensor('filter', [2, 1, 1, 3], 0, 0),
    tensor('bias', [1], 0, 2),
    tensor('y', [1, 1, 1, 2], 0, 0),
    tensor('z', [], 0, 0),
  ];
  const operators = [
    operator(0, [1], [2]),
    operator(1, [0, 2, 3], [4], {
      3: { int8: 1 },
      4: { table: { 0: { int8: 0 }, 1: { int32: 2 }, 2: { int32: 1 }, 3: { int8: 3 } } },
    }),
    operator(2, [4, -1], [5]),
  ];
  const graph: Table = {
    0: { tables: tensors },
    1: { int32s: [0] },
    2: { int32s: [5] },
    3: { tables: operators },
    4: { text: 'main' },
  };
  const model: Table = {
    0: { int32: 3 },
    1: { tables: [{ 0: { int8: 6 } }, { 3: { int32: 3 } }, { 0: { int8: 32 }, 1: { text: 'Größer' } }] },
    2: { tables: [graph] },
    3: { text: 'by hand' },
    4: { tables: [{}, { 0: { bytes: halves } }, { 0: { bytes: floats } }] },
  };
  return { model, graph, operators, tensors };
}

describe('a whole file', () => {
  const { description, graphs } = parseTflite(writeFlatBuffer(small().model));
  const [graph] = graphs;

  test('is described', () => {
    expect(description).toBe('by hand');
    expect(graph).toMatchObject({ name: 'main', inputs: [0], outputs: [5] });
    expect(graph.tensors.map(({ name, shape, dtype, constant }) => [name, shape, dtype, constant])).toEqual([
      ['x', [1, 2, 2, 3], 'F32', false],
      ['filter16', [2, 1, 1, 3], 'F16', true],
      ['filter', [2, 1, 1, 3], 'F32', false],
      ['bias', [1], 'F32', true],
      ['y', [1, 1, 1, 2], 'F32', false],
      ['z', [], 'F32', false],
    ]);
    expect(graph.operators).toEqual([
      { index: 0, type: 'DEQUANTIZE', inputs: [1], outputs: [2], options: {} },
      {
        index: 1,
        type: 'CONV_2D',
        inputs: [0, 2, 3],
        outputs: [4],
        // Stride [height, width]; the dilation is the schema's default.
        options: { padding: 'same', stride: [1, 2], dilation: [1, 1], activation: 'relu6' },
      },
      { index: 2, type: 'CUSTOM:Größer', inputs: [4, -1], outputs: [5], options: {} },
    ]);
  });

  test('gives its constants: half precision is widened exactly', () => {
    expect([...graph.values(1).values]).toEqual([1, -2, 2 ** -24, 65504, 0.333251953125, -0]);
    expect([...graph.values(3).values]).toEqual([Math.fround(0.1)]);
    expect(() => graph.values(4)).toThrow(/tensor 4 \(y\) is no constant/);
    expect(() => graph.values(99)).toThrow(/tensor 99 is no constant/);
  });

  test('can be walked', () => {
    const walk = new TfliteWalk(graph);
    expect(walk.maker(4)?.type).toBe('CONV_2D');
    expect(walk.maker(0)).toBeUndefined();
    expect(walk.usersOf(4).map(({ type }) => type)).toEqual(['CUSTOM:Größer']);
    expect(walk.usersOf(5)).toEqual([]);
    expect(walk.constant(2)).toEqual(walk.constant(1));
    expect(() => walk.constant(4)).toThrow(/tensor 4 \(y\) is no constant/);
  });
});

describe('on the disk', () => {
  let folder: string;
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-tflite-'));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  test('errors name the file', async () => {
    const file = path.join(folder, 'small.tflite');
    fs.writeFileSync(file, writeFlatBuffer(small().model));
    expect((await readTflite(file)).graphs).toHaveLength(1);
    fs.writeFileSync(file, '');
    await expect(readTflite(file)).rejects.toThrow(/small\.tflite: it is no TFLite file/);
    await expect(readTflite(path.join(folder, 'none'))).rejects.toThrow(/ENOENT/);
  });
});

describe('refused', () => {
  type Change = (parts: ReturnType<typeof small>) => void;
  const cases: [string, Change, RegExp][] = [
    ['another version', ({ model }) => (model[0] = { int32: 4 }), /version 4 of the schema/],
    ['no graph', ({ model }) => (model[2] = undefined), /it has no graph/],
    ['a tensor that is not there', ({ operators }) => (operators[1][1] = { int32s: [0, 9, 3] }), /operator 1 \(CONV_2D\): there is no tensor 9; there are 6/],
    ['a circle', ({ operators }) => (operators[1][1] = { int32s: [5, 2, 3] }), /operator 1 \(CONV_2D\) uses tensor 5 before anything makes it/],
    ['two makers', ({ operators }) => (operators[2][2] = { int32s: [4] }), /operator 2 .* makes tensor 4, which is there already/],
    ['a constant that is overwritten', ({ operators }) => (operators[2][2] = { int32s: [3] }), /makes tensor 3, which is there already/],
    ['an output that nothing makes', ({ graph, operators }) => { graph[3] = { tables: operators.slice(0, 2) }; }, /nothing makes its output, tensor 5/],
    ['a shape below zero', ({ tensors }) => (tensors[0][0] = { int32s: [1, -2] }), /tensor 0 has the shape \[1, -2\]/],
    ['a shape beyond counting', ({ tensors }) => (tensors[0][0] = { int32s: [2 ** 30, 2 ** 30, 2 ** 30] }), /tensor 0 has the shape/],
    ['a constant too short for its shape', ({ tensors }) => (tensors[1][0] = { int32s: [7] }), /of shape \[7\] in F16 needs 14 bytes, and has 12/],
    ['a number format that there is not', ({ tensors }) => (tensors[0][1] = { int8: 99 }), /number format 99/],
    ['a buffer that is not there', ({ tensors }) => (tensors[1][2] = { int32: 3 }), /in buffer 3; there are 3 buffers/],
    ['an operator code that is not there', ({ operators }) => (operators[2][0] = { int32: 3 }), /operator 2 has code 3 of 3/],
    ['a convolution without options', ({ operators }) => (operators[1][4] = undefined), /CONV_2D\): its options are missing/],
    ['another operator’s options', ({ operators }) => (operators[1][3] = { int8: 5 }), /options of another kind/],
    ['a stride of 0', ({ operators }) => (operators[1][4] = { table: {} }), /a stride, dilation or window is 0/],
    ['a padding that there is not', ({ operators }) => (operators[1][4] = { table: { 0: { int8: 7 } } }), /no padding 7/],
    ['values behind the tables', ({ model }) => (model[4] = { tables: [{}, { 1: { uint64: 99n }, 2: { uint64: 12n } }, {}] }), /buffer 1 lies behind the tables/],
  ]; // prettier-ignore
  test.each(cases)('%s', (_, change, message) => {
    const parts = small();
    change(parts);
    expect(() => parseTflite(writeFlatBuffer(parts.model), 'a.tflite')).toThrow(message);
    expect(() => parseTflite(writeFlatBuffer(parts.model), 'a.tflite')).toThrow(/^a\.tflite: /);
  });

  test('other files', () => {
    expect(() => parseTflite(writeFlatBuffer(small().model, 'ABCD'))).toThrow(/no TFLite file/);
    expect(() => parseTflite(Buffer.from('PK'))).toThrow(/no TFLite file/);
  });

  test('a small file that describes itself as a huge one: parts that lie over one another', () => {
    const parts = small();
    const shared = Array.from({ length: 50_000 }, () => 0);
    const one = operator(2, shared, []);
    parts.graph[3] = { tables: [...parts.operators, ...Array.from({ length: 50_000 }, () => one)] };
    const bytes = writeFlatBuffer(parts.model);
    expect(bytes.length).toBeLessThan(600_000);
    expect(() => parseTflite(bytes)).toThrow(/its parts lie over one another/);
  });

  test('whatever is cut off', () => {
    const bytes = writeFlatBuffer(small().model);
    for (let length = 0; length < bytes.length - 16; length++) {
      expect(() => parseTflite(bytes.subarray(0, length)), `${length} bytes`).toThrow(RangeError);
    }
  });

  test('any damage gives a description or a RangeError, at once', () => {
    const whole = writeFlatBuffer(small().model);
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = whole.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          const [graph] = parseTflite(bytes).graphs;
          for (const { index, constant } of graph.tensors) if (constant) graph.values(index);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
