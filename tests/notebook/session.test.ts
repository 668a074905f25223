import { beforeAll, describe, expect, test } from 'vitest';
import { createSession, type ExecuteOutcome } from '../../lib/notebook/session';
import { buildLibrary, errorOf, resultOf, runCells, temporaryFolder, textOf } from './helpers';

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
        { fails: `import { x } from '../helper';` },
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
    expect(errorOf(outputs[5]!).ename).toBe('TypeScriptError');
  });
});

test('a session completes, explains and is interrupted', async () => {
  const session = createSession({ cwd: temporaryFolder(), capture: false });
  try {
    const run = (code: string): Promise<ExecuteOutcome> => session.execute(code, () => {});
    expect(await run(`import { createRandom } from 'detlab';\nconst r = createRandom(1);`)).toMatchObject({
      status: 'ok',
    });
    expect(session.complete('r.', 2)).toMatchObject({ start: 2, end: 2 });
    expect(session.complete('r.', 2).candidates).toContain('next');
    expect(session.inspect('createRandom(1)', 3)).toContain('createRandom(seed');
    expect(session.isComplete('function f() {')).toEqual({ status: 'incomplete', indent: '  ' });
    expect(session.isComplete('f()')).toEqual({ status: 'complete' });

    const waiting = run(`await new Promise(() => {});`);
    await expect(run(`1`)).rejects.toThrow('cell [2] is still running');
    session.interrupt();
    expect(await waiting).toMatchObject({
      status: 'error',
      executionCount: 2,
      error: { ename: 'Interrupted' },
    });
    expect(await run(`r.next() < 1`)).toEqual({ status: 'ok', executionCount: 3 });
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
