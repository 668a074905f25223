import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { dropSymbolTables } from '../../../lib/tensor/prepare/elf';

it('cuts an ELF file off behind its last segment, and leaves other files alone', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-elf-'));
  try {
    // A header, two program headers (at 64 and 120) whose segments end at 600 and 500, and sections behind them.
    const bytes = Buffer.alloc(1000, 7);
    bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1');
    bytes.writeBigUInt64LE(64n, 32);
    bytes.writeBigUInt64LE(700n, 40);
    bytes.writeUInt16LE(56, 54);
    bytes.writeUInt16LE(2, 56);
    bytes.writeUInt16LE(5, 60);
    bytes.writeUInt16LE(4, 62);
    for (const [at, offset, size] of [
      [64, 400n, 200n],
      [120, 0n, 500n],
    ] as const) {
      bytes.writeBigUInt64LE(offset, at + 8);
      bytes.writeBigUInt64LE(size, at + 32);
    }
    const file = path.join(folder, 'library.so');
    fs.writeFileSync(file, bytes);
    expect(dropSymbolTables(file)).toBe(400);
    const after = fs.readFileSync(file);
    expect(after.length).toBe(600);
    expect([after.readBigUInt64LE(40), after.readUInt16LE(60), after.readUInt16LE(62)]).toEqual([0n, 0, 0]);
    expect(after.subarray(64)).toEqual(bytes.subarray(64, 600));
    expect(dropSymbolTables(file)).toBe(0);

    fs.writeFileSync(file, 'no library');
    expect(dropSymbolTables(file)).toBe(0);
    expect(fs.readFileSync(file, 'utf8')).toBe('no library');
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
