/** Writes data sets in the layout of Pascal VOC. */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { GroundTruth } from '../boxes/types';
import { encodeJpeg } from './jpeg-encode';
import type { DetectionDataset } from './types';
import { formatVocAnnotation } from './voc-annotation';

/** Options of `writeVoc`. */
export interface WriteVocOptions {
  /** Name of the list in ImageSets/Main. Default `all`. */
  split?: string;
  /** JPEG quality, 1 to 100. Default 90. */
  quality?: number;
}

/**
 * Writes a data set as a VOC folder; other splits in the folder stay. Boxes become 1-based inclusive integers, rounded
 * outwards, as VOC wants them (one a single pixel wide or high can't be told from a slip there, and `readVoc` drops it).
 */
export async function writeVoc(
  folder: string,
  dataset: DetectionDataset,
  options: WriteVocOptions = {},
): Promise<void> {
  const { split = 'all', quality = 90 } = options;
  await makeVocFolders(folder);
  for (const example of dataset.examples) {
    const jpeg = encodeJpeg(await example.image(), quality);
    const { id, width, height, objects } = example;
    await writeWhole(path.join(folder, 'JPEGImages', `${id}.jpg`), jpeg);
    const xml = vocAnnotation({ id, width, height, objects }, dataset.classes);
    await writeWhole(path.join(folder, 'Annotations', `${id}.xml`), xml);
  }
  await writeImageSet(
    folder,
    split,
    dataset.examples.map((example) => example.id),
  );
}

/** Creates the three folders of the layout. */
export async function makeVocFolders(folder: string): Promise<void> {
  for (const part of ['Annotations', 'JPEGImages', path.join('ImageSets', 'Main')]) {
    await fs.mkdir(path.join(folder, part), { recursive: true });
  }
}

/** Writes one list of ids. */
export async function writeImageSet(folder: string, split: string, ids: readonly string[]): Promise<void> {
  await writeWhole(
    path.join(folder, 'ImageSets', 'Main', `${split}.txt`),
    ids.map((id) => `${id}\n`).join(''),
  );
}

/** The annotation file of one image. */
export function vocAnnotation(
  image: { id: string; width: number; height: number; objects: readonly GroundTruth[] },
  classes: readonly string[],
): string {
  const { id, width, height } = image;
  const objects = image.objects.map(({ box, label, difficult = false, truncated = false }) => {
    const [x1, y1, x2, y2] = box;
    const corners = [Math.floor(x1) + 1, Math.floor(y1) + 1, Math.ceil(x2), Math.ceil(y2)] as const;
    return { name: classes[label], corners, difficult, truncated };
  });
  return formatVocAnnotation({
    folder: 'JPEGImages',
    filename: `${id}.jpg`,
    size: { width, height },
    objects,
  });
}

let writes = 0;

/** Writes beside the target and renames, so that a reader, or the next run, never meets half a file. */
export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const partial = `${file}.${process.pid}-${Date.now().toString(36)}-${writes++}.tmp`;
  try {
    await fs.writeFile(partial, content);
    await fs.rename(partial, file);
  } catch (error) {
    await fs.rm(partial, { force: true });
    throw new Error(`Can't write ${file}: ${(error as Error).message}`, { cause: error });
  }
}
