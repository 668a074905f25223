import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { dataCommand, type DataCommandOptions } from '../../../lib/data/download/command';
import { fetchDataset } from '../../../lib/data/download/fetch-dataset';
import { encodeJpeg } from '../../../lib/data/jpeg-encode';
import { buildLibrary, entry, projectRoot } from '../../notebook/helpers';
import { temporaryFolder } from '../temporary';
import { tarBytes } from './archives';
import { loopback } from './loopback';
import { serveArchives, tinyCoco, tinyVoc } from './tiny-datasets';

const fetch = { patience: { attempts: 2, connectMs: 2000, stallMs: 2000, pauseMs: 1 } };

async function data(
  args: string[],
  options: DataCommandOptions = {},
): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await dataCommand(args, {
    fetch,
    print: (line) => out.push(line),
    complain: (line) => err.push(line),
    ...options,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('npm run data -- NAME', () => {
  test('VOC: downloads, unpacks, reads, describes, compares; the next time it is there', async () => {
    const tiny = tinyVoc();
    const { base, requests } = await serveArchives(tiny);
    const to = temporaryFolder();
    const options = { known: [tiny.dataset] };
    const first = await data(['tinyvoc', '--to', to, `--from=${base}`], options);
    expect(first.err).toBe('');
    expect(first.code).toBe(0);
    expect(first.out).toContain('Tiny VOC (nowhere): made by a test');
    expect(first.out).toMatch(/2 archives into .*: \d+\.\d kB to download, .* of disk needed, .* free/);
    expect(first.out).toContain('its archives had the right checksums');
    expect(first.out).toContain("Pascal VOC's layout: 4 annotations, 4 images, lists test, trainval");
    expect(first.out).toContain('4 images, 4 objects, 4 classes');
    expect(first.out).toMatch(/trainval +2 +2 +0/);
    expect(first.out).toContain('no problems');
    expect(first.out).toContain('As many images in test, trainval as were published.');
    const again = await data(['tinyvoc', '--to', to, '--splits', 'test', '--classes', 'dog,car'], options);
    expect(again.code).toBe(0);
    expect(again.out).toContain('test:\n2 images (1 without objects), 1 object, 2 classes');
    expect(requests).toHaveLength(2);
  });

  test('COCO: a split alone; then all of it, each split by itself', async () => {
    const tiny = tinyCoco();
    const { base } = await serveArchives(tiny);
    const to = temporaryFolder();
    const options = { known: [tiny.dataset] };
    const part = await data(['tinycoco', '--to', to, '--from', base, '--splits', 'val2017'], options);
    expect([part.code, part.err]).toEqual([0, '']);
    expect(part.out).toContain('val2017:\n2 images, 2 objects, 1 class');
    expect(fs.existsSync(path.join(to, 'train2017'))).toBe(false);
    const all = await data(['tinycoco', '--to', to, '--from', base], options);
    expect([all.code, all.err]).toEqual([0, '']);
    expect(all.out).toMatch(/train2017:\n2 images.*val2017:\n2 images/s);
    expect(all.out).toContain('As many images in train2017, val2017 as were published.');
  });

  test('a copy on the disk is used where it is, by any of its folders; what it lacks is told', async () => {
    const tiny = tinyVoc();
    const { base, requests } = await serveArchives(tiny);
    const to = temporaryFolder();
    const options = { known: [tiny.dataset] };
    expect((await data(['tinyvoc', '--to', to, '--from', base], options)).code).toBe(0);
    for (const below of ['', 'VOCdevkit', 'VOCdevkit/VOC2007']) {
      const { code, out } = await data(['tinyvoc', '--from', path.join(to, below)], options);
      expect([code, out.includes('was there already')]).toEqual([0, true]);
    }
    fs.rmSync(path.join(to, 'VOCdevkit/VOC2007/JPEGImages/000001.jpg'));
    const lacking = await data(['tinyvoc', '--from', to], options);
    expect(lacking.code).toBe(1);
    expect(lacking.out).toContain('This is not all of Tiny VOC: test has 1 images, 2 were published.');
    expect(lacking.out).toContain('no image: JPEGImages has none of 000001.jpg');
    expect(requests).toHaveLength(2);
  });

  test('failures say what to do: no network, wrong bytes, a small disk', async () => {
    const tiny = tinyVoc();
    const known = [tiny.dataset];
    const to = temporaryFolder();
    const nobody = await data(['tinyvoc', '--to', to], { known });
    expect([nobody.code, nobody.err]).toEqual([
      1,
      "data: Can't download http://127.0.0.1:9/trainval.tar: 127.0.0.1:9: the connection is refused (2 attempts).",
    ]);
    const wrong = new Map(
      [...tiny.archives].map(([name, bytes]) => [name, Buffer.from(bytes).fill(1, 600, 601)]),
    );
    const { base } = await serveArchives({ ...tiny, archives: wrong });
    const lied = await data(['tinyvoc', '--to', to, '--from', base], { known });
    expect([lied.code, lied.err]).toEqual([
      1,
      expect.stringContaining('It is not the published file: use another address'),
    ]);
    expect(lied.out).toMatch(/its sha256 is .*: trying again/);
    const small = { ...fetch, freeBytes: () => Promise.resolve(5) };
    const full = await data(['tinyvoc', '--to', to, '--from', base], { known, fetch: small });
    expect([full.code, full.err]).toEqual([1, expect.stringContaining('5 bytes are free')]);
    expect(fs.readdirSync(to)).not.toContain('VOCdevkit');
  });

  test('mistakes in the command', async () => {
    const known = [tinyVoc().dataset];
    for (const [args, message] of [
      [[], 'Name one data set or folder: npm run data'],
      [['a', 'b'], 'not a and b'],
      [['tinyvco'], 'tinyvco is neither a folder nor one of tinyvoc. Did you mean tinyvoc?'],
      [['tinyvoc', '--spilts', 'x'], 'There is no option --spilts. Did you mean --splits?'],
      [['tinyvoc', '--on-problem', 'ignore'], '--on-problem is "ignore"; it must be stop, drop, mend.'],
      [['tinyvoc', '--splits', 'a,,b'], '--splits is "a,,b"; it must be names with commas between.'],
      [['tinyvoc', '--from', '/no/such/folder'], 'there is no folder /no/such/folder'],
      [[temporaryFolder(), '--to', 'x'], '--to is for sets that have a name.'],
    ] as const) {
      const { code, err } = await data([...args], { known });
      expect([code, err]).toEqual([2, expect.stringContaining(message)]);
    }
    const split = await data(['tinyvoc', '--splits', 'tset'], { known });
    expect(split.err).toContain('tinyvoc has no split "tset". Did you mean "test"?');
    const help = await data(['--help']);
    expect(help.code).toBe(0);
    expect(help.out).toMatch(/voc2007 .*911 MB.*voc2012 .*2\.0 GB.*coco2017 .*20\.4 GB.*--on-problem/s);
  });
});

describe('npm run data -- FOLDER', () => {
  const jpeg = encodeJpeg({ width: 40, height: 30, data: new Uint8Array(3600).fill(90) }, 80);

  function table(): string {
    const folder = temporaryFolder();
    for (const name of ['a', 'b']) fs.writeFileSync(path.join(folder, `${name}.jpg`), jpeg);
    const rows = [
      'image,class,x1,y1,x2,y2',
      'a.jpg,cat,1,1,9,9',
      'a.jpg,cat,9,9,9,12',
      'b.jpg,dog,50,1,60,9',
      'c.jpg,dog,1,1,5,5',
    ];
    fs.writeFileSync(path.join(folder, 'boxes.csv'), `${rows.join('\n')}\n`);
    return folder;
  }

  test('all problems at once, with file and line; stop fails, drop and mend do not', async () => {
    const folder = table();
    const stopped = await data([folder]);
    expect(stopped.code).toBe(1);
    expect(stopped.out).toContain('a table of boxes: boxes.csv');
    expect(stopped.out).toContain('2 images (1 without objects), 1 object, 2 classes');
    expect(stopped.out).toContain('3 problems: ');
    expect(stopped.out).toMatch(
      /^ {2}boxes\.csv:3: object 1, id a, box \[9, 9, 9, 12\]: the box has no area$/m,
    );
    expect(stopped.out).toMatch(
      /^ {2}boxes\.csv:4: object 2, id b, .*: the box lies outside the image \(40 x 30\)$/m,
    );
    expect(stopped.out).toMatch(/^ {2}boxes\.csv:5: id c: no image "c\.jpg" in /m);
    expect(stopped.out).toContain('The readers refuse this because of 3 problems.');
    for (const policy of ['drop', 'mend']) {
      const { code, out } = await data([folder, '--on-problem', policy]);
      expect(code).toBe(0);
      expect(out).toContain('boxes.csv:3');
    }
    const cats = await data([folder, '--on-problem=drop', '--classes', 'cat']);
    expect(cats.out).toContain('2 images (1 without objects), 1 object, 1 class');
    const none = await data([folder, '--classes', 'cta']);
    expect([none.code, none.err]).toEqual([
      1,
      expect.stringContaining('has no class "cta". Did you mean "cat"?'),
    ]);
  });

  test('a folder without annotations, a broken file, a file by itself', async () => {
    const empty = temporaryFolder();
    expect((await data([empty])).err).toContain(
      'holds no data set that is known: expected annotations in Pascal',
    );
    fs.mkdirSync(path.join(empty, 'annotations'));
    fs.writeFileSync(
      path.join(empty, 'annotations/instances_val2017.json'),
      '{"images": [{"file_name": "a.jpg"',
    );
    const broken = await data([empty]);
    expect([broken.code, broken.err]).toEqual([
      1,
      expect.stringMatching(/instances_val2017\.json: line 1: it is cut short/),
    ]);
    const folder = table();
    expect((await data([path.join(folder, 'boxes.csv'), '--on-problem', 'drop'])).code).toBe(0);
  });
});

describe('the program', () => {
  beforeAll(buildLibrary);

  test.skipIf(process.platform === 'win32')(
    'Ctrl-C in a download ends it in good order; the next one asks for the rest',
    { timeout: 60_000 },
    async () => {
      const ranges: (string | undefined)[] = [];
      let more = (): void => undefined;
      const { url } = await loopback((request, response) => {
        ranges.push(request.headers.range);
        const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
        const total = 460_032_000;
        response.writeHead(start > 0 ? 206 : 200, {
          'content-length': total - start,
          etag: '"1"',
          ...(start > 0 ? { 'content-range': `bytes ${start}-${total - 1}/${total}` } : {}),
        });
        response.write(Buffer.alloc(100_000));
        more();
      });
      const to = temporaryFolder();
      const part = path.join(to, 'archives', 'VOCtrainval_06-Nov-2007.tar.part');
      const run = async (least: number): Promise<{ code: number | null; err: string }> => {
        const began = new Promise<void>((resolve) => (more = resolve));
        const words = [
          'data',
          'voc2007',
          '--splits',
          'trainval',
          '--to',
          to,
          '--from',
          url.replace('/file', ''),
        ];
        const child = spawn(process.execPath, [entry, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
        let err = '';
        child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
        const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
        await Promise.race([began, ended]);
        while (child.exitCode === null && (fs.statSync(part, { throwIfNoEntry: false })?.size ?? 0) < least)
          await new Promise((resolve) => setTimeout(resolve, 20));
        child.kill('SIGINT');
        // As npm passes it on, a moment later.
        setTimeout(() => child.kill('SIGINT'), 1);
        return { code: await ended, err };
      };
      const first = await run(100_000);
      expect([first.code, first.err]).toEqual([
        130,
        'data: stopped. The same command goes on where it stopped.\n',
      ]);
      expect(fs.readdirSync(to)).toEqual(['archives']);
      const second = await run(200_000);
      expect(second.code).toBe(130);
      expect(ranges).toEqual([undefined, 'bytes=100000-']);
      expect(fs.statSync(part).size).toBe(200_000);
    },
  );

  test(
    'kill -9 at any moment: the list of a split is there only when all of it is, and the next call makes it whole',
    { timeout: 120_000 },
    async () => {
      const names = Array.from({ length: 800 }, (_, i) => `VOCdevkit/VOC2007/JPEGImages/${i}.jpg`);
      const list = 'VOCdevkit/VOC2007/ImageSets/Main/trainval.txt';
      const bytes = tarBytes([
        { name: list, content: 'the list comes first in the archive' },
        ...names.map((name) => ({ name, content: name })),
      ]);
      const [one] = tinyVoc().dataset.archives;
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const archive = { ...one, sha256, size: bytes.length, unpacked: bytes.length };
      const dataset = { ...tinyVoc().dataset, archives: [archive] };
      const from = temporaryFolder();
      fs.writeFileSync(path.join(from, archive.file), bytes);
      const to = temporaryFolder();
      const options = { to, from, splits: ['trainval'] };
      const script =
        `require(${JSON.stringify(path.join(projectRoot, 'dist/data/download/fetch-dataset.js'))})` +
        `.fetchDataset(${JSON.stringify(dataset)}, ${JSON.stringify(options)})`;
      const images = (folder: string): number => {
        try {
          return fs.readdirSync(path.join(folder, 'VOCdevkit/VOC2007/JPEGImages')).length;
        } catch {
          return 0;
        }
      };
      for (const moment of [1, 400, 800]) {
        // Images of an earlier time are there: files are moved one by one.
        if (moment > 1) fs.mkdirSync(path.join(to, 'VOCdevkit/VOC2007/JPEGImages'), { recursive: true });
        const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
        const ended = new Promise((resolve) => child.on('exit', resolve));
        while (child.exitCode === null && images(path.join(to, '.unpacking')) < moment)
          await new Promise((resolve) => setTimeout(resolve, 3));
        // Within the moving.
        while (moment === 800 && child.exitCode === null && images(to) < 100)
          await new Promise((resolve) => setTimeout(resolve, 1));
        child.kill('SIGKILL');
        await ended;
        if (fs.existsSync(path.join(to, list))) expect(images(to)).toBe(800);
      }
      await fetchDataset(dataset, options);
      expect(images(to)).toBe(800);
      for (const name of names) expect(fs.readFileSync(path.join(to, name), 'utf8')).toBe(name);
      expect(fs.readdirSync(to).sort()).toEqual(['.tinyvoc.json', 'VOCdevkit']);
    },
  );
});
