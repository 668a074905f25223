/**
 * The inner loop of non-maximum suppression, for few boxes and for many; `nms.ts` is the public side.
 *
 * IoU is computed in float32, step by step as torchvision's kernel does, so that the same boxes are kept to the last one.
 */
import type { BoxArray } from './geometry';

/** From this many boxes on, building a grid is worth it (measured: the two ways take equal time at about 1,000). */
const manyBoxes = 1000;
/** Below this threshold a box must be looked up at too many points for the grid to help. */
const lowestGridThreshold = 0.2;

/**
 * Greedy suppression: of the boxes in the given order, those with no IoU above the threshold with one kept before; at most
 * `maxOutput`. Box i is at `4 * (offset + i * stride)`. A degenerate box has IoU 0 with every other.
 */
export function suppress(
  boxes: BoxArray,
  offset: number,
  stride: number,
  order: Int32Array,
  iouThreshold: number,
  maxOutput: number,
): Int32Array {
  const limit = Math.max(0, Math.min(order.length, maxOutput));
  const kept = new KeptBoxes(limit, iouThreshold);
  const grid =
    order.length >= manyBoxes && iouThreshold >= lowestGridThreshold
      ? createGrid(boxes, offset, stride, order, iouThreshold)
      : undefined;
  const result = new Int32Array(limit);
  for (let i = 0; i < order.length && kept.count < limit; i++) {
    const k = 4 * (offset + order[i] * stride);
    const x1 = boxes[k];
    const y1 = boxes[k + 1];
    const x2 = boxes[k + 2];
    const y2 = boxes[k + 3];
    if (grid ? grid.suppresses(kept, x1, y1, x2, y2) : kept.suppresses(x1, y1, x2, y2)) continue;
    if (grid) grid.insert(kept.count, x1, y1, x2, y2);
    result[kept.count] = order[i];
    kept.add(x1, y1, x2, y2);
  }
  return result.slice(0, kept.count);
}

/** The kept boxes side by side, so that a loop over them runs through memory once. */
class KeptBoxes {
  count = 0;
  private readonly x1: Float32Array;
  private readonly y1: Float32Array;
  private readonly x2: Float32Array;
  private readonly y2: Float32Array;
  private readonly areas: Float32Array;
  private readonly iouThreshold: number;

  constructor(limit: number, iouThreshold: number) {
    this.x1 = new Float32Array(limit);
    this.y1 = new Float32Array(limit);
    this.x2 = new Float32Array(limit);
    this.y2 = new Float32Array(limit);
    this.areas = new Float32Array(limit);
    this.iouThreshold = iouThreshold;
  }

  add(x1: number, y1: number, x2: number, y2: number): void {
    const at = this.count++;
    const own = area(x1, y1, x2, y2);
    // A box without area, NaN among its corners perhaps, must not meet any other: it begins where none ends.
    this.x1[at] = own > 0 ? x1 : Infinity;
    this.y1[at] = y1;
    this.x2[at] = x2;
    this.y2[at] = y2;
    this.areas[at] = own;
  }

  /** Whether kept box j suppresses this one, which covers `own` square pixels. */
  suppressedBy(j: number, x1: number, y1: number, x2: number, y2: number, own: number): boolean {
    const left = this.x1[j] > x1 ? this.x1[j] : x1;
    const right = this.x2[j] < x2 ? this.x2[j] : x2;
    if (!(right > left)) return false;
    const top = this.y1[j] > y1 ? this.y1[j] : y1;
    const bottom = this.y2[j] < y2 ? this.y2[j] : y2;
    if (!(bottom > top)) return false;
    const fround = Math.fround;
    const intersection = fround(fround(right - left) * fround(bottom - top));
    const union = fround(fround(own + this.areas[j]) - intersection);
    return fround(intersection / union) > this.iouThreshold;
  }

  /** Whether any kept box suppresses this one. */
  suppresses(x1: number, y1: number, x2: number, y2: number): boolean {
    const own = area(x1, y1, x2, y2);
    for (let j = 0; j < this.count; j++) if (this.suppressedBy(j, x1, y1, x2, y2, own)) return true;
    return false;
  }
}

function area(x1: number, y1: number, x2: number, y2: number): number {
  return x2 > x1 && y2 > y1 ? Math.fround(Math.fround(x2 - x1) * Math.fround(y2 - y1)) : 0;
}

/**
 * Kept boxes by the grid cells they touch, so that a box meets only its neighbours.
 *
 * IoU above t means that the kept box covers more than the share t of this box's width and of its height. So of points spaced by
 * at most t times its sides, the kept box contains at least one, and looking into the cells of those points finds it: one point
 * for t from 0.5, 2 x 2 from a third.
 */
class SuppressionGrid {
  private readonly left: number;
  private readonly top: number;
  private readonly cellsPerPixelX: number;
  private readonly cellsPerPixelY: number;
  private readonly columns: number;
  /** First entry of each cell's linked list, -1 for none; an entry is a kept box and the next entry. */
  private readonly heads: Int32Array;
  private entries = new Int32Array(4096);
  private nextEntry = 0;
  private readonly points: number;
  private readonly slack: number;

  constructor(
    left: number,
    top: number,
    width: number,
    height: number,
    columns: number,
    rows: number,
    t: number,
  ) {
    this.left = left;
    this.top = top;
    this.columns = columns;
    // The last cell must take the right border too.
    this.cellsPerPixelX = (columns * (1 - 1e-9)) / width;
    this.cellsPerPixelY = (rows * (1 - 1e-9)) / height;
    this.heads = new Int32Array(columns * rows).fill(-1);
    this.points = Math.max(1, Math.ceil(1 / t) - 1);
    // Boxes are entered a little wider than they are: neither a rounded point nor a rounded IoU must let one fall beside them.
    this.slack = 1e-6 * Math.max(width, height, Math.abs(left), Math.abs(top));
  }

  insert(kept: number, x1: number, y1: number, x2: number, y2: number): void {
    if (!(x2 > x1 && y2 > y1)) return;
    const { slack, columns } = this;
    const lastColumn = this.column(x2 + slack);
    const lastRow = this.row(y2 + slack);
    for (let row = this.row(y1 - slack); row <= lastRow; row++) {
      for (let column = this.column(x1 - slack); column <= lastColumn; column++) {
        if (this.nextEntry + 2 > this.entries.length) {
          const larger = new Int32Array(2 * this.entries.length);
          larger.set(this.entries);
          this.entries = larger;
        }
        const cell = row * columns + column;
        this.entries[this.nextEntry] = kept;
        this.entries[this.nextEntry + 1] = this.heads[cell];
        this.heads[cell] = this.nextEntry;
        this.nextEntry += 2;
      }
    }
  }

  suppresses(kept: KeptBoxes, x1: number, y1: number, x2: number, y2: number): boolean {
    if (!(x2 > x1 && y2 > y1)) return false;
    const { points, entries, heads } = this;
    const own = area(x1, y1, x2, y2);
    let lastRow = -1;
    for (let i = 1; i <= points; i++) {
      const row = this.row(y1 + ((y2 - y1) * i) / (points + 1));
      if (row === lastRow) continue;
      lastRow = row;
      let lastColumn = -1;
      for (let j = 1; j <= points; j++) {
        const column = this.column(x1 + ((x2 - x1) * j) / (points + 1));
        if (column === lastColumn) continue;
        lastColumn = column;
        for (let at = heads[row * this.columns + column]; at >= 0; at = entries[at + 1]) {
          if (kept.suppressedBy(entries[at], x1, y1, x2, y2, own)) return true;
        }
      }
    }
    return false;
  }

  private column(x: number): number {
    return Math.max(0, Math.min(this.columns - 1, Math.floor((x - this.left) * this.cellsPerPixelX)));
  }

  private row(y: number): number {
    const rows = this.heads.length / this.columns;
    return Math.max(0, Math.min(rows - 1, Math.floor((y - this.top) * this.cellsPerPixelY)));
  }
}

/** A grid with cells of about the mean box's size, or none where boxes have no finite extent to lay one over. */
function createGrid(
  boxes: BoxArray,
  offset: number,
  stride: number,
  order: Int32Array,
  iouThreshold: number,
): SuppressionGrid | undefined {
  let left = Infinity;
  let top = Infinity;
  let right = -Infinity;
  let bottom = -Infinity;
  let widths = 0;
  let heights = 0;
  let count = 0;
  for (let i = 0; i < order.length; i++) {
    const k = 4 * (offset + order[i] * stride);
    const w = boxes[k + 2] - boxes[k];
    const h = boxes[k + 3] - boxes[k + 1];
    if (!(w > 0 && h > 0)) continue;
    if (boxes[k] < left) left = boxes[k];
    if (boxes[k + 1] < top) top = boxes[k + 1];
    if (boxes[k + 2] > right) right = boxes[k + 2];
    if (boxes[k + 3] > bottom) bottom = boxes[k + 3];
    widths += w;
    heights += h;
    count++;
  }
  const width = right - left;
  const height = bottom - top;
  if (!(width < Infinity && height < Infinity) || count === 0) return undefined;
  const cells = (extent: number, mean: number): number =>
    Math.max(1, Math.min(256, Math.ceil(extent / mean)));
  const columns = cells(width, widths / count);
  const rows = cells(height, heights / count);
  return new SuppressionGrid(left, top, width, height, columns, rows, iouThreshold);
}
