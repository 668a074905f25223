/** Data sets like the known ones with two images a split, and servers for their archives. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type http from 'node:http';
import path from 'node:path';
import type { KnownArchive, KnownDataset } from '../../../lib/data/download/known-datasets';
import { encodeJpeg } from '../../../lib/data/jpeg-encode';
import { tarBytes, type TarItem, zipBytes, type ZipItem } from './archives';
import { loopback, type Loopback, serve } from './loopback';

const noise = Uint8Array.from({ length: 120 * 90 * 3 }, (_, i) => (i * 7919) % 251);
const jpeg = Buffer.from(encodeJpeg({ width: 120, height: 90, data: noise }, 90));

export interface Tiny {
  readonly dataset: KnownDataset;
  /** The archives' bytes, by file name. */
  readonly archives: ReadonlyMap<string, Buffer>;
}

function archive(
  file: string,
  bytes: Buffer,
  rest: Pick<KnownArchive, 'splits' | 'marks' | 'keeps' | 'unpacked'>,
): KnownArchive {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { file, url: `http://127.0.0.1:9/${file}`, size: bytes.length, sha256, ...rest };
}

/** VOC's layout in two tar files that unpack into one folder, as VOC 2007's do. */
export function tinyVoc(): Tiny {
  const voc = (split: string, ids: readonly string[], names: readonly string[]): Buffer => {
    const items: TarItem[] = [{ name: 'VOCdevkit/VOC2007/', type: '5' }];
    items.push({ name: `VOCdevkit/VOC2007/ImageSets/Main/${split}.txt`, content: `${ids.join('\n')}\n` });
    ids.forEach((id, i) => {
      const xml =
        '<annotation><size><width>120</width><height>90</height></size>' +
        `<object><name>${names[i]}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object>` +
        '</annotation>';
      items.push({ name: `VOCdevkit/VOC2007/Annotations/${id}.xml`, content: xml });
      items.push({ name: `VOCdevkit/VOC2007/JPEGImages/${id}.jpg`, content: jpeg });
    });
    return tarBytes(items);
  };
  const trainval = voc('trainval', ['000005', '000007'], ['chair', 'car']);
  const test = voc('test', ['000001', '000002'], ['dog', 'train']);
  const entry = (file: string, bytes: Buffer, split: string): KnownArchive =>
    archive(file, bytes, {
      splits: [split],
      marks: { [split]: `VOCdevkit/VOC2007/ImageSets/Main/${split}.txt` },
      unpacked: bytes.length,
    });
  return {
    dataset: {
      name: 'tinyvoc',
      title: 'Tiny VOC',
      page: 'nowhere',
      terms: 'made by a test',
      archives: [entry('trainval.tar', trainval, 'trainval'), entry('test.tar', test, 'test')],
      splits: { trainval: { images: 2, objects: 2 }, test: { images: 2, objects: 2 } },
      root: 'VOCdevkit/VOC2007',
      classes: ['car', 'chair', 'dog', 'train'],
    },
    archives: new Map([
      ['trainval.tar', trainval],
      ['test.tar', test],
    ]),
  };
}

/** COCO's layout: annotations of both splits in one archive, images in one for each. */
export function tinyCoco(): Tiny {
  const splits = ['train2017', 'val2017'];
  const instances = (split: string): string =>
    JSON.stringify({
      images: [1, 2].map((id) => ({ id, file_name: `${split}_${id}.jpg`, width: 120, height: 90 })),
      annotations: [1, 2].map((id) => ({
        id,
        image_id: id,
        category_id: 3,
        bbox: [1, 2, 30, 40],
        area: 900,
        iscrowd: 0,
      })),
      categories: [{ id: 3, name: 'car' }],
    });
  const images = (split: string): Buffer =>
    zipBytes([
      { name: `${split}/`, mode: 0o040755, stored: true },
      ...[1, 2].map((id): ZipItem => ({ name: `${split}/${split}_${id}.jpg`, content: jpeg, stored: true })),
    ]);
  const annotations = zipBytes([
    ...splits.map((split) => ({ name: `annotations/instances_${split}.json`, content: instances(split) })),
    ...splits.map((split) => ({ name: `annotations/captions_${split}.json`, content: '{"captions": []}' })),
  ]);
  const archives = new Map([
    ['annotations.zip', annotations],
    ...splits.map((split) => [`${split}.zip`, images(split)] as const),
  ]);
  return {
    dataset: {
      name: 'tinycoco',
      title: 'Tiny COCO',
      page: 'nowhere',
      terms: 'made by a test',
      archives: [
        archive('annotations.zip', annotations, {
          splits,
          marks: Object.fromEntries(splits.map((split) => [split, `annotations/instances_${split}.json`])),
          keeps: (name, wanted) => wanted.some((split) => name === `annotations/instances_${split}.json`),
          unpacked: 2000,
        }),
        ...splits.map((split) =>
          archive(`${split}.zip`, archives.get(`${split}.zip`) as Buffer, {
            splits: [split],
            marks: { [split]: split },
            unpacked: 2 * jpeg.length,
          }),
        ),
      ],
      splits: { train2017: { images: 2, objects: 2 }, val2017: { images: 2, objects: 2 } },
      root: '.',
    },
    archives,
  };
}

/** A server of the archives; `handler` may answer first, by returning true. */
export async function serveArchives(
  { archives }: Tiny,
  handler: (
    request: http.IncomingMessage,
    response: http.ServerResponse,
    name: string,
    count: number,
  ) => boolean = () => false,
): Promise<Loopback & { readonly base: string }> {
  const server = await loopback((request, response, count) => {
    const name = path.posix.basename(request.url ?? '');
    if (handler(request, response, name, count)) return;
    const bytes = archives.get(name);
    if (bytes) serve(request, response, bytes, { etag: `"${name}"` });
    else response.writeHead(404).end('no');
  });
  return { ...server, base: server.url.replace(/\/file$/, '/mirror') };
}

/** Files below a folder, sorted, hidden ones too. */
export function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .sort();
}
