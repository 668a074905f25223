/** Safetensors files: Python's package opens ours and we its (`tests/reference/safetensors_files.py`); damaged ones are refused. */
import fc from 'fast-check';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HostTensor, openSafetensors, readSafetensors, writeSafetensors } from 'detlab';

const fixtures = path.join(__dirname, 'fixtures');
let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-weights-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const floats = (shape: number[], ...values: number[]): HostTensor => ({
  shape,
  values: Float32Array.from(values),
});
const ints = (shape: number[], ...values: number[]): HostTensor => ({
  shape,
  values: Int32Array.from(values),
});

const ours = new Map<string, HostTensor>([
  ['d', floats([2, 0])],
  ['b', ints([4], 1, -2, 3, 4)],
  ['a.weight', floats([1, 3], 0.5, -1.5, 3.25)],
  ['c', floats([], 42)],
]);

describe('with Python’s package', () => {
  test('its tensors of every format are read', async () => {
    const { tensors: expected } = JSON.parse(fs.readFileSync(path.join(fixtures, 'theirs.json'), 'utf8')) as {
      tensors: Record<string, { shape: number[]; values: (number | string)[] }>;
    };
    const { tensors, metadata } = await readSafetensors(path.join(fixtures, 'theirs.safetensors'));
    expect(metadata).toEqual({ format: 'pt', ключ: 'значение' });
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    const numbers: Record<string, number> = { inf: Infinity, '-inf': -Infinity };
    for (const [name, { shape, values }] of Object.entries(expected)) {
      const found = tensors.get(name)!;
      expect(found.shape, name).toEqual(shape);
      expect(Array.from(found.values), name).toEqual(
        values.map((v) => (typeof v === 'string' ? numbers[v] : v)),
      );
      const whole = /^(u?int|bool)/.test(name);
      expect(found.values, name).toBeInstanceOf(whole ? Int32Array : Float32Array);
    }
  });

  test('it opened exactly the bytes that we write', async () => {
    const file = path.join(folder, 'ours.safetensors');
    await writeSafetensors(file, ours, { metadata: { source: 'détlab' } });
    const bytes = fs.readFileSync(file);
    expect(bytes.equals(fs.readFileSync(path.join(fixtures, 'ours.safetensors')))).toBe(true);
    expect(Number(bytes.readBigUInt64LE(0)) % 8).toBe(0);
  });
});

describe('round trip', () => {
  test('any tensors come back as they were, and one at a time', async () => {
    const file = path.join(folder, 'any.safetensors');
    const shapes = fc.array(fc.nat(4), { maxLength: 4 });
    const tensor = shapes.chain((shape) => {
      const length = shape.reduce((product, side) => product * side, 1);
      const exactly = { minLength: length, maxLength: length };
      return fc.oneof(
        fc.float32Array(exactly).map((values): HostTensor => ({ shape, values })),
        fc.int32Array(exactly).map((values): HostTensor => ({ shape, values })),
      );
    });
    const name = fc
      .string({ unit: 'binary' })
      .filter((text) => text !== '__proto__' && text !== '__metadata__');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, tensor), { maxLength: 5 }), async (list) => {
        const tensors = new Map(list);
        await writeSafetensors(file, tensors);
        const read = await readSafetensors(file);
        expect(read.tensors.size).toBe(tensors.size);
        for (const [key, { shape, values }] of tensors) {
          expect(read.tensors.get(key)?.shape).toEqual(shape);
          expect(read.tensors.get(key)?.values).toEqual(values);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a file of megabytes, in a format that is converted in pieces', async () => {
    const count = 700_001;
    const bytes = Buffer.alloc(count * 2);
    for (let i = 0; i < count; i++) bytes.writeInt16LE((i % 65_536) - 32_768, i * 2);
    const file = write({ a: { dtype: 'I16', shape: [count], data_offsets: [0, count * 2] } }, bytes);
    const opened = await openSafetensors(file);
    expect(opened.tensors.get('a')).toMatchObject({ dtype: 'I16', shape: [count] });
    const { values } = await opened.read('a');
    await opened.close();
    for (const i of [0, 1, 524_287, 524_288, 524_289, count - 1])
      expect(values[i]).toBe((i % 65_536) - 32_768);
  });

  test('all half-precision numbers, by their definition', async () => {
    const bytes = Buffer.alloc(0x20000);
    for (let i = 0; i < 0x10000; i++) bytes.writeUInt16LE(i, i * 2);
    const { tensors } = await readSafetensors(
      write({ a: { dtype: 'F16', shape: [0x10000], data_offsets: [0, 0x20000] } }, bytes),
    );
    const { values } = tensors.get('a')!;
    for (let i = 0; i < 0x10000; i++) {
      const sign = i >> 15 ? -1 : 1;
      const [e, f] = [(i >> 10) & 31, i & 1023];
      const expected =
        e === 31 ? (f ? NaN : sign * Infinity) : sign * (e ? 1 + f / 1024 : f / 1024) * 2 ** ((e || 1) - 15);
      if (!Object.is(values[i], expected)) expect(values[i], `bits ${i}`).toBe(expected);
    }
  });
});

/** A file with this header (texts and bytes as they are, anything else as JSON) before `data`. */
function write(header: unknown, data: Uint8Array = new Uint8Array(0), length?: bigint): string {
  const asIs = typeof header === 'string' || Buffer.isBuffer(header);
  const json = Buffer.from(asIs ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(json.length));
  const file = path.join(folder, 'crafted.safetensors');
  fs.writeFileSync(file, Buffer.concat([start, json, data]));
  return file;
}

describe('a hostile or damaged file is refused, with the file and the tensor named', () => {
  const entry = (dtype: unknown, shape: unknown, offsets: unknown): object => ({
    dtype,
    shape,
    data_offsets: offsets,
  });
  const ok = entry('F32', [2], [0, 8]);
  const cases: [what: string, header: unknown, bytes: number, message: RegExp][] = [
    ['no JSON', '{"a":', 0, /the header is no JSON/],
    ['not an object', '[1]', 0, /does not begin with "\{"/],
    ['bytes that are no UTF-8', Buffer.from('7b22ff223a317d', 'hex'), 0, /no JSON in UTF-8/],
    ['a name twice', `{"a":${JSON.stringify(ok)},"a":${JSON.stringify(ok)}}`, 8, /has "a" twice/],
    [
      'a name twice, disguised',
      `{"a":${JSON.stringify(ok)},"\\u0061":${JSON.stringify(ok)}}`,
      8,
      /has "a" twice/,
    ],
    [
      'a field twice',
      '{"a":{"dtype":"F32","dtype":"I32","shape":[],"data_offsets":[0,4]}}',
      4,
      /has "a\.dtype" twice/,
    ],
    ['a prototype for a name', `{"__proto__":${JSON.stringify(ok)}}`, 8, /called "__proto__"/],
    ['a prototype in the metadata', '{"__metadata__":{"__proto__":"x"}}', 0, /metadata have "__proto__"/],
    ['metadata that are no texts', { __metadata__: { a: 1 } }, 0, /metadata "a" is 1/],
    ['metadata that are a list', { __metadata__: ['a'] }, 0, /no object of texts/],
    [
      'an unknown dtype',
      { a: entry('F31', [2], [0, 8]) },
      8,
      /tensor "a" has the unknown dtype "F31"; known are .*BF16/,
    ],
    ['an inherited dtype', { a: entry('constructor', [2], [0, 8]) }, 8, /tensor "a" has the unknown dtype/],
    [
      'no dtype',
      { a: { shape: [2], data_offsets: [0, 8] } },
      8,
      /tensor "a" has the unknown dtype undefined/,
    ],
    ['no description', { a: null }, 0, /tensor "a" is null/],
    ['a negative side', { a: entry('F32', [-2], [0, 8]) }, 8, /tensor "a" has the impossible shape \[-2\]/],
    ['half a side', { a: entry('F32', [0.5], [0, 2]) }, 2, /tensor "a" has the impossible shape \[0\.5\]/],
    ['a shape beyond counting', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 8]) }, 8, /impossible shape/],
    ['a shape whose bytes are', { a: entry('F64', [2 ** 52], [0, 8]) }, 8, /impossible shape/],
    ['a huge shape behind a zero', { a: entry('F32', [0, 2 ** 40, 2 ** 40], [0, 0]) }, 0, /impossible shape/],
    ['a shape that is a text', { a: entry('F32', '2', [0, 8]) }, 8, /tensor "a" has the shape "2"/],
    ['three offsets', { a: entry('F32', [2], [0, 4, 8]) }, 8, /tensor "a" has the data_offsets \[0,4,8\]/],
    ['a negative offset', { a: entry('F32', [2], [-8, 0]) }, 8, /tensor "a" has the data_offsets \[-8,0\]/],
    ['offsets the wrong way round', { a: entry('F32', [2], [8, 0]) }, 8, /tensor "a" lies at bytes 8 to 0/],
    [
      'offsets beyond the file',
      { a: entry('F32', [4], [0, 16]) },
      8,
      /tensor "a" lies at bytes 0 to 16.*8 bytes.*cut short/,
    ],
    [
      'more bytes than the shape',
      { a: entry('F32', [1], [0, 8]) },
      8,
      /has 8 bytes, but its shape \[1\] in F32 takes 4/,
    ],
    ['an overlap', { a: ok, b: entry('F32', [2], [4, 12]) }, 12, /tensors "a" and "b" overlap/],
    ['the same bytes twice', { a: ok, b: ok }, 8, /tensors "a" and "b" overlap/],
    [
      'a hole',
      { a: ok, b: entry('F32', [1], [12, 16]) },
      16,
      /4 bytes before tensor "b" belong to no tensor/,
    ],
    ['a hole at the beginning', { a: entry('F32', [1], [4, 8]) }, 8, /4 bytes before tensor "a"/],
    ['bytes at the end', { a: ok }, 11, /the last 3 bytes belong to no tensor/],
    [
      'depths',
      `{"a":${'['.repeat(100_000)}`,
      0,
      /the header is no JSON in UTF-8: it is nested more than 3 deep/,
    ],
    ['depths in the metadata', { __metadata__: { a: [[[[1]]]] } }, 0, /nested more than 3 deep/],
    ['a text without an end', '{"a', 0, /the header is no JSON/],
    [
      'half a letter',
      '{"\\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
      4,
      /called "\\ud800", which is no name/,
    ],
    [
      'half a letter in the metadata',
      '{"__metadata__":{"a":"\\udc00"}}',
      0,
      /metadata "a" are no text that UTF-8 has/,
    ],
    [
      'many dimensions',
      { a: entry('F32', Array(65).fill(1), [0, 4]) },
      4,
      /tensor "a" has the impossible shape \[1,1,/,
    ],
    [
      'letters that move a terminal’s cursor',
      { '\x1b[2J\r\u202eevil\n': entry('F32', [2], [0, 4]) },
      4,
      /^[^\p{Cc}\p{Cf}]*tensor "\\u001b\[2J\\u000d\\u202eevil\\u000a" has 4 bytes[^\p{Cc}\p{Cf}]*$/u,
    ],
    ['a name of a megabyte', { ['x'.repeat(2 ** 20)]: null }, 0, /^.{0,1200}…$/],
    [
      'sizes and offsets that are texts, or too large',
      { a: entry('F32', ['2'], ['0', '8']) },
      8,
      /impossible shape \["2"\]/,
    ],
    [
      'an offset beyond counting',
      { a: entry('F32', [2], [0, 2 ** 64]) },
      8,
      /has the data_offsets \[0,18446744073709552000\]/,
    ],
    ['half a value', { a: entry('F16', [3], [0, 7]) }, 7, /has 7 bytes, but its shape \[3\] in F16 takes 6/],
    ['an empty tensor outside', { a: entry('F32', [0], [9, 9]) }, 8, /tensor "a" lies at bytes 9 to 9/],
    [
      'an empty tensor inside another',
      { a: ok, b: entry('F32', [0], [4, 4]) },
      8,
      /tensors "a" and "b" overlap/,
    ],
  ];

  test.each(cases)('%s', async (_, header, bytes, message) => {
    const file = write(header, new Uint8Array(bytes));
    await expect(openSafetensors(file)).rejects.toThrow(message);
    await expect(openSafetensors(file)).rejects.toThrow(file);
  });

  test('a header that claims to be longer than the file, or than any', async () => {
    await expect(openSafetensors(write({}, undefined, 500n))).rejects.toThrow(
      /500 bytes long, but only 2 follow/,
    );
    await expect(openSafetensors(write({}, undefined, 2n ** 63n))).rejects.toThrow(/the limit is 100000000/);
    await expect(openSafetensors(write({}, undefined, 100_000_001n))).rejects.toThrow(
      /the limit is 100000000/,
    );
  });

  test('files of a few bytes', async () => {
    const file = path.join(folder, 'short.safetensors');
    for (const length of [0, 1, 7, 8]) {
      fs.writeFileSync(file, Buffer.alloc(length));
      await expect(openSafetensors(file)).rejects.toThrow(/short\.safetensors: the (file has|header)/);
    }
  });

  test('one that is cut anywhere', async () => {
    const whole = path.join(folder, 'whole.safetensors');
    await writeSafetensors(whole, ours, { metadata: { a: 'b' } });
    const bytes = fs.readFileSync(whole);
    const cut = path.join(folder, 'cut.safetensors');
    for (let length = 0; length < bytes.length; length += 3) {
      fs.writeFileSync(cut, bytes.subarray(0, length));
      await expect(openSafetensors(cut), `${length} bytes`).rejects.toThrow(/cut\.safetensors: /);
    }
  });

  test('one that is cut after it was opened', async () => {
    const file = write({ a: ok }, new Uint8Array(8));
    const opened = await openSafetensors(file);
    fs.truncateSync(file, fs.statSync(file).size - 3);
    await expect(opened.read('a')).rejects.toThrow(/crafted\.safetensors: tensor "a": the file ends/);
    await opened.close();
  });

  test('random damage never does harm: an error, or tensors that lie in the file', async () => {
    const file = path.join(folder, 'damaged.safetensors');
    await writeSafetensors(file, ours);
    const bytes = fs.readFileSync(file);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          const damaged = Buffer.from(bytes);
          for (const [at, value] of changes) damaged[at] = value;
          fs.writeFileSync(file, damaged);
          try {
            const { tensors } = await readSafetensors(file);
            const read = [...tensors.values()].reduce((sum, { values }) => sum + values.length, 0);
            expect(read).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect((error as Error).message).toContain(file);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('integers that int32 can’t hold, and formats that can’t be read', async () => {
    const large = Buffer.alloc(16);
    large.writeBigInt64LE(2n ** 31n, 8);
    const wide = write({ a: entry('I64', [2], [0, 16]) }, large);
    await expect(readSafetensors(wide)).rejects.toThrow(
      /tensor "a": the integer 2147483648 is beyond 32 bits/,
    );
    const opened = await openSafetensors(
      write({ a: entry('F8_E4M3', [2], [0, 2]), b: entry('U8', [1], [2, 3]) }, new Uint8Array(3)),
    );
    await expect(opened.read('a')).rejects.toThrow(
      /tensor "a": its format F8_E4M3 can't be read; these can: F32, I32/,
    );
    expect((await opened.read('b')).values).toEqual(Int32Array.of(0));
    await expect(opened.read('c')).rejects.toThrow(/no tensor "c"; it has "a", "b"/);
    await opened.close();
  });
});

describe('writing', () => {
  test('refuses what the format does not allow, and leaves the old file', async () => {
    const file = path.join(folder, 'kept.safetensors');
    await writeSafetensors(file, ours);
    const before = fs.readFileSync(file);
    const bad = (name: string, tensor: HostTensor): Promise<void> =>
      writeSafetensors(file, new Map([[name, tensor]]));
    await expect(bad('x', floats([2], 1))).rejects.toThrow(/tensor "x" has the shape \[2\] and 1 values/);
    await expect(bad('__metadata__', floats([]))).rejects.toThrow(/can't be called "__metadata__"/);
    await expect(bad('__proto__', floats([], 1))).rejects.toThrow(/can't be called "__proto__"/);
    await expect(bad('\ud83d', floats([], 1))).rejects.toThrow(/can't be called "\\ud83d"/);
    await expect(bad('x', floats(Array<number>(65).fill(1), 1))).rejects.toThrow(/has the shape/);
    const half = { text: '\udc00' };
    await expect(writeSafetensors(file, ours, { metadata: half })).rejects.toThrow(/"text" is/);
    const texts = { number: 1 } as unknown as Record<string, string>;
    await expect(writeSafetensors(file, ours, { metadata: texts })).rejects.toThrow(/"number" is 1/);
    expect(fs.readFileSync(file).equals(before)).toBe(true);
  });

  test('fails where there is no folder, and leaves no temporary file where it fails half-way', async () => {
    await expect(writeSafetensors(path.join(folder, 'none', 'x.safetensors'), ours)).rejects.toThrow(
      /ENOENT/,
    );
    // The name belongs to a folder that is not empty: everything is written, the last step fails.
    const taken = path.join(folder, 'taken');
    fs.mkdirSync(path.join(taken, 'inside'), { recursive: true });
    await expect(writeSafetensors(taken, ours)).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
    expect(fs.readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('takes views into a larger buffer', async () => {
    const file = path.join(folder, 'view.safetensors');
    const large = Float32Array.from({ length: 10 }, (_, i) => i);
    await writeSafetensors(file, new Map([['v', { shape: [3], values: large.subarray(4, 7) }]]));
    expect((await readSafetensors(file)).tensors.get('v')?.values).toEqual(Float32Array.of(4, 5, 6));
  });
});
