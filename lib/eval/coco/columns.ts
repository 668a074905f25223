/** Objects and detections of all images as columns of numbers: what makes evaluation fast, and what all its inputs become. */
import type { Detection } from '../../boxes/types';
import type { CocoObject } from './types';

/** All objects, a row each. Boxes are `[x, y, width, height]`, as in COCO. */
export interface ObjectColumns {
  /** The image's place in the order of the ids. */
  readonly image: Int32Array;
  readonly label: Int32Array;
  readonly box: Float64Array;
  readonly area: Float64Array;
  /** 1: a crowd, of which any number of detections may be part. */
  readonly crowd: Uint8Array;
  /** 1: finding it is neither right nor wrong. Crowds are. */
  readonly ignore: Uint8Array;
  readonly id: Float64Array;
}

/** All detections, a row each, in the order given within an image. Boxes are `[x, y, width, height]`. */
export interface DetectionColumns {
  readonly image: Int32Array;
  readonly label: Int32Array;
  readonly box: Float64Array;
  readonly score: Float64Array;
}

/** What is evaluated. */
export interface EvaluationColumns {
  readonly images: number;
  readonly objects: ObjectColumns;
  readonly detections: DetectionColumns;
}

/** An object as the columns take it. */
interface ObjectRow {
  readonly label: number;
  readonly area: number;
  readonly crowd: boolean;
  readonly ignore: boolean;
  readonly id: number;
}

/** Collects rows image by image. */
export interface ColumnBuilder {
  readonly images: number;
  /** Begins an image and returns its number. */
  addImage(id: number | string): number;
  addObject(image: number, x: number, y: number, width: number, height: number, row: ObjectRow): void;
  addDetection(
    image: number,
    x: number,
    y: number,
    width: number,
    height: number,
    label: number,
    score: number,
  ): void;
  /** An image's objects and detections; ids count on from 1. */
  addAll(
    image: number,
    objects: readonly CocoObject[],
    detections: readonly Detection[],
    ignoreDifficult: boolean,
  ): void;
  build(): EvaluationColumns;
}

/** An empty builder. */
export function createColumnBuilder(): ColumnBuilder {
  const ids: (number | string)[] = [];
  const objects = { image: [], label: [], box: [], area: [], crowd: [], ignore: [], id: [] } as Record<
    keyof ObjectColumns,
    number[]
  >;
  const found = { image: [], label: [], box: [], score: [] } as Record<keyof DetectionColumns, number[]>;
  const builder: ColumnBuilder = {
    get images() {
      return ids.length;
    },
    addImage: (id) => ids.push(id) - 1,
    addObject(image, x, y, width, height, { label, area, crowd, ignore, id }) {
      objects.image.push(image);
      objects.label.push(label);
      objects.box.push(x, y, width, height);
      objects.area.push(area);
      objects.crowd.push(crowd ? 1 : 0);
      objects.ignore.push(crowd || ignore ? 1 : 0);
      objects.id.push(id);
    },
    addDetection(image, x, y, width, height, label, score) {
      found.image.push(image);
      found.label.push(label);
      found.box.push(x, y, width, height);
      found.score.push(score);
    },
    addAll(image, truths, detections, ignoreDifficult) {
      for (const { box, label, area, crowd = false, difficult = false } of truths) {
        const width = box[2] - box[0];
        const height = box[3] - box[1];
        builder.addObject(image, box[0], box[1], width, height, {
          label,
          area: area ?? width * height,
          crowd,
          ignore: difficult && ignoreDifficult,
          id: objects.id.length + 1,
        });
      }
      for (const { box, label, score } of detections) {
        builder.addDetection(image, box[0], box[1], box[2] - box[0], box[3] - box[1], label, score);
      }
    },
    build() {
      const places = placesById(ids);
      const placed = (images: readonly number[]): Int32Array => Int32Array.from(images, (i) => places[i]);
      return {
        images: ids.length,
        objects: {
          image: placed(objects.image),
          label: Int32Array.from(objects.label),
          box: Float64Array.from(objects.box),
          area: Float64Array.from(objects.area),
          crowd: Uint8Array.from(objects.crowd),
          ignore: Uint8Array.from(objects.ignore),
          id: Float64Array.from(objects.id),
        },
        detections: {
          image: placed(found.image),
          label: Int32Array.from(found.label),
          box: Float64Array.from(found.box),
          score: Float64Array.from(found.score),
        },
      };
    },
  };
  return builder;
}

/**
 * Ids in the order in which the official code takes images, which orders equal scores: by number, where all of them are whole
 * numbers (or texts of digits), otherwise as texts.
 */
export function compareIds(
  ids: readonly (number | string)[],
): (a: number | string, b: number | string) => number {
  const numbers = ids.every((id) => typeof id === 'number' || /^\d+$/.test(id));
  return (a, b) => {
    const [one, other] = numbers ? [Number(a), Number(b)] : [String(a), String(b)];
    return one < other ? -1 : one > other ? 1 : 0;
  };
}

/** The place of each id in that order. */
function placesById(ids: readonly (number | string)[]): Int32Array {
  const compare = compareIds(ids);
  const sorted = ids.map((_, i) => i).sort((a, b) => compare(ids[a], ids[b]));
  const places = new Int32Array(ids.length);
  sorted.forEach((i, place) => (places[i] = place));
  return places;
}
