/** The protocol between the benchmark and its rivals, with fake programs. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Rival, type RivalProgram } from '../../lib/bench/rivals';
import { compete } from '../../lib/bench/steps';
import { findTorch } from '../../lib/bench/torch';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-rivals-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A rival whose run takes `ms` by its own account; `code` runs at each request, `n` counts them from 1. */
function fake(name: string, { ms = 1, code = '', before = '' } = {}): RivalProgram {
  const log = path.join(folder, 'log');
  const script = `
    const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
    console.log('Welcome to a library');
    ${before}
    say({ ready: true, memory: 1000 });
    let n = 0;
    require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { times } = JSON.parse(line);
      n++;
      require('fs').appendFileSync(${JSON.stringify(log)}, ${JSON.stringify(name)} + times + ' ');
      ${code}
      say({ milliseconds: Array(times).fill(${ms}), values: Array(times).fill(n), peak: 1000 * n });
    });`;
  return { name, command: process.execPath, args: ['-e', script] };
}

const takeLog = (): string[] => {
  const log = path.join(folder, 'log');
  const words = fs.readFileSync(log, 'utf8').trim().split(' ');
  fs.rmSync(log);
  return words;
};

describe('rivals', () => {
  test('take turns, after a warm-up, as often a visit as the fastest needs', async () => {
    const list = [fake('a', { ms: 20 }), fake('b', { ms: 10 })];
    const found = await compete(list, { rounds: 3, visitMilliseconds: 30 });
    expect(takeLog()).toEqual(['a4', 'b4', 'a3', 'b3', 'b3', 'a3', 'a3', 'b3']);
    expect(found).toEqual([
      {
        name: 'a',
        rounds: [20, 20, 20],
        values: [1, 1, 1, 1],
        memory: { start: 1000, peak: 4000 },
      },
      {
        name: 'b',
        rounds: [10, 10, 10],
        values: [1, 1, 1, 1],
        memory: { start: 1000, peak: 4000 },
      },
    ]);
  });

  test('one that fails at the start or half-way is told, and the others go on', async () => {
    const list = [
      fake('early', { before: `console.error('noise\\nError: no such kernel'); process.exit(3);` }),
      fake('late', { code: `if (n === 2) { console.error('RuntimeError: worn out'); process.exit(1); }` }),
      fake('killed', { code: `if (n === 3) process.kill(process.pid, 'SIGKILL');` }),
      fake('good'),
      { name: 'absent', command: path.join(folder, 'no-such-program'), args: [] },
    ];
    const found = await compete(list, { rounds: 2, visitMilliseconds: 1 });
    takeLog();
    expect(found.map(({ missing, rounds }) => [missing ?? 'measured', rounds.length])).toEqual([
      ['early ended with 3: Error: no such kernel', 0],
      ['late ended with 1: RuntimeError: worn out', 0],
      ['killed ended by SIGKILL: ', 0],
      ['measured', 2],
      [expect.stringMatching(/^absent spawn .*ENOENT/), 0],
    ]);
  });

  test('end when told, and a request after that fails', async () => {
    const { rival, ready } = await Rival.start(fake('a'));
    expect(ready).toEqual({ ready: true, memory: 1000 });
    expect(await rival.request({ times: 2 })).toEqual({ milliseconds: [1, 1], values: [1, 1], peak: 1000 });
    await rival.end();
    await expect(rival.request({ times: 1 })).rejects.toThrow('a ended by SIGKILL');
    takeLog();
  });
});

test('an interpreter without torch is told with its reason', async () => {
  // Node is no Python: it fails as a Python without torch does, by its exit code and its words.
  expect(await findTorch(false, { DETLAB_BENCH_PYTHON: process.execPath })).toEqual({
    missing: expect.stringContaining(`${process.execPath} (DETLAB_BENCH_PYTHON) can't import torch`),
  });
  const absent = path.join(folder, 'python');
  expect(await findTorch(false, { DETLAB_BENCH_PYTHON: absent })).toEqual({
    missing: expect.stringMatching(/can't import torch: .*ENOENT/),
  });
});
