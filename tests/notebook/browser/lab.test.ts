/** What a person sees and does in JupyterLab with our kernel: a real JupyterLab, a real browser. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Output, readNotebook, writeNotebook } from '../../../lib/notebook/nbformat';
import { buildLibrary, projectRoot } from '../helpers';
import { pythonTools } from '../jupyter/python-tools';
import { findChromium } from './chromium';
import { patience } from './lab-page';
import { Stage } from './stage';

const testMs = 180_000;
const wait = { timeout: patience };

describe('JupyterLab in a browser', { timeout: testMs }, async () => {
  const executable = findChromium();
  const tools =
    executable === undefined && process.env.DETLAB_TEST_JUPYTER !== '0'
      ? missing('none of chromium, chromium-browser and google-chrome is on PATH, and CHROMIUM names none')
      : await pythonTools();
  let stage: Stage | undefined;
  let reason = '';

  beforeAll(async () => {
    if (typeof tools === 'string' || executable === undefined) return;
    buildLibrary();
    const built = await Stage.build(tools, executable);
    if (typeof built === 'string') reason = missing(built);
    else stage = built;
  }, 300_000);
  afterEach(() => stage?.clear());
  afterAll(() => stage?.remove(), 120_000);

  function test(name: string, check: (stage: Stage) => Promise<void>): void {
    it.skipIf(typeof tools === 'string')(name, async ({ skip }) => {
      if (stage) await check(stage);
      else skip(reason);
    });
  }

  test('runs all cells of a notebook, coloured as TypeScript', async (stage) => {
    const name = 'run all';
    const lab = await stage.open(name, [
      "interface Box { readonly name: string; width: number }\nconst box: Box = { name: 'a', width: 3 };",
      "console.log('name', box.name);",
      'box.width * 2',
    ]);
    expect(await lab.kernelName()).toBe('TypeScript (detlab)');
    await lab.runAll();
    await lab.cell(3).ended();
    const prompts = await Promise.all([1, 2, 3].map((number) => lab.cell(number).prompt()));
    expect(prompts).toEqual(['[1]:', '[2]:', '[3]:']);
    expect(await lab.cell(1).outputs.count()).toBe(0);
    expect(await lab.cell(2).text()).toBe('name a');
    expect(await lab.cell(3).text()).toBe('6');
    await lab.page.keyboard.press('Control+s');
    const saved = (): Output[] =>
      readNotebook(stage.file(name)).cells.flatMap((cell) => (cell.cell_type === 'code' ? cell.outputs : []));
    await expect.poll(() => saved().length, wait).toBe(2);
    expect(saved()[0]).toEqual({ output_type: 'stream', name: 'stdout', text: 'name a\n' });
    // Words that are special in TypeScript and not in JavaScript.
    const keyword = await lab.cell(1).colorOf('const');
    expect(keyword).not.toBe(await lab.cell(2).colorOf('box'));
    expect(await lab.cell(1).colorOf('interface')).toBe(keyword);
    expect(await lab.cell(1).colorOf('readonly')).toBe(keyword);
  });

  test('tells the value of a chart’s point under the mouse', async (stage) => {
    const lab = await stage.open('chart', [
      "import { lineChart, show } from 'detlab';\n" +
        "await show(lineChart([{ name: 'loss', y: [3.25, 1, 9.5] }], { x: 'Step', y: 'Loss (nats)' }));",
    ]);
    const cell = lab.cell(1);
    await cell.run();
    // The nearest point counts, so that it need not be hit.
    const tooltipAt = (share: number): Promise<string> => lab.tooltipAt(cell.charts, share);
    await expect.poll(() => tooltipAt(0.95), wait).toMatch(/Step:\s*2\s*Loss \(nats\):\s*9\.5$/);
    await expect.poll(() => tooltipAt(0.15), wait).toMatch(/Step:\s*0\s*Loss \(nats\):\s*3\.25$/);
    await expect.poll(() => tooltipAt(1.5), wait).toBe('');
  });

  test('completes members with their kinds, and explains a call', async (stage) => {
    const lab = await stage.open('completion', [
      '/** Area in pixels. */\nfunction area(side: number): number { return side ** 2; }\n' +
        'const r = { radius: 2, grow(by: number): void { this.radius += by; } };',
      'r.',
      'area(3)',
    ]);
    await lab.cell(1).run();
    await lab.cell(2).edit();
    await lab.page.keyboard.press('Tab');
    const items = lab.page.locator('.jp-Completer-item');
    await items.first().waitFor();
    expect((await items.allInnerTexts()).map((text) => text.split(/\s+/))).toEqual([
      ['m', 'grow', 'method'],
      ['p', 'radius', 'property'],
    ]);
    await lab.page.keyboard.type('ra');
    await expect.poll(() => items.count(), wait).toBe(1);
    await lab.page.keyboard.press('Enter');
    await lab
      .cell(2)
      .locator.locator('.cm-line', { hasText: /^r\.radius$/ })
      .waitFor();
    expect(await lab.cell(2).run()).toBe('2');

    await lab.cell(3).edit();
    await lab.page.keyboard.press('ArrowLeft');
    await lab.page.keyboard.press('Shift+Tab');
    const tooltip = lab.page.locator('.jp-Tooltip');
    await tooltip.waitFor();
    expect(await tooltip.innerText()).toContain('area(side: number): number');
    expect(await tooltip.innerText()).toContain('Area in pixels.');
  });

  test('marks a type error and runs nothing after it', async (stage) => {
    const lab = await stage.open('type error', [
      "console.log('before');",
      "// The line below is wrong.\nconst side: number = 'long';\nconsole.log('not reached');",
      "console.log('after');",
    ]);
    await lab.runAll();
    await lab.cell(2).errors.waitFor();
    await lab.idle();
    expect(await lab.cell(1).text()).toBe('before');
    const shown = await lab.cell(2).text();
    expect(shown).toContain("TS2322: Type 'string' is not assignable to type 'number'");
    expect(shown).toMatch(/-> 2 \| const side: number = 'long';\n\s*\|\s+\^/);
    expect(shown).not.toMatch(/^not reached$/m);
    expect(await lab.cell(3).prompt()).toBe('[ ]:');
    expect(await lab.cell(3).outputs.count()).toBe(0);
  });

  test('updates progress and a growing chart in place', async (stage) => {
    const lab = await stage.open('progress', [
      `import { createLiveChart, createProgress } from 'detlab';
const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150));`,
      `const bar = createProgress({ label: 'Counting', total: 6, interval: 0 });
for (let step = 1; step <= 6; step++) {
  bar.update({ step, loss: 1 / step });
  await moment();
}
bar.done();`,
      `const chart = createLiveChart({ series: ['loss'], x: 'Step', y: 'Loss', interval: 0 });
for (let step = 1; step <= 4; step++) {
  chart.push(step, { loss: 1 / step });
  await moment();
}
// A cell's value is shown, too, and this would be the chart again.
const drawn = await chart.done();`,
    ]);
    await lab.cell(1).run();
    const bar = await lab.cell(2).watch();
    await lab.cell(2).run();
    await lab.cell(2).outputs.filter({ hasText: '✓ Counting' }).waitFor();
    const counts = new Set((await bar()).map(({ text }) => /(\d)\/6/.exec(text)?.[1]).filter(Boolean));
    expect(counts.size).toBeGreaterThanOrEqual(3);
    expect(Math.max(...(await bar()).map(({ outputs }) => outputs))).toBe(1);

    const chart = await lab.cell(3).watch();
    await lab.cell(3).run();
    await lab.cell(3).charts.and(lab.page.getByLabel('1 to 0.25')).waitFor();
    const descriptions = new Set((await chart()).map(({ text }) => text).filter((text) => /Loss/.test(text)));
    expect(descriptions.size).toBeGreaterThanOrEqual(2);
    expect(Math.max(...(await chart()).map(({ outputs }) => outputs))).toBe(1);
  });

  test('stops an endless loop and a training run, and keeps the variables', async (stage) => {
    const lab = await stage.open('interrupt', [
      'let steps = 0;',
      'while (true) {}',
      'steps += 1000;\nsteps',
      `import { type Batch, buildScratchDet, createProgress, scratchDetRecipes, trainSsd, useBackend } from 'detlab';
await useBackend();
const recipe = scratchDetRecipes.quick;
const parts = { trunk: 'vgg16', batchNorm: 'backbone', extras: 'convolutional' } as const;
const detector = buildScratchDet(recipe, parts, 1, 1);
async function* noise(): AsyncGenerator<Batch> {
  const { inputSize: side } = recipe;
  const images = Float32Array.from({ length: 2 * side * side * 3 }, Math.random);
  const groundTruth = [[{ label: 0, box: [20, 20, 60, 60] as const }], []];
  const fit = { scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 };
  while (true) yield { images, shape: [2, side, side, 3], groundTruth, ids: ['a', 'b'], fits: [fit, fit] };
}`,
      `const bar = createProgress({ label: 'Training', total: 1e6, interval: 0 });
await trainSsd({
  detector,
  batches: noise(),
  steps: 1e6,
  schedule: () => 0.001,
  onStep: ({ step, loss }) => {
    steps++;
    bar.update({ step: step + 1, loss });
  },
});`,
      `const then = steps;
await new Promise((resolve) => setTimeout(resolve, 500));
[then > 1000, steps - then]`,
    ]);
    await lab.cell(1).run();
    await lab.cell(2).start();
    await lab.cell(2).waitForPrompt(/\[\*\]/);
    await lab.interrupt();
    await lab.cell(2).errors.filter({ hasText: 'Interrupted: cell [2]' }).waitFor();
    expect(await lab.cell(3).run()).toBe('1000');

    expect(await lab.cell(4).run()).toBe('');
    await lab.cell(5).start();
    await lab
      .cell(5)
      .outputs.filter({ hasText: /Training [2-9]\// })
      .waitFor();
    await lab.interrupt();
    await lab.cell(5).errors.filter({ hasText: 'Interrupted: cell [5]' }).waitFor();
    expect(await lab.cell(6).run()).toBe('[ true, 0 ]');
  });

  test('forgets everything at a restart, and leaves no process behind', async (stage) => {
    const lab = await stage.open('restart', [
      'const kept = 1;',
      '[process.pid, process.ppid].join()',
      'kept',
      '6 * 7',
    ]);
    await lab.runAll();
    await lab.cell(4).ended();
    const before = processes(await lab.cell(2).text());
    expect(before.map(isAlive)).toEqual([true, true]);
    await lab.restart();
    expect(await lab.cell(4).run()).toBe('42');
    expect(await lab.cell(4).prompt()).toBe('[1]:');
    expect(await lab.cell(3).run()).toMatch(/Cannot find name 'kept'/);
    const after = processes(await lab.cell(2).run());
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    await expect.poll(() => before.some(isAlive), wait).toBe(false);
  });

  test('shows the first notebook’s data, pictures and charts', async (stage) => {
    const name = '01-scratchdet';
    const notebook = readNotebook(path.join(projectRoot, 'notebooks', `${name}.ipynb`));
    for (const cell of notebook.cells)
      if (cell.cell_type === 'code') Object.assign(cell, { outputs: [], execution_count: null });
    writeNotebook(stage.file(name), notebook);
    const lab = await stage.open(name);
    const seen = { tables: 0, charts: 0, pictures: [] as number[] };
    for (const number of [1, 2, 3, 4]) {
      const cell = lab.cell(number);
      await cell.run();
      await lab.idle();
      expect(await cell.errors.allInnerTexts()).toEqual([]);
      seen.tables += await cell.tables.count();
      seen.charts += await cell.countCharts();
      seen.pictures.push(...(await cell.pictureWidths()));
    }
    expect(seen.tables).toBeGreaterThan(0);
    expect(seen.charts).toBeGreaterThan(0);
    expect(seen.pictures).not.toEqual([]);
    expect(Math.min(...seen.pictures)).toBeGreaterThan(100);
  });

  test('ends with its kernels at Ctrl-C', async (stage) => {
    const lab = await stage.open('end', ['[process.pid, process.ppid].join()']);
    const running = processes(await lab.cell(1).run());
    expect(running.map(isAlive)).toEqual([true, true]);
    expect(await stage.stopLab()).toBe(0);
    await expect.poll(() => running.some(isAlive), wait).toBe(false);
  });
});

/** Says in one line that the tests are skipped; fails where they are required. */
function missing(why: string): string {
  const reason = `no Chromium: ${why}`;
  if (process.env.DETLAB_TEST_JUPYTER === 'require') throw new Error(reason);
  console.warn(`The tests in JupyterLab are skipped: ${reason}`);
  return reason;
}

/** The numbers in `'12,34'`. */
function processes(shown: string): number[] {
  return (shown.match(/\d+/g) ?? []).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // Where nobody waits for orphans, what has ended keeps its number.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
