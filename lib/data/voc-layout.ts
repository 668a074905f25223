/** Finds the parts of a folder in VOC layout and says what is missing when it is not one. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { nearest } from '../tensor/nearest';

/** What a VOC folder holds. */
export interface VocLayout {
  readonly folder: string;
  /** Ids (file names without extension) of all annotations, sorted. */
  readonly annotations: readonly string[];
  /** File names in JPEGImages by lower-case name. */
  readonly images: ReadonlyMap<string, string>;
  /** Names of the lists in ImageSets/Main, sorted; empty when there are none. */
  readonly imageSets: readonly string[];
}

const imageExtensions = ['.jpg', '.jpeg', '.png'];

/** Lists a VOC folder. Throws, saying what was expected and what is there, when it is not one. */
export async function readVocLayout(folder: string): Promise<VocLayout> {
  const entries = await list(folder);
  if (entries === undefined) throw new Error(`${folder} is not a folder that can be read. Check the path.`);
  const missing = ['Annotations', 'JPEGImages'].filter((name) => !entries.includes(name));
  if (missing.length > 0) {
    const inner = await vocInside(folder, entries);
    const found =
      entries.length === 0 ? 'nothing' : entries.slice(0, 8).join(', ') + (entries.length > 8 ? ', ...' : '');
    throw new Error(
      `${folder} is not in Pascal VOC layout: expected Annotations/*.xml and JPEGImages/ ` +
        `(ImageSets/Main/*.txt is optional), found ${found}. ` +
        (inner ? `${inner} is: use that folder.` : `Missing: ${missing.join(', ')}.`),
    );
  }
  const annotations = (await list(path.join(folder, 'Annotations'))) ?? [];
  const images = (await list(path.join(folder, 'JPEGImages'))) ?? [];
  const sets = (await list(path.join(folder, 'ImageSets', 'Main'))) ?? [];
  const layout = {
    folder,
    annotations: stems(annotations, '.xml'),
    images: new Map(images.map((name) => [name.toLowerCase(), name])),
    imageSets: stems(sets, '.txt'),
  };
  if (layout.annotations.length === 0)
    throw new Error(`${path.join(folder, 'Annotations')} holds no .xml file, there is nothing to read.`);
  return layout;
}

/** Ids in `ImageSets/Main/<split>.txt`; lines of per-class lists (`id 1`) give their first column. */
export async function readImageSet(layout: VocLayout, split: string): Promise<string[]> {
  const file = path.join(layout.folder, 'ImageSets', 'Main', `${split}.txt`);
  if (!layout.imageSets.includes(split)) {
    const hint = nearest(split, layout.imageSets);
    throw new Error(
      `There is no image set "${split}" (${file}). Available: ${layout.imageSets.join(', ')}.` +
        (hint ? ` Did you mean "${hint}"?` : ''),
    );
  }
  const ids = (await fs.readFile(file, 'utf8')).split(/\r?\n/).map((line) => line.trim().split(/\s+/)[0]);
  const listed = ids.filter((id) => id !== '');
  if (listed.length === 0) throw new Error(`${file} is empty: it should list one image id a line.`);
  return listed;
}

/** The image of an annotation: its own id with a known extension, or else what `<filename>` says. */
export function findImage(layout: VocLayout, id: string, filename: string | undefined): string {
  const names = imageExtensions.map((extension) => id + extension);
  // Only the last part counts: a path in an annotation is the annotator's machine.
  if (filename) names.push(path.posix.basename(filename.replaceAll('\\', '/')));
  for (const name of names) {
    const found = layout.images.get(name.toLowerCase());
    if (found !== undefined) return path.join(layout.folder, 'JPEGImages', found);
  }
  throw new Error(
    `No image for ${path.join(layout.folder, 'Annotations', `${id}.xml`)}: ` +
      `JPEGImages has none of ${[...new Set(names)].join(', ')}. Add the image, or remove the annotation and its line in ImageSets.`,
  );
}

async function list(folder: string): Promise<string[] | undefined> {
  try {
    return (await fs.readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch {
    return undefined;
  }
}

/** People unpack VOCdevkit/VOC2007 and pass the outer folder: look two levels down. */
async function vocInside(folder: string, entries: readonly string[], depth = 2): Promise<string | undefined> {
  for (const entry of entries.slice(0, 20)) {
    const inner = path.join(folder, entry);
    const names = await list(inner);
    if (names?.includes('Annotations') && names.includes('JPEGImages')) return inner;
    const deeper = names && depth > 1 ? await vocInside(inner, names, depth - 1) : undefined;
    if (deeper) return deeper;
  }
  return undefined;
}

function stems(names: readonly string[], extension: string): string[] {
  return names
    .filter((name) => name.toLowerCase().endsWith(extension))
    .map((name) => name.slice(0, -extension.length));
}
