import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArchiveError } from '../../../lib/data/download/entries';
import { unpack } from '../../../lib/data/download/unpack';
import { temporaryFolder } from '../temporary';
import { tarBytes, type TarItem, writeTar, writeZip, zipBytes, type ZipItem } from './archives';

/** Unpacks an archive within a folder of its own, so that whatever escapes is seen beside `out`. */
async function unpackBytes(
  kind: 'tar' | 'zip',
  bytes: Buffer,
  options: Partial<Parameters<typeof unpack>[2]> = {},
): Promise<{ files: Record<string, string>; outside: string[] }> {
  const root = temporaryFolder();
  const archive = path.join(root, `archive.${kind}`);
  fs.writeFileSync(archive, bytes);
  const out = path.join(root, 'out');
  let failure: unknown;
  await unpack(archive, out, { mostBytes: 1e6, ...options }).catch((error: unknown) => (failure = error));
  const all = fs
    .readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory());
  const names = all.map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
  const outside = names.filter(
    (name) => !name.startsWith(`out${path.sep}`) && name !== path.basename(archive),
  );
  expect(outside).toEqual([]);
  if (failure !== undefined) throw failure;
  const inside = names.filter((name) => name.startsWith(`out${path.sep}`)).sort();
  const files = Object.fromEntries(
    inside.map((name) => [
      name.slice(4).replaceAll(path.sep, '/'),
      fs.readFileSync(path.join(root, name), 'utf8'),
    ]),
  );
  return { files, outside };
}

const long = `${'folder/'.repeat(20)}file-with-a-long-name.txt`;

describe('unpack a tar archive', () => {
  test('files of every header: plain, ./, prefixes, GNU and POSIX long names, folders, an old folder', async () => {
    const record = (key: string, value: string): string => {
      const text = ` ${key}=${value}\n`;
      let length = Buffer.byteLength(text) + 1;
      while (String(length).length + Buffer.byteLength(text) !== length) length++;
      return `${length}${text}`;
    };
    const items: TarItem[] = [
      { name: 'pax_global_header', type: 'g', content: record('comment', 'x') },
      { name: 'a/', type: '5' },
      { name: 'a/one.txt', content: 'one' },
      { name: './a/two.txt', content: 'x'.repeat(2000) },
      { name: 'old/', type: '0' },
      { name: 'three.txt', prefix: 'p/q', content: 'three' },
      { name: '././@LongLink', type: 'L', content: `${long}\0` },
      { name: long.slice(0, 100), content: 'four' },
      { name: 'PaxHeader', type: 'x', content: record('path', 'ü/five.txt') + record('mtime', '1.5') },
      { name: 'five', content: 'five' },
      { name: 'empty', content: '' },
    ];
    const { files } = await unpackBytes('tar', tarBytes(items));
    expect(files).toEqual({
      'a/one.txt': 'one',
      'a/two.txt': 'x'.repeat(2000),
      'p/q/three.txt': 'three',
      [long]: 'four',
      'ü/five.txt': 'five',
      empty: '',
    });
    // The same compressed by gzip, whatever the file's name is.
    expect((await unpackBytes('tar', gzipSync(tarBytes(items)))).files).toEqual(files);
    // Only one empty block at the end, and padding after it.
    const short = Buffer.concat([tarBytes(items, { end: false }), Buffer.alloc(512), Buffer.alloc(300)]);
    expect((await unpackBytes('tar', short)).files).toEqual(files);
  });

  test('an archive that is cut anywhere is told from a whole one, plain and compressed', async () => {
    const items = [1, 2, 3].map((i) => ({ name: `f${i}`, content: String(i).repeat(700) }));
    const whole = tarBytes(items);
    const packed = gzipSync(whole);
    for (let length = 0; length <= whole.length - 1024; length += 256)
      await expect(unpackBytes('tar', whole.subarray(0, length))).rejects.toBeInstanceOf(ArchiveError);
    for (let length = 0; length < packed.length; length += 7)
      await expect(unpackBytes('tar', packed.subarray(0, length))).rejects.toBeInstanceOf(ArchiveError);
    const changed = Buffer.from(packed);
    changed[changed.length - 8] ^= 1; // gzip's checksum
    await expect(unpackBytes('tar', changed)).rejects.toThrow('damaged (incorrect data check)');
  });

  test.each<[string, TarItem[], string]>([
    ['..', [{ name: '../evil', content: 'x' }], 'leads out of the folder'],
    ['.. within', [{ name: 'a/../../evil', content: 'x' }], 'leads out of the folder'],
    ['.. as a folder', [{ name: '..', type: '5' }], 'leads out of the folder'],
    ['absolute', [{ name: '/tmp/evil', content: 'x' }], 'begins at the root'],
    ['drive', [{ name: 'C:evil', content: 'x' }], 'names a drive'],
    ['backslashes', [{ name: '..\\evil', content: 'x' }], 'holds a backslash'],
    ['control characters', [{ name: 'a\nb', content: 'x' }], 'holds a control character'],
    [
      'long name',
      [
        { name: 'L', type: 'L', content: 'x'.repeat(300) },
        { name: 'x', content: 'x' },
      ],
      'is too long',
    ],
    [
      'long path out',
      [
        { name: 'L', type: 'L', content: '../evil\0' },
        { name: 'x', content: 'x' },
      ],
      'leads out',
    ],
    ['symbolic link', [{ name: 'link', type: '2', link: '/etc' }], 'is a link'],
    ['hard link', [{ name: 'link', type: '1', link: '../archive.tar' }], 'is a link'],
    [
      'link, then through it',
      [
        { name: 'link', type: '2', link: '..' },
        { name: 'link/evil', content: 'x' },
      ],
      'is a link',
    ],
    ['device', [{ name: 'tty', type: '3' }], 'neither a file nor a folder'],
    ['pipe', [{ name: 'pipe', type: '6' }], 'neither a file nor a folder'],
    [
      'twice',
      [
        { name: 'a', content: '1' },
        { name: './a', content: '2' },
      ],
      'comes twice',
    ],
    [
      'a file for a folder',
      [
        { name: 'a', content: '1' },
        { name: 'a/b', content: '2' },
      ],
      'has a file for a folder',
    ],
    [
      'a folder for a file',
      [
        { name: 'a/b', content: '1' },
        { name: 'a', content: '2' },
      ],
      'has the name of a folder',
    ],
    [
      'names that differ in case alone',
      [
        { name: 'a/b.jpg', content: '1' },
        { name: 'a/B.JPG', content: '2' },
      ],
      'or another of the same letters',
    ],
    [
      'names that differ in the way they are written alone',
      [
        { name: '\u00e4', content: '1' },
        { name: 'a\u0308', content: '2' },
      ],
      'or another of the same letters',
    ],
    [
      'folders that differ in case alone',
      [
        { name: 'Images/a', content: '1' },
        { name: 'images/b', content: '2' },
      ],
      'differs from "Images" in case alone',
    ],
    [
      'many folders',
      [
        { name: 'L', type: 'L', content: 'x/'.repeat(60) },
        { name: 'x', content: 'x' },
      ],
      'is too long',
    ],
    [
      'holes',
      [
        { name: 'x', type: 'x', content: '22 GNU.sparse.major=1\n' },
        { name: 'a', content: 'x' },
      ],
      'neither a file nor a folder',
    ],
    ['a web page', [], 'is a web page'],
    ['cut short', [{ name: 'a', content: 'x', size: 9000 }], 'is cut short'],
    ['endless', [{ name: 'a', content: 'x', size: 2 ** 60 }], 'an entry'],
    ['damaged header', [{ name: 'a', content: 'x', badSum: true }], 'is no tar archive, or is damaged'],
    ['long header', [{ name: 'x', type: 'x', content: Buffer.alloc(2 << 20, 32) }], 'a name or header of'],
    [
      'extra header',
      [{ name: 'x', type: 'x', content: '99 path=x\n' }, { name: 'a' }],
      'extra header is damaged',
    ],
  ])('refuses %s', async (_, items, message) => {
    const bytes = items.length > 0 ? tarBytes(items) : Buffer.from('<!DOCTYPE html>'.padEnd(2000));
    for (const one of [bytes, gzipSync(bytes)]) {
      await expect(unpackBytes('tar', one)).rejects.toThrow(message);
      await expect(unpackBytes('tar', one)).rejects.toBeInstanceOf(ArchiveError);
    }
  });

  test('bombs: what is passed over counts, and so does growth', async () => {
    const zeros = Buffer.alloc(400_000);
    const bomb = gzipSync(tarBytes([{ name: 'a', content: zeros }]));
    await expect(unpackBytes('tar', bomb, { mostBytes: 1e5, wanted: () => false })).rejects.toThrow(
      'unpacks to more than 100 kB',
    );
    const large = gzipSync(tarBytes([{ name: 'a', content: Buffer.alloc(60_000_000) }]), { level: 1 });
    await expect(unpackBytes('tar', large, { mostBytes: 1e12 })).rejects.toThrow(
      'unpacks to more than 50.0 MB',
    );
    expect(Object.keys((await unpackBytes('tar', large, { mostBytes: 1e12, mostRatio: 1e4 })).files)).toEqual(
      ['a'],
    );
    const endless = gzipSync(Buffer.concat([tarBytes([]), Buffer.alloc(20_000_000)]), { level: 1 });
    await expect(unpackBytes('tar', endless)).rejects.toThrow('goes on after its end');
    const many = tarBytes(Array.from({ length: 9 }, () => ({ name: 'x', type: 'g' })));
    await expect(unpackBytes('tar', many, { mostEntries: 5 })).rejects.toThrow('more than 5 entries');
  });

  test('bounds: bytes in all, entries, a folder that is in use', async () => {
    const items = Array.from({ length: 5 }, (_, i) => ({ name: `f${i}`, content: 'x'.repeat(300) }));
    await expect(unpackBytes('tar', tarBytes(items), { mostBytes: 1400 })).rejects.toThrow(
      'unpacks to more than 1.4 kB',
    );
    await expect(unpackBytes('tar', tarBytes(items), { mostEntries: 4 })).rejects.toThrow(
      'more than 4 entries',
    );
    const { files } = await unpackBytes('tar', tarBytes(items), {
      mostBytes: 1500,
      wanted: (name) => /[12]/.test(name),
    });
    expect(Object.keys(files)).toEqual(['f1', 'f2']);
    const root = temporaryFolder();
    writeTar(path.join(root, 'a.tar'), items);
    await expect(unpack(path.join(root, 'a.tar'), root, { mostBytes: 1e6 })).rejects.toThrow('is not empty');
    const stopped = AbortSignal.abort(new Error('enough'));
    await expect(unpackBytes('tar', tarBytes(items), { signal: stopped })).rejects.toThrow('enough');
  });

  test('any bytes at all end in an error or in files inside, never outside', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 1500 }),
        fc.nat(511),
        fc.nat(255),
        async (noise, place, byte) => {
          await unpackBytes('tar', Buffer.from(noise)).catch((error: unknown) =>
            expect(error).toBeInstanceOf(ArchiveError),
          );
          const bytes = tarBytes([{ name: 'a/b', content: 'content' }]);
          bytes[place] = byte;
          await unpackBytes('tar', bytes).catch((error: unknown) =>
            expect(error).toBeInstanceOf(ArchiveError),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('what the tar program writes', async () => {
    const root = temporaryFolder();
    fs.mkdirSync(path.join(root, 'in', 'VOCdevkit'), { recursive: true });
    fs.writeFileSync(path.join(root, 'in', 'VOCdevkit', 'ü.txt'), 'hello');
    fs.writeFileSync(path.join(root, 'in', 'VOCdevkit', 'y'.repeat(150)), 'long');
    for (const format of ['gnu', 'ustar', 'posix']) {
      const archive = path.join(root, `${format}.tar`);
      const only = format === 'ustar' ? 'VOCdevkit/ü.txt' : 'VOCdevkit';
      try {
        execFileSync('tar', ['--format', format, '-cf', archive, '-C', path.join(root, 'in'), only], {
          stdio: 'pipe',
        });
      } catch {
        continue; // another tar than GNU's
      }
      await unpack(archive, path.join(root, format), { mostBytes: 1e6 });
      expect(fs.readFileSync(path.join(root, format, 'VOCdevkit', 'ü.txt'), 'utf8')).toBe('hello');
    }
  });
});

describe('unpack a zip archive', () => {
  /** More than is taken at once, and does not shrink below that: ASCII noise. */
  const large = Buffer.from(
    Uint8Array.from({ length: 2_500_000 }, (_, i) => (Math.imul(i, 2654435761) >>> 24) & 127),
  );

  test('stored and deflated files, folders; the same in the 64-bit form', async () => {
    const items: ZipItem[] = [
      { name: 'a/', mode: 0o040755, stored: true },
      { name: 'a/one.txt', content: 'one' },
      { name: 'ü/two.txt', content: 'x'.repeat(100_000) },
      { name: 'three', content: 'three', stored: true },
      { name: 'empty', content: '', stored: true },
      { name: 'dos', content: 'd', mode: 0 },
      { name: 'stream', content: 'written as a stream', descriptor: true },
      { name: 'last', content: 'z' },
      { name: 'large', content: large },
      { name: 'large-stored', content: large, stored: true },
    ];
    const comment = Buffer.from('PK\x05\x06 is in the comment, too, with more after it', 'latin1');
    for (const options of [{}, { zip64: true }, { comment }, { zip64: true, comment }]) {
      const { files } = await unpackBytes('zip', zipBytes(items, options), { mostBytes: 1e7 });
      expect(files).toEqual({
        'a/one.txt': 'one',
        'ü/two.txt': 'x'.repeat(100_000),
        three: 'three',
        empty: '',
        dos: 'd',
        stream: 'written as a stream',
        last: 'z',
        large: large.toString('latin1'),
        'large-stored': large.toString('latin1'),
      });
    }
  });

  test.each<[string, ZipItem[], string]>([
    ['..', [{ name: '../evil', content: 'x' }], 'leads out of the folder'],
    ['absolute', [{ name: '/evil', content: 'x' }], 'begins at the root'],
    ['backslashes', [{ name: 'a\\..\\..\\evil', content: 'x' }], 'holds a backslash'],
    ['a null', [{ name: 'a\0b', content: 'x' }], 'holds a control character'],
    ['a link', [{ name: 'link', content: '/etc/passwd', mode: 0o120777 }], 'is a link'],
    ['a device', [{ name: 'dev', mode: 0o020666 }], 'neither a file nor a folder'],
    [
      'twice',
      [
        { name: 'a', content: '1' },
        { name: 'a', content: '2' },
      ],
      'comes twice',
    ],
    ['encryption', [{ name: 'a', content: '1', flags: 1 }], 'is encrypted'],
    ['another method', [{ name: 'a', content: '1', method: 12 }], 'compressed by method 12'],
    [
      'more than promised',
      [{ name: 'a', content: 'x'.repeat(1000), size: 10 }],
      'holds more than the 10 bytes',
    ],
    ['less than promised', [{ name: 'a', content: 'x', size: 10 }], 'is damaged (1 bytes of 10'],
    ['a wrong checksum', [{ name: 'a', content: 'x', crc: 5 }], 'is damaged'],
    ['two names', [{ name: 'a', content: 'x', localName: '../a' }], 'another name in its own header'],
    [
      'overlapping entries',
      [
        { name: 'a', content: 'x' },
        { name: 'a', content: 'x', overlap: true },
      ],
      'overlap',
    ],
    ['a bomb', [{ name: 'a', content: 'x'.repeat(3_000_000) }], 'unpacks to more than 1.0 MB'],
    [
      'a bomb that hides its size',
      [{ name: 'a', content: 'x'.repeat(3_000_000), size: 500 }],
      'holds more than the 500 bytes',
    ],
  ])('refuses %s', async (_, items, message) => {
    await expect(unpackBytes('zip', zipBytes(items))).rejects.toThrow(message);
  });

  test('more entries than it claims, fewer, too many', async () => {
    const items = ['a', 'b', 'c'].map((name) => ({ name, content: name }));
    for (const zip64 of [false, true]) {
      for (const count of [0, 2, 4])
        await expect(unpackBytes('zip', zipBytes(items, { zip64, count }))).rejects.toThrow(
          `has 3 entries and claims ${count}`,
        );
      await expect(unpackBytes('zip', zipBytes(items, { zip64 }), { mostEntries: 2 })).rejects.toThrow(
        'more than 2 entries',
      );
    }
  });

  test('what Python writes', async () => {
    const root = temporaryFolder();
    const archive = path.join(root, 'a.bin');
    const script =
      'import sys, zipfile\n' +
      'with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:\n' +
      '  z.writestr("x/ü.txt", "hello" * 99)\n' +
      '  with z.open("big", "w", force_zip64=True) as f: f.write(b"1" * 5000)\n' +
      '  z.writestr(zipfile.ZipInfo("folder/"), "")\n';
    try {
      execFileSync('python3', ['-c', script, archive], { stdio: 'pipe' });
    } catch {
      return; // no Python here
    }
    const out = path.join(root, 'out');
    expect(await unpack(archive, out, { mostBytes: 1e6 })).toEqual({ files: 2, bytes: 5495 });
    expect(fs.readFileSync(path.join(out, 'x', 'ü.txt'), 'utf8')).toBe('hello'.repeat(99));
    expect(fs.readFileSync(path.join(out, 'big'), 'utf8')).toBe('1'.repeat(5000));
  });

  test('cut short, empty, and any noise', async () => {
    const bytes = zipBytes([{ name: 'a', content: 'content of the file' }]);
    await expect(unpackBytes('zip', bytes.subarray(0, 60))).rejects.toThrow('no end record');
    await expect(unpackBytes('zip', Buffer.alloc(0))).rejects.toThrow('no end record');
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (place, byte) => {
        const damaged = Buffer.from(bytes);
        damaged[place] = byte;
        await unpackBytes('zip', damaged).catch((error: unknown) =>
          expect(error).toBeInstanceOf(ArchiveError),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('progress ends at all bytes', async () => {
    const root = temporaryFolder();
    writeZip(path.join(root, 'a.zip'), [{ name: 'a', content: 'x'.repeat(5000) }]);
    const told: number[] = [];
    const done = await unpack(path.join(root, 'a.zip'), path.join(root, 'out'), {
      mostBytes: 1e6,
      onProgress: (done) => told.push(done),
    });
    expect([done, told.at(-1)]).toEqual([{ files: 1, bytes: 5000 }, 5000]);
  });
});
