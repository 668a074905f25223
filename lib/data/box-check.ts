/** Whether an annotated box can be one of its image. */
import type { Box } from '../boxes/types';
import type { ProblemKind } from './problems';

/** What is wrong with a box. */
export interface BoxFault {
  readonly kind: ProblemKind;
  readonly problem: string;
  /** The part of the box inside the image, where there is one. */
  readonly inside?: Box;
  /** Out by a pixel at most: rounding, or counting from 0 where 1 was meant. Nobody need stop for it. */
  readonly slight?: boolean;
}

/** Boxes may reach out of the image so far (pixels) without being wrong. */
const slack = 1;

/** Checks `[x1, y1, x2, y2]` in pixels of an image of this size. `undefined`: the box lies inside and has an area. */
export function boxFault(box: Box, width: number, height: number): BoxFault | undefined {
  const [x1, y1, x2, y2] = box;
  if (!box.every(Number.isFinite)) {
    return { kind: 'box-not-finite', problem: 'a coordinate of the box is not a finite number' };
  }
  if (x2 <= x1 || y2 <= y1) return { kind: 'box-without-area', problem: 'the box has no area' };
  if (x1 >= 0 && y1 >= 0 && x2 <= width && y2 <= height) return undefined;
  const inside: Box = [Math.max(0, x1), Math.max(0, y1), Math.min(width, x2), Math.min(height, y2)];
  const size = `${width} x ${height}`;
  if (inside[2] <= inside[0] || inside[3] <= inside[1]) {
    return { kind: 'box-outside', problem: `the box lies outside the image (${size})` };
  }
  const slight = Math.max(-x1, -y1, x2 - width, y2 - height) <= slack;
  return { kind: 'box-reaches-out', problem: `the box reaches out of the image (${size})`, inside, slight };
}
