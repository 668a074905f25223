/** What a COCO file says, as columns of numbers: 860,001 annotations take 70 MB and not gigabytes. */
import { streamJson } from './json-stream';
import type { JsonPlace } from './json-scanner';
import type { DatasetProblemList } from './problems';

/** An image of the file. */
export interface CocoImage {
  readonly id: number | string;
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly line: number;
}

/** A category of the file. */
export interface CocoCategory {
  readonly id: number | string;
  readonly name: string;
}

/** One annotation, as columns give it back. */
export interface CocoRow {
  /** `[x, y, width, height]`; NaN for what is no number. */
  readonly box: readonly [number, number, number, number];
  readonly category: number | string;
  readonly area: number | undefined;
  readonly crowd: boolean;
  readonly id: number | string | undefined;
  readonly line: number;
  /** Its place in the file's array. */
  readonly index: number;
  readonly broken: string | undefined;
}

/** A file's content. */
export interface CocoContent {
  readonly images: readonly CocoImage[];
  readonly categories: readonly CocoCategory[];
  /** Annotations of an image, in the order of the file. */
  rows(image: number | string): Iterable<CocoRow>;
  /** Annotations of images that the file does not have: the image's id, with all it has. */
  readonly orphans: readonly { readonly image: unknown; readonly row: CocoRow }[];
  /** Whether there was an array of annotations at all. */
  readonly annotated: boolean;
}

/** Numbers in the order they came, in a buffer that grows. */
class Column {
  private values = new Float64Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  at(index: number): number {
    return this.values[index];
  }
}

/** Ids, which are numbers in COCO and may be texts elsewhere, by number. */
class Names {
  private readonly numbers = new Map<unknown, number>();
  readonly values: (number | string)[] = [];

  of(id: unknown): number {
    if (typeof id !== 'number' && typeof id !== 'string') return -1;
    let number = this.numbers.get(id);
    if (number === undefined) {
      number = this.values.push(id) - 1;
      this.numbers.set(id, number);
    }
    return number;
  }
}

/**
 * Reads a file; outlines (`segmentation`) and keypoints are passed over.
 * @param found told of elements that can't be used at all, and of ids that come twice.
 * @throws JsonStreamError where the file's structure is broken.
 */
export async function readCocoContent(
  file: string,
  found: DatasetProblemList,
  onProgress?: (done: number, total: number) => void,
): Promise<CocoContent> {
  const images: CocoImage[] = [];
  const categories: CocoCategory[] = [];
  const imageIds = new Names();
  const categoryIds = new Names();
  const columns = {
    image: new Column(),
    category: new Column(),
    x: new Column(),
    y: new Column(),
    width: new Column(),
    height: new Column(),
    area: new Column(),
    crowd: new Column(),
    id: new Column(),
    line: new Column(),
    index: new Column(),
  };
  const textIds = new Map<number, string>();
  const brokenRows = new Map<number, string>();
  const strangeImages = new Map<number, unknown>();
  const seen = new Set<unknown>();
  const report = (
    kind: 'broken-annotation' | 'duplicate' | 'encoding',
    { line, index }: JsonPlace,
    id: unknown,
    problem: string,
  ): void => found.report({ kind, file, line, id: idOf(id), object: index, problem, action: 'dropped' });

  const onImage = (element: unknown, place: JsonPlace): void => {
    const { id, file_name, coco_url, width, height } = (element ?? {}) as Record<string, unknown>;
    const url = typeof coco_url === 'string' ? coco_url.split('/').at(-1) : undefined;
    const name = typeof file_name === 'string' ? file_name : url;
    if (idOf(id) === undefined) report('broken-annotation', place, id, `images[${place.index}] has no id`);
    else if (!name) report('broken-annotation', place, id, `images[${place.index}] has no file_name`);
    else {
      imageIds.of(id);
      images.push({
        id: id as number,
        name,
        width: numberOf(width),
        height: numberOf(height),
        line: place.line,
      });
    }
  };
  const onCategory = (element: unknown, place: JsonPlace): void => {
    const { id, name } = (element ?? {}) as Record<string, unknown>;
    if (idOf(id) === undefined || typeof name !== 'string') {
      report('broken-annotation', place, id, `categories[${place.index}] has no id or no name`);
    } else if (categories.some((category) => category.id === id)) {
      report('duplicate', place, id, `categories[${place.index}]: the id comes twice`);
    } else categories.push({ id: id as number, name });
  };
  const onAnnotation = (element: unknown, place: JsonPlace): void => {
    if (typeof element !== 'object' || element === null || Array.isArray(element)) {
      report('broken-annotation', place, undefined, `annotations[${place.index}] is no object`);
      return;
    }
    const { id, image_id, category_id, bbox, area, iscrowd } = element as Record<string, unknown>;
    if (idOf(id) !== undefined) {
      if (seen.has(id)) {
        report('duplicate', place, id, "the annotation's id comes twice");
        return;
      }
      seen.add(id);
    }
    const row = columns.image.length;
    const box = Array.isArray(bbox) && bbox.length === 4 ? bbox : undefined;
    const broken = [
      box ? '' : `bbox is ${shown(bbox)}, not [x, y, width, height]`,
      area === undefined || area === null || numberOf(area) >= 0 ? '' : `area is ${shown(area)}`,
      iscrowd === undefined || iscrowd === 0 || iscrowd === 1 || typeof iscrowd === 'boolean'
        ? ''
        : `iscrowd is ${shown(iscrowd)}, not 0 or 1`,
    ].filter((text) => text !== '');
    if (broken.length > 0) brokenRows.set(row, broken.join(', '));
    const image = imageIds.of(image_id);
    if (image < 0) strangeImages.set(row, image_id);
    columns.image.push(image);
    columns.category.push(categoryIds.of(category_id));
    columns.x.push(numberOf(box?.[0]));
    columns.y.push(numberOf(box?.[1]));
    columns.width.push(numberOf(box?.[2]));
    columns.height.push(numberOf(box?.[3]));
    columns.area.push(numberOf(area));
    columns.crowd.push(iscrowd === 1 || iscrowd === true ? 1 : 0);
    columns.id.push(numberOf(id));
    if (typeof id === 'string') textIds.set(row, id);
    columns.line.push(place.line);
    columns.index.push(place.index);
  };

  const keys = await streamJson(file, {
    arrays: { images: onImage, annotations: onAnnotation, categories: onCategory },
    skip: ['segmentation', 'keypoints'],
    onBroken: (key, place, reason, wrongEncoding) =>
      report(
        wrongEncoding ? 'encoding' : 'broken-annotation',
        place,
        undefined,
        `${key}[${place.index}]: ${reason}`,
      ),
    onProgress,
  });

  const rowAt = (row: number): CocoRow => {
    const id = textIds.get(row) ?? columns.id.at(row);
    const area = columns.area.at(row);
    const category = columns.category.at(row);
    return {
      box: [columns.x.at(row), columns.y.at(row), columns.width.at(row), columns.height.at(row)],
      category: category < 0 ? 'none' : categoryIds.values[category],
      area: Number.isNaN(area) ? undefined : area,
      crowd: columns.crowd.at(row) === 1,
      id: Number.isNaN(id) ? undefined : id,
      line: columns.line.at(row),
      index: columns.index.at(row),
      broken: brokenRows.get(row),
    };
  };
  const { starts, order } = group(columns.image, imageIds.values.length);
  const known = new Set(images.map(({ id }) => id));
  const orphans: { image: unknown; row: CocoRow }[] = [];
  for (let row = 0; row < columns.image.length; row++) {
    const image = columns.image.at(row);
    const id = image < 0 ? strangeImages.get(row) : imageIds.values[image];
    if (image < 0 || !known.has(id as number)) orphans.push({ image: id, row: rowAt(row) });
  }
  return {
    images,
    categories,
    orphans,
    annotated: keys.includes('annotations'),
    *rows(image) {
      const number = imageIds.of(image);
      for (let i = starts[number]; i < starts[number + 1]; i++) yield rowAt(order[i]);
    },
  };
}

/** Rows by image, in their order (a counting sort): those of image i are `order[starts[i]]` to `order[starts[i + 1] - 1]`. */
function group(image: Column, count: number): { starts: Uint32Array; order: Uint32Array } {
  const starts = new Uint32Array(count + 1);
  for (let row = 0; row < image.length; row++) if (image.at(row) >= 0) starts[image.at(row) + 1]++;
  for (let i = 0; i < count; i++) starts[i + 1] += starts[i];
  const order = new Uint32Array(starts[count]);
  const next = starts.slice();
  for (let row = 0; row < image.length; row++) if (image.at(row) >= 0) order[next[image.at(row)]++] = row;
  return { starts, order };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : NaN;
}

function idOf(id: unknown): number | string | undefined {
  return typeof id === 'number' || typeof id === 'string' ? id : undefined;
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
}
