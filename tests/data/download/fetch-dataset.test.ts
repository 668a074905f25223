import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchDataset, type FetchPlan, findKnown } from '../../../lib/data/download/fetch-dataset';
import { knownDatasets } from '../../../lib/data/download/official';
import { readFolder } from '../../../lib/data/folder';
import { temporaryFolder } from '../temporary';
import { tarBytes } from './archives';
import { cutSoon } from './loopback';
import { filesBelow, serveArchives, tinyCoco, tinyVoc } from './tiny-datasets';

const patience = { attempts: 2, connectMs: 2000, stallMs: 2000, pauseMs: 1 };
const vocFiles = [
  '.tinyvoc.json',
  ...['000001', '000002', '000005', '000007'].map((id) => `VOCdevkit/VOC2007/Annotations/${id}.xml`),
  ...['test', 'trainval'].map((split) => `VOCdevkit/VOC2007/ImageSets/Main/${split}.txt`),
  ...['000001', '000002', '000005', '000007'].map((id) => `VOCdevkit/VOC2007/JPEGImages/${id}.jpg`),
];

describe('fetchDataset', () => {
  test('downloads, checks, unpacks, leaves nothing else, and asks for nothing the next time', async () => {
    const tiny = tinyVoc();
    const { base, requests } = await serveArchives(tiny);
    const to = path.join(temporaryFolder(), 'new', 'voc');
    const plans: FetchPlan[] = [];
    const stages = new Set<string>();
    const options = { to, from: `${base}/`, patience, onPlan: (plan: FetchPlan) => plans.push(plan) };
    const first = await fetchDataset(tiny.dataset, {
      ...options,
      onProgress: ({ archive, stage }) => stages.add(`${archive} ${stage}`),
    });
    expect(first).toMatchObject({ folder: path.join(to, 'VOCdevkit/VOC2007'), origin: 'checked' });
    expect(filesBelow(to)).toEqual(vocFiles);
    expect([...stages]).toEqual([
      'trainval.tar download',
      'trainval.tar unpack',
      'test.tar download',
      'test.tar unpack',
    ]);
    const bytes = tiny.dataset.archives.map(({ size }) => size);
    expect(plans).toMatchObject([
      { folder: to, archives: ['trainval.tar', 'test.tar'], download: bytes[0] + bytes[1] },
    ]);
    // The first archive is gone when the second is unpacked.
    expect(plans[0].disk).toBe(bytes[0] + 2 * bytes[1]);
    const { examples, problems } = await readFolder(first.folder, { split: 'test' });
    expect([examples.length, problems.length]).toEqual([2, 0]);
    expect((await fetchDataset(tiny.dataset, options)).origin).toBe('checked');
    expect([requests.length, plans.length]).toEqual([2, 1]);
  });

  test('a split needs its archives only; another joins it later; what is asked for is kept of shared ones', async () => {
    const tiny = tinyCoco();
    const { base, requests } = await serveArchives(tiny);
    const to = temporaryFolder();
    await fetchDataset(tiny.dataset, { to, from: base, patience, splits: ['val2017'] });
    expect(filesBelow(to)).toEqual([
      '.tinycoco.json',
      'annotations/instances_val2017.json',
      'val2017/val2017_1.jpg',
      'val2017/val2017_2.jpg',
    ]);
    await fetchDataset(tiny.dataset, { to, from: base, patience });
    expect(requests.map(({ url }) => path.posix.basename(url))).toEqual([
      'annotations.zip',
      'val2017.zip',
      'annotations.zip',
      'train2017.zip',
    ]);
    const train = await readFolder(to, { split: 'train2017' });
    expect([train.examples.length, train.problems]).toEqual([2, []]);
    expect(filesBelow(to).filter((name) => name.includes('captions'))).toEqual([]);
  });

  test('a cut download goes on; archives are kept where that is asked for, and serve as a source', async () => {
    const tiny = tinyVoc();
    let cut = true;
    const { base, requests } = await serveArchives(tiny, (_, response, name) => {
      if (!cut || name !== 'test.tar') return false;
      const bytes = tiny.archives.get(name) as Buffer;
      response.writeHead(200, { 'content-length': bytes.length, etag: '"test.tar"' });
      response.write(bytes.subarray(0, 4000), () => void cutSoon(response));
      return true;
    });
    const to = temporaryFolder();
    const options = { to, from: base, patience, keepArchives: true };
    await expect(fetchDataset(tiny.dataset, options)).rejects.toThrow(
      /test\.tar: the connection was cut .*run it again/,
    );
    expect(filesBelow(path.join(to, 'archives'))).toEqual([
      'test.tar.part',
      'test.tar.part.json',
      'trainval.tar',
    ]);
    // The half that came is a whole data set, and says nothing of the other.
    expect((await readFolder(path.join(to, 'VOCdevkit/VOC2007'))).examples).toHaveLength(2);
    cut = false;
    const count = requests.length;
    const plans: FetchPlan[] = [];
    await fetchDataset(tiny.dataset, { ...options, onPlan: (plan) => plans.push(plan) });
    expect(requests.slice(count).map(({ range }) => range)).toEqual(['bytes=4000-']);
    expect(plans[0].download).toBe(tiny.dataset.archives[1].size - 4000);
    expect(filesBelow(path.join(to, 'archives'))).toEqual(['test.tar', 'trainval.tar']);
    const copy = temporaryFolder();
    await fetchDataset(tiny.dataset, { to: copy, from: path.join(to, 'archives') });
    expect(filesBelow(copy)).toEqual(vocFiles);
    expect(filesBelow(path.join(to, 'archives'))).toHaveLength(2);
  });

  test('a wrong archive: of a server, of a folder, of an earlier time', async () => {
    const tiny = tinyVoc();
    const wrong = Buffer.from(tiny.archives.get('trainval.tar') as Buffer);
    wrong[wrong.length - 1] ^= 1;
    const lying = await serveArchives({ ...tiny, archives: new Map([['trainval.tar', wrong]]) });
    const to = temporaryFolder();
    await expect(fetchDataset(tiny.dataset, { to, from: lying.base, patience })).rejects.toThrow(
      /its sha256 is [0-9a-f]{64}, [0-9a-f]{64} was expected. It is not the published file/,
    );
    expect(filesBelow(to)).toEqual([]);
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, 'test.tar'), wrong.subarray(0, 1000));
    fs.writeFileSync(path.join(folder, 'trainval.tar'), wrong);
    await expect(fetchDataset(tiny.dataset, { to, from: folder })).rejects.toThrow(
      /trainval\.tar is not the published archive: its sha256 is/,
    );
    await expect(fetchDataset(tiny.dataset, { to, from: folder, splits: ['test'] })).rejects.toThrow(
      'it has 1000 bytes, the published one',
    );
    expect(filesBelow(folder)).toHaveLength(2);
    // One of ours that was changed since is fetched again.
    fs.writeFileSync(path.join(to, 'archives', 'trainval.tar'), wrong);
    const honest = await serveArchives(tiny);
    await fetchDataset(tiny.dataset, { to, from: honest.base, patience });
    expect(filesBelow(to)).toEqual(vocFiles);
  });

  test.each([
    ['a web page that says so', 'text/html', 'sends a web page instead'],
    ['a web page that does not', 'application/octet-stream', 'sends a web page instead'],
  ])('%s is not taken for an archive, and costs nothing of what is there', async (_, type, message) => {
    const tiny = tinyVoc();
    const { base } = await serveArchives(tiny, (__, response) => {
      response.writeHead(200, { 'content-type': type }).end('\n<!DOCTYPE html><html>Please log in</html>');
      return true;
    });
    const to = temporaryFolder();
    fs.mkdirSync(path.join(to, 'archives'));
    const part = path.join(to, 'archives', 'trainval.tar.part');
    fs.writeFileSync(part, (tiny.archives.get('trainval.tar') as Buffer).subarray(0, 5000));
    await expect(fetchDataset(tiny.dataset, { to, from: base, patience })).rejects.toThrow(message);
    expect(fs.statSync(part).size).toBe(5000);
    const { base: honest, requests } = await serveArchives(tiny);
    await fetchDataset(tiny.dataset, { to, from: honest, patience });
    expect(requests[0].range).toBe('bytes=5000-');
    expect(filesBelow(to)).toEqual(vocFiles);
  });

  test('servers that stall, ignore ranges, or have another size', async () => {
    const tiny = tinyVoc();
    const stalling = await serveArchives(tiny, (_, response, name, count) => {
      if (count > 0) return false;
      const bytes = tiny.archives.get(name) as Buffer;
      response.writeHead(200, { 'content-length': bytes.length, etag: `"${name}"` });
      response.write(bytes.subarray(0, 3000));
      return true;
    });
    const to = temporaryFolder();
    const reasons: string[] = [];
    const hasty = { ...patience, stallMs: 300 };
    await fetchDataset(tiny.dataset, {
      to,
      from: stalling.base,
      patience: hasty,
      onRetry: (why) => reasons.push(why),
    });
    expect(reasons[0]).toMatch(/nothing arrived for 0\.3 s/);
    expect(filesBelow(to)).toEqual(vocFiles);
    const rangeless = await serveArchives(tiny, (_, response, name, count) => {
      const bytes = tiny.archives.get(name) as Buffer;
      if (count === 0) {
        response.writeHead(200, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 3000), () => void cutSoon(response));
      } else response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      return true;
    });
    const second = temporaryFolder();
    await fetchDataset(tiny.dataset, { to: second, from: rangeless.base, patience });
    expect(filesBelow(second)).toEqual(vocFiles);
    const short = await serveArchives({ ...tiny, archives: new Map([['trainval.tar', Buffer.alloc(99)]]) });
    await expect(
      fetchDataset(tiny.dataset, { to: temporaryFolder(), from: short.base, patience }),
    ).rejects.toThrow(/the server offers 99 bytes, \d+ were expected/);
  });

  test('a disk that is too small is told before anything is downloaded', async () => {
    const tiny = tinyVoc();
    const { base, requests } = await serveArchives(tiny);
    const to = temporaryFolder();
    const options = { to, from: base, patience };
    await expect(
      fetchDataset(tiny.dataset, { ...options, freeBytes: () => Promise.resolve(100_050_000) }),
    ).rejects.toThrow(/100 MB are needed on the disk of .*, 100 MB are free\. Make room, .*--to.*--splits/);
    expect([requests.length, filesBelow(to)]).toEqual([0, []]);
    // What can't be told stops nobody.
    await fetchDataset(tiny.dataset, { ...options, freeBytes: () => Promise.resolve(undefined) });
    // And the real one: nobody has so much.
    const huge = {
      ...tiny.dataset,
      archives: tiny.dataset.archives.map((one) => ({ ...one, unpacked: 1e18 })),
    };
    await expect(fetchDataset(huge, { ...options, to: path.join(to, 'a', 'b') })).rejects.toThrow(
      /are needed on the disk of/,
    );
  });

  test('a process that was killed while it unpacked or moved: the next call makes it whole', async () => {
    const tiny = tinyVoc();
    const { base } = await serveArchives(tiny);
    const to = temporaryFolder();
    // Killed within unpacking: leftovers aside, the archive whole, a lock of nobody.
    fs.mkdirSync(path.join(to, '.unpacking/VOCdevkit/VOC2007/ImageSets/Main'), { recursive: true });
    fs.writeFileSync(path.join(to, '.unpacking/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt'), '000005\n');
    fs.mkdirSync(path.join(to, 'archives'));
    fs.writeFileSync(path.join(to, 'archives', 'trainval.tar'), tiny.archives.get('trainval.tar') as Buffer);
    fs.writeFileSync(
      path.join(to, '.lock'),
      JSON.stringify({ pid: 2 ** 30, started: '', host: os.hostname(), since: '' }),
    );
    await fetchDataset(tiny.dataset, { to, from: base, patience });
    expect(filesBelow(to)).toEqual(vocFiles);
    // Killed within moving the second archive's files: its images are there, its list is not.
    const list = path.join(to, 'VOCdevkit/VOC2007/ImageSets/Main/test.txt');
    fs.rmSync(list);
    fs.rmSync(path.join(to, 'VOCdevkit/VOC2007/Annotations/000002.xml'));
    const again = await fetchDataset(tiny.dataset, { to, from: base, patience });
    expect(again.origin).toBe('checked');
    expect(filesBelow(to)).toEqual(vocFiles);
  });

  test("somebody else's copy is used, and never overwritten", async () => {
    const tiny = tinyVoc();
    const { base, requests } = await serveArchives(tiny);
    const to = temporaryFolder();
    await fetchDataset(tiny.dataset, { to, from: base, patience, splits: ['trainval'] });
    fs.rmSync(path.join(to, '.tinyvoc.json'));
    expect((await fetchDataset(tiny.dataset, { to, from: base, splits: ['trainval'] })).origin).toBe('found');
    expect(requests).toHaveLength(1);
    const mine = path.join(to, 'VOCdevkit/VOC2007/Annotations/000001.xml');
    fs.writeFileSync(mine, 'corrected by hand');
    await expect(fetchDataset(tiny.dataset, { to, from: base, patience })).rejects.toThrow(
      `${mine} is there already, and is not the published one`,
    );
    expect(fs.readFileSync(mine, 'utf8')).toBe('corrected by hand');
    expect(fs.existsSync(path.join(to, 'VOCdevkit/VOC2007/ImageSets/Main/test.txt'))).toBe(false);
  });

  test('stopping keeps what came; two processes do not work in one folder', async () => {
    const tiny = tinyVoc();
    const { base } = await serveArchives(tiny, (_, response, name, count) => {
      if (count > 0) return false;
      const bytes = tiny.archives.get(name) as Buffer;
      response.writeHead(200, { 'content-length': bytes.length, etag: `"${name}"` });
      response.write(bytes.subarray(0, 3000));
      return true;
    });
    const to = temporaryFolder();
    const stop = new AbortController();
    let second: unknown;
    await expect(
      fetchDataset(tiny.dataset, {
        to,
        from: base,
        patience,
        signal: stop.signal,
        onProgress: ({ done }) => {
          if (done === 0 || second) return;
          second = fetchDataset(tiny.dataset, { to, from: base, patience })
            .catch((error: unknown) => error)
            .finally(() => stop.abort(new Error('enough')));
        },
      }),
    ).rejects.toThrow('enough');
    expect(String(await second)).toContain(`Another process is at work in ${to}`);
    expect(filesBelow(to)).toEqual(['archives/trainval.tar.part', 'archives/trainval.tar.part.json']);
    await expect(fetchDataset(tiny.dataset, { to, from: base, signal: stop.signal })).rejects.toThrow(
      'enough',
    );
    await fetchDataset(tiny.dataset, { to, from: base, patience });
    expect(filesBelow(to)).toEqual(vocFiles);
  });

  test('hostile archives: nothing of them reaches the folder', async () => {
    const tiny = tinyVoc();
    const bytes = tarBytes([
      { name: 'VOCdevkit/VOC2007/ImageSets/Main/trainval.txt', content: 'x' },
      { name: '../../evil', content: 'x' },
    ]);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const [one] = tiny.dataset.archives;
    const hostile = { ...tiny.dataset, archives: [{ ...one, sha256, size: bytes.length }] };
    const { base } = await serveArchives({ dataset: hostile, archives: new Map([['trainval.tar', bytes]]) });
    const to = path.join(temporaryFolder(), 'a', 'b');
    await expect(fetchDataset(hostile, { to, from: base, patience, splits: ['trainval'] })).rejects.toThrow(
      'leads out of the folder',
    );
    expect(filesBelow(path.join(to, '..', '..'))).toEqual(['a/b/archives/trainval.tar']);
  });

  test('names and splits that there are not', async () => {
    expect(() => findKnown('voc2008')).toThrow(
      'Did you mean "voc2007"? There are voc2007, voc2012, coco2017.',
    );
    await expect(fetchDataset('coco2017', { splits: ['val'] })).rejects.toThrow(
      'coco2017 has no split "val". Did you mean "val2017"? It has train2017, val2017.',
    );
    const { dataset } = tinyVoc();
    await expect(fetchDataset(dataset, { to: temporaryFolder(), from: temporaryFolder() })).rejects.toThrow(
      /has no trainval\.tar\. --from takes an address or a folder/,
    );
    // The official addresses go to the official archives, under their names.
    for (const set of knownDatasets) {
      for (const { url, file, sha256, marks, splits } of set.archives) {
        expect(path.posix.basename(new URL(url).pathname)).toBe(file);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        for (const split of splits) expect(set.splits).toHaveProperty(split);
        expect(Object.keys(marks).every((split) => splits.includes(split))).toBe(true);
      }
    }
  });
});
