/** Finds the parts of a folder in VOC layout and says what is missing when it is not one. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { nearest } from '../tensor/nearest';
import { decodeText, imageExtensions, listFolder } from './files';

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

/** Lists a VOC folder. Throws, saying what was expected and what is there, when it is not one. */
export async function readVocLayout(folder: string): Promise<VocLayout> {
  const entries = await listFolder(folder);
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
  const annotations = (await listFolder(path.join(folder, 'Annotations'))) ?? [];
  const images = (await listFolder(path.join(folder, 'JPEGImages'))) ?? [];
  const sets = (await listFolder(path.join(folder, 'ImageSets', 'Main'))) ?? [];
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

/** One line of an image set. */
export interface ListedImage {
  readonly id: string;
  /** From 1. */
  readonly line: number;
}

/** Path of a list: of ImageSets/Main, or of the folder that the name gives (`Segmentation/val`). */
export function imageSetFile(layout: VocLayout, split: string): string {
  const parts = split.includes('/') ? split.split('/') : ['Main', split];
  return path.join(layout.folder, 'ImageSets', ...parts.slice(0, -1), `${parts[parts.length - 1]}.txt`);
}

/**
 * Ids in an image set. Lines of per-class lists (`id 1`) and of person layout (`id 2`, a person each) give their first column,
 * the latter's repeated ids once.
 * @throws with the lists there are when there is none of that name, or it is empty.
 */
export async function readImageSet(layout: VocLayout, split: string): Promise<ListedImage[]> {
  const file = imageSetFile(layout, split);
  const inMain = !split.includes('/');
  let bytes: Buffer | undefined;
  if (!inMain || layout.imageSets.includes(split)) bytes = await fs.readFile(file).catch(() => undefined);
  if (bytes === undefined || split.split('/').includes('..')) {
    const hint = nearest(split, layout.imageSets);
    throw new Error(
      `There is no image set "${split}" (${file}). Available: ${layout.imageSets.join(', ')}.` +
        (hint ? ` Did you mean "${hint}"?` : ''),
    );
  }
  let text: string;
  try {
    text = decodeText(bytes);
  } catch (error) {
    throw new Error(`Can't read the image set ${file}: ${(error as Error).message}`, { cause: error });
  }
  const listed: ListedImage[] = [];
  const people = split.startsWith('Layout/');
  const seen = new Set<string>();
  text.split(/\r?\n/).forEach((content, index) => {
    const [id] = content.trim().split(/\s+/);
    if (id === '' || (people && seen.has(id))) return;
    seen.add(id);
    listed.push({ id, line: index + 1 });
  });
  if (listed.length === 0) throw new Error(`${file} is empty: it should list one image id a line.`);
  return listed;
}

/** The image of an annotation: its own id with a known extension, or else what `<filename>` says; or why there is none. */
export function findImage(
  layout: VocLayout,
  id: string,
  filename: string | undefined,
): { path: string } | { missing: string } {
  const names = imageExtensions.map((extension) => id + extension);
  // Only the last part counts: a path in an annotation is the annotator's machine.
  if (filename) names.push(path.posix.basename(filename.replaceAll('\\', '/')));
  for (const name of names) {
    const found = layout.images.get(name.toLowerCase());
    if (found !== undefined) return { path: path.join(layout.folder, 'JPEGImages', found) };
  }
  const tried = [...new Set(names)].join(', ');
  return {
    missing: `no image: JPEGImages has none of ${tried}. Add it, or remove the annotation and its line in ImageSets`,
  };
}

/** People unpack VOCdevkit/VOC2007 and pass the outer folder: look two levels down. */
async function vocInside(folder: string, entries: readonly string[], depth = 2): Promise<string | undefined> {
  for (const entry of entries.slice(0, 20)) {
    const inner = path.join(folder, entry);
    const names = await listFolder(inner);
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
