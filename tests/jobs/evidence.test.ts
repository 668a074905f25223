/** The commands: a study whose runs other processes make, and those processes. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { evidenceCommand } from '../../lib/evidence/command';
import { workCommand } from '../../lib/jobs/command';
import { buildLibrary, entry, projectRoot, temporaryFolder } from '../notebook/helpers';
import { freePort, redisProgram, type Running, start, startRedis, until } from './queue-parts';

const study = path.join(__dirname, '..', 'evidence', 'tiny-study.mjs');
beforeAll(buildLibrary);

describe('npm run work', () => {
  let printed: string[];
  beforeEach(() => {
    printed = [];
    for (const stream of ['log', 'error'] as const)
      vi.spyOn(console, stream).mockImplementation((line: string) => void printed.push(line));
  });
  afterEach(() => void vi.restoreAllMocks());

  test('explains itself', async () => {
    expect(await workCommand(['--help'])).toBe(0);
    expect(printed.join()).toContain('--queue ADDRESS');
    expect(await workCommand([])).toBe(2);
  });

  test.each([
    [['--queu', 'redis://a'], "Did you mean '--queue'?"],
    [['--jobs', '2'], 'Which queue? --queue redis://host:port'],
    [['--queue', 'localhost:6379'], "--queue: the queue's address is redis://host:port"],
    [['--queue', 'redis://a', '--name', 'a b'], "--name: a queue's name is made of"],
    [['--queue', 'redis://a', '--jobs', '0'], '--jobs is a whole number from 1, got 0'],
    [['--queue', 'redis://a', '--backend', 'wsm'], "--backend: there is no backend 'wsm'"],
    [['--queue', 'redis://a', 'more'], 'takes options only, not more'],
  ])('%j is a mistake that is named', async (words, message) => {
    await expect(workCommand(words)).rejects.toThrow(message);
  });

  test('says that there is no Redis', async () => {
    const port = await freePort();
    const words = ['--queue', `redis://127.0.0.1:${port}`, '--backend', 'cpu'];
    expect(await workCommand(words)).toBe(1);
    expect(printed.at(-1)).toContain(`serveJobs: no Redis can be used at redis://127.0.0.1:${port}`);
    await expect(evidenceCommand([study, '--queue-name', 'a'])).rejects.toThrow(
      '--queue-name is for --queue',
    );
    await expect(evidenceCommand([study, '--queue', 'a'])).rejects.toThrow('--queue: the queue');
  });
});

describe.skipIf(redisProgram === undefined)('npm run evidence with a queue', () => {
  let folder: string;
  let queue: string;
  const running: Running[] = [];
  beforeAll(async () => {
    folder = temporaryFolder();
    const port = await freePort();
    queue = `redis://127.0.0.1:${port}`;
    running.push(await startRedis(folder, port));
  });
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ code }) => code));
    fs.rmSync(folder, { recursive: true });
    // Where a machine that works keeps what it has not finished.
    fs.rmSync(path.join(projectRoot, 'runs', 'evidence', 'tiny'), { recursive: true, force: true });
  });

  /** Without where and when a run was made. */
  const results = (out: string): Record<string, string> => {
    const own = path.join(out, 'tiny', 'default');
    const names = fs.readdirSync(own).filter((name) => name.endsWith('.json'));
    return Object.fromEntries(
      names.map((name) => {
        const text = fs.readFileSync(path.join(own, name), 'utf8');
        const { provenance } = JSON.parse(text) as { provenance: { started: string; seconds: number } };
        expect([typeof provenance.started, typeof provenance.seconds]).toEqual(['string', 'number']);
        return [name, text.replace(/"(started|seconds|commit|dirty)": [^,\n]*/g, '')];
      }),
    );
  };

  test('stores what it would have stored by itself', { timeout: 120_000 }, async () => {
    const [here, there] = [path.join(folder, 'here'), path.join(folder, 'there')];
    const words = ['evidence', study, '--backend', 'cpu', '--seeds', '1'];
    const env = { DETLAB_THREADS: '1' };
    const worker = start(process.execPath, [entry, 'work', '--queue', queue, '--backend', 'cpu'], env);
    running.push(worker);
    const alone = start(process.execPath, [entry, ...words, '--arms', 'plain,wild', '--out', here], env);
    expect(await alone.code, alone.text()).toBe(0);
    await until(() => worker.text().includes("serves the queue 'detlab'"), worker.text);
    const many = start(
      process.execPath,
      [entry, ...words, '--arms', 'plain,wild,throws', '--out', there, '--queue', queue],
      env,
    );
    expect(await many.code, many.text()).toBe(1);
    expect(many.text()).toContain('3 to do, by the machines that serve the queue');
    expect(many.text()).toMatch(/throws seed 1 failed: Error: this arm throws\n\s+at .*tiny-study\.mjs/);
    expect(many.text()).toContain('2 of 3 results are there.');
    expect(results(there)).toEqual(results(here));
    expect(worker.text()).toContain('tiny: plain seed 1: begins at step 0');
    // Nothing is left of what was unfinished, nor on the worker.
    expect(fs.existsSync(path.join(there, '.unfinished'))).toBe(false);
    worker.child.kill('SIGINT');
    expect(await worker.code, worker.text()).toBe(0);
    expect(worker.text()).toContain('finishing what it has; Ctrl-C again gives it back');
  });
});
