import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../lib/notebook/engine/inspection';
import { buildLibrary } from './helpers';
import { type Asked, openLanguage } from './language';

let asked: Asked;

beforeAll(async () => {
  buildLibrary();
  asked = openLanguage();
  await asked.run(
    `import { createRandom, trainSsd, useBackend } from 'detlab';\nimport * as fs from 'node:fs';\nconst random = createRandom(1);`,
    [
      '/**',
      ' * Resizes, see {@link half} or {@link half the other}.',
      ' *',
      ' * Second {@link https://example.org paragraph}, {@link Nothing}.',
      ' * @param width in pixels,',
      ' * not in points',
      ' * @param height - likewise',
      ' * @returns the area',
      ' * @throws RangeError on a negative size',
      ' * @deprecated',
      ' * @example',
      ' * resize(1, 2);',
      ' */',
      'function resize(width: number, height?: number): number { return width * (height ?? 1); }',
      '/** In one line. @param x any `a@b` text. @throws if @ is in it. */',
      'function check(x: string): void {}',
      'function half(x: string): string;',
      '/** Half of a number. */',
      'function half(x: number): number;',
      'function half(x: string | number): string | number { return x; }',
    ].join('\n'),
    `interface Options {\n  /**\n   * How big.\n   * Really.\n   */\n  size: number;\n  name?: string;\n  go(far: number): void;\n}\n` +
      `/** A worker. */\nclass Worker {\n  private state = 1;\n  constructor(options: Options, other?: Options) { this.state += options.size; }\n  run(): number { return this.state; }\n}\n` +
      `const options: Options = { size: 1, go() {} };\n/** The rate. */\nlet rate = 0.1;`,
    `const last = 1;`,
  );
});
afterAll(() => asked.close());

const random = [
  'interface Random {',
  '  next(): number; // Uniform in [0, 1), 32 random bits.',
  '  uniform(low: number, high: number): number; // Uniform in [low, high).',
];

describe('a name', () => {
  test('of the library is described as its comment does', () => {
    expect(asked.plain('createRandom|(1)')).toBe(
      'function createRandom(seed: string | number): Random\n\n' +
        'A stream of random numbers (sfc32 by Chris Doty-Humphrey: small, fast, passes PractRand).\n\n' +
        '@param seed any number or string; streams of different seeds are independent.',
    );
    expect(asked.plain('random.ne|xt()')).toBe(
      '(method) Random.next(): number\n\nUniform in [0, 1), 32 random bits.',
    );
    expect(asked.plain(`import { create|Random as c } from 'detlab'`)).toMatch(/^function createRandom\(/);
  });

  test('is found at its start, inside, and at its end', () => {
    const rate = 'let rate: number\n\nThe rate.';
    for (const marked of ['|rate', 'ra|te', 'rate|', '1 + rate|;', 'increase(rate|)']) {
      expect([marked, asked.plain(marked)]).toEqual([marked, rate]);
    }
  });

  test('of an earlier cell has its type, written out where it is nobody else’s', () => {
    expect(asked.plain('random|')!.split('\n').slice(0, 5)).toEqual(['const random: Random', '', ...random]);
    expect(asked.plain('options|')).toBe(
      'const options: Options\n\n' +
        'interface Options {\n  size: number; // How big. Really.\n  name?: string;\n  go(far: number): void;\n}',
    );
    expect(asked.plain('last|')).toBe('const last: 1');
    expect(asked.plain('const when| = new Date()')).toBe('const when: Date');
  });

  test('of a function is followed by the types of its parameters', () => {
    expect(asked.plain('trainSsd|')).toMatch(
      /^function trainSsd\(options: TrainSsdOptions\): Promise<TrainResult>\n\ninterface TrainSsdOptions \{\n {2}detector: SsdDetector;\n/,
    );
    expect(asked.plain('useBackend|')).toMatch(/^function useBackend\(options\?: UseBackendOptions\): /);
  });

  test('of a type is written out once', () => {
    expect(asked.plain('let o: Options|')).toMatch(/^interface Options \{\n {2}size: number;/);
    expect(asked.plain('let w: Work|er')).toBe('class Worker {\n  run(): number;\n}\n\nA worker.');
  });

  test('in the cell itself', () => {
    expect(asked.plain('[1].map((v|alue) => 1)')).toBe('(parameter) value: number');
    expect(asked.plain('const a = 3 +;\nfunction f() { return rate| }\nfoo bar')).toMatch(
      /^let rate: number/,
    );
    expect(asked.plain('const o: Options = { si|ze: 1 }')).toBe(
      '(property) Options.size: number\n\nHow big.\nReally.',
    );
  });

  test('of a module is the one that the import names', () => {
    for (const marked of [`'det|lab'`, `|'detlab'`, `'detlab'|`, `'detlab|`]) {
      expect(asked.plain(`import {} from ${marked}`)).toBe(`module 'detlab'`);
    }
    expect(asked.plain('fs|.readFileSync')).toBe(`module 'node:fs'`);
    expect(asked.plain(`import * as lib from 'detlab';\nli|b`)).toBe(`module 'detlab'`);
  });
});

describe('a call', () => {
  test('is described anywhere between its parentheses', () => {
    for (const marked of ['resize(|', 'resize(|)', 'resize(1|)', 'resize(1, |', 'resize(\n  1,\n  |\n)']) {
      const text = asked.plain(marked);
      expect([marked, text?.split('\n')[0]]).toEqual([
        marked,
        'resize(width: number, height?: number): number',
      ]);
      expect(text).toContain(
        '\n\nResizes, see half or the other.\n\nSecond paragraph, Nothing.\n\n@param width',
      );
    }
    expect(asked.plain('const a = resize(|\nconst b = 2;')).toMatch(/^resize\(width: number/);
    expect(asked.plain('random.uniform(0, |)')).toBe(
      'uniform(low: number, high: number): number\n\nUniform in [low, high).',
    );
    expect(asked.plain('resize(random.uniform(|))')).toMatch(/^uniform/);
  });

  test('with an options object shows the options', () => {
    for (const marked of ['trainSsd({ |', 'trainSsd({ steps: |', 'trainSsd(|)']) {
      expect(asked.plain(marked)).toMatch(
        /^trainSsd\(options: TrainSsdOptions\).*\n\ninterface TrainSsdOptions \{\n/,
      );
    }
    expect(asked.plain('new Worker(|')).toMatch(
      /^new Worker\(options: Options, other\?: Options\): Worker\n\ninterface Options \{\n {2}size/,
    );
    // The same type twice is written out once.
    expect(asked.plain('new Worker(|')!.match(/interface Options/g)).toHaveLength(1);
  });

  test('of a function with overloads shows all of them, the fitting one first', () => {
    expect(asked.plain('half(4|)')).toBe(
      'half(x: number): number\nhalf(x: string): string\n\nHalf of a number.',
    );
    const many = asked.plain('fs.readFile(|')!;
    expect(many.split('\n\n')[0]!.split('\n').length).toBeLessThanOrEqual(6);
  });

  test('gives way to a name in it, and ends with its parenthesis', () => {
    expect(asked.plain('resize(rate|)')).toMatch(/^let rate/);
    expect(asked.plain('resize(1)| ')).toBeUndefined();
    expect(asked.plain('setTimeout(() => { const a = 1;| }, 3)')).toBeUndefined();
  });
});

test('Markdown has the signature as code and the tags as a list', () => {
  expect(asked.markdown('resize|')).toBe(
    [
      '```typescript',
      'function resize(width: number, height?: number): number',
      '```',
      '',
      'Resizes, see `half` or the other.',
      '',
      'Second [paragraph](https://example.org), `Nothing`.',
      '',
      '- *@param* `width` — in pixels,',
      '  not in points',
      '- *@param* `height` — likewise',
      '- *@returns* — the area',
      '- *@throws* — RangeError on a negative size',
      '- *@deprecated*',
      '',
      '*@example*',
      '',
      '```typescript',
      'resize(1, 2);',
      '```',
    ].join('\n'),
  );
  expect(asked.markdown('options|')).toBe(
    '```typescript\nconst options: Options\n\ninterface Options {\n  size: number; // How big. Really.\n' +
      '  name?: string;\n  go(far: number): void;\n}\n```',
  );
  expect(asked.plain('resize|')!.split('\n\n').at(-1)).toBe(
    '@param width in pixels,\nnot in points\n@param height likewise\n@returns the area\n' +
      '@throws RangeError on a negative size\n@deprecated\n@example resize(1, 2);',
  );
});

test('tags after a sentence are tags as well', () => {
  expect(asked.plain('check|')).toBe(
    'function check(x: string): void\n\nIn one line.\n\n@param x any `a@b` text.\n@throws if @ is in it.',
  );
  expect(asked.markdown('check|')).toContain(
    'In one line.\n\n- *@param* `x` — any `a@b` text.\n- *@throws* — if @ is in it.',
  );
});

test.each(['|', '1 + |2', `'wo|rd'`, '// com|ment', 'missing|', 'if (|', '   |', 'const = |', '`a|`'])(
  'nothing is known in %j',
  (marked) => expect(asked.markdown(marked)).toBeUndefined(),
);

test('positions outside of the cell are its ends, and failures are silent', () => {
  const { language } = asked;
  expect(inspect(language, 'rate', 99)?.['text/plain']).toMatch(/^let rate/);
  expect(inspect(language, 'rate', -1)?.['text/plain']).toMatch(/^let rate/);
  expect(inspect(language, 'rate', NaN)?.['text/plain']).toMatch(/^let rate/);
  const broken = {
    ...language,
    look: () => {
      throw new Error('broken');
    },
  };
  expect(inspect(broken, 'rate', 1)).toBeUndefined();
});
