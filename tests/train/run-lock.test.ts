import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from '../../lib/train/run-lock';
import { temporaryFolder } from '../notebook/helpers';

let folder: string;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder, 'run.lock');
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** A lock as this process would hold it, with other facts. */
async function lockWith(other: object): Promise<void> {
  const lock = await lockFolder(folder);
  const own = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
  await lock.release();
  fs.writeFileSync(file, JSON.stringify({ ...own, token: 'another', ...other }));
}

test('a folder is one run’s until it is released', async () => {
  const lock = await lockFolder(folder);
  expect(fs.readdirSync(folder)).toEqual(['run.lock']);
  await expect(lockFolder(folder)).rejects.toThrow(
    /belongs to another run of this very process\. Wait for it/,
  );
  await lock.touch();
  await lock.release();
  expect(fs.readdirSync(folder)).toEqual([]);
  await (await lockFolder(folder)).release();
});

test('of many at once one gets it', async () => {
  const tries = await Promise.allSettled(Array.from({ length: 12 }, () => lockFolder(folder)));
  const won = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(won.length).toBe(1);
  await won[0].release();
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('another living process keeps it; once it is dead it is taken over', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    const stat = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    await lockWith({ pid: child.pid, started });
    await expect(lockFolder(folder)).rejects.toThrow(`belongs to the run of process ${child.pid}.`);
  } finally {
    const gone = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  await (await lockFolder(folder)).release();
});

test('a process that was given a dead one’s number is not taken for it, nor one of before the machine’s start', async () => {
  await lockWith({ started: '1' });
  await (await lockFolder(folder)).release();
  await lockWith({ boot: 'an earlier one' });
  await (await lockFolder(folder)).release();
});

test('another machine’s counts while it is touched', async () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  await lockWith({ machine: 'elsewhere', pid });
  await expect(lockFolder(folder)).rejects.toThrow(/belongs to a run on another machine/);
  const longAgo = new Date(Date.now() - 3_600_000);
  fs.utimesSync(file, longAgo, longAgo);
  await (await lockFolder(folder)).release();
});

test.each(['', '{', '{"pid":1}', 'null', '{"token":"x","pid":-1,"started":"","machine":"","boot":""}'])(
  'a lock that says nothing (%s) keeps nobody out',
  async (text) => {
    fs.writeFileSync(file, text);
    await (await lockFolder(folder)).release();
    expect(fs.readdirSync(folder)).toEqual([]);
  },
);

test('a run that lost its lock does not take another’s away', async () => {
  const lock = await lockFolder(folder);
  fs.rmSync(file);
  const second = await lockFolder(folder);
  await lock.release();
  expect(fs.existsSync(file)).toBe(true);
  await second.release();
});
