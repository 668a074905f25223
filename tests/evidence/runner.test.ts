/** The command itself, with real processes: runs side by side, what dies, what is broken off. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildLibrary, entry, temporaryFolder } from '../notebook/helpers';

const studyFile = path.join(__dirname, 'tiny-study.mjs');
/** Starting a process takes seconds on a busy machine. */
const timeout = 240_000;

let folder: string;
let children: ChildProcess[];
beforeAll(buildLibrary);
beforeEach(() => {
  folder = temporaryFolder();
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
});

interface Command {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly code: Promise<number | null>;
}

function start(words: readonly string[], env: Record<string, string> = {}, out: string = folder): Command {
  const options = ['--backend', 'cpu', '--out', out, ...words];
  const child = spawn(process.execPath, [entry, 'evidence', studyFile, ...options], {
    env: { ...process.env, TINY_LOG: path.join(folder, 'steps.log'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  const code = new Promise<number | null>((resolve) => child.on('close', (value) => resolve(value)));
  return { child, text: () => text, code };
}

async function run(
  words: readonly string[],
  env?: Record<string, string>,
  out?: string,
): Promise<[number | null, string]> {
  const { code, text } = start(words, env, out);
  return [await code, text()];
}

async function until(holds: () => boolean, what: () => string): Promise<void> {
  const patience = performance.now() + 100_000;
  while (!holds()) {
    if (performance.now() > patience) throw new Error(`in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const steps = (): string[] => {
  const file = path.join(folder, 'steps.log');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
};
const resultNames = (out: string = folder): string[] =>
  fs.readdirSync(path.join(out, 'tiny', 'default')).filter((name) => name.endsWith('.json'));
const result = (name: string, out: string = folder): Record<string, unknown> =>
  JSON.parse(fs.readFileSync(path.join(out, 'tiny', 'default', name), 'utf8')) as Record<string, unknown>;
const unfinished = (): string => path.join(folder, '.unfinished', 'tiny', 'default');
/** The process of the only run. */
const runProcess = (): number => {
  const lock = path.join(unfinished(), fs.readdirSync(unfinished())[0], 'run.lock');
  return (JSON.parse(fs.readFileSync(lock, 'utf8')) as { pid: number }).pid;
};
/** Without what differs from one run to the same one. */
const lasting = (name: string, out: string): Record<string, unknown> => {
  const { provenance, ...rest } = result(name, out) as { provenance: Record<string, unknown> };
  const {
    started: _started,
    seconds: _seconds,
    earlier: _earlier,
    commit: _commit,
    dirty: _dirty,
    ...same
  } = provenance;
  return { ...rest, provenance: same };
};

test('two jobs give the same files as one, and what is there is not run again', { timeout }, async () => {
  const [one, two] = [path.join(folder, 'one'), path.join(folder, 'two')];
  const words = ['--arms', 'plain,wild', '--seeds', '2'];
  const [code, text] = await run(words, { DETLAB_THREADS: '1' }, one);
  expect(code, text).toBe(0);
  expect(text).toContain('2 arms x 2 seeds, 4 runs; 0 there, 4 to do, 1 at a time, 1 thread each');
  // All arms of a seed before the next one.
  expect(steps().filter((line) => line.endsWith(' 1'))).toEqual([
    'plain 1 1',
    'wild 1 1',
    'plain 2 1',
    'wild 2 1',
  ]);
  const [secondCode, second] = await run([...words, '--jobs', '2'], { DETLAB_THREADS: '2' }, two);
  expect(secondCode, second).toBe(0);
  expect(second).toContain('2 at a time, 1 thread each');
  expect(resultNames(one)).toEqual([
    'plain-seed1.json',
    'plain-seed2.json',
    'wild-seed1.json',
    'wild-seed2.json',
  ]);
  expect(resultNames(two)).toEqual(resultNames(one));
  for (const name of resultNames(one)) expect(lasting(name, two)).toEqual(lasting(name, one));
  expect(result('wild-seed1.json', one)).toMatchObject({ diverged: true, metrics: { score: null } });
  expect(fs.readdirSync(path.join(one, '.unfinished', 'tiny', 'default'))).toEqual([]);

  const before = steps().length;
  const [again, third] = await run([...words, '--seeds', '1'], {}, one);
  expect(again, third).toBe(0);
  expect(third).toContain('2 runs; 2 there, 0 to do');
  expect(steps()).toHaveLength(before);

  // Another setting: all of it is stale, named, and done again; a broken file, too.
  fs.writeFileSync(path.join(one, 'tiny', 'default', 'plain-seed2.json'), '{');
  const [last, fourth] = await run(words, { TINY_NOISE: '0.5' }, one);
  expect(last, fourth).toBe(0);
  expect(fourth).toContain(
    'tiny/default/plain-seed1.json is of other settings: study.noise: was 0.02, now it is 0.5.',
  );
  expect(fourth).toContain('tiny/default/plain-seed2.json is damaged');
  expect(fourth).toContain('4 of 4 results are there');
  expect(result('plain-seed2.json', one)).toMatchObject({ settings: { study: { noise: 0.5 } } });
});

test('on a folder of one’s own, under a name of its own', { timeout }, async () => {
  const images = path.join(folder, 'my-images');
  fs.mkdirSync(images);
  fs.writeFileSync(path.join(images, 'a.jpg'), '');
  const [code, text] = await run(['--arms', 'plain', '--seeds', '1', '--data', images]);
  expect(code, text).toBe(0);
  expect(text).toContain('plain seed 1: on a.jpg');
  expect(fs.readdirSync(path.join(folder, 'tiny-on-my-images', 'default'))).toContain('plain-seed1.json');
  expect(fs.existsSync(path.join(folder, 'tiny'))).toBe(false);
});

test('a run that somebody else stops is told', { timeout }, async () => {
  const words = ['--arms', 'plain', '--seeds', '1'];
  const first = start(words, { TINY_PAUSE: '40', TINY_STEPS: '60' });
  await until(() => steps().includes('plain 1 5'), first.text);
  process.kill(runProcess(), 'SIGTERM');
  expect(await first.code, first.text()).toBe(1);
  expect(first.text()).toContain('failed: plain seed 1: it was stopped by a signal');
});

test('a run that throws and one whose process dies are told, and the others go on', { timeout }, async () => {
  const [code, text] = await run(['--arms', 'throws,dies,better', '--seeds', '1', '--jobs', '2']);
  expect(code, text).toBe(1);
  expect(text).toMatch(/throws seed 1 failed: Error: this arm throws\n\s+at .*tiny-study\.mjs/);
  expect(text).toContain('dies seed 1 failed: its process ended with code 7');
  expect(text).toContain('1 of 3 results are there.');
  expect(text).toContain('failed: throws seed 1: Error: this arm throws');
  expect(resultNames()).toEqual(['better-seed1.json']);
});

describe('broken off', () => {
  const slow = { TINY_PAUSE: '40', TINY_STEPS: '60' };
  const words = ['--arms', 'plain', '--seeds', '2'];
  const middleOfSecond = (): boolean => steps().includes('plain 2 10');

  test('by kill -9, it goes on with the unfinished run where it was', { timeout }, async () => {
    const first = start(words, slow);
    await until(middleOfSecond, first.text);
    first.child.kill('SIGKILL');
    await first.code;
    // The run's process hears of it, saves and ends: it has the folder till then.
    const [code, text] = await run(words, slow);
    expect(code, text).toBe(0);
    expect(text).toContain('2 runs; 1 there, 1 to do');
    expect(text).toContain('plain seed 2: goes on where it was broken off');
    expect(text).not.toContain('begins at step 0');
    // Every step was computed once.
    const computed = steps();
    expect(computed).toHaveLength(120);
    expect(new Set(computed).size).toBe(120);
    const { provenance } = result('plain-seed2.json') as {
      provenance: { seconds: number; earlier: { seconds: number }[] };
    };
    expect(provenance.earlier).toHaveLength(1);
    expect(provenance.seconds).toBeGreaterThan(provenance.earlier[0].seconds);
    // The same numbers as in one go.
    const whole = path.join(folder, 'whole');
    await run([...words], { TINY_STEPS: '60' }, whole);
    expect(lasting('plain-seed2.json', folder)).toEqual(lasting('plain-seed2.json', whole));
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s, it lets its runs save and ends them',
    { timeout },
    async (signal) => {
      const first = start(['--arms', 'plain,better', '--seeds', '1', '--jobs', '2'], slow);
      const both = (): boolean => steps().includes('plain 1 5') && steps().includes('better 1 5');
      await until(both, first.text);
      first.child.kill(signal);
      expect(await first.code, first.text()).toBe(130);
      expect(first.text()).toContain('stopping: unfinished runs save what they have');
      expect(first.text()).toContain('0 of 2 results are there');
      expect(first.text()).not.toContain('failed');
      const done = steps();
      // Nobody computes any more.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(steps()).toEqual(done);
      const names = fs.readdirSync(unfinished());
      expect(names.map((name) => name.slice(0, -17)).sort()).toEqual(['better-seed1', 'plain-seed1']);
      for (const name of names)
        expect(fs.readdirSync(path.join(unfinished(), name)).sort()).toEqual(['sittings.json', 'state']);
    },
  );

  test(
    'by one Ctrl-C that arrives twice, as under npm, it lets its runs save all the same',
    { timeout },
    async () => {
      const first = start(['--arms', 'plain', '--seeds', '1'], slow);
      await until(() => steps().includes('plain 1 5'), first.text);
      // Two of a kind could arrive as one.
      first.child.kill('SIGINT');
      first.child.kill('SIGTERM');
      expect(await first.code, first.text()).toBe(130);
      const [name] = fs.readdirSync(unfinished());
      expect(fs.readdirSync(path.join(unfinished(), name)).sort()).toEqual(['sittings.json', 'state']);
    },
  );

  test('twice, it ends runs that do not stop', { timeout }, async () => {
    const first = start(['--arms', 'plain', '--seeds', '1'], { TINY_PAUSE: '600000' });
    await until(() => fs.existsSync(unfinished()) && first.text().includes('begins at step 0'), first.text);
    first.child.kill('SIGINT');
    await until(() => first.text().includes('stopping: unfinished runs save what they have'), first.text);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    first.child.kill('SIGINT');
    // Of itself the runner would wait half a minute for them.
    const patience = new Promise((resolve) => setTimeout(resolve, 20_000, 'still waiting'));
    expect(await Promise.race([first.code, patience]), first.text()).toBe(130);
    // It had no time to give its folder back; the next command takes it.
    const [name] = fs.readdirSync(unfinished());
    expect(fs.readdirSync(path.join(unfinished(), name))).toContain('run.lock');
    const [code, text] = await run(['--arms', 'plain', '--seeds', '1'], {});
    expect(code, text).toBe(0);
  });

  test('a run whose process is killed is told, and taken up by the next command', { timeout }, async () => {
    const first = start(['--arms', 'plain', '--seeds', '1'], slow);
    await until(() => steps().includes('plain 1 5'), first.text);
    process.kill(runProcess(), 'SIGKILL');
    expect(await first.code, first.text()).toBe(1);
    expect(first.text()).toContain('plain seed 1 failed: its process was ended by SIGKILL');
    const [code, text] = await run(['--arms', 'plain', '--seeds', '1'], slow);
    expect(code, text).toBe(0);
    expect(text).toContain('goes on where it was broken off');
    expect(new Set(steps()).size).toBe(60);
  });
});
