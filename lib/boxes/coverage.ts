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
  /** Highest IoU with any anchor; 0 when it overlaps none. */
  readonly iou: number;
  /** That anchor and its level; -1 when it overlaps none. */
  readonly anchor: number;
  readonly level: number;
}

/** A group of objects and the share of them that the anchors reach. */
export interface CoverageShare {
  /** `all`, `level 2`, `32-96 px`. */
  readonly group: string;
  readonly objects: number;
  /** Mean of the best IoU; NaN in an empty group. */
  readonly meanIou: number;
  /** `shares[i]`: part of the objects with a best IoU of at least `thresholds[i]`; NaN in an empty group. */
  readonly shares: readonly number[];
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
}

/** Options of `anchorCoverage`. */
export interface CoverageOptions {
  /** Default 0.3, 0.5, 0.7. */
  readonly thresholds?: readonly number[];
  /** Limits between size groups, in square roots of areas, pixels, ascending. Default 32, 96 (COCO's small and large). */
  readonly sizeLimits?: readonly number[];
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
  const { thresholds = [0.3, 0.5, 0.7], sizeLimits = [32, 96] } = options;
  const objects: ObjectCoverage[] = [];
  groundTruth.forEach((list, image) =>
    list.forEach(({ box, label }, object) => {
      const { anchor, iou } = bestAnchor(anchors.boxes, box);
      const level = anchors.levels.findIndex(({ start, count }) => anchor >= start && anchor < start + count);
      objects.push({ image, object, label, size: Math.sqrt(boxArea(box)), iou, anchor, level });
    }),
  );

  const share = (group: string, members: readonly ObjectCoverage[]): CoverageShare => ({
    group,
    objects: members.length,
    meanIou: members.reduce((sum, { iou }) => sum + iou, 0) / members.length,
    shares: thresholds.map((t) => members.filter(({ iou }) => iou >= t).length / members.length),
  });
  const limits = [0, ...sizeLimits, Infinity];
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
    bySize: limits.slice(1).map((to, i) => {
      const from = limits[i];
      const group = to === Infinity ? `from ${from} px` : i === 0 ? `under ${to} px` : `${from}-${to} px`;
      return share(
        group,
        objects.filter(({ size }) => size >= from && size < to),
      );
    }),
  };
}

function bestAnchor(
  anchors: Float32Array,
  [x1, y1, x2, y2]: GroundTruth['box'],
): { anchor: number; iou: number } {
  const area = (x2 - x1) * (y2 - y1);
  let anchor = -1;
  let iou = 0;
  if (!(x2 > x1 && y2 > y1)) return { anchor, iou };
  for (let k = 0; k < anchors.length; k += 4) {
    const w = Math.min(x2, anchors[k + 2]) - Math.max(x1, anchors[k]);
    const h = Math.min(y2, anchors[k + 3]) - Math.max(y1, anchors[k + 1]);
    if (!(w > 0 && h > 0)) continue;
    const anchorArea = (anchors[k + 2] - anchors[k]) * (anchors[k + 3] - anchors[k + 1]);
    const value = (w * h) / (area + anchorArea - w * h);
    if (value > iou) {
      iou = value;
      anchor = k / 4;
    }
  }
  return { anchor, iou };
}
