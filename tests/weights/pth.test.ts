/** PyTorch's checkpoints (`tests/reference/checkpoints.py`), and pickles that want more than tensors in dictionaries. */
import fc from 'fast-check';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPth, openWeights, readWeights, type StateDict, writeSafetensors } from 'detlab';
import { zip } from './zip-writer';

const fixtures = path.join(__dirname, 'fixtures');
const fixture = (name: string): string => path.join(fixtures, `checkpoint-${name}.pth`);
type Described = Record<string, { shape: number[]; values: (number | string)[] }>;
const expected = JSON.parse(fs.readFileSync(path.join(fixtures, 'checkpoints.json'), 'utf8')) as {
  net: Described;
  odd: Described;
};

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-pth-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function expectTensors(found: StateDict, wanted: Described): void {
  expect([...found.keys()]).toEqual(Object.keys(wanted));
  for (const [name, { shape, values }] of Object.entries(wanted)) {
    expect(found.get(name)?.shape, name).toEqual(shape);
    expect(Array.from(found.get(name)!.values), name).toEqual(
      values.map(Number).map((v, i) => (values[i] === '-inf' ? -Infinity : v)),
    );
  }
}

describe('what torch.save writes', () => {
  test.each(['net', 'net-old', 'protocol4'])('a state dictionary: %s', async (name) => {
    expectTensors(await readWeights(fixture(name)), expected.net);
  });

  test.each(['odd', 'odd-old'])('views, strides, every format: %s', async (name) => {
    const found = await readWeights(fixture(name));
    expectTensors(found, expected.odd);
    expect(found.get('int16')?.values).toBeInstanceOf(Int32Array);
    expect(found.get('bfloat16')?.values).toBeInstanceOf(Float32Array);
  });

  test('a training run: the weights are found among several dictionaries, or chosen', async () => {
    expectTensors(await readWeights(fixture('training')), expected.net);
    const other = await readWeights(fixture('training'), { key: 'ema' });
    expect([...other.keys()]).toEqual(['conv.weight']);
    await expect(openPth(fixture('training'), { key: 'emma' })).rejects.toThrow(
      /training\.pth: no dictionary of tensors is called "emma"; there are: "model", "ema"/,
    );
  });

  test('shapes are known before anything is read', async () => {
    const opened = await openPth(fixture('net'));
    expect(opened.tensors.get('conv.weight')).toMatchObject({ dtype: 'F32', shape: [3, 2, 3, 3] });
    expect((await opened.read('fc.bias')).values).toHaveLength(2);
    await expect(opened.read('fc.bios')).rejects.toThrow(/no tensor "fc\.bios"; it has "conv\.weight"/);
    await opened.close();
  });

  test('a whole network is refused, and what to save instead is said', async () => {
    await expect(openPth(fixture('module'))).rejects.toThrow(
      /module\.pth: the pickle asks for torch\.nn\.modules\.container\.Sequential.*nothing was run.*model\.state_dict\(\)/,
    );
  });

  test('files are told apart by what is in them', async () => {
    // A header of 640 bytes begins as a pickle does.
    const file = path.join(folder, 'looks-like-a-pickle');
    const text = 'x'.repeat(555);
    await writeSafetensors(file, new Map([['a', { shape: [1], values: Float32Array.of(2) }]]), {
      metadata: { text },
    });
    expect(fs.readFileSync(file).subarray(0, 3)).toEqual(Buffer.from([0x80, 0x02, 0]));
    expect((await readWeights(file)).get('a')?.values).toEqual(Float32Array.of(2));
    fs.writeFileSync(file, '');
    await expect(openWeights(file)).rejects.toThrow(/has 0 bytes/);
  });
});

// The instructions of a pickle, by their names.
const name = (module: string, attribute: string): Buffer => Buffer.from(`c${module}\n${attribute}\n`);
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([0x58, bytes.length, 0, 0, 0]), bytes]);
};
const ops = (...parts: (string | Buffer | number)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.from([0x4b, part]) : Buffer.from(part))),
  );
const pickle = (...parts: (string | Buffer | number)[]): Buffer => ops(Buffer.from([0x80, 2]), ...parts, '.');
const [TUPLE1, TUPLE2] = ['\x85', '\x86'].map((code) => Buffer.from(code, 'latin1'));
const storage = (key: string, count: number | Buffer, type: Buffer = name('torch', 'FloatStorage')): Buffer =>
  ops('(', text('storage'), type, text(key), text('cpu'), count, 'tQ');
const tensor = (
  from: Buffer,
  offset: number | Buffer,
  shape: (number | Buffer)[],
  strides: (number | Buffer)[],
): Buffer =>
  ops(
    name('torch._utils', '_rebuild_tensor_v2'),
    '(',
    from,
    offset,
    '(',
    ...shape,
    't(',
    ...strides,
    't',
    '\x4e',
    '}',
    'tR',
  );
const dictionary = (key: string, value: Buffer): Buffer => ops('}', text(key), value, 's');

function crafted(data: Buffer, others: Record<string, Uint8Array> = {}): string {
  const file = path.join(folder, 'crafted.pth');
  fs.writeFileSync(
    file,
    zip({
      'archive/data.pkl': data,
      'archive/data/0': new Uint8Array(16),
      'archive/data/large': new Uint8Array(2 ** 16),
      ...others,
    }),
  );
  return file;
}

describe('a hostile or damaged checkpoint is refused, with the file and what it wanted named', () => {
  const int32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(5);
    bytes[0] = 0x4a;
    bytes.writeInt32LE(value, 1);
    return bytes;
  };

  test('the crafted pickles of these tests are read where nothing is wrong', async () => {
    const good = dictionary('a', tensor(storage('0', 4), 1, [3], [1]));
    const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    const found = await readWeights(
      crafted(pickle(good), { 'archive/data/0': bytes, 'archive/byteorder': Buffer.from('little') }),
    );
    expect(found.get('a')?.values).toEqual(Float32Array.of(2, 3, 4));
  });

  const call = (module: string, attribute: string): Buffer =>
    ops(name(module, attribute), text('touch /tmp/owned'), TUPLE1, 'R');
  const four = storage('0', 4);
  /** All of a member of 64 kB, remembered as 9. */
  const large = ops(
    tensor(storage('large', int32(2 ** 14)), 0, [int32(2 ** 14)], [1]),
    Buffer.from([0x71, 9]),
  );
  const cases: [what: string, data: Buffer, message: RegExp][] = [
    ['os.system', pickle(dictionary('a', call('os', 'system'))), /asks for os\.system.*nothing was run/],
    ['builtins.eval', pickle(dictionary('a', call('builtins', 'eval'))), /asks for builtins\.eval/],
    ['a name from the stack', pickle(text('os'), text('system'), Buffer.from([0x93])), /asks for os\.system/],
    [
      'a name that JavaScript knows',
      pickle(name('constructor', 'constructor')),
      /asks for constructor\.constructor/,
    ],
    [
      'an object of a class',
      pickle(name('torch', 'Size'), ')', Buffer.from([0x81])),
      /no checkpoint has the instruction 0x81/,
    ],
    ['a registered extension', pickle(Buffer.from([0x82, 1])), /instruction 0x82/],
    ['a call of a dictionary', pickle('}', ')', 'R'), /a call of what is no function/],
    ['a storage of its own', pickle(name('torch', 'FloatStorage'), ')', 'R'), /storage of its own/],
    [
      'a tensor without a storage',
      pickle(dictionary('a', tensor(ops('}'), 0, [1], [1]))),
      /tensor that can be none/,
    ],
    [
      'a negative stride',
      pickle(dictionary('a', tensor(four, 3, [2], [int32(-1)]))),
      /tensor that can be none/,
    ],
    [
      'fewer strides than sizes',
      pickle(dictionary('a', tensor(four, 0, [2, 2], [1]))),
      /tensor that can be none/,
    ],
    [
      'a size beyond the storage',
      pickle(dictionary('a', tensor(four, 1, [4], [1]))),
      /tensor "a" reaches to value 4 of its storage, which has 4/,
    ],
    [
      'strides beyond the storage',
      pickle(dictionary('a', tensor(four, 0, [2], [4]))),
      /tensor "a" reaches to value 4/,
    ],
    [
      'an expanded tensor',
      pickle(dictionary('a', tensor(four, 0, [200, 200, 200], [0, 0, 0]))),
      /tensor "a" of shape \[200, 200, 200\] has more values than its storage of 4/,
    ],
    [
      'a storage that is not there',
      pickle(dictionary('a', tensor(storage('7', 4), 0, [1], [1]))),
      /no storage "7"/,
    ],
    [
      'a storage that is too short',
      pickle(dictionary('a', tensor(storage('0', 5), 0, [1], [1]))),
      /storage "0" has 16 bytes instead of 20/,
    ],
    [
      'a storage of another folder',
      pickle(dictionary('a', tensor(storage('../data.pkl', 4), 0, [1], [1]))),
      /no storage "\.\.\/data\.pkl"/,
    ],
    ['a module instead of a storage', pickle(text('module'), TUPLE1, 'Q'), /no storage/],
    [
      'a prototype for a name',
      pickle(dictionary('__proto__', tensor(four, 0, [1], [1]))),
      /called "__proto__"/,
    ],
    ['no tensors', pickle('}'), /no dictionary of tensors/],
    ['a list', pickle(']'), /no dictionary of tensors/],
    [
      'two dictionaries of tensors',
      pickle(
        '(',
        text('g'),
        dictionary('a', tensor(four, 0, [1], [1])),
        text('d'),
        dictionary('a', tensor(four, 0, [1], [1])),
        'd',
      ),
      /instruction 0x64/,
    ],
    ['items for a number', pickle(1, text('a'), text('b'), 's'), /no dictionary/],
    ['half an item', pickle('}(', text('a'), 'u'), /no dictionary/],
    ['an empty stack', pickle(), /stack is empty/],
    ['a tuple of too few', pickle(1, TUPLE2), /stack is empty/],
    ['a missing mark', pickle(1, 't'), /a mark is missing/],
    ['values below a mark', pickle(1, '(', '0'), /stack is empty/],
    ['a memory that was never made', pickle(Buffer.from([0x68, 5])), /nothing was remembered as 5/],
    ['a text beyond the end', Buffer.from([0x80, 2, 0x58, 0xff, 0xff, 0xff, 0xff, 0x41]), /cut short/],
    ['no end', Buffer.from([0x80, 2, 0x7d]), /cut short/],
    [
      'an integer of many digits',
      pickle(Buffer.concat([Buffer.from([0x8a, 255]), Buffer.alloc(255)])),
      /integer of 255 bytes/,
    ],
    [
      'posix.system by another module',
      pickle(dictionary('a', call('posix', 'system'))),
      /asks for posix\.system/,
    ],
    ['subprocess.Popen', pickle(dictionary('a', call('subprocess', 'Popen'))), /asks for subprocess\.Popen/],
    ['getattr', pickle(dictionary('a', call('builtins', 'getattr'))), /asks for builtins\.getattr/],
    [
      'another function of a known module',
      pickle(name('torch._utils', '_rebuild_sparse_tensor')),
      /asks for torch\._utils\._rebuild_sparse/,
    ],
    ['torch.load inside', pickle(name('torch', 'load')), /asks for torch\.load/],
    [
      'a part of a known name',
      pickle(name('torch', 'FloatStorage.from_buffer')),
      /asks for torch\.FloatStorage\.from_buffer/,
    ],
    [
      'a call of a name that the stack has as text',
      pickle(text('os.system'), ')', 'R'),
      /a call of what is no function/,
    ],
    [
      'a name that paints the terminal',
      pickle(name('\x1b[31mos', 'system')),
      /asks for \\u001b\[31mos\.system/,
    ],
    [
      'an object made by keywords',
      pickle(name('torch', 'Size'), ')}', Buffer.from([0x92])),
      /instruction 0x92/,
    ],
    ['an instance of the oldest kind', pickle('(ios\nsystem\n'), /instruction 0x69/],
    ['lists without number', pickle(']'.repeat(1_000_001)), /more than 1000000 lists and dictionaries/],
    [
      'dictionaries without number',
      pickle('}'.repeat(1_000_001)),
      /more than 1000000 lists and dictionaries/,
    ],
    ['instructions without number', pickle('N0'.repeat(5_000_001)), /more than 10000000 instructions/],
    [
      'a memory without bounds',
      pickle('N', Buffer.from(Array.from({ length: 1_000_001 }, () => 0x94))),
      /it remembers too much/,
    ],
    [
      'one list copied again and again',
      pickle(
        name('collections', 'OrderedDict'),
        Buffer.from([0x71, 1]),
        '0](',
        ...Array.from({ length: 500 }, () => ops(1, 2, TUPLE2)),
        'e',
        Buffer.from([0x71, 0]),
        '0',
        ...Array.from({ length: 100 }, () => ops(Buffer.from([0x68, 1, 0x68, 0]), TUPLE1, 'R0')),
      ),
      /it copies the same values again and again/,
    ],
    [
      'one storage unfolded again and again',
      pickle(
        '}(',
        ...Array.from({ length: 100 }, (_, i) =>
          ops(text(String(i)), i === 0 ? large : Buffer.from([0x68, 9])),
        ),
        'u',
      ),
      /share their storages so often/,
    ],
    ['a protocol of the future', Buffer.from([0x80, 9, 0x2e]), /protocol 9/],
  ];
  test.each(cases)('%s', async (_, data, message) => {
    const file = crafted(data);
    await expect(openWeights(file)).rejects.toThrow(message);
    await expect(openWeights(file)).rejects.toThrow(file);
  });

  test('several dictionaries of which none has a usual name', async () => {
    const one = dictionary('a', tensor(four, 0, [1], [1]));
    const file = crafted(pickle('}', text('g'), one, 's', text('d'), one, 's'));
    await expect(openWeights(file)).rejects.toThrow(
      /several dictionaries of tensors: "g", "d"; choose one by the option key/,
    );
    expect((await readWeights(file, { key: 'd' })).get('a')?.shape).toEqual([1]);
  });

  test('a dictionary that holds itself', async () => {
    const itself = pickle('}', Buffer.from([0x71, 0]), text('a'), Buffer.from([0x68, 0]), 's');
    await expect(openWeights(crafted(itself))).rejects.toThrow(/no dictionary of tensors/);
  });

  test('archives that PyTorch does not write', async () => {
    const file = path.join(folder, 'archive.pth');
    const refused = async (bytes: Uint8Array, message: RegExp): Promise<void> => {
      fs.writeFileSync(file, bytes);
      await expect(openWeights(file)).rejects.toThrow(message);
      await expect(openWeights(file)).rejects.toThrow(file);
    };
    const data = pickle('}');
    await refused(zip({ 'a.txt': data }), /no data\.pkl/);
    await refused(zip({ 'x/data.pkl': data }, 8), /"x\/data\.pkl" is compressed/);
    await refused(zip({ 'x/data.pkl': data, 'x/byteorder': Buffer.from('big') }), /byte order is big/);
    const moved = zip({ 'x/data.pkl': data });
    moved.writeUInt32LE(5, moved.length - 22 - 56 + 42);
    await refused(moved, /no "x\/data\.pkl" where the archive's directory says/);
    const long = zip({ 'x/data.pkl': data });
    for (const at of [20, 24]) long.writeUInt32LE(1_000_000, long.length - 22 - 56 + at);
    await refused(long, /"x\/data\.pkl" lies outside the file/);
    const many = zip({ 'x/data.pkl': data });
    many.writeUInt16LE(2, many.length - 22 + 10);
    await refused(many, /directory is damaged/);
    await refused(Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(90)]), /directory is missing/);
  });

  test.each(['net', 'net-old', 'odd', 'odd-old'])('%s, cut anywhere', async (name) => {
    const bytes = fs.readFileSync(fixture(name));
    const file = path.join(folder, 'cut.pth');
    for (let length = 16; length < bytes.length; length += 61) {
      fs.writeFileSync(file, bytes.subarray(0, length));
      await expect(readWeights(file), `${length} bytes`).rejects.toThrow(/cut\.pth: /);
    }
  });

  test.each(['net', 'net-old'])(
    '%s with random damage: an error that names the file, or no more values than the file holds',
    async (name) => {
      const bytes = fs.readFileSync(fixture(name));
      const file = path.join(folder, 'damaged.pth');
      const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
          const damaged = Buffer.from(bytes);
          for (const [at, value] of changes) damaged[at] = value;
          fs.writeFileSync(file, damaged);
          try {
            for (const { values } of (await readWeights(file)).values())
              expect(values.length).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect((error as Error).message).toContain(file);
          }
        }),
        { numRuns: 200 },
      );
    },
  );
});
