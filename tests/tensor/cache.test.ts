import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type * as Cache from '../../lib/tensor/cache';

let folder = '';
const saved = { ...process.env };

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-cache-'));
  vi.resetModules();
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
  for (const name of ['DETLAB_CACHE', 'XDG_CACHE_HOME', 'TMPDIR']) {
    if (saved[name] === undefined) delete process.env[name];
    else process.env[name] = saved[name];
  }
});

/** A fresh copy of the module, which remembers its choice. */
async function load(): Promise<typeof Cache> {
  return import('../../lib/tensor/cache.js');
}

describe('preferredCacheDirectory', () => {
  it('takes DETLAB_CACHE before XDG_CACHE_HOME, and ignores a relative XDG_CACHE_HOME', async () => {
    const { preferredCacheDirectory } = await load();
    expect(preferredCacheDirectory({ DETLAB_CACHE: '/a/b', XDG_CACHE_HOME: '/x' })).toBe(
      path.resolve('/a/b'),
    );
    expect(preferredCacheDirectory({ DETLAB_CACHE: 'here' })).toBe(path.resolve('here'));
    expect(preferredCacheDirectory({ XDG_CACHE_HOME: '/x' })).toBe(path.join('/x', 'detlab'));
    expect(preferredCacheDirectory({ XDG_CACHE_HOME: 'relative' })).toBe(preferredCacheDirectory({}));
  });
});

describe('cacheDirectory', () => {
  it('creates the folder', async () => {
    process.env.DETLAB_CACHE = path.join(folder, 'deep', 'cache');
    const { cacheDirectory } = await load();
    expect(cacheDirectory()).toBe(path.join(folder, 'deep', 'cache'));
    expect(fs.readdirSync(path.join(folder, 'deep', 'cache'))).toEqual([]);
  });

  it('falls back to the temporary directory where that cannot be written, and says so once', async () => {
    fs.writeFileSync(path.join(folder, 'file'), '');
    process.env.DETLAB_CACHE = path.join(folder, 'file', 'cache');
    process.env.TMPDIR = folder;
    const { cacheDirectory } = await load();
    const warn = vi.fn();
    const used = cacheDirectory(warn);
    expect(path.dirname(used)).toBe(folder);
    expect(fs.statSync(used).isDirectory()).toBe(true);
    expect(cacheDirectory(warn)).toBe(used);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toContain(path.join(folder, 'file', 'cache'));
    expect(warn.mock.calls[0][0]).toContain('DETLAB_CACHE');
  });

  it('does not fall back to a link that someone else may have put there', async () => {
    fs.writeFileSync(path.join(folder, 'file'), '');
    fs.mkdirSync(path.join(folder, 'elsewhere'));
    fs.symlinkSync(path.join(folder, 'elsewhere'), path.join(folder, `detlab-${os.userInfo().uid}`));
    process.env.DETLAB_CACHE = path.join(folder, 'file', 'cache');
    process.env.TMPDIR = folder;
    const { cacheDirectory } = await load();
    expect(() => cacheDirectory(() => undefined)).toThrow(/it is a link/);
  });

  it('throws where nothing can be written, naming both folders and the variable', async () => {
    fs.writeFileSync(path.join(folder, 'file'), '');
    process.env.DETLAB_CACHE = path.join(folder, 'file', 'cache');
    process.env.TMPDIR = path.join(folder, 'file');
    const { cacheDirectory } = await load();
    expect(() => cacheDirectory(() => undefined)).toThrow(/file[\\/]cache \(ENOTDIR\).*Set DETLAB_CACHE/);
  });
});
