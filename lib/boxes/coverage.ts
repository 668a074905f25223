/** How well a set of anchors covers the objects of a data set: the first thing to check when a detector learns nothing. */
import type { AnchorSet } from './anchors';
import { boxArea } from './geometry';
import type { GroundTruth } from './types';

/** The best anchor for one object. */
export interface ObjectCoverage {
  /** Index of the image and of the object in it. */
  readonly image: number;
  readonly object: number;
  readonly label: number;
  /** Square root of the box's area, pixels of the network's input. */
  readonly size: number;
  /** Width by height; NaN when it has no area. */
  readonly ratio: number;
  /** Highest IoU with any anchor; 0 when it overlaps none. */
  readonly iou: number;
  /** That anchor and its level; -1 when it overlaps none. */
  readonly anchor: number;
  readonly level: number;
  /** How many anchors have an IoU of at least `positiveIou` with it: those that would learn it by threshold alone. */
  readonly anchors: number;
}

/** A group of objects and the share of them that the anchors reach. */
export interface CoverageShare {
  /** `all`, `level 2`, `32-96 px`, `w/h under 0.5`, `class 3`. */
  readonly group: string;
  readonly objects: number;
  /** Mean of the best IoU; NaN in an empty group. */
  readonly meanIou: number;
  /** `shares[i]`: part of the objects with a best IoU of at least `thresholds[i]`; NaN in an empty group. */
  readonly shares: readonly number[];
  /** Mean of the objects' `anchors`; NaN in an empty group. */
  readonly meanAnchors: number;
}

/** What `anchorCoverage` finds. */
export interface AnchorCoverage {
  readonly thresholds: readonly number[];
  readonly objects: readonly ObjectCoverage[];
  readonly all: CoverageShare;
  /** Objects grouped by the level of their best anchor. */
  readonly byLevel: readonly CoverageShare[];
  /** Objects grouped by size. */
  readonly bySize: readonly CoverageShare[];
  /** Objects grouped by width over height; those without area in none. */
  readonly byRatio: readonly CoverageShare[];
  /** Objects grouped by class id, from 0 to the highest there is. */
  readonly byLabel: readonly CoverageShare[];
}

/** Options of `anchorCoverage`. */
export interface CoverageOptions {
  /** Default 0.3, 0.5, 0.7. */
  readonly thresholds?: readonly number[];
  /** Limits between size groups, in square roots of areas, pixels, ascending. Default 32, 96 (COCO's small and large). */
  readonly sizeLimits?: readonly number[];
  /** Limits between groups of width over height, ascending. Default 0.5, 2. */
  readonly ratioLimits?: readonly number[];
  /** IoU from which an anchor counts in `anchors`. Default 0.5. */
  readonly positiveIou?: number;
}

/**
 * Coverage of ground truth by anchors. Boxes are in pixels of the network's input, as after the resize of training.
 * @param groundTruth the objects of each image; images may be empty
 */
export function anchorCoverage(
  anchors: AnchorSet,
  groundTruth: readonly (readonly GroundTruth[])[],
  options: CoverageOptions = {},
): AnchorCoverage {
  const { thresholds = [0.3, 0.5, 0.7], sizeLimits = [32, 96], ratioLimits = [0.5, 2] } = options;
  const objects: ObjectCoverage[] = [];
  groundTruth.forEach((list, image) =>
    list.forEach(({ box, label }, object) => {
      const found = bestAnchor(anchors.boxes, box, options.positiveIou ?? 0.5);
      const level = anchors.levels.findIndex(
        ({ start, count }) => found.anchor >= start && found.anchor < start + count,
      );
      const size = Math.sqrt(boxArea(box));
      const ratio = size > 0 ? (box[2] - box[0]) / (box[3] - box[1]) : NaN;
      objects.push({ image, object, label, size, ratio, level, ...found });
    }),
  );

  const share = (group: string, members: readonly ObjectCoverage[]): CoverageShare => ({
    group,
    objects: members.length,
    meanIou: members.reduce((sum, { iou }) => sum + iou, 0) / members.length,
    shares: thresholds.map((t) => members.filter(({ iou }) => iou >= t).length / members.length),
    meanAnchors: members.reduce((sum, object) => sum + object.anchors, 0) / members.length,
  });
  /** Groups from limit to limit, the upper one excluded. */
  const between = (
    limits: readonly number[],
    measure: (object: ObjectCoverage) => number,
    name: (from: number, to: number) => string,
  ): CoverageShare[] => {
    const edges = [0, ...limits, Infinity];
    return edges.slice(1).map((to, i) => {
      const members = objects.filter((object) => measure(object) >= edges[i] && measure(object) < to);
      return share(name(edges[i], to), members);
    });
  };
  const range = (from: number, to: number): string =>
    to === Infinity ? `from ${from}` : from === 0 ? `under ${to}` : `${from}-${to}`;
  const labels = objects.reduce((most, { label }) => Math.max(most, label + 1), 0);
  return {
    thresholds,
    objects,
    all: share('all', objects),
    byLevel: anchors.levels.map((_, level) =>
      share(
        `level ${level}`,
        objects.filter((object) => object.level === level),
      ),
    ),
    bySize: between(
      sizeLimits,
      ({ size }) => size,
      (from, to) => `${range(from, to)} px`,
    ),
    byRatio: between(
      ratioLimits,
      ({ ratio }) => ratio,
      (from, to) => `w/h ${range(from, to)}`,
    ),
    byLabel: Array.from({ length: labels }, (_, label) =>
      share(
        `class ${label}`,
        objects.filter((object) => object.label === label),
      ),
    ),
  };
}

function bestAnchor(
  boxes: Float32Array,
  [x1, y1, x2, y2]: GroundTruth['box'],
  positiveIou: number,
): { anchor: number; iou: number; anchors: number } {
  const area = (x2 - x1) * (y2 - y1);
  let anchor = -1;
  let iou = 0;
  let anchors = 0;
  if (!(x2 > x1 && y2 > y1)) return { anchor, iou, anchors };
  for (let k = 0; k < boxes.length; k += 4) {
    const w = Math.min(x2, boxes[k + 2]) - Math.max(x1, boxes[k]);
    const h = Math.min(y2, boxes[k + 3]) - Math.max(y1, boxes[k + 1]);
    if (!(w > 0 && h > 0)) continue;
    const value = (w * h) / (area + (boxes[k + 2] - boxes[k]) * (boxes[k + 3] - boxes[k + 1]) - w * h);
    if (value >= positiveIou) anchors++;
    if (value > iou) {
      iou = value;
      anchor = k / 4;
    }
  }
  return { anchor, iou, anchors };
}
