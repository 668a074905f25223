import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { complete } from '../../lib/notebook/engine/completion';
import { buildLibrary } from './helpers';
import { type Asked, openLanguage } from './language';

let asked: Asked;

beforeAll(async () => {
  buildLibrary();
  asked = openLanguage({
    'package.json': JSON.stringify({
      dependencies: { 'left-pad': '1.0.0' },
      devDependencies: { '@scope/tool': '1.0.0', '@types/tool': '1.0.0' },
    }),
    'half.ts': 'export const half = 0.5;',
    'table.json': '{}',
    'old.js': '',
    'modern.mjs': '',
    'folder/inner.ts': '',
    'folder/.hidden.ts': '',
    'node_modules/left-pad/index.js': '',
  });
  await asked.run(
    `import { createRandom, type Random, trainSsd } from 'detlab';\nconst random = createRandom(1);`,
    `/** Adds one. */\nfunction increase(by: number): number { return by; }\n/**\n * The rate\n * at the start.\n *\n * More of it.\n */\nlet rate = 0.1;`,
    `interface Point { x: number; y?: number }\nconst point: Point = { x: 1 };\nconst maybe = point as Point | undefined;`,
    `enum Color { Red, Green = 5 }\nclass Shape {\n  #secret = 1;\n  private inner = 2;\n  _plain = 3;\n  static make(): Shape { return new Shape(); }\n  /** In pixels. */\n  area(): number { return this.#secret + this.inner; }\n}\nconst shape = new Shape();`,
    `function choose(kind: 'one' | 'two', scale?: number): void {}\nconst words = { 'a b': 1, plain: 2 };`,
    `const last = 1;`,
  );
});
afterAll(() => asked.close());

describe('members', () => {
  test('come with kind, type and documentation', () => {
    const found = asked.complete('random.|');
    expect(found).toMatchObject({ start: 7, end: 7 });
    expect(found.names).toEqual(['fork', 'integer', 'next', 'normal', 'pick', 'shuffle', 'uniform']);
    expect(found.items[1]).toEqual({
      text: 'integer',
      type: 'method',
      signature: '(n: number): number',
      documentation: 'Uniform integer in [0, n).',
    });
    expect(found.items[4]!.signature).toBe('<T>(items: readonly T[]): T');
  });

  test('match what is typed, its start before its middle', () => {
    const found = asked.complete('random.n|');
    expect(found).toMatchObject({ names: ['next', 'normal', 'integer', 'uniform'], replaced: 'n' });
    expect(asked.complete('random.ne|xt()')).toMatchObject({ names: ['next'], replaced: 'next' });
    expect(asked.complete('random.zzz|')).toMatchObject({ names: [], replaced: 'zzz' });
  });

  test('are found in the middle of a cell, and beside errors', () => {
    const next = ['next', 'normal', 'integer', 'uniform'];
    expect(asked.complete('const a = 3 +;\nrandom.n|\nfoo bar').names).toEqual(next);
    expect(
      asked.complete('function f(r: Random) {\n  return [1].map((v) => r.n|\n}\nf(random)').names,
    ).toEqual(next);
    expect(asked.complete('const a = random.|\nincrease(1)').names).toContain('next');
    expect(asked.complete('const a = random.|\nconst b = 2;').names).toContain('next');
    expect(asked.complete('if (random.n|').names).toEqual(next);
    expect(asked.complete('`${random.n|}`').names).toEqual(next);
    expect(asked.complete('const täglich = random; täglich.n|').names).toEqual(next);
  });

  test('of one’s own come before those of every function, private ones not at all', () => {
    const { names } = asked.complete('Shape.|');
    expect(names.indexOf('make')).toBeGreaterThanOrEqual(0);
    expect(names.indexOf('make')).toBeLessThan(names.indexOf('apply'));
    expect(asked.complete('shape.|').names).toEqual(['area', '_plain']);
    expect(asked.item('shape.|', 'area')).toEqual({
      text: 'area',
      type: 'method',
      signature: '(): number',
      documentation: 'In pixels.',
    });
    expect(asked.complete('class A { #deep = 1; m() { this.#d| } }')).toMatchObject({
      names: ['#deep'],
      replaced: '#d',
    });
  });

  test('of what may be undefined are reached by ?.', () => {
    const found = asked.complete('maybe.|');
    expect(found).toMatchObject({ names: ['?.x', '?.y'], replaced: '.' });
    expect(found.items[1]!.signature).toBe('number');
    expect(asked.complete('maybe?.|')).toMatchObject({ names: ['x', 'y'], replaced: '' });
    expect(asked.complete('maybe.y|')).toMatchObject({ names: ['?.y'], replaced: '.y' });
  });

  test('of enumerations have their values', () => {
    expect(asked.complete('Color.|').items).toEqual([
      { text: 'Green', type: 'enum member', signature: '5' },
      { text: 'Red', type: 'enum member', signature: '0' },
    ]);
  });
});

describe('names', () => {
  test('of the cell and of earlier ones come before globals', () => {
    const { names, items, start, end } = asked.complete('|');
    const own = ['Color', 'createRandom', 'increase', 'last', 'maybe', 'point', 'random', 'rate', 'trainSsd'];
    const globals = ['Array', 'console', 'const', 'Map', 'process', 'require'];
    expect(names).toEqual(expect.arrayContaining([...own, ...globals]));
    const places = (wanted: string[]): number[] => wanted.map((name) => names.indexOf(name));
    expect(Math.max(...places(own))).toBeLessThan(Math.min(...places(globals)));
    expect({ start, end }).toEqual({ start: 0, end: 0 });
    expect(items.find(({ text }) => text === 'createRandom')).toEqual({
      text: 'createRandom',
      type: 'function',
      signature: '(seed: string | number): Random',
      documentation:
        'A stream of random numbers (sfc32 by Chris Doty-Humphrey: small, fast, passes PractRand).',
    });
    expect(items.find(({ text }) => text === 'rate')).toEqual({
      text: 'rate',
      type: 'let',
      signature: 'number',
      documentation: 'The rate at the start.',
    });
    expect(asked.item(`import { createBox| } from 'detlab'`, 'createBoxCoder')!.documentation).toBe(
      "A coder; without options, SSD's.",
    );
    expect(items.find(({ text }) => text === 'Map')).toMatchObject({ type: 'class' });
  });

  test('leave out the engine’s own, and what a cell does not have', () => {
    const { names } = asked.complete('|');
    const absent = ['__tslab__', 'tsLastExpr', 'exports', 'module', '__dirname', '__filename', 'window'];
    expect(names.filter((name) => absent.includes(name))).toEqual([]);
    expect(asked.complete('const exports = 1;\nexpo|').names).toContain('exports');
  });

  test('of the same case come first', () => {
    expect(asked.complete('r|').names.slice(0, 2)).toEqual(['random', 'rate']);
    const { names } = asked.complete('R|');
    expect(names[0]).toMatch(/^R/);
    expect(names.indexOf('RegExp')).toBeLessThan(names.indexOf('random'));
  });

  test.each([
    ['function f(size: number) {\n  const twice = size * 2;\n  |\n}', 'twice', 'const', 'number'],
    ['function f(size: number) {\n  si|\n}', 'size', 'parameter', 'number'],
    ['let t: Ra|', 'Random', 'interface', undefined],
    ['type Pair = [number, string];\nlet t: Pa|', 'Pair', 'type', '[number, string]'],
    ['new Sh|', 'Shape', 'class', 'new (): Shape'],
    ['retu|', 'return', 'keyword', undefined],
    ['Col|', 'Color', 'enum', undefined],
    ['const later = (n: number) => n;\nlat|', 'later', 'function', '(n: number): number'],
    ['import * as fs from "node:fs";\nf|', 'fs', 'module', undefined],
    ['train|', 'trainSsd', 'function', '(options: TrainSsdOptions): Promise<TrainResult>'],
  ])('in %j: %s is a %s', (marked, text, type, signature) => {
    expect(asked.item(marked, text)).toMatchObject(signature === undefined ? { type } : { type, signature });
  });

  test('in an import are what the module exports', () => {
    const found = asked.complete(`import { | } from 'detlab'`);
    expect(found.names.length).toBeGreaterThan(100);
    expect(found.names).toContain('createRandom');
    expect(found.names).not.toContain('console');
    // Only what is likely to be read is described.
    // An interface has no signature; of what has one, none is missing.
    const first = found.items.slice(0, 20).filter(({ type }) => type !== 'interface');
    expect(first.length).toBeGreaterThan(5);
    expect(first.filter(({ signature }) => !signature)).toEqual([]);
    expect(found.items.slice(100).filter(({ signature }) => signature)).toEqual([]);
    const some = asked.complete(`import { trainSsd, tr| } from 'detlab'`);
    expect(some.names).toContain('train');
    expect(some.names).not.toContain('trainSsd');
    expect(some.replaced).toBe('tr');
  });
});

describe('arguments', () => {
  test('of an options parameter: the missing properties, required ones first', () => {
    const found = asked.complete('trainSsd({ |');
    expect(found.names.slice(0, 4)).toEqual(['batches', 'detector', 'schedule', 'steps']);
    expect(found.names.slice(4)).toEqual([...found.names.slice(4)].sort());
    expect(found.names).toEqual(expect.arrayContaining(['loss', 'matching', 'onStep', 'optimizer']));
    expect(found.items[0]).toEqual({
      text: 'batches',
      type: 'property',
      signature: 'BatchSource<Batch>',
      documentation:
        'A loader, a function that gives the batches from a number on, or batches without end (at least `steps` times `accumulate` of them).',
    });
    expect(asked.complete('trainSsd({ steps: 3, s| })').names[0]).toBe('schedule');
    expect(asked.complete('trainSsd({ steps: 3, s| })').names).not.toContain('steps');
    expect(asked.complete(`const p: Point = { '|' }`)).toMatchObject({ names: ['x', 'y'], replaced: '' });
  });

  test('of a few strings: these', () => {
    expect(asked.complete(`choose('|`)).toMatchObject({ names: ['one', 'two'], replaced: '' });
    expect(asked.complete(`choose('t|')`)).toMatchObject({ names: ['two'], replaced: 't' });
    expect(asked.complete(`choose('on|e', 1)`)).toMatchObject({ names: ['one'], replaced: 'one' });
    expect(asked.complete(`choose("|);\nconst a = 1;`)).toMatchObject({
      names: ['one', 'two'],
      replaced: '',
    });
    expect(asked.complete('choose(|').names.slice(0, 2)).toEqual([`'one'`, `'two'`]);
    expect(asked.complete(`words['|']`)).toMatchObject({ names: ['a b', 'plain'], replaced: '' });
    expect(asked.complete('words.|').names).toEqual(['plain']);
  });

  test('that begin as paths: files', () => {
    expect(asked.complete(`read('./h|')`)).toMatchObject({ names: ['half.ts'], replaced: 'h' });
    expect(asked.complete(`read('./folder/|`)).toMatchObject({ names: ['inner.ts'], replaced: '' });
    expect(asked.complete(`read('h|')`).names).toEqual([]);
  });
});

describe('modules', () => {
  test('are the library, packages that package.json names, and Node’s', () => {
    const { names, items } = asked.complete(`import x from '|'`);
    expect(names[0]).toBe('detlab');
    expect(names).toEqual(
      expect.arrayContaining([
        'left-pad',
        '@scope/tool',
        '@tensorflow/tfjs',
        'node:fs',
        'node:fs/promises',
        './',
      ]),
    );
    expect(names.filter((name) => name === '@types/tool' || name === 'fs' || name.includes('_'))).toEqual([
      'node:async_hooks',
      'node:child_process',
      'node:diagnostics_channel',
      'node:perf_hooks',
      'node:string_decoder',
      'node:trace_events',
      'node:worker_threads',
    ]);
    expect(new Set(names).size).toBe(names.length);
    expect(items[0]).toEqual({ text: 'detlab', type: 'module' });
  });

  test.each([
    [`import { a } from 'fs|'`, ['fs', 'fs/promises', 'node:fs', 'node:fs/promises'], 'fs'],
    [`import * as fs from "node:f|`, ['node:fs', 'node:fs/promises'], 'node:f'],
    [`import 'detl|ab';`, ['detlab'], 'detlab'],
    [`export * from '@sc|'`, ['@scope/tool'], '@sc'],
    [`await import('left|`, ['left-pad'], 'left'],
    [`const x = require('left|-pad');`, ['left-pad'], 'left-pad'],
    [`let x: import('left|').Y`, ['left-pad'], 'left'],
    [`import x from './|'`, ['half', 'modern.mjs', 'old', 'package.json', 'table.json', 'folder/'], ''],
    [`import x from './t|able.json'`, ['table.json'], 'table.json'],
    [`import x from './folder/|`, ['inner'], ''],
    [`import x from './folder/.|`, ['.hidden'], '.'],
    [`import x from '../n|`, ['notes/'], 'n'],
    [`import x from './missing/|'`, [], ''],
    [`const x = other('left|')`, [], 'left'],
  ])('in %s', (marked, names, replaced) => {
    const found = asked.complete(marked);
    expect(found.names).toEqual(names);
    expect(found.replaced).toBe(replaced);
  });

  test('in a path that has just begun', () => {
    expect(asked.complete(`import x from '.|'`).names.slice(0, 2)).toEqual(['./', '../']);
  });

  test('are completed without compiling', () => {
    const language = {
      ...asked.language,
      look: () => {
        throw new Error('looked');
      },
    };
    expect(complete(language, `import x from 'detl'`, 19).items).toEqual([
      { text: 'detlab', type: 'module' },
    ]);
  });
});

describe('nothing is offered', () => {
  test.each([
    '// comm|',
    '/* comm| */',
    `'abc|'`,
    '`abc|`',
    'const fres|',
    '1.|',
    '/reg|ex/',
    'missing.|',
    'let a = 1|',
  ])('in %s', (marked) => expect(asked.complete(marked).items).toEqual([]));

  test('when the compiler fails', () => {
    const language = {
      ...asked.language,
      look: () => {
        throw new Error('broken');
      },
    };
    expect(complete(language, 'rand', 3)).toEqual({ items: [], start: 3, end: 3 });
  });
});

test('positions outside of the cell are its ends', () => {
  const { language } = asked;
  expect(complete(language, 'random.', 99)).toMatchObject({ start: 7, end: 7 });
  expect(complete(language, 'random.', Infinity).items.map(({ text }) => text)).toContain('next');
  expect(complete(language, 'random.', NaN)).toMatchObject({ start: 7, end: 7 });
  expect(complete(language, 'random', -4)).toMatchObject({ start: 0, end: 6 });
  expect(complete(language, '', 7)).toMatchObject({ start: 0, end: 0 });
  expect(complete(language, 'random.next', 8.9)).toMatchObject({ start: 7, end: 11 });
});

test('positions all over unfinished code give a span around them', () => {
  const code =
    'const { a, = [`${{b: (c) => </x>}`, "\\u{1F}😀", @dec class { #p get\n}\n}) import { from \'./';
  for (let at = 0; at <= code.length; at += 3) {
    const { start, end } = complete(asked.language, code, at);
    expect([at, start <= at, at <= end, start >= 0, end <= code.length]).toEqual([
      at,
      true,
      true,
      true,
      true,
    ]);
  }
});
