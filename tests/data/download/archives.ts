/** Writes small tar and zip archives, honest and hostile, for tests of what unpacks them. */
import fs from 'node:fs';
import zlib from 'node:zlib';

/** One entry of a tar archive; fields left out are those of a plain file. */
export interface TarItem {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly type?: string;
  readonly link?: string;
  /** Says another size than the content has. */
  readonly size?: number;
  readonly prefix?: string;
  readonly badSum?: boolean;
}

export function tarBytes(items: readonly TarItem[], { end = true }: { end?: boolean } = {}): Buffer {
  const parts: Buffer[] = [];
  for (const { name, content = '', type = '0', link = '', size, prefix = '', badSum = false } of items) {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\0', 100);
    const length = size ?? body.length;
    if (length < 8 ** 11) header.write(`${length.toString(8).padStart(11, '0')}\0`, 124);
    else {
      header[124] = 0x80;
      header.writeBigUInt64BE(BigInt(length), 128);
    }
    header.write('        ', 148);
    header.write(type, 156);
    header.write(link, 157, 100);
    header.write('ustar\0', 257);
    header.write('00', 263);
    header.write(prefix, 345, 155);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${(badSum ? sum + 1 : sum).toString(8).padStart(6, '0')}\0 `, 148);
    parts.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  return Buffer.concat(end ? [...parts, Buffer.alloc(1024)] : parts);
}

export function writeTar(file: string, items: readonly TarItem[], options?: { end?: boolean }): void {
  fs.writeFileSync(file, tarBytes(items, options));
}

/** One entry of a zip archive. */
export interface ZipItem {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly stored?: boolean;
  /** Unix's mode, such as 0o120777 for a link. */
  readonly mode?: number;
  readonly flags?: number;
  readonly method?: number;
  /** What the table says, where it lies. */
  readonly size?: number;
  readonly crc?: number;
  readonly localName?: string;
  /** Sizes and checksum follow the content, as in archives that were written as streams. */
  readonly descriptor?: boolean;
  /** Points at the bytes of the first entry. */
  readonly overlap?: boolean;
}

/** Of the whole archive. */
export interface ZipOptions {
  readonly zip64?: boolean;
  /** Entries that the end record claims. */
  readonly count?: number;
  readonly comment?: Buffer;
}

export function zipBytes(items: readonly ZipItem[], options: ZipOptions = {}): Buffer {
  const { zip64 = false, count = items.length, comment = Buffer.alloc(0) } = options;
  const parts: Buffer[] = [];
  const table: Buffer[] = [];
  let offset = 0;
  for (const item of items) {
    const { name, content = '', stored = false, mode = 0o100644, descriptor = false } = item;
    const flags = (item.flags ?? 0) | (descriptor ? 8 : 0);
    const data = Buffer.from(content);
    const packed = stored ? data : zlib.deflateRawSync(data);
    const localName = Buffer.from(item.localName ?? name);
    const size = item.size ?? data.length;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(flags, 2);
    fields.writeUInt16LE(item.method ?? (stored ? 0 : 8), 4);
    fields.writeUInt32LE(item.crc ?? zlib.crc32(data), 10);
    fields.writeUInt32LE(zip64 ? 0xffffffff : packed.length, 14);
    fields.writeUInt32LE(zip64 ? 0xffffffff : size, 18);
    fields.writeUInt16LE(localName.length, 22);
    const parting = Buffer.alloc(descriptor ? 16 : 0);
    if (descriptor) {
      parting.write('PK\x07\x08', 0, 'latin1');
      fields.copy(parting, 4, 10, 22);
    }
    const header = Buffer.from(fields);
    if (descriptor) header.fill(0, 10, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), header, localName, packed, parting]);
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(size), 4);
      extra.writeBigUInt64LE(BigInt(packed.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    fields.writeUInt16LE(extra.length, 24);
    const tail = Buffer.alloc(14);
    tail.writeUInt16LE(mode, 8);
    tail.writeUInt32LE(zip64 ? 0xffffffff : item.overlap ? 0 : offset, 10);
    table.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), fields, tail, Buffer.from(name), extra);
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(table);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : directory.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  const end64 = Buffer.alloc(zip64 ? 76 : 0);
  if (zip64) {
    end64.write('PK\x06\x06', 0, 'latin1');
    end64.writeBigUInt64LE(44n, 4);
    end64.writeBigUInt64LE(BigInt(count), 24);
    end64.writeBigUInt64LE(BigInt(count), 32);
    end64.writeBigUInt64LE(BigInt(directory.length), 40);
    end64.writeBigUInt64LE(BigInt(offset), 48);
    end64.write('PK\x06\x07', 56, 'latin1');
    end64.writeBigUInt64LE(BigInt(offset + directory.length), 64);
    end64.writeUInt32LE(1, 72);
  }
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directory, end64, end, comment]);
}

export function writeZip(file: string, items: readonly ZipItem[], options?: ZipOptions): void {
  fs.writeFileSync(file, zipBytes(items, options));
}
