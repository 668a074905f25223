import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findPython } from '../../../lib/notebook/jupyter/find-python';
import {
  environmentFolder,
  type EnvironmentOptions,
  type EnvironmentSpec,
  findEnvironment,
  preparePythonEnvironment,
} from '../../../lib/notebook/jupyter/python-environment';
import { temporaryFolder } from '../helpers';
import { type FakeTools, makeTools } from './fake-python';

const spec: EnvironmentSpec = {
  name: 'cakes',
  title: 'Cakes 1.2',
  requirements: ['cakes==1.2', 'tea==3.0'],
  files: { 'share/cakes.json': '{}\n' },
  megabytes: 1,
};

let shop: FakeTools;
let lines: string[];
beforeEach(() => {
  shop = makeTools(temporaryFolder());
  lines = [];
  vi.stubEnv('PATH', shop.tools);
  vi.stubEnv('DETLAB_CACHE', shop.cache);
  shop.python();
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(shop.folder, { recursive: true, force: true });
});

const prepare = (options: EnvironmentOptions = {}): ReturnType<typeof preparePythonEnvironment> =>
  preparePythonEnvironment(spec, { log: (line) => lines.push(line), ...options });
const installs = (): string[] => shop.calls().filter((call) => call.includes('pip install'));
const left = (): string[] => fs.readdirSync(path.join(shop.cache, 'python'));

// The stand-ins are shell scripts.
describe.skipIf(process.platform === 'win32')('a private Python environment', () => {
  it('is made once, with the packages that are pinned, and found from then on', async () => {
    const folder = environmentFolder(spec);
    const first = await prepare();
    expect(first).toMatchObject({ ok: true, already: false, directory: folder });
    expect(installs()).toHaveLength(1);
    expect(installs()[0]).toMatch(/--retries 1 --timeout 15 .*cakes==1\.2 tea==3\.0$/);
    expect(fs.readFileSync(path.join(folder, 'share', 'cakes.json'), 'utf8')).toBe('{}\n');
    expect(left()).toEqual([path.basename(folder)]);
    expect(lines.join('\n')).toMatch(/Preparing Cakes 1\.2 \(Python 3\.12\)[^]*Cakes 1\.2 is ready/);

    expect(await prepare()).toMatchObject({ ok: true, already: true, directory: folder });
    expect(installs()).toHaveLength(1);
  });

  it('has another folder for other packages', () => {
    expect(environmentFolder({ ...spec, requirements: ['cakes==1.3'] })).not.toBe(environmentFolder(spec));
  });

  it('keeps pip away from settings that lead packages elsewhere, and downloads inside the environment', async () => {
    vi.stubEnv('PIP_TARGET', '/elsewhere');
    vi.stubEnv('PYTHONPATH', '/elsewhere');
    const seen = path.join(shop.folder, 'seen');
    shop.python({ pip: `echo "[$PIP_TARGET][$PYTHONPATH][$TMPDIR]" > '${seen}'` });
    await prepare();
    const folder = environmentFolder(spec);
    expect(fs.readFileSync(seen, 'utf8').trim()).toBe(`[][][${path.join(folder, 'tmp')}]`);
    expect(fs.existsSync(path.join(folder, 'tmp'))).toBe(false);
  });

  it('is not used half made: without its stamp it is made anew', async () => {
    await prepare();
    const folder = environmentFolder(spec);
    fs.rmSync(path.join(folder, 'detlab.json'));
    fs.writeFileSync(path.join(folder, 'half'), '');
    expect(findEnvironment(spec)).toBeUndefined();
    expect(await prepare()).toMatchObject({ ok: true, already: false });
    expect(fs.existsSync(path.join(folder, 'half'))).toBe(false);
  });

  it('is made anew when the Python that it came from is gone', async () => {
    await prepare();
    fs.rmSync(path.join(environmentFolder(spec), 'bin', 'python'));
    expect(await prepare()).toMatchObject({ ok: true, already: false });
    expect(installs()).toHaveLength(2);
  });

  it('is made by one of two that ask at once', async () => {
    shop.python({ pip: 'sleep 1' });
    const both = await Promise.all([prepare(), prepare()]);
    expect(both.map((one) => one.ok && one.already).sort()).toEqual([false, true]);
    expect(installs()).toHaveLength(1);
    expect(left()).toEqual([path.basename(environmentFolder(spec))]);
  });

  it('says that the index is out of reach, leaves nothing half made, and tries again when asked', async () => {
    shop.python({ pip: 'echo "WARNING: Retrying after NewConnectionError"; exit 1' });
    const reason = expect.stringMatching(/could not reach its package index/);
    expect(await prepare()).toMatchObject({ ok: false, reason });
    expect(fs.existsSync(environmentFolder(spec))).toBe(false);
    expect(await prepare({ trustFailure: true })).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/could not reach.*\(tried 0 min ago\)/),
    });
    expect(installs()).toHaveLength(1);
    shop.python();
    expect(await prepare()).toMatchObject({ ok: true });
    expect(left()).toEqual([path.basename(environmentFolder(spec))]);
  });

  it('names the package that the index lacks', async () => {
    shop.python({ pip: 'echo "ERROR: No matching distribution found for tea==3.0"; exit 1' });
    expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/lacks.*tea==3\.0/) });
  });

  it('ends a pip that hangs, and the processes that it started', async () => {
    const pidFile = path.join(shop.folder, 'grandchild');
    shop.python({ pip: `sleep 300 & echo $! > '${pidFile}'; wait` });
    const result = await prepare({ timeoutSeconds: 5 });
    expect(result).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/was not there after/),
      remedy: expect.stringMatching(/DETLAB_PREPARE_TIMEOUT/),
    });
    const pid = Number(fs.readFileSync(pidFile, 'utf8'));
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), { timeout: 20_000 });
    expect(fs.existsSync(environmentFolder(spec))).toBe(false);
  });

  it('gives up a pip that stands still', async () => {
    shop.python({ pip: 'sleep 300' });
    const result = await prepare({ stallSeconds: 1 });
    expect(result).toMatchObject({ ok: false, reason: expect.stringMatching(/stood still/) });
  });

  it('refuses a limit that is no number', async () => {
    vi.stubEnv('DETLAB_PREPARE_TIMEOUT', 'soon');
    expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/'soon'/) });
  });
});

describe.skipIf(process.platform === 'win32')('the Python that makes it', () => {
  it('is one that has venv and is new enough', () => {
    expect(findPython()).toEqual({ file: path.join(shop.tools, 'python3'), version: '3.12' });
  });

  it('may be missing, too old, or without venv, each with what to install', () => {
    shop.python({ version: '3.8' });
    expect(findPython()).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/python3 is Python 3\.8/),
    });
    shop.python({ venv: false });
    expect(findPython()).toMatchObject({
      reason: expect.stringMatching(/has no venv/),
      remedy: expect.stringMatching(/python3-venv/),
    });
    fs.rmSync(path.join(shop.tools, 'python3'));
    expect(findPython()).toMatchObject({
      reason: expect.stringMatching(/no python3 on PATH/),
      remedy: expect.stringMatching(/Install Python 3\.10 or newer/),
    });
  });
});
