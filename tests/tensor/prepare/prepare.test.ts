import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { prepareTensorFlow, type PrepareOptions } from '../../../lib/tensor/prepare/prepare';
import { findPrepared, preparedKey } from '../../../lib/tensor/prepared';
import { goodDownload, makeWorkshop, type Workshop } from '../fake-tools';

// The fake compiler's binding is no native code: whether it "runs" is decided here.
const smoke = vi.hoisted(() => ({
  ok: true,
  version: '2.21.0',
  gpu: false,
  software: false,
  adapter: '',
  error: '',
}));
vi.mock('../../../lib/tensor/smoke', () => ({
  smokeBinding: () => Promise.resolve({ ...smoke }),
  smokeRun: () => Promise.resolve({ ...smoke }),
  forgetSmoke: () => undefined,
}));

const saved = { PATH: process.env.PATH, DETLAB_CACHE: process.env.DETLAB_CACHE, CXX: process.env.CXX };
let shop: Workshop;
let lines: string[];

beforeEach(() => {
  shop = makeWorkshop(fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-prepare-')));
  lines = [];
  process.env.PATH = shop.tools;
  process.env.DETLAB_CACHE = shop.cache;
  delete process.env.CXX;
  Object.assign(smoke, { ok: true, error: '' });
  shop.pip(goodDownload(shop));
  shop.compiler();
});
afterEach(() => {
  fs.rmSync(shop.folder, { recursive: true, force: true });
  for (const [name, value] of Object.entries(saved)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const prepare = (options: PrepareOptions = {}): ReturnType<typeof prepareTensorFlow> =>
  prepareTensorFlow({ gpu: false, log: (line) => lines.push(line), ...options });
const root = (): string => path.join(shop.cache, 'tensorflow');
const downloads = (): string[] => shop.calls().filter((call) => call.includes('pip download'));
/** What lies in the cache beside the prepared folder itself. */
const leftovers = (): string[] => fs.readdirSync(root()).filter((name) => name !== preparedKey('cpu'));

// The preparation is for Linux; elsewhere it refuses, which the last test here checks everywhere.
const onLinux = describe.runIf(process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch));

onLinux('prepareTensorFlow', () => {
  it('downloads, unpacks, compiles and keeps only what is needed; the next call finds it', async () => {
    const first = await prepare();
    expect(first).toMatchObject({ ok: true, tensorflow: '2.21.0', variant: 'cpu', already: false });
    const directory = path.join(root(), preparedKey('cpu'));
    expect(fs.readdirSync(directory).sort()).toEqual([
      'libtensorflow_cc.so.2',
      'libtensorflow_framework.so.2',
      'manifest.json',
      'tfjs_binding.node',
      'tfjs_mute.node',
    ]);
    expect(leftovers()).toEqual([]);
    expect(lines.join('\n')).toMatch(/Preparing TensorFlow 2\.21\.0 for the CPU[^]*downloading[^]*is ready/);

    expect(await prepare()).toMatchObject({ ok: true, already: true, directory });
    expect(downloads()).toHaveLength(1);
  });

  it('repairs what was damaged since: a library cut off, the binding changed, the manifest gone', async () => {
    await prepare();
    const directory = path.join(root(), preparedKey('cpu'));
    const damages = [
      () => fs.truncateSync(path.join(directory, 'libtensorflow_cc.so.2'), 3),
      () => fs.writeFileSync(path.join(directory, 'tfjs_binding.node'), 'COMPILED\n'),
      () => fs.rmSync(path.join(directory, 'manifest.json')),
      () => fs.rmSync(path.join(directory, 'libtensorflow_framework.so.2')),
    ];
    for (const damage of damages) {
      damage();
      expect(findPrepared('cpu')).toMatchObject({ damaged: true });
      expect(await prepare()).toMatchObject({ ok: true, already: false });
      expect(findPrepared('cpu')).toMatchObject({ directory });
      expect(leftovers()).toEqual([]);
    }
  });

  it('removes what an interrupted run has left, and takes over the lock of a dead process', async () => {
    fs.mkdirSync(path.join(root(), '.partial-1-1', 'wheel'), { recursive: true });
    fs.writeFileSync(path.join(root(), '.partial-1-1', 'wheel', 'half.whl'), 'half');
    const dead = { pid: 2 ** 22 + 1, started: '1', host: os.hostname(), since: '' };
    fs.writeFileSync(path.join(root(), 'prepare.lock'), JSON.stringify(dead));
    expect(await prepare()).toMatchObject({ ok: true });
    expect(leftovers()).toEqual([]);
  });

  it('names what is missing and how to get it', async () => {
    fs.rmSync(path.join(shop.tools, 'python3'));
    expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/pip is not on PATH/) });
    fs.rmSync(path.join(shop.tools, 'c++'));
    expect(await prepare()).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/pip and a C\+\+ compiler are not on PATH/),
      remedy: expect.stringMatching(/apt-get install python3-pip g\+\+/),
    });
    shop.pip('exit 1');
    expect(await prepare()).toMatchObject({ reason: 'a C++ compiler is not on PATH' });
    expect(downloads()).toEqual([]);
  });

  it('asks for other wheels where the index lacks the wanted one, and counts what it got as prepared', async () => {
    const other = path.join(
      path.dirname(shop.wheel),
      'tensorflow_cpu-2.20.0-cp312-cp312-manylinux_2_27_x86_64.whl',
    );
    fs.renameSync(shop.wheel, other);
    shop.pip(
      'case "$*" in *==*) echo "ERROR: No matching distribution found for tensorflow-cpu==2.21.0"; exit 1;; esac\n' +
        `mkdir -p "$dest"; cp '${other}' "$dest/"\n`,
    );
    expect(await prepare()).toMatchObject({ ok: true, tensorflow: '2.20.0' });
    const asked = downloads().map((call) =>
      /(--python-version \S+)?.* (tensorflow\S+)$/.exec(call)!.slice(1),
    );
    expect(asked[0]).toEqual([undefined, expect.stringMatching(/^tensorflow(-cpu)?==2\.21\.0$/)]);
    expect(asked.at(-1)).toEqual([undefined, expect.stringMatching(/>=2\.17,<3$/)]);
    expect(await prepare()).toMatchObject({ ok: true, already: true, tensorflow: '2.20.0' });
  });

  it('remembers that the network was down for a while, and tries again when told to', async () => {
    shop.pip('echo "WARNING: Retrying after connection broken by NewConnectionError"; exit 1\n');
    expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/could not reach/) });
    expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/tried a moment ago/) });
    expect(downloads()).toHaveLength(1);
    shop.pip(goodDownload(shop));
    expect(await prepare({ force: true })).toMatchObject({ ok: true });
    expect(leftovers()).toEqual([]);
  });

  it('forgets the failure after an hour', async () => {
    shop.pip('echo "Retrying"; exit 1\n');
    await prepare();
    const file = path.join(root(), 'failed.json');
    const failed = JSON.parse(fs.readFileSync(file, 'utf8')) as { when: number };
    fs.writeFileSync(file, JSON.stringify({ ...failed, when: Date.now() - 61 * 60_000 }));
    shop.pip(goodDownload(shop));
    expect(await prepare()).toMatchObject({ ok: true });
  });

  it('ends a pip that hangs, and the processes that it started', async () => {
    const pidFile = path.join(shop.folder, 'grandchild');
    shop.pip(`sleep 300 & echo $! > '${pidFile}'; wait\n`);
    const result = await prepare({ timeoutSeconds: 0.5 });
    expect(result).toMatchObject({ ok: false, reason: expect.stringMatching(/not done after/) });
    const pid = Number(fs.readFileSync(pidFile, 'utf8'));
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), { timeout: 5000 });
    expect(leftovers()).toEqual(['failed.json']);
  });

  it('gives up a download that stands still long before the deadline', async () => {
    shop.pip('mkdir -p "$dest"; echo start > "$dest/part"; sleep 300\n');
    const result = await prepare({ timeoutSeconds: 60, stallSeconds: 0.8 });
    expect(result).toMatchObject({ ok: false, reason: expect.stringMatching(/stood still/) });
  });

  it('tells a cut-off wheel, a wheel without the library and an empty success', async () => {
    const cases: [string, RegExp][] = [
      [
        `mkdir -p "$dest"; head -c 300 '${shop.wheel}' > "$dest/$(basename '${shop.wheel}')"\n`,
        /could not be unpacked.*cut off/,
      ],
      ['exit 0\n', /left no wheel/],
    ];
    for (const [download, reason] of cases) {
      shop.pip(download);
      expect(await prepare({ force: true })).toMatchObject({
        ok: false,
        reason: expect.stringMatching(reason),
      });
      expect(leftovers()).toEqual(['failed.json']);
    }
  });

  it('says why the compiler failed, in one line, and does not download again for the same failure', async () => {
    shop.compiler('echo "In file included"; echo "x.h:1:2: fatal error: no such file"; exit 1\n');
    const reason = expect.stringMatching(/could not compile.*fatal error: no such file/);
    expect(await prepare()).toMatchObject({ ok: false, reason });
    expect(await prepare()).toMatchObject({ ok: false, reason });
    expect(downloads()).toHaveLength(1);
    expect(leftovers()).toEqual(['failed.json']);
  });

  it('notices a compiler that reports success and writes nothing', async () => {
    shop.compiler('exit 0\n');
    const reason = expect.stringMatching(/tfjs_binding\.node was not made/);
    expect(await prepare()).toMatchObject({ ok: false, reason });
  });

  it('does not put in place what crashes when it is run', async () => {
    Object.assign(smoke, { ok: false, error: 'the smoke run crashed (SIGILL)' });
    const result = await prepare();
    expect(result).toMatchObject({ ok: false, reason: expect.stringMatching(/does not run here: .*SIGILL/) });
    expect(leftovers()).toEqual(['failed.json']);
    expect(findPrepared('cpu')).toMatchObject({ damaged: false });
  });

  it('with a GPU, tries the CUDA build first and is content with the CPU build', async () => {
    shop.tool('nvidia-smi', 'echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"\n');
    shop.pip(
      `case "$*" in *"pip install"*) echo "ERROR: no space for cuda"; exit 1;; esac\n${goodDownload(shop)}`,
    );
    expect(await prepare({ gpu: undefined })).toMatchObject({ ok: true, variant: 'cpu' });
    expect(
      shop
        .calls()
        .some((call) => call.includes('pip install') && call.includes('tensorflow[and-cuda]==2.21.0')),
    ).toBe(true);
    expect(lines.join('\n')).toMatch(/can't be prepared for the GPU \(.*no space for cuda.*\)/);
  });

  it('prepares the CUDA build in the layout that pip gives it', async () => {
    const install =
      'before=; for word in "$@"; do [ "$before" = --target ] && site=$word; before=$word; done\n' +
      'mkdir -p "$site/tensorflow/include" "$site/tensorflow-2.21.0.dist-info" "$site/nvidia/cudnn"\n' +
      'echo cc > "$site/tensorflow/libtensorflow_cc.so.2"; echo fw > "$site/tensorflow/libtensorflow_framework.so.2"\n';
    shop.pip(install);
    const result = await prepare({ gpu: true });
    expect(result).toMatchObject({ ok: true, variant: 'cuda', tensorflow: '2.21.0' });
    expect(fs.existsSync(path.join(root(), preparedKey('cuda'), 'site', 'nvidia', 'cudnn'))).toBe(true);
  });

  it('does not throw where there is no folder to write to', async () => {
    fs.writeFileSync(path.join(shop.folder, 'file'), '');
    process.env.DETLAB_CACHE = path.join(shop.folder, 'file', 'cache');
    const tmp = process.env.TMPDIR;
    process.env.TMPDIR = path.join(shop.folder, 'file');
    try {
      expect(await prepare()).toMatchObject({ ok: false, reason: expect.stringMatching(/No cache folder/) });
    } finally {
      if (tmp === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = tmp;
    }
  });
});

it('refuses on other systems and names the official package', async () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' });
  try {
    expect(await prepare()).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/this is darwin/),
      remedy: expect.stringMatching(/npm rebuild @tensorflow\/tfjs-node-gpu/),
    });
  } finally {
    Object.defineProperty(process, 'platform', platform);
  }
});
