/** Finds the annotation files of a folder in COCO's layout, and where their images may be. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { nearest } from '../tensor/nearest';
import { stem, walk } from './files';

/** One annotation file. */
export interface CocoFile {
  /** `val2017` for annotations/instances_val2017.json; the folder for val/_annotations.coco.json. */
  readonly split: string;
  readonly file: string;
  /** Folders that may hold its images, the likeliest first. */
  readonly images: readonly string[];
}

/** Whether a file's beginning looks like COCO's: an object with its keys before anything else could fill so many bytes. */
export async function looksLikeCoco(file: string): Promise<boolean> {
  const start = await firstBytes(file, 1 << 16);
  if (!/^\ufeff?\s*\{/.test(start)) return false;
  if (/"images"\s*:\s*\[\s*(\]|\{[^{}]*"(file_name|coco_url|width|height)")/.test(start)) return true;
  // Some programs write the annotations or the categories first.
  return /"(annotations|categories)"\s*:\s*\[\s*\{[^{}]*"(image_id|category_id|supercategory)"/.test(start);
}

/** The beginning of a file as text, whatever its encoding. */
export async function firstBytes(file: string, count: number): Promise<string> {
  const handle = await fs.open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(count), 0, count, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The split that a file name stands for. */
function splitOf(relative: string): string {
  const name = stem(relative);
  const folder = path.posix.basename(path.posix.dirname(relative));
  if (/^_?annotations?(\.coco)?$/i.test(name))
    return folder === '.' || folder === 'annotations' ? 'all' : folder;
  return name
    .replace(/^(instances|person_keypoints|lvis_v\d+|annotations?|coco)[_-]/i, '')
    .replace(/[_.-]coco$/i, '');
}

/** Annotation files below a folder; captions, keypoints and stuff are left out where instances are there. */
export async function findCocoFiles(folder: string, files?: readonly string[]): Promise<CocoFile[]> {
  const names = (files ?? (await walk(folder, { depth: 3 })).files).filter((name) => /\.json$/i.test(name));
  const instances = names.filter((name) => /(^|\/)instances_[^/]*\.json$/i.test(name));
  const found: CocoFile[] = [];
  for (const name of (instances.length > 0 ? instances : names).slice(0, 100)) {
    const file = path.join(folder, name);
    if (await looksLikeCoco(file)) found.push(cocoFile(file, splitOf(name)));
  }
  return found;
}

/** A single annotation file with the folders that may hold its images. */
export function cocoFile(file: string, split: string = splitOf(path.basename(file))): CocoFile {
  const here = path.dirname(file);
  const above = path.dirname(here);
  const images = [here, above].flatMap((base) => [
    path.join(base, split),
    path.join(base, 'images', split),
    path.join(base, 'images'),
    path.join(base, 'JPEGImages'),
    base,
  ]);
  return { split, file, images: [here, ...images] };
}

/**
 * The file that a path and a split mean. `divide`: it is the only one and has another name, so that it is to be divided.
 * @throws naming the splits there are.
 */
export async function chooseCocoFile(
  target: string,
  split: string | undefined,
): Promise<CocoFile & { readonly divide: boolean }> {
  const stat = await fs.stat(target).catch(() => undefined);
  if (stat === undefined) throw new Error(`${target} is neither a file nor a folder. Check the path.`);
  const files = stat.isDirectory() ? await findCocoFiles(target) : [cocoFile(target)];
  if (files.length === 0) {
    throw new Error(
      `${target} holds no COCO annotations: expected annotations/instances_*.json, or a .json file with "images", ` +
        '"annotations" and "categories".',
    );
  }
  const names = files.map((one) => one.split);
  if (split === undefined && files.length > 1) {
    throw new Error(
      `${target} has annotations of several splits: choose one of ${names.join(', ')} by split.`,
    );
  }
  const wanted = split === undefined ? files[0] : files.find((one) => one.split === split);
  if (wanted) return { ...wanted, divide: false };
  if (files.length === 1) return { ...files[0], divide: true };
  const hint = nearest(split as string, names);
  throw new Error(
    `${target} has no split "${split}". Available: ${names.join(', ')}.${hint ? ` Did you mean "${hint}"?` : ''}`,
  );
}
