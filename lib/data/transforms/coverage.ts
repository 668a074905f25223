/** How much of a box a set of rectangles covers, and where the covered and the free part lie. Exact, whatever overlaps. */
import type { Box } from '../../boxes/types';

/** A part of a box: its area and the smallest box around it (without area where the part is empty). */
export interface BoxPart {
  readonly area: number;
  readonly bounds: Box;
}

/** Splits a box into what the rectangles cover and what they leave free. Takes time in the square of their number. */
export function coverage(box: Box, rectangles: readonly Box[]): { covered: BoxPart; free: BoxPart } {
  const covered = new Part();
  const free = new Part();
  const [left, top, right, bottom] = box;
  const near = rectangles
    .filter(([x1, y1, x2, y2]) => x1 < right && x2 > left && y1 < bottom && y2 > top)
    .sort((a, b) => a[0] - b[0]);
  // Between two neighbouring horizontal edges nothing changes from line to line.
  const edges = near.flatMap(([, y1, , y2]) => [y1, y2]).filter((y) => y > top && y < bottom);
  const lines = [...new Set([top, ...edges, bottom])].sort((a, b) => a - b);
  for (let i = 0; i + 1 < lines.length; i++) {
    const [from, to] = [lines[i], lines[i + 1]];
    let x = left;
    for (const [x1, y1, x2, y2] of near) {
      if (y1 > from || y2 < to || x2 <= x) continue;
      if (x1 > x) free.add(x, from, x1, to);
      const end = Math.min(x2, right);
      covered.add(Math.max(x, x1), from, end, to);
      x = end;
    }
    if (x < right) free.add(x, from, right, to);
  }
  return { covered, free };
}

class Part implements BoxPart {
  area = 0;
  bounds: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];

  add(x1: number, y1: number, x2: number, y2: number): void {
    this.area += (x2 - x1) * (y2 - y1);
    const [left, top, right, bottom] = this.bounds;
    this.bounds = [Math.min(left, x1), Math.min(top, y1), Math.max(right, x2), Math.max(bottom, y2)];
  }
}

/** What two boxes share; a box without area (x2 <= x1 or y2 <= y1) where they share nothing. */
export function intersection(a: Box, b: Box): Box {
  return [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
}
