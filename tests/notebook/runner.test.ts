import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CodeCell, readNotebook } from '../../lib/notebook/nbformat';
import type { RunProgress } from '../../lib/notebook/runner/run-notebook';
import {
  buildLibrary,
  entry,
  errorOf,
  projectRoot,
  runCells,
  temporaryFolder,
  textOf,
  writeCells,
} from './helpers';

beforeAll(buildLibrary);

interface Ended {
  code: number | null;
  text: string;
}

/** Runs the command line as a user would, on wasm so that nothing is prepared. `until` sees what was printed so far. */
function detlab(
  words: string[],
  options: { cwd?: string; until?: (text: string, kill: (signal: NodeJS.Signals) => void) => void } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [entry, ...words], {
      cwd: options.cwd ?? projectRoot,
      env: { ...process.env, DETLAB_BACKEND: 'wasm', DETLAB_CACHE: cache },
    });
    let text = '';
    const timer = setInterval(() => options.until?.(text, (signal) => child.kill(signal)), 100);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('close', (code) => {
      clearInterval(timer);
      resolve({ code, text });
    });
  });
}

const cache = temporaryFolder();

/** Whether a process is gone, or a zombie that waits to be collected, within some seconds. */
async function hasEnded(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      if (execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z'))
        return true;
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

describe('npm start', () => {
  test('runs notebooks, goes on after failures when told, and says what failed where', async () => {
    const folder = temporaryFolder();
    writeCells(folder, 'good', [`console.log(process.env.DETLAB_PROFILE, process.env.DETLAB_HEADLESS);`]);
    writeCells(folder, 'failing', [
      `const a = 1;`,
      `const f = (): void => {\n  throw new Error('on purpose');\n};\nf();`,
      `console.log('never');`,
    ]);
    writeCells(folder, 'leaving', [`console.log('before');\nprocess.exit(3);`]);
    fs.writeFileSync(
      path.join(folder, 'broken.ipynb'),
      '{\n "cells": [\n  {"cell_type": "code" "source": []}\n ]\n}',
    );
    const names = ['good', 'failing', 'leaving', 'broken'].map((name) => `${name}.ipynb`);
    const { code, text } = await detlab(['start', ...names, '--keep-going', '--out', 'results'], {
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(text).toContain('good: ok');
    expect(text).toContain(
      "failing: failed in cell [2], line 2: Error: on purpose at `throw new Error('on purpose');`",
    );
    expect(text).toContain(
      'leaving: failed in cell [1], line 2: ExitCalled: process.exit(3) was called. It ends this cell only',
    );
    expect(text).toContain('broken.ipynb:3:24: not valid JSON: "," or "}" expected before "source"');

    const read = (name: string): CodeCell[] =>
      readNotebook(path.join(folder, 'results', `${name}.ipynb`)).cells.filter(
        (c): c is CodeCell => c.cell_type === 'code',
      );
    expect(textOf(read('good')[0]!.outputs)).toBe('quick 1\n');
    const failing = read('failing');
    expect(failing.map((cell) => cell.execution_count)).toEqual([1, 2, null]);
    expect(errorOf(failing[1]!.outputs)).toMatchObject({ ename: 'Error', evalue: 'on purpose' });
    expect(textOf(read('leaving')[0]!.outputs)).toBe('before\n');
    const page = fs.readFileSync(path.join(folder, 'results', 'index.html'), 'utf8');
    expect(page).toContain('Title of good');
  });

  test('stops at the first failure otherwise', async () => {
    const folder = temporaryFolder();
    writeCells(folder, 'a', [`const s: string = 1;`]);
    writeCells(folder, 'b', [`1`]);
    const { code, text } = await detlab(['start', 'a.ipynb', 'b.ipynb', '--out', 'o'], { cwd: folder });
    expect(code).toBe(1);
    expect(text).toContain('a: failed in cell [1], line 1: TypeScriptError: line 1:7');
    expect(text).toMatch(/b +- +not run/);
    expect(fs.existsSync(path.join(folder, 'o', 'b.ipynb'))).toBe(false);
  });

  test('ends what it started on Ctrl-C and keeps what was done', async () => {
    const folder = temporaryFolder();
    writeCells(folder, 'long', [
      `console.log('kept');`,
      `import { spawn } from 'node:child_process';\nimport fs from 'node:fs';\nconst child = spawn('sleep', ['600']);\nfs.writeFileSync('pid', String(child.pid));\nfor (;;);`,
    ]);
    const pidFile = path.join(folder, 'pid');
    let asked = false;
    const { code, text } = await detlab(['start', 'long.ipynb', '--out', 'o'], {
      cwd: folder,
      until: (_, kill) => {
        if (asked || !fs.existsSync(pidFile) || fs.readFileSync(pidFile, 'utf8') === '') return;
        asked = true;
        kill('SIGINT');
      },
    });
    expect(code).toBe(130);
    expect(text).toContain('long: interrupted in cell [2]');
    const pid = Number(fs.readFileSync(pidFile, 'utf8'));
    expect(await hasEnded(pid)).toBe(true);
    const [first] = readNotebook(path.join(folder, 'o', 'long.ipynb')).cells.filter(
      (c): c is CodeCell => c.cell_type === 'code',
    );
    expect(textOf(first!.outputs)).toBe('kept\n');
  });

  test.each([
    [['start', 'no-such-notebook'], "There is no notebook 'no-such-notebook'."],
    [['start', '--profil', 'quick'], "There is no option '--profil'. Did you mean '--profile'?"],
    [
      ['start', '--profile', 'quik'],
      "--profile: there is no profile 'quik'. Valid: quick, default, paper. Did you mean 'quick'?",
    ],
    [['start', '--backend=wsm'], "Did you mean 'wasm'?"],
    [['start', '--timeout'], '--timeout needs a value: --timeout SECONDS'],
    [['start', '--timeout', '-3'], "--timeout takes a number of seconds above 0; got '-3'."],
    [['start', '--data', 'no/such/folder'], "can't be used as data: it does not exist"],
    [['strat'], "There is no command 'strat'. Did you mean 'start'?"],
  ])('%j is a mistake that is named', async (words, message) => {
    const { code, text } = await detlab(words);
    expect(text).toContain(message);
    expect(code).toBe(2);
  });

  test('says at once that the out folder cannot be written', async () => {
    const folder = temporaryFolder();
    writeCells(folder, 'a', [`1`]);
    fs.writeFileSync(path.join(folder, 'file'), '');
    const { code, text } = await detlab(['start', 'a.ipynb', '--out', 'file/below'], { cwd: folder });
    expect(text).toContain(
      "file/below can't be written: a part of that path is a file. Name another folder with --out.",
    );
    expect(code).toBe(2);
  });
});

describe('a run', () => {
  test('reports progress and takes that form out of the file', async () => {
    const seen: RunProgress[] = [];
    const progress = `{ label: 'training', step, total: 2, secondsLeft: 2 - step }`;
    const result = await runCells(
      [
        `import { display } from 'detlab';\nfor (const step of [1, 2]) {\n  display({ 'application/vnd.detlab.progress+json': ${progress}, 'text/plain': \`step \${step}\` }, { displayId: 'p', update: step > 1 });\n}`,
      ],
      { onProgress: (run) => seen.push(run) },
    );
    expect(result.status).toBe('ok');
    expect(seen[0]).toMatchObject({ name: 'cells', cell: 0, cells: 1 });
    expect(seen.map((run) => run.progress?.step)).toEqual(expect.arrayContaining([1, 2]));
    expect(result.outputs[0]).toEqual([
      { output_type: 'display_data', data: { 'text/plain': 'step 2' }, metadata: {} },
    ]);
  });

  test('ends a cell that takes too long and keeps what it printed', async () => {
    const result = await runCells([`console.log('spinning');\nfor (;;);`], { timeoutSeconds: 15 });
    expect(result.failure).toMatchObject({ cell: 1, ename: 'CellTimeout' });
    expect(textOf(result.outputs[0]!)).toBe('spinning\n');
  });

  test('says how a kernel died, with its last lines', async () => {
    const crash = await runCells([
      `import fs from 'node:fs';\nfs.writeSync(2, 'native trouble\\n');\nprocess.kill(process.pid, 'SIGSEGV');\nawait new Promise((resolve) => setTimeout(resolve, 60_000));`,
    ]);
    expect(crash.failure).toMatchObject({ cell: 1, ename: 'KernelDied' });
    expect(crash.failure!.evalue).toContain('SIGSEGV');
    expect(crash.failure!.traceback).toContain('native trouble');
  });
});
