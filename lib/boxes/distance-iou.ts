/**
 * DIoU and CIoU: IoU less a penalty for the distance of the centres, and less another for the difference in aspect ratio
 * (Zheng et al., AAAI 2020, equations 7 and 10). They follow torchvision's `distance_box_iou` and `complete_box_iou`.
 */
import { type BoxArray, iou, toBoxes } from './geometry';
import type { Box } from './types';

/** Added to the denominators, as torchvision does by default: in square pixels for the diagonal, without unit for alpha. */
const defaultEpsilon = 1e-7;

/**
 * Distance IoU of two xyxy boxes, in (-1, 1]: IoU less `d^2 / c^2`, where d is the distance between the centres and c the diagonal
 * of the smallest box around both. Never NaN for finite boxes; a degenerate box has IoU 0.
 * @param epsilon added to `c^2`, so that two equal points have distance 0
 */
export function diou(a: Box, b: Box, epsilon: number = defaultEpsilon): number {
  return iou(a, b) - centreDistance(a, b, epsilon);
}

/**
 * Complete IoU of two xyxy boxes: DIoU less `alpha v`, where `v = 4 / pi^2 (atan(wa / ha) - atan(wb / hb))^2` is the difference in
 * aspect ratio and `alpha = v / (1 - IoU + v)`. Never NaN for finite boxes.
 * @param epsilon added to both denominators
 */
export function ciou(a: Box, b: Box, epsilon: number = defaultEpsilon): number {
  const overlap = iou(a, b);
  // atan2, so that a box without height has an angle, too.
  const angle =
    Math.atan2(Math.max(a[2] - a[0], 0), Math.max(a[3] - a[1], 0)) -
    Math.atan2(Math.max(b[2] - b[0], 0), Math.max(b[3] - b[1], 0));
  const v = (4 / Math.PI ** 2) * angle ** 2;
  const alpha = v / (1 - overlap + v + epsilon);
  return overlap - centreDistance(a, b, epsilon) - alpha * v;
}

function centreDistance(a: Box, b: Box, epsilon: number): number {
  const w = Math.max(Math.max(a[2], b[2]) - Math.min(a[0], b[0]), 0);
  const h = Math.max(Math.max(a[3], b[3]) - Math.min(a[1], b[1]), 0);
  const dx = (a[0] + a[2] - b[0] - b[2]) / 2;
  const dy = (a[1] + a[3] - b[1] - b[3]) / 2;
  return (dx * dx + dy * dy) / (w * w + h * h + epsilon);
}

/** DIoU of every box of `a` `[N, 4]` with every box of `b` `[M, 4]`, xyxy: row-major `[N, M]`. Empty when either is empty. */
export function pairwiseDiou(a: BoxArray, b: BoxArray, epsilon: number = defaultEpsilon): Float32Array {
  return pairwise(a, b, (x, y) => diou(x, y, epsilon));
}

/** CIoU of every box of `a` `[N, 4]` with every box of `b` `[M, 4]`, xyxy: row-major `[N, M]`. Empty when either is empty. */
export function pairwiseCiou(a: BoxArray, b: BoxArray, epsilon: number = defaultEpsilon): Float32Array {
  return pairwise(a, b, (x, y) => ciou(x, y, epsilon));
}

function pairwise(a: BoxArray, b: BoxArray, measure: (a: Box, b: Box) => number): Float32Array {
  const boxesA = toBoxes(a);
  const boxesB = toBoxes(b);
  const result = new Float32Array(boxesA.length * boxesB.length);
  let at = 0;
  for (const boxA of boxesA) for (const boxB of boxesB) result[at++] = measure(boxA, boxB);
  return result;
}
