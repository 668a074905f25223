/** Makes a data set of what a reader of some format found, and checks every image, class and box on the way. */
import type { Box, GroundTruth } from '../boxes/types';
import { nearest } from '../tensor/nearest';
import { boxFault } from './box-check';
import { forEachLimited, reasonOf } from './files';
import { checkImageFile, readImage, readImageHeader } from './image';
import type { ImageHeader } from './image-header';
import {
  createDatasetProblems,
  type DatasetProblem,
  type DatasetProblemList,
  type InvalidData,
  type ProblemKind,
} from './problems';
import type { DetectionDataset, Example } from './types';

/** Options of all readers of data sets. */
export interface ReadDatasetOptions {
  /** Class names in label order. Default: as the format defines them, or those found in the annotations, sorted. */
  classes?: readonly string[];
  /** Drops objects of classes that are not in `classes` (and notes them) whatever `invalid` says. Default false. */
  ignoreUnknownClasses?: boolean;
  /** Keeps objects marked difficult (as such). Default true: evaluation needs them, to ignore them. */
  keepDifficult?: boolean;
  /** What becomes of wrong annotations. Default `throw`: one `DatasetError` lists them all. */
  invalid?: InvalidData;
  /**
   * How closely images are looked at. `ends` (default): size and a cut end, from some kilobytes a file. `headers`: size alone.
   * `none`: only that the file is there, where the annotations give the size.
   */
  checkImages?: 'ends' | 'headers' | 'none';
  /** Reads the first so many images only. Default: all. */
  limit?: number;
  /** Seed of the split (train 70 %, val 10 %, test 20 %) that stands in where the folder brings no lists. Default 0. */
  seed?: number;
  /** Name of the data set. Default: the folder's or file's name. */
  name?: string;
}

/** A data set read from files, with what was odd in them. */
export interface CheckedDataset extends DetectionDataset {
  readonly problems: readonly DatasetProblem[];
}

/** An object as its format gives it. */
export interface RawObject {
  /** Continuous corners `[x1, y1, x2, y2]`, in pixels or, with `normalised`, in parts of the image's width and height. */
  readonly box: Box;
  readonly normalised?: boolean;
  /** The box as the file writes it, for messages. Default: `box`. */
  readonly written?: Box;
  /** A class name, or an index into the format's own names. */
  readonly class: string | number;
  readonly line?: number;
  /** Its index in the file, from 0. Default: among the objects of its image. */
  readonly index?: number;
  /** The object's own id in its file. */
  readonly id?: number | string;
  /** Why the object can't be used at all, and what kind of problem that is (default `broken-annotation`). */
  readonly broken?: string;
  readonly brokenKind?: ProblemKind;
  /** What goes into the data set's object besides box and label. */
  readonly extra?: Omit<GroundTruth, 'box' | 'label'> & {
    readonly area?: number;
    readonly id?: number | string;
  };
}

/** An annotated image as its format gives it. */
export interface RawImage {
  readonly id: string;
  /** The annotation file that speaks of it, and where. */
  readonly file: string;
  readonly line?: number;
  /** The image's path, or the sentence that says why there is none. */
  readonly image: { readonly path: string } | { readonly missing: string };
  /** Width and height that the annotation gives; 0 and NaN count as none. */
  readonly size?: { readonly width: number; readonly height: number };
  /** What gives the size, as messages call it. Where it is set, a missing size is noted. */
  readonly sizeName?: string;
  objects(): Iterable<RawObject>;
}

/** What to assemble. */
export interface AssembleInput<Image extends RawImage> {
  readonly name: string;
  /** How the error begins: what was read. */
  readonly title: string;
  readonly images: readonly Image[];
  /** Class names in label order. */
  readonly classes: readonly string[];
  /** The format's own class names, for objects that give an index. */
  readonly ownClasses?: readonly string[];
  readonly options: ReadDatasetOptions;
  /** What the reader found wrong before. */
  readonly found: DatasetProblemList;
  /** Keeps boxes that reach out by a pixel at most as they are. Default: cuts them. */
  readonly keepSlight?: boolean;
  /** Pictures without a stated size are annotated as EXIF turns them. Default: as stored. */
  readonly turned?: boolean;
}

/**
 * The data set of these images, in their order, without those that are wrong.
 * @throws DatasetError that lists everything that is wrong, unless `options.invalid` lets it pass.
 */
export async function assembleDataset<Image extends RawImage>(
  input: AssembleInput<Image>,
): Promise<CheckedDataset & { readonly used: readonly Image[] }> {
  const { name, title, images, classes, options, found } = input;
  const labels = new Map(classes.map((className, label) => [className, label]));
  const firstOf = new Map<string, number>();
  images.forEach(({ id }, index) => firstOf.has(id) || firstOf.set(id, index));
  const lists: (DatasetProblemList | undefined)[] = new Array<undefined>(images.length);
  const made: (Example | undefined)[] = new Array<undefined>(images.length);
  await forEachLimited(images, async (raw, index) => {
    const list = createDatasetProblems(options.invalid);
    const first = firstOf.get(raw.id) as number;
    if (first === index) made[index] = await exampleOf(raw, input, labels, list);
    else {
      const where = images[first].line === undefined ? images[first].file : `line ${images[first].line}`;
      const problem = `the image comes twice (first in ${where})`;
      list.report(imageProblem(raw, 'duplicate', problem));
    }
    if (list.problems.length > 0) lists[index] = list;
  });
  for (const list of lists) if (list) found.add(list);
  found.throwIfAny(title);
  const used = images.filter((_, index) => made[index] !== undefined);
  const examples = made.filter((example) => example !== undefined);
  return { name, classes, examples, problems: found.problems, used };
}

/** A problem of a whole image. */
export function imageProblem(
  { file, line, id }: Pick<RawImage, 'file' | 'line' | 'id'>,
  kind: DatasetProblem['kind'],
  problem: string,
  action: DatasetProblem['action'] = 'dropped',
): DatasetProblem {
  return { kind, file, line, id, object: -1, problem, action };
}

async function exampleOf<Image extends RawImage>(
  raw: Image,
  input: AssembleInput<Image>,
  labels: ReadonlyMap<string, number>,
  list: DatasetProblemList,
): Promise<Example | undefined> {
  const found = await sizeOf(raw, input, list);
  // Objects are looked at even where the image is useless: everything is told at once.
  const { width, height } = found ?? raw.size ?? { width: 0, height: 0 };
  const objects: GroundTruth[] = [];
  let index = 0;
  for (const object of raw.objects()) {
    const kept = objectOf(object, index++, raw, width, height, input, labels, list);
    if (kept) objects.push(kept);
  }
  if (found === undefined || !('path' in raw.image)) return undefined;
  const { path } = raw.image;
  const orientation = found.upright ? 'upright' : 'stored';
  const file = { path, orientation } as const;
  return { id: raw.id, width, height, objects, file, image: () => readImage(path, { orientation }) };
}

function objectOf<Image extends RawImage>(
  object: RawObject,
  index: number,
  raw: Image,
  width: number,
  height: number,
  { classes, ownClasses, options, keepSlight }: AssembleInput<Image>,
  labels: ReadonlyMap<string, number>,
  list: DatasetProblemList,
): GroundTruth | undefined {
  const { id, line = raw.line } = object;
  const about = { file: raw.file, line, id: id ?? raw.id, object: object.index ?? index };
  const written = object.written ?? object.box;
  if (object.broken !== undefined) {
    const kind = object.brokenKind ?? 'broken-annotation';
    list.report({ ...about, kind, problem: object.broken, action: 'dropped' });
    return undefined;
  }
  const name = typeof object.class === 'string' ? object.class : ownClasses?.[object.class];
  const label = name === undefined ? undefined : labels.get(name);
  const unknown = label === undefined && name !== undefined && options.ignoreUnknownClasses === true;
  const skip = object.extra?.difficult === true && options.keepDifficult === false;
  // A box that is not asked for is not checked.
  if (unknown) {
    const problem = `class ${name} is not asked for`;
    list.note({ ...about, kind: 'unknown-class', box: written, problem, action: 'dropped' });
    return undefined;
  }
  if (skip) return undefined;
  if (label === undefined) {
    const problem = unknownClass(name ?? object.class, name === undefined ? (ownClasses ?? []) : classes);
    list.report({ ...about, kind: 'unknown-class', box: written, problem, action: 'dropped' });
  }
  // Without a size only the box itself can be checked.
  const sized = width > 0 && height > 0;
  const [x1, y1, x2, y2] = object.box;
  const box: Box =
    object.normalised && sized ? [x1 * width, y1 * height, x2 * width, y2 * height] : object.box;
  const fault = boxFault(box, sized ? width : Infinity, sized ? height : Infinity);
  let kept: Box | undefined = box;
  if (fault) {
    const { kind, problem, inside, slight } = fault;
    const mend = slight || list.policy === 'mend';
    kept = mend ? inside : undefined;
    const told = { ...about, kind, box: written, problem, action: kept ? 'clipped' : 'dropped' } as const;
    if (slight && keepSlight) kept = box;
    else if (slight || (kept && mend)) list.note(told);
    else list.report(told);
  }
  return kept && label !== undefined ? { box: kept, label, ...object.extra } : undefined;
}

/** The image's size, from its header or its annotation; tells where they disagree, and whether EXIF explains it. */
async function sizeOf<Image extends RawImage>(
  raw: Image,
  { options, turned }: AssembleInput<Image>,
  list: DatasetProblemList,
): Promise<{ width: number; height: number; upright: boolean } | undefined> {
  if ('missing' in raw.image) {
    list.report(imageProblem(raw, 'missing-image', raw.image.missing));
    return undefined;
  }
  const { checkImages = 'ends' } = options;
  const size = raw.size && raw.size.width > 0 && raw.size.height > 0 ? raw.size : undefined;
  if (checkImages === 'none' && size) return { ...size, upright: false };
  let header: ImageHeader;
  try {
    header = await (checkImages === 'ends' ? checkImageFile : readImageHeader)(raw.image.path);
  } catch (error) {
    const problem = reasonOf((error as Error).cause ?? error);
    list.report({ ...imageProblem(raw, 'broken-image', problem), file: raw.image.path, line: undefined });
    return undefined;
  }
  const { width, height, orientation } = header;
  if (size === undefined) {
    if (raw.sizeName) {
      const problem = `no usable ${raw.sizeName}; the image is ${width} x ${height}`;
      list.note(imageProblem(raw, 'image-size', problem, 'corrected'));
    }
    if (!turned || orientation === 1) return { width, height, upright: false };
    return orientation < 5
      ? { width, height, upright: true }
      : { width: height, height: width, upright: true };
  }
  if (size.width === width && size.height === height) return { width, height, upright: false };
  // Annotated in a viewer that turned the photo: read it turned.
  if (orientation >= 5 && size.width === height && size.height === width) return { ...size, upright: true };
  const slight = Math.abs(size.width - width) <= 1 && Math.abs(size.height - height) <= 1;
  const says = `${raw.sizeName ?? 'the annotation'} says ${size.width} x ${size.height}, the image is ${width} x ${height}`;
  if (slight || list.policy === 'mend') {
    list.note(imageProblem(raw, 'image-size', says, 'corrected'));
    return { width, height, upright: false };
  }
  list.report(imageProblem(raw, 'image-size', `${says}: its boxes may be meant for another size`));
  return undefined;
}

function unknownClass(name: string | number, known: readonly string[]): string {
  if (typeof name === 'number') {
    return `class ${name} does not exist: there are ${known.length}, counted from 0`;
  }
  const hint = nearest(name, known);
  const shown = known.length > 25 ? `${known.slice(0, 25).join(', ')}, ...` : known.join(', ');
  return (
    `class "${name}" is not one of ${shown}.${hint ? ` Did it mean "${hint}"?` : ''} ` +
    'Add it to classes, or set ignoreUnknownClasses to leave such objects out'
  );
}
