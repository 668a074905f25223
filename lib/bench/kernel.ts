/** `npm run bench -- kernel`: what a notebook's reader waits for, and what a long session costs. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { CellProcess } from '../notebook/cells/cell-process';
import { type Comparison, time } from './measure';

const cellsOfSession = 1000;

/** Measures a process that runs cells. What a session of a thousand cells costs is told to `note`. */
export async function compareKernel(rounds: number, note: (line: string) => void): Promise<Comparison[]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-bench-'));
  const open = new Set<CellProcess>();
  const start = async (): Promise<CellProcess> => {
    const cells = new CellProcess({
      cwd: folder,
      env: { ...process.env, DETLAB_BACKEND: 'cpu' },
      onEnd: () => {},
    });
    open.add(cells);
    await cells.ready;
    return cells;
  };
  try {
    const measured: Comparison[] = [
      alone('start to first result', '1 + 1', await firstResult(start, rounds)),
      alone('first cell that imports', 'detlab', await firstImport(start, rounds)),
    ];
    const cells = await start();
    await run(cells, `import { createRandom, reload, tf } from 'detlab';\nconst r = createRandom(1);`);
    const parts: [part: string, size: string, work: () => unknown][] = [
      ['a small cell', 'const a = 1; a + 1', () => run(cells, 'const a = 1;\na + 1')],
      ['completion', 'r.', () => cells.complete('r.', 2)],
      ['completion', 'tf. (all of TensorFlow.js)', () => cells.complete('tf.', 3)],
      ['inspection', 'createRandom', () => cells.inspect('createRandom', 5)],
      ['interrupt', 'for (;;);', () => interrupted(cells)],
    ];
    for (const [part, size, work] of parts) measured.push(alone(part, size, await time(rounds, work)));
    await session(cells, note);
    return measured;
  } finally {
    for (const cells of open) cells.kill();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function alone(part: string, size: string, rounds: number[]): Comparison {
  return { part, size, contestants: [{ name: 'detlab', rounds }] };
}

/** Runs a cell and gives the text of its result. */
async function run(cells: CellProcess, code: string): Promise<string> {
  let shown = '';
  const outcome = await cells.execute(code, {}, (message) => {
    if (message.type === 'execute_result') shown = String(message.data['text/plain']);
  });
  if (outcome.status === 'error') throw new Error(outcome.error.traceback.join('\n'));
  return shown;
}

function firstResult(start: () => Promise<CellProcess>, rounds: number): Promise<number[]> {
  return time(rounds, async () => {
    const cells = await start();
    await run(cells, '1 + 1');
    cells.kill();
  });
}

async function firstImport(start: () => Promise<CellProcess>, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const cells = await start();
    const began = performance.now();
    await run(cells, `import { createRandom } from 'detlab';\ncreateRandom(1).next()`);
    times.push(performance.now() - began);
    cells.kill();
  }
  return times;
}

/** From the interrupt to the answer. */
async function interrupted(cells: CellProcess): Promise<void> {
  await cells.execute(`console.log('go');\nfor (;;);`, {}, (message) => {
    if (message.type === 'stream') cells.interrupt();
  });
}

/** Memory, after garbage collection, as a session grows. */
async function session(cells: CellProcess, note: (line: string) => void): Promise<void> {
  await run(
    cells,
    `import v8 from 'node:v8';\nimport vm from 'node:vm';\nv8.setFlagsFromString('--expose-gc');\nconst collect = vm.runInNewContext('gc') as () => void;`,
  );
  const memory = (): Promise<string> =>
    run(
      cells,
      `collect();\nconst { heapUsed, rss } = process.memoryUsage();\n\`heap \${(heapUsed / 2 ** 20).toFixed(1)} MiB, process \${(rss / 2 ** 20).toFixed(0)} MiB\``,
    );
  await run(cells, 'let x = 0;\nx');
  note(`memory after the first cells: ${await memory()}`);
  const began = performance.now();
  for (let i = 1; i <= cellsOfSession; i++) {
    await run(
      cells,
      i % 2 === 0
        ? `let x = ${i};\nx * 2`
        : `const list${i % 10} = [${i}, await Promise.resolve(2)];\nlist${i % 10}`,
    );
  }
  const each = (performance.now() - began) / cellsOfSession;
  note(`memory after ${cellsOfSession} more: ${await memory()}; ${each.toFixed(1)} ms a cell`);
}
