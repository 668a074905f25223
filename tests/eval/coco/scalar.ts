/** COCO's evaluation as plain loops over plain objects: slow, obvious, and written apart from the library's. */
import type { Box, Detection } from '../../../lib/boxes/types';
import type { CocoObject } from '../../../lib/eval/coco/types';

export interface ScalarData {
  groundTruth: CocoObject[][];
  detections: Detection[][];
  classes: string[];
}

const size = ([x1, y1, x2, y2]: Box): number => (x2 - x1) * (y2 - y1);

function overlap(found: Box, object: Box, crowd: boolean): number {
  const width = Math.min(found[2], object[2]) - Math.max(found[0], object[0]);
  const height = Math.min(found[3], object[3]) - Math.max(found[1], object[1]);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (crowd ? size(found) : size(found) + size(object) - both);
}

/** Precision at the 101 recalls, and the recall reached; `undefined` where there is nothing to find. */
export function scalarClass(
  { groundTruth, detections }: ScalarData,
  label: number,
  threshold: number,
  limit: number,
  [from, to]: readonly [number, number],
): { precision: number[]; recall: number } | undefined {
  const counted: { score: number; right: boolean }[] = [];
  let positives = 0;
  groundTruth.forEach((all, image) => {
    const objects = all.filter((object) => object.label === label);
    const counts = (object: CocoObject): boolean => {
      const area = object.area ?? size(object.box);
      return !object.crowd && !object.difficult && area >= from && area <= to;
    };
    positives += objects.filter(counts).length;
    const free = new Set(objects);
    const best = detections[image]
      .filter((detection) => detection.label === label)
      .sort((a, b) => b.score - a.score)
      .slice(0, limit);
    for (const { box, score } of best) {
      let match: CocoObject | undefined;
      for (const wanted of [objects.filter(counts), objects.filter((object) => !counts(object))]) {
        if (match) break;
        let highest = Math.min(threshold, 1 - 1e-10);
        for (const object of wanted) {
          const value = overlap(box, object.box, object.crowd === true);
          if (free.has(object) && value >= highest) {
            highest = value;
            match = object;
          }
        }
      }
      if (match && !match.crowd) free.delete(match);
      const ignored = match ? !counts(match) : size(box) < from || size(box) > to;
      if (!ignored) counted.push({ score, right: match !== undefined });
    }
  });
  if (positives === 0) return undefined;
  counted.sort((a, b) => b.score - a.score);
  const points = counted.map((_, i) => {
    const right = counted.slice(0, i + 1).filter((one) => one.right).length;
    return { recall: right / positives, precision: right / (i + 1) };
  });
  return {
    precision: Array.from({ length: 101 }, (_, r) =>
      points.reduce((most, p) => (p.recall >= r * 0.01 || r === 0 ? Math.max(most, p.precision) : most), 0),
    ),
    recall: points.length > 0 ? points[points.length - 1].recall : 0,
  };
}
