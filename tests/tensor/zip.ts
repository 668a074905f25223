/** Writes small zip archives, for tests of what reads them. */
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

/** Writes an archive, every second file deflated and the others stored, with the header fields of the format's specification. */
export function writeZip(file: string, content: Record<string, string | Buffer>): void {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  Object.entries(content).forEach(([name, text], i) => {
    const data = Buffer.from(text);
    const packed = i % 2 === 0 ? zlib.deflateRawSync(data) : data;
    const header = Buffer.alloc(26);
    header.writeUInt16LE(20, 0);
    header.writeUInt16LE(i % 2 === 0 ? 8 : 0, 4);
    header.writeUInt32LE(zlib.crc32(data), 10);
    header.writeUInt32LE(packed.length, 14);
    header.writeUInt32LE(data.length, 18);
    header.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), header, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), header, tail, Buffer.from(name));
    parts.push(local);
    offset += local.length;
  });
  const table = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(Object.keys(content).length, 8);
  end.writeUInt16LE(Object.keys(content).length, 10);
  end.writeUInt32LE(table.length, 12);
  end.writeUInt32LE(offset, 16);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, Buffer.concat([...parts, table, end]));
}
