/**
 * Box arithmetic, for one box (`Box`) and for many (`BoxArray`).
 *
 * All coordinates are continuous: a box `[x1, y1, x2, y2]` is `x2 - x1` wide, not one more. A box is degenerate when its width
 * or height is not positive, or not a number; its area is 0, and so is its IoU with anything. Many boxes are kept flat in a
 * `Float32Array`, four numbers a box; arithmetic is in double precision and rounds once, when a result is stored.
 */
import type { Box } from './types';

/** N boxes, flat: `[x1, y1, x2, y2, x1, y1, ...]` in pixels unless the function says otherwise. Length 4N. */
export type BoxArray = Float32Array;

/** Boxes into one flat array. Empty in, empty out. */
export function toBoxArray(boxes: readonly Box[]): BoxArray {
  const flat = new Float32Array(4 * boxes.length);
  for (let i = 0; i < boxes.length; i++) flat.set(boxes[i], 4 * i);
  return flat;
}

/** A flat array into boxes. Empty in, empty out. */
export function toBoxes(flat: BoxArray): Box[] {
  const n = boxCount(flat);
  const boxes: Box[] = new Array<Box>(n);
  for (let i = 0; i < n; i++) boxes[i] = [flat[4 * i], flat[4 * i + 1], flat[4 * i + 2], flat[4 * i + 3]];
  return boxes;
}

/** How many boxes a flat array holds. @throws RangeError when its length is not a multiple of 4. */
export function boxCount(boxes: BoxArray): number {
  if (boxes.length % 4 !== 0) {
    throw new RangeError(
      `A flat array of boxes has 4 numbers a box, but this one has ${boxes.length} numbers`,
    );
  }
  return boxes.length / 4;
}

function mapBoxes(
  boxes: BoxArray,
  write: (a: number, b: number, c: number, d: number, out: BoxArray, at: number) => void,
): BoxArray {
  boxCount(boxes);
  const out = new Float32Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) write(boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3], out, i);
  return out;
}

/** `[x1, y1, x2, y2]` to `[centre x, centre y, width, height]`. */
export function xyxyToCxcywh(boxes: BoxArray): BoxArray {
  return mapBoxes(boxes, (x1, y1, x2, y2, out, at) => {
    out[at] = (x1 + x2) / 2;
    out[at + 1] = (y1 + y2) / 2;
    out[at + 2] = x2 - x1;
    out[at + 3] = y2 - y1;
  });
}

/** `[centre x, centre y, width, height]` to `[x1, y1, x2, y2]`. */
export function cxcywhToXyxy(boxes: BoxArray): BoxArray {
  return mapBoxes(boxes, (cx, cy, w, h, out, at) => {
    out[at] = cx - w / 2;
    out[at + 1] = cy - h / 2;
    out[at + 2] = cx + w / 2;
    out[at + 3] = cy + h / 2;
  });
}

/** `[x1, y1, x2, y2]` to `[x1, y1, width, height]`, COCO's form. */
export function xyxyToXywh(boxes: BoxArray): BoxArray {
  return mapBoxes(boxes, (x1, y1, x2, y2, out, at) => {
    out[at] = x1;
    out[at + 1] = y1;
    out[at + 2] = x2 - x1;
    out[at + 3] = y2 - y1;
  });
}

/** `[x1, y1, width, height]`, COCO's form, to `[x1, y1, x2, y2]`. */
export function xywhToXyxy(boxes: BoxArray): BoxArray {
  return mapBoxes(boxes, (x, y, w, h, out, at) => {
    out[at] = x;
    out[at + 1] = y;
    out[at + 2] = x + w;
    out[at + 3] = y + h;
  });
}

/** Boxes times a factor a axis: pixels of one image size to another's, or to fractions and back. Any box format. */
export function scaleBoxes(boxes: BoxArray, scaleX: number, scaleY: number): BoxArray {
  return mapBoxes(boxes, (a, b, c, d, out, at) => {
    out[at] = a * scaleX;
    out[at + 1] = b * scaleY;
    out[at + 2] = c * scaleX;
    out[at + 3] = d * scaleY;
  });
}

/** xyxy boxes cut to the image `[0, 0, width, height]`. A box outside it becomes degenerate, on the border. */
export function clipBoxes(boxes: BoxArray, width: number, height: number): BoxArray {
  return mapBoxes(boxes, (x1, y1, x2, y2, out, at) => {
    out[at] = Math.min(Math.max(x1, 0), width);
    out[at + 1] = Math.min(Math.max(y1, 0), height);
    out[at + 2] = Math.min(Math.max(x2, 0), width);
    out[at + 3] = Math.min(Math.max(y2, 0), height);
  });
}

/** One xyxy box cut to the image `[0, 0, width, height]`. */
export function clipBox([x1, y1, x2, y2]: Box, width: number, height: number): Box {
  const clip = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit);
  return [clip(x1, width), clip(y1, height), clip(x2, width), clip(y2, height)];
}

/** Area of an xyxy box in square pixels; 0 when it is degenerate. */
export function boxArea([x1, y1, x2, y2]: Box): number {
  const w = x2 - x1;
  const h = y2 - y1;
  return w > 0 && h > 0 ? w * h : 0;
}

/** Areas of N xyxy boxes, `[N]`, square pixels; 0 for degenerate ones. */
export function boxAreas(boxes: BoxArray): Float32Array {
  const n = boxCount(boxes);
  const areas = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const w = boxes[4 * i + 2] - boxes[4 * i];
    const h = boxes[4 * i + 3] - boxes[4 * i + 1];
    areas[i] = w > 0 && h > 0 ? w * h : 0;
  }
  return areas;
}

/** Whether the box's width or height is not positive, or not a finite number. */
export function isDegenerate([x1, y1, x2, y2]: Box): boolean {
  const w = x2 - x1;
  const h = y2 - y1;
  return !(w > 0 && h > 0 && w < Infinity && h < Infinity);
}

/**
 * Indices, ascending, of the xyxy boxes whose width and height are both at least `minSize` (torchvision's
 * `remove_small_boxes`). NaN is small. Empty in, empty out.
 */
export function boxesOfSize(boxes: BoxArray, minSize: number): Int32Array {
  const n = boxCount(boxes);
  const kept = new Int32Array(n);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const w = boxes[4 * i + 2] - boxes[4 * i];
    const h = boxes[4 * i + 3] - boxes[4 * i + 1];
    if (w >= minSize && h >= minSize) kept[count++] = i;
  }
  return kept.slice(0, count);
}

/** Area of the overlap of two xyxy boxes; 0 when they only touch or either is degenerate. */
export function intersectionArea(a: Box, b: Box): number {
  if (!(a[2] > a[0] && a[3] > a[1] && b[2] > b[0] && b[3] > b[1])) return 0;
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return w > 0 && h > 0 ? w * h : 0;
}

/** Intersection over union of two xyxy boxes, in [0, 1]; 0 when either is degenerate. Never NaN. */
export function iou(a: Box, b: Box): number {
  const intersection = intersectionArea(a, b);
  if (intersection === 0) return 0;
  const value = intersection / (boxArea(a) + boxArea(b) - intersection);
  return value > 0 ? value : 0; // infinite boxes give NaN
}

/**
 * Generalised IoU (Rezatofighi et al., CVPR 2019, algorithm 1) of two xyxy boxes, in [-1, 1]: IoU less the share of the
 * smallest enclosing box that neither covers. Where that box has no area (both boxes on one line or point) it is the IoU, 0.
 */
export function giou(a: Box, b: Box): number {
  const intersection = intersectionArea(a, b);
  const union = boxArea(a) + boxArea(b) - intersection;
  const overlap = union > 0 ? intersection / union : 0;
  const w = Math.max(a[2], b[2]) - Math.min(a[0], b[0]);
  const h = Math.max(a[3], b[3]) - Math.min(a[1], b[1]);
  const enclosing = w > 0 && h > 0 ? w * h : 0;
  if (enclosing === 0) return overlap;
  const value = overlap - (enclosing - union) / enclosing;
  return value === value ? value : -1; // infinite boxes give NaN
}

/**
 * IoU of every box of `a` with every box of `b`: row-major `[N, M]`, `result[i * M + j]`. Empty when either is empty.
 * @param a `[N, 4]` xyxy
 * @param b `[M, 4]` xyxy
 */
export function pairwiseIou(a: BoxArray, b: BoxArray): Float32Array {
  const n = boxCount(a);
  const m = boxCount(b);
  const result = new Float32Array(n * m);
  const areasB = areasInDouble(b);
  for (let i = 0; i < n; i++) {
    const ax1 = a[4 * i];
    const ay1 = a[4 * i + 1];
    const ax2 = a[4 * i + 2];
    const ay2 = a[4 * i + 3];
    if (!(ax2 > ax1 && ay2 > ay1)) continue;
    const areaA = (ax2 - ax1) * (ay2 - ay1);
    for (let j = 0, at = i * m; j < m; j++, at++) {
      const k = 4 * j;
      const w = (ax2 < b[k + 2] ? ax2 : b[k + 2]) - (ax1 > b[k] ? ax1 : b[k]);
      if (!(w > 0)) continue;
      const h = (ay2 < b[k + 3] ? ay2 : b[k + 3]) - (ay1 > b[k + 1] ? ay1 : b[k + 1]);
      if (!(h > 0) || !(areasB[j] > 0)) continue;
      const value = (w * h) / (areaA + areasB[j] - w * h);
      if (value > 0) result[at] = value;
    }
  }
  return result;
}

/** GIoU of every box of `a` `[N, 4]` with every box of `b` `[M, 4]`, xyxy: row-major `[N, M]`. Empty when either is empty. */
export function pairwiseGiou(a: BoxArray, b: BoxArray): Float32Array {
  const boxesA = toBoxes(a);
  const boxesB = toBoxes(b);
  const result = new Float32Array(boxesA.length * boxesB.length);
  let at = 0;
  for (const boxA of boxesA) for (const boxB of boxesB) result[at++] = giou(boxA, boxB);
  return result;
}

/** `boxAreas` without the rounding to float32, which would cost IoU its last digit. Boxes without area have 0. */
export function areasInDouble(boxes: BoxArray): Float64Array {
  const areas = new Float64Array(boxes.length / 4);
  for (let i = 0, k = 0; i < areas.length; i++, k += 4) {
    const w = boxes[k + 2] - boxes[k];
    const h = boxes[k + 3] - boxes[k + 1];
    areas[i] = w > 0 && h > 0 ? w * h : 0;
  }
  return areas;
}
