import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type CellError,
  type CellMessage,
  createSession,
  type ExecuteOutcome,
} from '../../lib/notebook/session';
import { buildLibrary, errorOf, projectRoot, resultOf, runCells, temporaryFolder, textOf } from './helpers';

beforeAll(buildLibrary);

describe('cells', () => {
  test('print, show, update and return values', async () => {
    const { status, outputs } = await runCells([
      `console.log('one');\nconsole.error('two');\nprocess.stdout.write('three\\n');\nconsole.log('four')`,
      `import { display } from 'detlab';\ndisplay({ 'text/plain': 'first' }, { displayId: 'x' });`,
      `display({ 'text/plain': 'second', 'text/html': '<b>second</b>' }, { displayId: 'x', update: true });`,
      `const values: number[] = [1, 2, 3];\nvalues.map((v) => v * 2)`,
      `undefined`,
      `({ [Symbol.for('Jupyter.display')]: async () => ({ 'text/html': '<i>shown</i>', 'text/plain': 'shown' }) })`,
      `async function later(): Promise<string> {\n  return 'settled';\n}\nlater()`,
      `display({ 'image/png': new Uint8Array([1, 2, 3]), 'text/plain': 'bytes' });`,
      `for (let i = 0; i < 3; i++) process.stdout.write(\`\\rstep \${i}\`);\nconsole.log();`,
      `import * as tslab from 'tslab';\ntslab.display.html('<u>tslab</u>');`,
      `import { clearOutput } from 'detlab';\nconsole.log('gone');\nclearOutput();\nconsole.log('kept');\nclearOutput({ wait: true });`,
    ]);
    expect(status).toBe('ok');
    expect(outputs[0]).toEqual([
      { output_type: 'stream', name: 'stdout', text: 'one\n' },
      { output_type: 'stream', name: 'stderr', text: 'two\n' },
      { output_type: 'stream', name: 'stdout', text: 'three\nfour\n' },
    ]);
    // The update reaches the cell that showed it first.
    expect(outputs[1]).toEqual([
      {
        output_type: 'display_data',
        data: { 'text/plain': 'second', 'text/html': '<b>second</b>' },
        metadata: {},
      },
    ]);
    expect(outputs[2]).toEqual([]);
    expect(resultOf(outputs[3]!)).toEqual({ 'text/plain': '[ 2, 4, 6 ]' });
    expect(outputs[4]).toEqual([]);
    expect(resultOf(outputs[5]!)).toEqual({ 'text/html': '<i>shown</i>', 'text/plain': 'shown' });
    expect(resultOf(outputs[6]!)).toEqual({ 'text/plain': "'settled'" });
    expect(outputs[7]).toMatchObject([{ data: { 'image/png': 'AQID', 'text/plain': 'bytes' } }]);
    expect(textOf(outputs[8]!)).toBe('step 2\n');
    // The second waits for an output that does not come.
    expect(textOf(outputs[10]!)).toBe('kept\n');
    expect(outputs[9]).toMatchObject([
      { output_type: 'display_data', data: { 'text/html': '<u>tslab</u>' } },
    ]);
  });

  test('use names of earlier cells in short for { name: name }', async () => {
    const { status, outputs } = await runCells([
      `const { a, rest } = { a: 1, rest: [2, 3] };\nlet b = 5;\nimport { createRandom } from 'detlab';`,
      `({ a, inner: { rest }, own: ((a: string) => ({ a }))('mine') })`,
      `({ b } = { b: 7 });\nconst c = 'here';\n({ b, c })`,
      `typeof { createRandom }.createRandom`,
      `({ b = 9 } = {} as { b?: number });\nb`,
    ]);
    expect(status).toBe('ok');
    expect(resultOf(outputs[1]!)).toEqual({
      'text/plain': "{ a: 1, inner: { rest: [ 2, 3 ] }, own: { a: 'mine' } }",
    });
    expect(resultOf(outputs[2]!)).toEqual({ 'text/plain': "{ b: 7, c: 'here' }" });
    expect(resultOf(outputs[3]!)).toEqual({ 'text/plain': "'function'" });
    expect(resultOf(outputs[4]!)).toEqual({ 'text/plain': '9' });
  });

  test('give other names to the parts of what earlier cells declared', async () => {
    const { status, outputs } = await runCells([
      `const x = 2;\nconst twice = (n: number) => 2 * n;\ninterface Part { a: number; x: { y: number }; z?: number }\n` +
        `const parts: Part[] = [{ a: 4, x: { y: 5 } }];`,
      `const found = parts.map(({ a: b, x: { y }, z: other = 7 }) => [b, twice(y), other, x]);\n` +
        `const { a: first, ...rest } = parts[0];\n[found, first, rest]`,
    ]);
    expect(status).toBe('ok');
    expect(resultOf(outputs[1]!)).toEqual({ 'text/plain': '[ [ [ 4, 10, 7, 2 ] ], 4, { x: { y: 5 } } ]' });
  });

  test('fail with the lines of their own source', async () => {
    const { status, outputs } = await runCells([
      `// The failing function lives in another cell than its call.\nfunction check(x: number): number {\n  if (x > 1) throw new RangeError(\`too big: \${x}\`);\n  return x;\n}`,
      { fails: `const a = 2;\n\nconst b = check(a);` },
      {
        fails: `await new Promise((resolve) => setTimeout(resolve, 5));\nconst nothing = null as unknown as { x: number };\nnothing.x;`,
      },
      { fails: `const wrong: string = 1;\nconst f = (x) => x;` },
      { fails: `const open = (1 +` },
      { fails: `throw 'a word';` },
      { fails: `throw new Error('outer', { cause: new TypeError('inner') });` },
      `check(1)`,
    ]);
    expect(status).toBe('ok');
    const ranged = errorOf(outputs[1]!);
    expect(ranged).toMatchObject({ ename: 'RangeError', evalue: 'too big: 2' });
    expect(ranged.traceback).toContain(
      'cell [2], line 3\n   1 | const a = 2;\n   2 |\n-> 3 | const b = check(a);\n     |           ^',
    );
    expect(ranged.traceback).toContain('at check (cell [1]:3:20)\n    at cell [2]:3:11');
    expect(ranged.traceback).not.toMatch(/node:|tslab|evalmachine|session|\/detlab-test-/);
    expect(errorOf(outputs[2]!).traceback).toContain('-> 3 | nothing.x;\n     |         ^');

    const typed = errorOf(outputs[3]!);
    expect(typed.ename).toBe('TypeScriptError');
    expect(typed.evalue).toBe("line 1:7: Type 'number' is not assignable to type 'string'. (TS2322)");
    expect(typed.traceback).toContain('-> 1 | const wrong: string = 1;\n     |       ^');
    // Strict mode, which tslab alone does not have.
    expect(typed.traceback).toContain("line 2:12 - TS7006: Parameter 'x' implicitly has an 'any' type.");
    expect(errorOf(outputs[4]!).evalue).toMatch(/^line 1:18: Expression expected/);
    expect(errorOf(outputs[5]!).evalue).toContain("'a word'");
    expect(errorOf(outputs[6]!).traceback).toContain('Caused by TypeError: inner');
    expect(resultOf(outputs[7]!)).toEqual({ 'text/plain': '1' });
  });

  test('import the library, its packages and local files from any folder', async () => {
    const helper = `export function half(x: number): number {\n  if (x === 0) throw new Error('no half');\n  return x / 2;\n}\n`;
    const { status, outputs } = await runCells(
      [
        `import { createRandom, type Random } from 'detlab';\nconst r: Random = createRandom(7);\ntypeof r.next()`,
        { fails: `import { createRandom as c2 } from 'detlab';\nconst n: number = c2(7);` },
        `import * as vegaLite from 'vega-lite';\ntypeof vegaLite.compile`,
        { fails: `import { half } from './helper';\nhalf(0)` },
        { fails: `import { nextId } from './missing';` },
      ],
      {},
      { 'helper.ts': helper },
    );
    expect(status).toBe('ok');
    expect(resultOf(outputs[0]!)).toEqual({ 'text/plain': "'number'" });
    expect(errorOf(outputs[1]!).evalue).toMatch(
      /^line 2:7: Type 'Random' is not assignable to type 'number'/,
    );
    expect(resultOf(outputs[2]!)).toEqual({ 'text/plain': "'function'" });
    expect(errorOf(outputs[3]!).traceback).toMatch(/at half \(helper\.ts:2:22\)\n {4}at cell \[4\]:2:\d$/);
    expect(errorOf(outputs[4]!).evalue).toContain("Cannot find module './missing'");
  });
});

describe('imports', () => {
  test('take TypeScript from any folder, checked, and again when it changes', async () => {
    const folder = temporaryFolder();
    const write = (name: string, text: string): void => {
      const file = path.join(folder, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    };
    write('shared/index.ts', `export * from './half';\nexport { ping } from './ring';\n`);
    write(
      'shared/half.ts',
      `export function half(n: number): number {\n  if (n === 0) throw new Error('zero');\n  return n / 2;\n}\n`,
    );
    write(
      'shared/ring.ts',
      `import { pong } from './gnir';\nexport function ping(n: number): number { return n === 0 ? 0 : pong(n - 1); }\n`,
    );
    write(
      'shared/gnir.ts',
      `import { ping } from './ring';\nexport function pong(n: number): number { return ping(n) + 1; }\n`,
    );
    write('shared/wrong.ts', `export const count: number = 'three';\n`);
    write('books/deep/cell.txt', '');
    const session = createSession({ cwd: path.join(folder, 'books', 'deep'), capture: false });
    try {
      const shown: CellMessage[] = [];
      const run = (code: string): Promise<ExecuteOutcome> => session.execute(code, (m) => void shown.push(m));
      const result = async (code: string): Promise<unknown> => {
        expect(await run(code)).toMatchObject({ status: 'ok' });
        const last = shown.at(-1);
        return last?.type === 'execute_result' ? last.data['text/plain'] : last;
      };
      expect(await result(`import { half, ping } from '../../shared';\n[half(4), ping(3)]`)).toBe('[ 2, 3 ]');
      const failed = await run(`half(0)`);
      expect(failed).toMatchObject({ status: 'error', error: { evalue: 'zero', line: 1 } });
      expect((failed as { error: CellError }).error.traceback.join('\n')).toContain('half.ts:2:22');
      const wrong = await run(`import { count } from '../../shared/wrong';`);
      expect(wrong).toMatchObject({ status: 'error', error: { ename: 'TypeScriptError' } });
      expect((wrong as { error: CellError }).error.evalue).toMatch(
        /shared\/wrong\.ts:1:14: Type 'string' is not assignable to type 'number'/,
      );
      write(
        'shared/half.ts',
        `export function half(n: number): string {\n  return String(n / 2) + '!';\n}\n`,
      );
      expect(
        await result(`import { half } from '../../shared/half';\nconst text: string = half(4);\ntext`),
      ).toBe("'2!'");
      // The library by path is the library itself, not a second copy.
      const lib = path.relative(path.join(folder, 'books', 'deep'), path.join(projectRoot, 'lib'));
      const same = `import * as byPath from '${lib}/tensor/random';\nimport { createRandom } from 'detlab';\nbyPath.createRandom === createRandom`;
      expect(await result(same)).toBe('true');
    } finally {
      session.close();
    }
  });

  test('take packages that are ES modules only, with their types', async () => {
    const { status, outputs } = await runCells(
      [
        `import add, { twice } from 'only-import';\nconst n: number = add(1, twice(2));\nn`,
        `import { late } from 'awaits';\nlate.toFixed(1)`,
        `const again = await import('awaits');\nagain.late === late`,
        { fails: `import { twice } from 'only-import';\nconst s: string = twice(2);` },
        { fails: `import 'throws-at-load';` },
      ],
      {},
      {
        'node_modules/only-import/package.json': JSON.stringify({
          name: 'only-import',
          type: 'module',
          exports: { '.': { import: { types: './types.d.ts', default: './main.js' } } },
        }),
        'node_modules/only-import/types.d.ts': `export default function add(a: number, b: number): number;\nexport declare function twice(n: number): number;\n`,
        'node_modules/only-import/main.js': `export default (a, b) => a + b;\nexport const twice = (n) => 2 * n;\n`,
        'node_modules/awaits/package.json': JSON.stringify({
          name: 'awaits',
          type: 'module',
          types: 'index.d.ts',
          main: 'index.js',
        }),
        'node_modules/awaits/index.d.ts': `export declare const late: number;\n`,
        'node_modules/awaits/index.js': `export const late = await Promise.resolve(7);\n`,
        'node_modules/throws-at-load/package.json': JSON.stringify({
          name: 'throws-at-load',
          type: 'module',
          types: 'index.d.ts',
          main: 'index.js',
        }),
        'node_modules/throws-at-load/index.d.ts': `export {};\n`,
        'node_modules/throws-at-load/index.js': `throw new Error('not today');\n`,
      },
    );
    expect(status).toBe('ok');
    expect(resultOf(outputs[0]!)).toEqual({ 'text/plain': '5' });
    expect(resultOf(outputs[1]!)).toEqual({ 'text/plain': "'7.0'" });
    expect(resultOf(outputs[2]!)).toEqual({ 'text/plain': 'true' });
    expect(errorOf(outputs[3]!).evalue).toContain("Type 'number' is not assignable to type 'string'");
    expect(errorOf(outputs[4]!).evalue).toContain('not today');
  });
});

test('a session runs one cell at a time, and keeps its variables through an interrupt', async () => {
  const session = createSession({ cwd: temporaryFolder(), capture: false });
  try {
    const run = (code: string): Promise<ExecuteOutcome> => session.execute(code, () => {});
    await run(`const kept = [1];\nlet both = 'old';`);
    const waiting = run(`const made = 2;\nboth = 'new';\nawait new Promise(() => {});\nconst kept = 'lost';`);
    await expect(run(`1`)).rejects.toThrow('cell [2] is still running');
    session.interrupt();
    expect(await waiting).toMatchObject({
      status: 'error',
      executionCount: 2,
      error: { ename: 'Interrupted' },
    });
    // What the cell reached is there; what it did not reach is as it was, with its type.
    expect(
      await run(
        `const same: number[] = kept;\nif (made !== 2 || both !== 'new' || same[0] !== 1) throw new Error('lost');`,
      ),
    ).toEqual({
      status: 'ok',
      executionCount: 3,
    });
  } finally {
    session.close();
  }
});

test('a cell that fails leaves what it did not reach as it was', async () => {
  const { outputs } = await runCells([
    `import { createRandom } from 'detlab';\nlet a = 1, b = 'text';\nfunction f(): number { return 1; }\ntype Kept = string;`,
    {
      fails: `const a = 'changed';\nconst c = true;\nthrow new Error('here');\nconst b = [1];\nconst d = 4;`,
    },
    `const checked: [string, string, boolean, number] = [a, b, c, f()];\n[checked, typeof createRandom]`,
    { fails: `d` },
  ]);
  expect(resultOf(outputs[2]!)).toEqual({ 'text/plain': "[ [ 'changed', 'text', true, 1 ], 'function' ]" });
  expect(errorOf(outputs[3]!).evalue).toContain("Cannot find name 'd'");
});

test('functions of earlier cells see what later cells assign and declare', async () => {
  const { status, outputs } = await runCells([
    `let rate = 0.1;\nfunction step(): string {\n  return \`\${name()} \${rate}\`;\n}\nfunction name(): string {\n  return 'old';\n}\nclass Counter {\n  static #made = 0;\n  made = ++Counter.#made;\n  next(): Counter {\n    return new Counter();\n  }\n}\nconst first = new Counter();\nstep()`,
    `rate = 0.5;\nfunction name(): string {\n  return 'new';\n}\nstep()`,
    `class Counter {}\nconst { made } = first.next();\nlet rate: string | undefined;\n[made, rate, step()]`,
    `const use = (): unknown => ({ a, c, rest, sum });\nconst { a, b: [c], ...rest } = { a: 1, b: [2], d: 4 };\nlet sum = 0;\nfor (var k = 0; k < 3; k++) sum += k;\n[sum] = [sum + 1];\n({ sum } = { sum: sum * 2 });\nuse()`,
    `enum Color {\n  Red = 1,\n  Green,\n}\nmain();\nfunction main(): void {\n  helper(Color.Green);\n}\nfunction helper(sum: number): void {\n  console.log(Color[sum]);\n}`,
  ]);
  expect(status).toBe('ok');
  expect([0, 1, 2, 3].map((i) => resultOf(outputs[i]!)?.['text/plain'])).toEqual([
    "'old 0.1'",
    "'new 0.5'",
    "[ 2, undefined, 'new undefined' ]",
    '{ a: 1, c: 2, rest: { d: 4 }, sum: 8 }',
  ]);
  expect(textOf(outputs[4]!)).toBe('Green\n');
});

test('cells await in every way, and take code that was written for a file', async () => {
  const { status, outputs } = await runCells([
    `const called = await (async () => 42)();\nconst list: number[] = [];\nfor await (const x of [1, Promise.resolve(2)]) list.push(x);\n[called, list, await [3]]`,
    `export const shared: number = 1;\nexport function twice(n: number): number {\n  return 2 * n;\n}\nexport interface Shape {\n  side: number;\n}\nconst note = 'export const';\ntwice(shared)`,
    `const shape: Shape = { side: twice(shared) };\n[shape.side, note]`,
    { fails: `function plain(): void {\n  await 1;\n}` },
    { fails: `await Promise.resolve();\nexport const wrong: string = 1;` },
  ]);
  expect(status).toBe('ok');
  expect([0, 1, 2].map((i) => resultOf(outputs[i]!)?.['text/plain'])).toEqual([
    '[ 42, [ 1, 2 ], [ 3 ] ]',
    '2',
    "[ 2, 'export const' ]",
  ]);
  expect(errorOf(outputs[3]!).evalue).toMatch(/^line 2:3: 'await' expressions are only allowed/);
  expect(errorOf(outputs[4]!).evalue).toMatch(/^line 2:14: Type 'number' is not assignable/);
});

test('expressions are evaluated after the cell, each for itself', async () => {
  const session = createSession({ cwd: temporaryFolder(), capture: false });
  try {
    const outcome = await session.execute(`const x: number = 4;`, () => {}, {
      number: 7,
      expressions: {
        sum: 'x + 1',
        none: 'undefined',
        wrong: 'y',
        thrown: '(() => { throw new RangeError("no"); })()',
      },
    });
    expect(outcome).toMatchObject({
      status: 'ok',
      executionCount: 7,
      expressions: {
        sum: { status: 'ok', data: { 'text/plain': '5' } },
        none: { status: 'ok', data: { 'text/plain': 'undefined' } },
        wrong: { status: 'error', ename: 'TypeScriptError' },
        thrown: { status: 'error', ename: 'RangeError', evalue: 'no' },
      },
    });
  } finally {
    session.close();
  }
});

describe('work that nothing waits for', () => {
  test('fails the cell that started it, while it runs and afterwards', async () => {
    const during = await runCells([
      `async function job(): Promise<void> {\n  throw new Error('lost');\n}\njob().then(() => {});\nawait new Promise((resolve) => setTimeout(resolve, 60_000));`,
    ]);
    expect(during.status).toBe('failed');
    expect(during.failure).toMatchObject({ cell: 1, ename: 'Error', evalue: 'lost', line: 2 });
    expect(errorOf(during.outputs[0]!).traceback).toContain('is an `await` missing');

    const after = await runCells([
      `setTimeout(() => {\n  throw new Error('too late');\n}, 20);\nconst started = true;`,
      `await new Promise((resolve) => setTimeout(resolve, 60_000));`,
    ]);
    expect(after.status).toBe('failed');
    // Blamed on the cell that set the timer, not on the one that was running.
    expect(after.failure).toMatchObject({ cell: 1, evalue: 'too late', line: 2 });
    expect(errorOf(after.outputs[0]!).evalue).toBe('too late');
  });

  test('still counts when the last cell has ended', async () => {
    const result = await runCells([
      `setTimeout(() => void Promise.reject(new Error('at the end')), 1);\nundefined`,
    ]);
    expect(result.failure).toMatchObject({ cell: 1, evalue: 'at the end' });
  });
});
