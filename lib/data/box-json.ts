/** Reads boxes from JSON of many shapes: rows, images with boxes, names with boxes, labelme's and CreateML's files. */
import { isUtf8 } from 'node:buffer';
import fs from 'node:fs/promises';
import { duplicateKey } from '../weights/duplicate-keys';
import { findBoxFields, noBoxFields, type BoxFormat } from './box-fields';
import { type BoxesDataset, type BoxRow, datasetOfRows, type ReadBoxesOptions } from './box-rows';
import { decodeText, EncodingError, reasonOf } from './files';
import { parseJsonText } from './json-text';
import { createDatasetProblems, type DatasetProblemList } from './problems';

type Fields = Readonly<Record<string, unknown>>;

/** More would not fit into one string. */
const mostBytes = 400_000_000;

/**
 * Reads a JSON file of boxes. It may be
 * - an array of boxes that each name their image, with the field names that `readBoxCsv` takes for columns,
 * - an array of images (`{ image, width, height, objects: [{ class, bbox: [...] }] }`; the list may also be called `boxes`,
 *   `annotations`, `labels`, `regions` or `shapes`), where four fields or one that holds four numbers make the box,
 * - an object whose keys are the images' names and whose values are such lists or images (VGG Image Annotator's),
 * - labelme's file of one image (`shapes` with points: a rectangle's corners, or a polygon, of which the box around it is taken),
 * - CreateML's (`annotations` with `coordinates`, whose `x` and `y` are the centre).
 *
 * COCO's files are read by `readCoco`. Pixels count from 0 and are continuous.
 * @throws DatasetError with everything that is wrong, unless `invalid` lets it pass. Other errors, which name the way out: a file that
 *   can't be read or is none of these.
 */
export async function readBoxJson(file: string, options: ReadBoxesOptions = {}): Promise<BoxesDataset> {
  const found = createDatasetProblems(options.invalid);
  let read: ReturnType<typeof rowsOf>;
  try {
    read = rowsOf(file, await readJson(file, options.encoding, found), found);
  } catch (error) {
    // Wrong letters may be all that is wrong.
    found.throwIfAny(file);
    throw error;
  }
  // What has letters that could not be read was told by line.
  const rows = read.rows.filter(
    (row) => ![row.image, row.class, row.split].some((text) => text?.includes(unread)),
  );
  return datasetOfRows(file, rows, read.format, found, options);
}

/** Stands for bytes that are not in the text's encoding. */
const unread = '\ufffd';

/**
 * A file's content. What is not in its encoding, and keys that come twice, are told to `found`; without it wrong letters are an error.
 * @throws Error naming the file.
 */
export async function readJson(
  file: string,
  encoding?: string,
  found?: DatasetProblemList,
): Promise<unknown> {
  try {
    const { size } = await fs.stat(file);
    if (size > mostBytes)
      throw new Error(`it has ${size} bytes, more than the ${mostBytes} that are read at once`);
    let reason: string | undefined;
    const text = readText(file, await fs.readFile(file), encoding, found);
    const value = parseJsonText(text, (why) => (reason = why));
    if (reason !== undefined) throw new Error(`the JSON is broken: ${reason}`);
    const twice = found && isFields(value) ? duplicateKey(text) : undefined;
    if (twice !== undefined) {
      const problem = `the key "${twice}" comes twice: only the last one can be read`;
      found?.report({ kind: 'duplicate', file, id: twice, object: -1, problem, action: 'dropped' });
    }
    return value;
  } catch (error) {
    const line = error instanceof EncodingError ? `:${error.line}` : '';
    throw new Error(`Can't read ${file}${line}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The text; where somebody listens, with a sign in place of what is not UTF-8. */
function readText(
  file: string,
  bytes: Buffer,
  encoding: string | undefined,
  found: DatasetProblemList | undefined,
): string {
  try {
    return decodeText(bytes, encoding);
  } catch (error) {
    // UTF-16 has its marks or zeros; what is damaged there can't be told by lines.
    const other = encoding !== undefined || bytes[0] >= 0xfe || bytes.subarray(0, 64).includes(0);
    if (!(error instanceof EncodingError) || found === undefined || other) throw error;
  }
  let line = 0;
  for (let from = 0; from < bytes.length; line++) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(from, to))) {
      const problem =
        "the line is not UTF-8 text; save the file as UTF-8, or name its encoding ('windows-1252')";
      found.report({ kind: 'encoding', file, line: line + 1, object: -1, problem, action: 'dropped' });
    }
    from = to + 1;
  }
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}

/** Whether a value has one of the shapes that `readBoxJson` reads. */
export function isBoxJson(value: unknown): boolean {
  const list = createDatasetProblems('drop');
  try {
    return rowsOf('', value, list).rows.some((row) => row.box !== undefined);
  } catch {
    return false;
  }
}

/** Rows of a file's content. @throws Error where it has none of the shapes. */
export function rowsOf(
  file: string,
  value: unknown,
  found: DatasetProblemList,
): { rows: BoxRow[]; format?: BoxFormat } {
  const groups = groupsOf(file, value);
  // What the fields mean is told by all of the boxes' keys: one box may lack some.
  const names = new Set<string>();
  for (const { boxes } of groups)
    for (const box of boxes) for (const key of Object.keys(box.fields)) names.add(key);
  const fields = findBoxFields([...names]);
  const anyBox = groups.some(({ boxes }) => boxes.length > 0);
  if (anyBox && fields === undefined) throw new Error(`${file} holds no boxes: ${noBoxFields([...names])}.`);
  const rows: BoxRow[] = [];
  let index = 0;
  const seen = new Set<string>();
  const nameless = (): void => {
    const problem = 'the box names no image';
    found.report({ kind: 'broken-annotation', file, object: index, problem, action: 'dropped' });
  };
  for (const group of groups) {
    const { width, height, split } = group;
    if (group.image !== undefined && seen.has(group.image)) {
      const problem = 'the image comes twice';
      found.report({ kind: 'duplicate', file, id: group.image, object: -1, problem, action: 'dropped' });
      index += group.boxes.length;
      continue;
    }
    if (group.image !== undefined) seen.add(group.image);
    if (group.image !== undefined) rows.push({ image: group.image, width, height, split, index: -1 });
    for (const { fields: box, format, broken } of group.boxes) {
      const at = (name: string | undefined): unknown => (name === undefined ? undefined : box[name]);
      const image = group.image ?? textOf(at(fields?.image));
      if (image === undefined) nameless();
      else {
        const numbers = fields ? numbersOf(box, fields.box) : undefined;
        const wrong =
          broken ??
          (numbers ? undefined : `the box is ${shownBox(box, fields?.box ?? [])}, not four numbers`);
        rows.push({
          image,
          box: wrong === undefined ? numbers : undefined,
          format,
          class: textOf(at(fields?.class)),
          width: width ?? numberOf(at(fields?.width)),
          height: height ?? numberOf(at(fields?.height)),
          split: split ?? textOf(at(fields?.split)),
          difficult: flagOf(at(fields?.difficult)),
          truncated: flagOf(at(fields?.truncated)),
          crowd: flagOf(at(fields?.crowd)),
          index,
          broken: wrong,
        });
      }
      index++;
    }
  }
  return { rows, format: fields?.format };
}

/** Boxes of an image, or of no image in particular. */
interface Group {
  readonly image?: string;
  readonly width?: number;
  readonly height?: number;
  readonly split?: string;
  readonly boxes: readonly {
    readonly fields: Fields;
    readonly format?: BoxFormat;
    readonly broken?: string;
  }[];
}

const listKeys = [
  'objects',
  'annotations',
  'boxes',
  'bboxes',
  'bbox',
  'labels',
  'regions',
  'shapes',
  'instances',
];

function groupsOf(file: string, value: unknown): Group[] {
  if (Array.isArray(value)) {
    const whole = value.filter(isFields);
    if (whole.length < value.length) {
      throw new Error(
        `${file}: element ${value.findIndex((one) => !isFields(one))} of the list is no object.`,
      );
    }
    if (whole.some((one) => listOf(one) !== undefined)) return whole.map((one) => groupOf(one, undefined));
    return [{ boxes: whole.map(boxOf) }];
  }
  if (!isFields(value)) throw new Error(`${file} holds neither a list nor an object.`);
  if (Array.isArray(value.images) && Array.isArray(value.categories)) {
    throw new Error(`${file} is in COCO's format: read it with readCoco.`);
  }
  if (listOf(value) !== undefined && imageOf(value) !== undefined) return [groupOf(value, undefined)];
  const inner = ['images', 'data', 'items', 'annotations', '_via_img_metadata'].map((key) => value[key]);
  const nested = inner.find((one) => Array.isArray(one) || isFields(one));
  if (nested !== undefined) return groupsOf(file, nested);
  return Object.entries(value).map(([name, one]) => {
    if (Array.isArray(one)) return { image: name, boxes: one.map(boxOf) };
    if (isFields(one) && listOf(one) !== undefined) return groupOf(one, name);
    throw new Error(`${file}: "${name.slice(0, 60)}" is neither a list of boxes nor an image with one.`);
  });
}

function groupOf(value: Fields, name: string | undefined): Group {
  const size = (short: string): number | undefined =>
    numberOf(
      value[short] ?? value[`image${short[0].toUpperCase()}${short.slice(1)}`] ?? value[`image_${short}`],
    );
  return {
    image: imageOf(value) ?? name,
    width: size('width'),
    height: size('height'),
    split: textOf(value.split),
    boxes: (listOf(value) ?? []).map(boxOf),
  };
}

function listOf(value: Fields): readonly unknown[] | undefined {
  for (const key of listKeys) {
    const list = value[key];
    if (Array.isArray(list) && !list.some((one) => typeof one === 'number')) return list;
    // VGG Image Annotator 1 numbers its regions by keys.
    if (key === 'regions' && isFields(list)) return Object.values(list);
  }
  return undefined;
}

function imageOf(value: Fields): string | undefined {
  for (const key of [
    'filename',
    'file_name',
    'imagePath',
    'image',
    'image_name',
    'imagefilename',
    'path',
    'file',
    'image_id',
    'name',
    'id',
  ]) {
    const name = textOf(value[key]);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** One box with its fields in one place. */
function boxOf(value: unknown): Group['boxes'][number] {
  if (Array.isArray(value)) return { fields: { bbox: value } };
  if (!isFields(value)) return { fields: {}, broken: `${JSON.stringify(value)} is no box` };
  if (Array.isArray(value.points)) return shapeOf(value, value.points);
  const { coordinates } = value;
  if (isFields(coordinates))
    return { fields: { ...value, ...coordinates, coordinates: undefined }, format: 'cxcywh' };
  const { shape_attributes: shape, region_attributes: about } = value;
  if (isFields(shape)) {
    const label = isFields(about) ? Object.values(about).find((one) => typeof one === 'string') : undefined;
    const { x, y, width, height, name } = shape;
    const broken = name === undefined || name === 'rect' ? undefined : `a ${textOf(name)} is no rectangle`;
    return { fields: { x, y, width, height, label }, broken };
  }
  for (const key of ['bbox', 'box', 'boundingBox', 'bounding_box', 'bndbox', 'rect']) {
    const inner = value[key];
    if (isFields(inner)) return { fields: { ...value, ...inner, [key]: undefined } };
  }
  return { fields: value };
}

/** labelme's shape: the box around its points. */
function shapeOf(value: Fields, points: readonly unknown[]): Group['boxes'][number] {
  const type = textOf(value.shape_type) ?? 'polygon';
  const pairs = points.filter((one): one is number[] => Array.isArray(one) && one.length >= 2);
  const xs = pairs.map(([x]) => numberOf(x) ?? NaN);
  const ys = pairs.map(([, y]) => numberOf(y) ?? NaN);
  const label = textOf(value.label);
  if (type === 'circle' && pairs.length === 2) {
    const radius = Math.hypot(xs[1] - xs[0], ys[1] - ys[0]);
    const box = [xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius];
    return { fields: { label, bbox: box }, format: 'xyxy' };
  }
  const around = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const usable =
    ['rectangle', 'polygon', 'mask', 'rotation'].includes(type) &&
    pairs.length >= 2 &&
    pairs.length === points.length;
  return {
    fields: { label, bbox: around },
    format: 'xyxy',
    broken: usable ? undefined : `a ${type} of ${points.length} points makes no box`,
  };
}

function numbersOf(box: Fields, names: readonly string[]): [number, number, number, number] | undefined {
  const values = names.length === 1 ? box[names[0]] : names.map((name) => box[name]);
  if (!Array.isArray(values) || values.length !== 4) return undefined;
  const numbers = values.map(looseNumber);
  return numbers.includes(undefined) ? undefined : (numbers as [number, number, number, number]);
}

/** A number, also as text; NaN where the file says so. */
function looseNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  if (/^[+-]?(nan|inf(inity)?)$/i.test(value)) return NaN;
  return Number.isNaN(Number(value)) ? undefined : Number(value);
}

function numberOf(value: unknown): number | undefined {
  const number = looseNumber(value);
  return number !== undefined && Number.isFinite(number) ? number : undefined;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function flagOf(value: unknown): boolean | undefined {
  return value === undefined ? undefined : value === true || value === 1 || value === '1' || value === 'true';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shownBox(box: Fields, names: readonly string[]): string {
  const value = names.length === 1 ? box[names[0]] : names.map((name) => box[name] ?? null);
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
}
