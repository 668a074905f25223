import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetSmoke, smokeBinding, smokeRun } from '../../lib/tensor/smoke';

let folder = '';
const saved = process.env.DETLAB_CACHE;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-smoke-'));
  process.env.DETLAB_CACHE = folder;
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
  if (saved === undefined) delete process.env.DETLAB_CACHE;
  else process.env.DETLAB_CACHE = saved;
});

/** Writes a program that is run in the probe's place. */
function program(text: string): string {
  const file = path.join(folder, 'probe.cjs');
  fs.writeFileSync(file, text);
  return file;
}

describe('smokeRun', () => {
  it('trains a convolution on wasm in a child process', async () => {
    expect(await smokeRun({ backend: 'wasm' })).toMatchObject({
      ok: true,
      error: '',
      version: expect.stringMatching(/^4\./),
    });
  });

  it('tells a binding that cannot be loaded', async () => {
    const binding = path.join(folder, 'tfjs_binding.node');
    fs.writeFileSync(binding, 'no shared library');
    const smoke = await smokeRun({ backend: 'tensorflow', binding });
    expect(smoke).toMatchObject({ ok: false, error: expect.stringContaining(binding) });
  });

  it('survives a crash, and tells the last words', async () => {
    const probe = program(
      "console.error('illegal instruction'); process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);",
    );
    expect(await smokeRun({ backend: 'wasm' }, { probe })).toMatchObject({
      ok: false,
      error: 'the smoke run crashed (SIGSEGV): illegal instruction',
    });
  });

  it('ends one that hangs, and does not take silence for success', async () => {
    const hangs = program('setInterval(() => {}, 1000);');
    expect(await smokeRun({ backend: 'wasm' }, { probe: hangs, timeoutMs: 300 })).toMatchObject({
      ok: false,
      error: 'the smoke run did not end within 0.3 s',
    });
    const silent = program('');
    expect(await smokeRun({ backend: 'wasm' }, { probe: silent })).toMatchObject({
      ok: false,
      error: 'the smoke run ended with code 0 and no answer',
    });
  });
});

it('smokeBinding remembers its result until the binding changes or is forgotten', async () => {
  const binding = path.join(folder, 'tfjs_binding.node');
  fs.writeFileSync(binding, 'no shared library');
  expect((await smokeBinding(binding)).ok).toBe(false);
  const folderOfResults = path.join(folder, 'tensorflow', 'smoke');
  const [name] = fs.readdirSync(folderOfResults);
  const file = path.join(folderOfResults, name);
  const remembered = { ok: true, version: 'remembered', gpu: false, software: false, adapter: '', error: '' };
  fs.writeFileSync(file, JSON.stringify(remembered));
  expect(await smokeBinding(binding)).toEqual(remembered);

  fs.writeFileSync(binding, 'another one, no library either');
  expect((await smokeBinding(binding)).ok).toBe(false);

  // A failure counts for ten minutes: then it is tried again.
  const [other] = fs.readdirSync(folderOfResults).filter((entry) => entry !== name);
  const failed = path.join(folderOfResults, other);
  fs.writeFileSync(failed, JSON.stringify({ ...remembered, ok: false, error: 'old' }));
  expect(await smokeBinding(binding)).toMatchObject({ error: 'old' });
  const old = new Date(Date.now() - 11 * 60_000);
  fs.utimesSync(failed, old, old);
  expect((await smokeBinding(binding)).error).not.toBe('old');

  forgetSmoke(binding);
  expect(fs.existsSync(failed)).toBe(false);
});
