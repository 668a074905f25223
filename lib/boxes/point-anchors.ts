/**
 * Point anchors: a point for each cell of each map, and boxes told as distances from it (FCOS: Tian et al., ICCV 2019, section 3.1).
 * Order as for box anchors: levels from fine to coarse, row by row, cells left to right.
 */
import { type BoxArray, boxCount } from './geometry';

/** One map's points. */
export interface PointLevel {
  readonly rows: number;
  readonly cols: number;
  /** Distance between neighbouring points, pixels. */
  readonly stepX: number;
  readonly stepY: number;
  /** Index of the level's first point. */
  readonly start: number;
  /** `rows * cols`. */
  readonly count: number;
}

/** All points of a detector. */
export interface PointSet {
  /** `[P, 2]`, x and y in pixels of the network's input. */
  readonly points: Float32Array;
  readonly levels: readonly PointLevel[];
  readonly imageWidth: number;
  readonly imageHeight: number;
}

/** What `pointAnchors` needs. */
export interface PointAnchorOptions {
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** `[rows, cols]` of each map, from fine to coarse (`pyramidMaps` computes a pyramid's). */
  readonly maps: readonly (readonly [rows: number, cols: number])[];
  /** Pixels from cell to cell of each map. Default: image size / cells. */
  readonly steps?: readonly number[];
  /** Where in its cell a point lies, in cells. Default 0.5, the middle. */
  readonly offset?: number;
}

/** The points of all maps. No maps give no points. @throws RangeError when maps and steps do not go together. */
export function pointAnchors(options: PointAnchorOptions): PointSet {
  const { imageWidth, imageHeight, maps, steps, offset = 0.5 } = options;
  if (steps && steps.length !== maps.length) {
    throw new RangeError(
      `pointAnchors: ${maps.length} maps, but ${steps.length} steps; give one step a map, or none`,
    );
  }
  let total = 0;
  const levels = maps.map(([rows, cols], k): PointLevel => {
    if (!(Number.isInteger(rows) && Number.isInteger(cols) && rows > 0 && cols > 0)) {
      throw new RangeError(
        `pointAnchors: map ${k} must have positive whole numbers of cells, got ${rows} x ${cols}`,
      );
    }
    const [start, count] = [total, rows * cols];
    total += count;
    return {
      rows,
      cols,
      stepX: steps?.[k] ?? imageWidth / cols,
      stepY: steps?.[k] ?? imageHeight / rows,
      start,
      count,
    };
  });
  const points = new Float32Array(2 * total);
  let at = 0;
  for (const { rows, cols, stepX, stepY } of levels) {
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        points[at++] = (col + offset) * stepX;
        points[at++] = (row + offset) * stepY;
      }
    }
  }
  return { points, levels, imageWidth, imageHeight };
}

/**
 * Distances `[N, 4]` from point i to box i's left, top, right and bottom edge, in units of `scales[i]` pixels; negative where the
 * point lies outside the box. Empty in, empty out.
 * @param boxes `[N, 4]` xyxy
 * @param points `[N, 2]`
 * @param scales `[N]`, the points' steps, as torchvision's FCOS has it. Default: 1 pixel.
 */
export function encodeDistances(boxes: BoxArray, points: Float32Array, scales?: Float32Array): Float32Array {
  const n = pairCount(boxes, points, scales, 'encodeDistances');
  const out = new Float32Array(4 * n);
  for (let i = 0; i < n; i++) {
    const [x, y, scale] = [points[2 * i], points[2 * i + 1], scales?.[i] ?? 1];
    out[4 * i] = (x - boxes[4 * i]) / scale;
    out[4 * i + 1] = (y - boxes[4 * i + 1]) / scale;
    out[4 * i + 2] = (boxes[4 * i + 2] - x) / scale;
    out[4 * i + 3] = (boxes[4 * i + 3] - y) / scale;
  }
  return out;
}

/** Boxes `[N, 4]`, xyxy, of distances `[N, 4]` from points `[N, 2]`: the inverse of `encodeDistances`. Empty in, empty out. */
export function decodeDistances(
  distances: Float32Array,
  points: Float32Array,
  scales?: Float32Array,
): BoxArray {
  const n = pairCount(distances, points, scales, 'decodeDistances');
  const out = new Float32Array(4 * n);
  for (let i = 0; i < n; i++) {
    const [x, y, scale] = [points[2 * i], points[2 * i + 1], scales?.[i] ?? 1];
    out[4 * i] = x - distances[4 * i] * scale;
    out[4 * i + 1] = y - distances[4 * i + 1] * scale;
    out[4 * i + 2] = x + distances[4 * i + 2] * scale;
    out[4 * i + 3] = y + distances[4 * i + 3] * scale;
  }
  return out;
}

function pairCount(
  values: Float32Array,
  points: Float32Array,
  scales: Float32Array | undefined,
  where: string,
): number {
  const n = boxCount(values);
  if (points.length !== 2 * n || (scales && scales.length !== n)) {
    throw new RangeError(
      `${where}: ${n} boxes, but ${points.length / 2} points and ${scales?.length ?? 'no'} scales; give one of each a box`,
    );
  }
  return n;
}
