import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { processStart, readHolder, takeLock } from '../../../lib/tensor/prepare/lock';

let folder = '';
let lock = '';
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-lock-'));
  lock = path.join(folder, 'prepare.lock');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

it('is given to one at a time, and back', async () => {
  const release = await takeLock(lock, { timeoutMs: 1000 });
  expect(readHolder(lock)).toMatchObject({ pid: process.pid, host: os.hostname() });
  expect(await takeLock(lock, { timeoutMs: 150 })).toBeUndefined();
  release!();
  expect(fs.existsSync(lock)).toBe(false);
  (await takeLock(lock, { timeoutMs: 1000 }))!();
});

it('tells who is waited for', async () => {
  const release = await takeLock(lock, { timeoutMs: 1000 });
  const holders: (number | undefined)[] = [];
  await takeLock(lock, { timeoutMs: 1200, onWait: (holder) => holders.push(holder?.pid) });
  expect(holders).toEqual([process.pid]);
  release!();
});

it('is taken from a process that has ended, and from another one that has its number now', async () => {
  const holders = [{ pid: 2 ** 22 + 1, started: '' }];
  if (processStart(process.pid) !== '') holders.push({ pid: process.pid, started: '1' });
  for (const holder of holders) {
    fs.writeFileSync(lock, JSON.stringify({ ...holder, host: os.hostname(), since: '' }));
    const release = await takeLock(lock, { timeoutMs: 2000 });
    expect(release, JSON.stringify(holder)).toBeDefined();
    release!();
  }
});

it('is left to another machine until that has been silent for long', async () => {
  fs.writeFileSync(lock, JSON.stringify({ pid: 1, started: '', host: 'elsewhere', since: '' }));
  expect(await takeLock(lock, { timeoutMs: 150 })).toBeUndefined();
  const old = new Date(Date.now() - 10 * 60_000);
  fs.utimesSync(lock, old, old);
  const release = await takeLock(lock, { timeoutMs: 2000 });
  expect(release).toBeDefined();
  release!();
});

it('keeps processes apart, also when one is killed while it holds the lock', async () => {
  // Each process appends "in" and "out" to a log while it holds the lock; the first one is killed inside.
  const source = fs.readFileSync(path.join(__dirname, '../../../lib/tensor/prepare/lock.ts'), 'utf8');
  const module = path.join(folder, 'lock.mjs');
  fs.writeFileSync(
    module,
    ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ES2022 } }).outputText,
  );
  const log = path.join(folder, 'log');
  const script = `
    import fs from 'node:fs';
    import { takeLock } from ${JSON.stringify(pathToFileURL(module).href)};
    const [lock, log, hang] = process.argv.slice(2);
    const release = await takeLock(lock, { timeoutMs: 20000 });
    fs.appendFileSync(log, 'in\\n');
    if (hang) { console.log('holding'); setInterval(() => {}, 1000); }
    else { await new Promise((r) => setTimeout(r, 50)); fs.appendFileSync(log, 'out\\n'); release(); }
  `;
  const file = path.join(folder, 'child.mjs');
  fs.writeFileSync(file, script);
  const start = (...more: string[]): ReturnType<typeof spawn> =>
    spawn(process.execPath, [file, lock, log, ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = (child: ReturnType<typeof spawn>): Promise<number | null> =>
    new Promise((resolve) => child.on('exit', (code) => resolve(code)));

  const first = start('hang');
  await new Promise((resolve) => first.stdout!.once('data', resolve));
  const others = [start(), start(), start()].map(end);
  first.kill('SIGKILL');
  expect(await Promise.all(others)).toEqual([0, 0, 0]);
  expect(fs.readFileSync(log, 'utf8').trim().split('\n')).toEqual([
    'in',
    ...Array(3).fill(['in', 'out']).flat(),
  ]);
  expect(fs.existsSync(lock)).toBe(false);
});
