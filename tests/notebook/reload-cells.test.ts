/** Hot reload as cells see it: a copy of the project, whose lib is edited between cells. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compilerVersion, compileStep } from '../../lib/notebook/reload/compile';
import { buildLibrary, projectRoot, temporaryFolder } from './helpers';

const copy = temporaryFolder();

beforeAll(() => {
  buildLibrary();
  for (const name of ['lib', 'dist', 'package.json']) {
    fs.cpSync(path.join(projectRoot, name), path.join(copy, name), { recursive: true });
  }
  fs.symlinkSync(path.join(projectRoot, 'node_modules'), path.join(copy, 'node_modules'), 'junction');
  // The copies are younger than the build's stamps say.
  const lib = path.join(copy, 'lib');
  const stamps = [...compileStep.sources(lib)].map((file) => [
    path.relative(lib, file),
    compileStep.stampOf(file, compilerVersion()),
  ]);
  fs.writeFileSync(path.join(copy, 'dist', '.stamps.json'), JSON.stringify(Object.fromEntries(stamps)));
});

afterAll(() => fs.rmSync(copy, { recursive: true, force: true }));

/** Runs cells and edits, each `[file, from, to]`, in a process of their own; returns what each cell gave. */
function run(steps: readonly (string | [string, string, string])[]): Record<string, unknown>[] {
  const host = `
    const fs = require('node:fs');
    const load = (name) => require(${JSON.stringify(copy)} + '/dist/notebook/' + name);
    load('reload/loads').recordLoads(${JSON.stringify(copy)});
    load('engine/resolve').installResolution(${JSON.stringify(copy)});
    const executor = load('engine/executor').createExecutor(process.cwd(), () => {});
    const reloader = load('reload/reloader').createReloader({
      root: ${JSON.stringify(copy)},
      locals: () => executor.locals,
      onTypesChanged: (files) => executor.compiler.invalidateTypes(files),
    });
    (async () => {
      const results = [];
      for (const step of ${JSON.stringify(steps)}) {
        if (Array.isArray(step)) {
          const file = ${JSON.stringify(copy)} + '/lib/' + step[0];
          const text = fs.readFileSync(file, 'utf8');
          if (!text.includes(step[1])) throw new Error(step[0] + ' holds no ' + step[1]);
          fs.writeFileSync(file, text.replace(step[1], step[2]));
          continue;
        }
        const notice = reloader.beforeCell()?.text;
        const cell = await executor.execute(step, 'cell-' + results.length, new Promise(() => {}));
        const thrown = cell.thrown && String(cell.thrown.value);
        const diagnostics = cell.diagnostics?.map((d) => d.messageText);
        const shown = cell.value?.[Symbol.for('Jupyter.display')]?.()['text/plain'];
        results.push({ notice, thrown, diagnostics, value: shown ?? cell.value });
      }
      executor.compiler.close();
      fs.writeFileSync('results.json', JSON.stringify(results));
    })();`;
  const cwd = temporaryFolder();
  try {
    execFileSync(process.execPath, ['-e', host], { cwd, stdio: 'pipe' });
    return JSON.parse(fs.readFileSync(path.join(cwd, 'results.json'), 'utf8')) as Record<string, unknown>[];
  } finally {
    fs.rmSync(cwd, { recursive: true, force: true });
  }
}

test('earlier cells and later ones use what was reloaded, and are checked against its types', () => {
  const reload = `import { reload } from 'detlab';\nawait reload()`;
  const [first, changed, reloaded, after, extra, wrong, auto, swapped] = run([
    `import { Sgd, boxArea, iou } from 'detlab';\nconst sgd = new Sgd([]);\nconst overlap = (x: number): number => iou([0, 0, 2, 2], [x, 0, 3, 2]);\noverlap(1)`,
    ['boxes/geometry.ts', 'return value > 0 ? value : 0;', 'return value > 0 ? 8 * value : 0;'],
    [
      'boxes/geometry.ts',
      'export function iou(',
      'export interface Extra {\n  q: number;\n}\nexport function iou(',
    ],
    ['train/sgd.ts', 'dispose(): void {', 'dispose(): string {\n    return String(this.parameters.length);'],
    `overlap(1)`,
    reload,
    `[overlap(1), sgd.dispose()]`,
    `import type { Extra } from 'detlab';\nconst some: Extra = { q: 1 };\nsome.q`,
    `const none: number = sgd.dispose();`,
    `await reload({ auto: true })`,
    ['boxes/geometry.ts', '8 * value', '2 * value'],
    [
      'train/sgd.ts',
      'private readonly velocities',
      'private readonly made = 1;\n  private readonly velocities',
    ],
    `overlap(1)`,
  ]);
  expect(first).toMatchObject({ value: 1 / 3 });
  expect(changed).toMatchObject({ value: 1 / 3, notice: expect.stringContaining('await reload()') });
  expect(changed.notice).toContain('can be swapped: lib/boxes/geometry.ts (iou)');
  expect(changed.notice).toContain('can be swapped: lib/train/sgd.ts (Sgd.dispose)');
  expect(reloaded.value).toBe(
    'Reloaded lib/boxes/geometry.ts (iou)\nReloaded lib/train/sgd.ts (Sgd.dispose)',
  );
  expect(after).toEqual({ value: [8 / 3, '0'] });
  expect(extra).toEqual({ value: 1 });
  expect(wrong.diagnostics).toEqual([`Type 'string' is not assignable to type 'number'.`]);
  expect(auto.value).toContain('From now on changes are looked for before each cell.');
  expect(swapped.value).toBeCloseTo(2 / 3, 12);
  expect(swapped.notice).toMatch(
    /^Reloaded lib\/boxes\/geometry.ts \(iou\)\nNot reloaded: lib\/train\/sgd.ts: .*class Sgd: its fields changed/,
  );
}, 180_000);
