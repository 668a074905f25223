import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unzip, zipEntries } from '../../../lib/tensor/prepare/unzip';
import { writeZip } from '../zip';

let folder = '';
let archive = '';
const content = {
  'a/first.txt': 'one '.repeat(5000),
  'a/second.bin': Buffer.from([0, 1, 2, 255]),
  'b/third.txt': 'three',
  'a/empty': '',
};

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-zip-'));
  archive = path.join(folder, 'x.zip');
  writeZip(archive, content);
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Changes one byte of the archive. */
function damage(at: number): void {
  const bytes = fs.readFileSync(archive);
  bytes[at] ^= 0xff;
  fs.writeFileSync(archive, bytes);
}

describe('unzip', () => {
  it('writes the wanted files, stored and deflated, and no others', async () => {
    const out = path.join(folder, 'out');
    expect((await unzip(archive, out, ['a/'])).sort()).toEqual(['a/empty', 'a/first.txt', 'a/second.bin']);
    expect(fs.readFileSync(path.join(out, 'a/first.txt'), 'utf8')).toBe(content['a/first.txt']);
    expect([...fs.readFileSync(path.join(out, 'a/second.bin'))]).toEqual([0, 1, 2, 255]);
    expect(fs.readFileSync(path.join(out, 'a/empty'), 'utf8')).toBe('');
    expect(fs.existsSync(path.join(out, 'b'))).toBe(false);
  });

  it('says which file is damaged', async () => {
    const entry = zipEntries(archive).find(({ name }) => name === 'a/second.bin')!;
    damage(entry.offset + 30 + entry.name.length + 1);
    await expect(unzip(archive, folder, ['a/'])).rejects.toThrow(/a\/second\.bin is damaged/);
  });

  it('refuses an archive that is cut off, and one that is none', async () => {
    fs.truncateSync(archive, fs.statSync(archive).size - 30);
    await expect(unzip(archive, folder, ['a/'])).rejects.toThrow(/cut off/);
    fs.writeFileSync(archive, 'half a page that says: proxy login');
    await expect(unzip(archive, folder, ['a/'])).rejects.toThrow(/not a zip archive/);
  });

  it('does not write outside its folder', async () => {
    writeZip(archive, { 'a/../../evil.txt': 'x' });
    await expect(unzip(archive, path.join(folder, 'out'), ['a/'])).rejects.toThrow(/outside/);
    expect(fs.existsSync(path.join(folder, 'evil.txt'))).toBe(false);
  });
});
