/** Makes a shared library smaller, as `strip` would, without needing it. */
import fs from 'node:fs';

/**
 * Cuts an ELF file off behind what the loader maps into memory. The symbol table for debuggers and the table of sections
 * stand behind that (a quarter of TensorFlow's library); the loader reads neither. A linker does, so link against something
 * else.
 * @returns the bytes saved; 0 where the file is no 64-bit little-endian ELF file or has nothing to cut, and is left alone.
 */
export function dropSymbolTables(file: string): number {
  const descriptor = fs.openSync(file, 'r+');
  try {
    const header = Buffer.alloc(64);
    const isElf64 =
      fs.readSync(descriptor, header, 0, 64, 0) === 64 &&
      header.subarray(0, 6).equals(Buffer.from('\x7fELF\x02\x01', 'latin1'));
    if (!isElf64) return 0;
    const tableOffset = Number(header.readBigUInt64LE(32));
    const entrySize = header.readUInt16LE(54);
    const count = header.readUInt16LE(56);
    const table = Buffer.alloc(entrySize * count);
    if (count === 0 || fs.readSync(descriptor, table, 0, table.length, tableOffset) !== table.length)
      return 0;
    let end = tableOffset + table.length;
    for (let at = 0; at < table.length; at += entrySize) {
      // p_offset and p_filesz: the part of the file that this segment is made of.
      const [offset, size] = [table.readBigUInt64LE(at + 8), table.readBigUInt64LE(at + 32)];
      end = Math.max(end, Number(offset + size));
    }
    const before = fs.fstatSync(descriptor).size;
    if (end >= before) return 0;
    header.writeBigUInt64LE(0n, 40); // e_shoff: there are no sections any more,
    header.writeUInt16LE(0, 60); // e_shnum: none of them,
    header.writeUInt16LE(0, 62); // e_shstrndx: and no names
    fs.writeSync(descriptor, header, 0, 64, 0);
    fs.ftruncateSync(descriptor, end);
    return before - end;
  } finally {
    fs.closeSync(descriptor);
  }
}
