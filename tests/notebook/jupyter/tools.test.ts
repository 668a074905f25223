/** Programs that run notebooks, with our kernel: each must call a good notebook good and a failed one failed, and say why. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CodeCell, type Output, readNotebook, writeNotebook } from '../../../lib/notebook/nbformat';
import { buildLibrary, errorOf, projectRoot, resultOf, textOf, writeCells } from '../helpers';
import { Desk, type Ended, pythonTools } from './python-tools';

/** How notebooks fail: the source of the cell, and what must be said about it. */
const failing = {
  type: {
    source: "const n: number = 'text';",
    ename: 'TypeScriptError',
    says: /TS2322: Type 'string' is not assignable to type 'number'/,
  },
  thrown: { source: "throw new RangeError('too far');", ename: 'RangeError', says: /RangeError: too far/ },
  text: { source: "throw 'just text';", ename: 'Error', says: /threw 'just text'/ },
  floating: {
    source: "void Promise.reject(new Error('forgotten'));",
    ename: 'Error',
    says: /Error: forgotten[^]*is an `await` missing/,
  },
  exit: { source: 'process.exit(3);', ename: 'ExitCalled', says: /process\.exit\(3\) was called/ },
  killed: {
    source: "process.kill(process.pid, 'SIGKILL');\nawait new Promise(() => {});",
    ename: 'CellProcessEnded',
    says: /CellProcessEnded: the process that ran the cells ended: it was killed/,
  },
};
type Failing = keyof typeof failing;
const kinds = Object.keys(failing) as Failing[];

/** The tools whose command runs one notebook and writes another. */
const runners = {
  nbclient: (from: string, to: string, lenient: boolean) => [
    ...['-m', 'jupyter', 'execute', from, `--output=${to}`],
    ...(lenient ? ['--allow-errors'] : []),
  ],
  nbconvert: (from: string, to: string, lenient: boolean) => [
    ...['-m', 'jupyter', 'nbconvert', '--execute', '--to=notebook', from, `--output=${to}`],
    ...(lenient ? ['--allow-errors'] : []),
  ],
  papermill: (from: string, to: string) => ['-m', 'papermill', from, to],
};
type Runner = keyof typeof runners;
/** nbconvert, papermill and nbmake leave the running to nbclient: the ways in which the four may differ are few. */
const few: readonly Failing[] = ['type', 'thrown', 'killed'];
const kindsFor: Record<Runner, readonly Failing[]> = { nbclient: kinds, nbconvert: few, papermill: few };

describe('programs that run notebooks', async () => {
  const tools = await pythonTools();

  describe.skipIf(typeof tools === 'string')('with our kernel', () => {
    let desk: Desk;
    beforeAll(() => {
      if (typeof tools === 'string') return;
      buildLibrary();
      desk = new Desk(tools);
      for (const kind of kinds) {
        writeCells(desk.folder, kind, [
          "console.log('before');",
          failing[kind].source,
          "console.log('after');",
        ]);
      }
      writeCells(desk.folder, 'good', [
        'const parts: number[] = [1, 2];\nparts.length',
        "console.log('printed');",
      ]);
    });
    afterAll(() => desk?.remove());

    const run = (runner: Runner, name: string, to: string, lenient = false): Promise<Ended> =>
      desk.python(runners[runner](`${name}.ipynb`, to, lenient));
    const outputsOf = (name: string): Output[][] =>
      readNotebook(desk.file(name))
        .cells.filter((cell): cell is CodeCell => cell.cell_type === 'code')
        .map((cell) => cell.outputs);
    // A program may take five minutes, and wait for its turn before.
    const limit = 900_000;

    describe.each(Object.keys(runners) as Runner[])('%s', (runner) => {
      it.concurrent(
        'runs a good one',
        async () => {
          const to = `${runner}-good.ipynb`;
          const { code, text } = await run(runner, 'good', to);
          expect(code, text).toBe(0);
          const [first, second] = outputsOf(to);
          expect(resultOf(first!)).toEqual({ 'text/plain': '2' });
          expect(textOf(second!)).toBe('printed\n');
        },
        limit,
      );

      it.concurrent.each(kindsFor[runner])(
        'reports a failure: %s',
        async (kind) => {
          const { code, text } = await run(runner, kind, `${runner}-${kind}.ipynb`);
          expect(code, text).not.toBe(0);
          expect(text).toMatch(failing[kind].says);
          if (runner !== 'papermill') return;
          // Its first cell is a note of its own about the failure.
          const [before, failed, after] = outputsOf(`papermill-${kind}.ipynb`).slice(-3);
          expect(textOf(before!)).toBe('before\n');
          expect(errorOf(failed!).ename).toBe(failing[kind].ename);
          expect(after).toEqual([]);
        },
        limit,
      );
    });

    it.concurrent.each(['nbclient', 'nbconvert'] as const)(
      '%s --allow-errors keeps what failed, and what came after',
      async (runner) => {
        const to = `${runner}-lenient.ipynb`;
        const { code, text } = await run(runner, 'thrown', to, true);
        expect(code, text).toBe(0);
        const [before, failed, after] = outputsOf(to);
        expect(textOf(before!)).toBe('before\n');
        expect(errorOf(failed!)).toMatchObject({ ename: 'RangeError', evalue: 'too far' });
        expect(textOf(after!)).toBe('after\n');
      },
      limit,
    );

    /** Runs pytest with the notebooks; which test failed or passed stands in its lines. */
    const pytest = (words: string[], names: string[]): Promise<Ended> =>
      desk.python([
        ...['-m', 'pytest', '-p', 'no:cacheprovider', '-rA', '--color=no', ...words],
        ...names.map((name) => `${name}.ipynb`),
      ]);

    it.concurrent(
      'pytest --nbmake passes the good one and fails the others',
      async () => {
        const { code, text } = await pytest(['--nbmake'], ['good', ...few]);
        expect(code, text).toBe(1);
        expect(text).toMatch(/3 failed, 1 passed/);
        expect(text).toMatch(/^PASSED good\.ipynb/m);
        for (const kind of few) expect(text).toMatch(failing[kind].says);
      },
      limit,
    );

    it.concurrent(
      'pytest --nbval-lax fails the cells that fail, and no others',
      async () => {
        const { code, text } = await pytest(['--nbval-lax'], ['good', ...kinds]);
        expect(code, text).toBe(1);
        const failed = [...text.matchAll(/^FAILED (\w+)\.ipynb::Cell (\d)/gm)].map((m) => `${m[1]} ${m[2]}`);
        expect(failed.sort()).toEqual(kinds.map((kind) => `${kind} 1`).sort());
        for (const kind of kinds) expect(text).toMatch(failing[kind].says);
      },
      limit,
    );

    it.concurrent(
      'pytest --nbval compares outputs with those that are stored',
      async () => {
        await run('nbclient', 'good', 'stored.ipynb');
        const notebook = readNotebook(desk.file('stored.ipynb'));
        const printed = notebook.cells.at(-1) as CodeCell;
        expect(printed.outputs).toEqual([{ output_type: 'stream', name: 'stdout', text: 'printed\n' }]);
        printed.outputs = [{ output_type: 'stream', name: 'stdout', text: 'something else\n' }];
        writeNotebook(desk.file('changed.ipynb'), notebook);
        const { code, text } = await pytest(['--nbval'], ['stored', 'changed']);
        expect(code, text).toBe(1);
        expect(text).toMatch(/1 failed, 3 passed/);
        expect([...text.matchAll(/^PASSED (\w+)\.ipynb/gm)].map((m) => m[1]).sort()).toEqual([
          'changed',
          'stored',
          'stored',
        ]);
        expect(text).toMatch(/^FAILED changed\.ipynb::Cell 1/m);
      },
      limit,
    );

    it('leaves nothing but notebooks behind', () => {
      expect(fs.readdirSync(desk.folder).filter((name) => !name.endsWith('.ipynb'))).toEqual([]);
    });
  });

  describe.skipIf(typeof tools === 'string')('papermill with parameters', () => {
    let desk: Desk;
    let env: NodeJS.ProcessEnv;
    const plugin = path.join(projectRoot, 'lib', 'notebook', 'jupyter', 'papermill');
    beforeAll(async () => {
      if (typeof tools === 'string') return;
      desk = new Desk(tools);
      const site = path.join(desk.home, 'site');
      const words = ['--no-deps', '--no-build-isolation', '--no-index', '--target', site, plugin];
      const before = fs.readdirSync(plugin);
      const installed = await desk.python(['-I', '-m', 'pip', 'install', ...words]);
      expect(installed.code, installed.text).toBe(0);
      expect(fs.readdirSync(plugin)).toEqual(before);
      env = { PYTHONPATH: site };
      const file = writeCells(desk.folder, 'parameters', [
        [
          'let rate = 0.1; // the learning rate',
          'let steps: number[] = [',
          '  1, // one',
          '  2,',
          '];',
          "let name = 'x';",
          'let size: number | undefined = undefined;',
          'const flag = true;',
        ].join('\n'),
        'console.log(JSON.stringify({ rate, steps, name, flag, twice: rate * 2, next: steps.map((s) => s + 1) }));',
        'console.log([size, typeof size]);',
      ]);
      const notebook = readNotebook(file);
      notebook.cells.find((cell) => cell.cell_type === 'code')!.metadata.tags = ['parameters'];
      writeNotebook(file, notebook);
    });
    afterAll(() => desk?.remove());

    it('writes them as TypeScript, of whatever type, behind the notebook’s own', async () => {
      const values = String.raw`{steps: [3, 4], name: "it's \"x\" \n\u2028\\", size: 7, flag: null}`;
      const words = ['parameters.ipynb', 'out.ipynb', '-p', 'rate', '0.5', '-y', values];
      const { code, text } = await desk.python(['-m', 'papermill', ...words], env);
      expect(code, text).toBe(0);
      expect(text).not.toMatch(/unknown parameter/);
      const cells = readNotebook(desk.file('out.ipynb')).cells.filter(
        (cell): cell is CodeCell => cell.cell_type === 'code',
      );
      expect(cells[1]!.metadata.tags).toEqual(['injected-parameters']);
      expect(cells[1]!.source.trim().split('\n').sort()).toEqual(
        [
          '// Parameters',
          'let steps = [3, 4];',
          String.raw`let name = "it's \"x\" \n\u2028\\";`,
          'let size = 7;',
          'let flag = null;',
          'let rate = 0.5;',
        ].sort(),
      );
      expect(JSON.parse(textOf(cells[2]!.outputs))).toEqual({
        rate: 0.5,
        steps: [3, 4],
        name: 'it\'s "x" \n\u2028\\',
        flag: null,
        twice: 1,
        next: [4, 5],
      });
      expect(textOf(cells[3]!.outputs)).toBe("[ 7, 'number' ]\n");
    }, 310_000);

    it('reads names, types and explanations from the parameters cell', async () => {
      const { code, text } = await desk.python(
        ['-m', 'papermill', '--help-notebook', 'parameters.ipynb'],
        env,
      );
      expect(code, text).toBe(0);
      expect(text).toMatch(/rate: number \(default 0\.1\)\s+the learning rate/);
      expect(text).toMatch(/steps: number\[\] \(default \[ 1, 2, \]\)/);
      expect(text).toMatch(/size: number \| undefined \(default undefined\)/);
      expect(text).toMatch(/flag: boolean \(default true\)/);
    }, 310_000);

    it('translates every kind of value, and refuses a name that TypeScript has not', async () => {
      const program = [
        'from papermill.translators import papermill_translators as all',
        'from papermill.engines import papermill_engines as engines',
        't = all.find_translator("detlab", "typescript")',
        'values = [None, True, 3, -2.5, float("inf"), -float("inf"), float("nan"), 2**53, "é", {"k": [1, {}]}, {2: "z"}, (1,), []]',
        'for v in values: print(t.translate(v))',
        'print(engines.get_engine("typescript").__name__)',
        'try: t.codify({"learning-rate": 1})',
        'except ValueError as error: print(error)',
      ].join('\n');
      // Imported first, before papermill: neither may need the other to be there.
      for (const first of ['', 'import detlab_papermill\n']) {
        const { code, text } = await desk.python(['-c', first + program], env);
        expect(code, text).toBe(0);
        expect(text.trim().split('\n')).toEqual([
          'null',
          'true',
          '3',
          '-2.5',
          'Infinity',
          '-Infinity',
          'NaN',
          '9007199254740992n',
          String.raw`"\u00e9"`,
          '{ "k": [1, {}] }',
          '{ "2": "z" }',
          '[1]',
          '[]',
          'NBClientEngine',
          "The parameter 'learning-rate' can't be the name of a variable in TypeScript.",
        ]);
      }
    }, 310_000);
  });
});
