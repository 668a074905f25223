/**
 * Anchors (SSD calls them default or prior boxes): for every cell of every detection map, a few boxes around the cell's centre.
 *
 * Order, everywhere: levels from fine to coarse; in a level row by row, cells left to right; in a cell, the shapes in the order
 * of `AnchorLevel.shapes`. It is the order in which a prediction tensor `[B, rows, cols, shapes * 4]` reshaped to
 * `[B, rows * cols * shapes, 4]` lists them.
 */
import type { BoxArray } from './geometry';

/** One detection map's anchors. */
export interface AnchorLevel {
  readonly rows: number;
  readonly cols: number;
  /** Distance between neighbouring cell centres, pixels. */
  readonly stepX: number;
  readonly stepY: number;
  /** Width and height in pixels of each anchor of a cell, before clipping. */
  readonly shapes: readonly (readonly [width: number, height: number])[];
  /** Index of the level's first anchor in `AnchorSet.boxes`. */
  readonly start: number;
  /** `rows * cols * shapes.length`. */
  readonly count: number;
}

/** All anchors of a detector. */
export interface AnchorSet {
  /** `[A, 4]`, xyxy in pixels of the network's input image. */
  readonly boxes: BoxArray;
  readonly levels: readonly AnchorLevel[];
  /** Of the network's input, pixels. */
  readonly imageWidth: number;
  readonly imageHeight: number;
}

/**
 * How anchors that leave the image are cut: `none`; `corners` moves their corners onto the image (Caffe SSD's `clip: true`);
 * `center-size` moves a centre outside the image onto its border and cuts width and height to the image's (what
 * ssd.pytorch's `clip: True` does, since it clamps before it turns centre and size into corners); `size` cuts width and height
 * alone (torchvision's `DefaultBoxGenerator`).
 */
export type AnchorClip = 'none' | 'corners' | 'center-size' | 'size';

/** One detection map's anchors as `boxAnchors` wants them. */
export interface BoxAnchorLevel {
  /** Cells of the detection map. */
  readonly rows: number;
  readonly cols: number;
  /** Pixels from cell to cell, both ways or each. Default: image size / cells. */
  readonly step?: number | readonly [x: number, y: number];
  /** Width and height in pixels of each anchor of a cell. */
  readonly shapes: readonly (readonly [width: number, height: number])[];
}

/** Everything that fixes a set of anchors. */
export interface BoxAnchorConfig {
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** From fine to coarse. */
  readonly levels: readonly BoxAnchorLevel[];
  /** Where in its cell an anchor's centre lies, in cells: 0.5 is the middle (default), 0 the upper left corner. */
  readonly offset?: number;
  /** Default `none`. */
  readonly clip?: AnchorClip;
}

/**
 * Anchors of any shapes around the cells of any maps: what the published sets below are made of. No levels give no anchors.
 *
 * Sizes and centres are exact in double precision and rounded once, as corners, to float32.
 * @throws RangeError naming the level and the value that cannot be.
 */
export function boxAnchors(config: BoxAnchorConfig): AnchorSet {
  const { imageWidth, imageHeight, offset = 0.5, clip = 'none' } = config;
  positive(imageWidth, 'imageWidth');
  positive(imageHeight, 'imageHeight');
  let total = 0;
  const levels = config.levels.map((level, index): AnchorLevel => {
    const where = `level ${index}'s`;
    const rows = wholeNumber(level.rows, `${where} rows`);
    const cols = wholeNumber(level.cols, `${where} cols`);
    const { step = [imageWidth / cols, imageHeight / rows], shapes } = level;
    const [stepX, stepY] = typeof step === 'number' ? [step, step] : step;
    positive(stepX, `${where} step`);
    positive(stepY, `${where} step`);
    for (const [width, height] of shapes) {
      positive(width, `${where} anchor width`);
      positive(height, `${where} anchor height`);
    }
    const start = total;
    const count = rows * cols * shapes.length;
    total += count;
    return { rows, cols, stepX, stepY, shapes, start, count };
  });
  const boxes = new Float32Array(4 * total);
  for (const level of levels) placeAnchors(boxes, level, offset, clip, imageWidth, imageHeight);
  return { boxes, levels, imageWidth, imageHeight };
}

/** The shapes around one level's cells, in SSD's terms (Liu et al., ECCV 2016, section 2.2). */
export interface SsdAnchorLevel {
  /** Cells of the detection map. */
  readonly rows: number;
  readonly cols: number;
  /** Pixels from cell to cell, both ways. Default: image size / cells, a value an axis. */
  readonly step?: number;
  /** Side of the small square, pixels: `s_k`. */
  readonly minSize: number;
  /** Adds a square with side `sqrt(minSize * maxSize)`: `s'_k`. */
  readonly maxSize?: number;
  /** Aspect ratios besides 1; each gives a box `minSize * sqrt(r)` by `minSize / sqrt(r)`, and, flipped, one upright. */
  readonly ratios: readonly number[];
}

/** Everything that fixes SSD's anchors. */
export interface SsdAnchorConfig {
  readonly imageWidth: number;
  readonly imageHeight: number;
  readonly levels: readonly SsdAnchorLevel[];
  /** Where in its cell an anchor's centre lies, in cells. Default 0.5. */
  readonly offset?: number;
  /** Whether each ratio also gives its reciprocal. Default true. */
  readonly flip?: boolean;
  /** Default `none`. */
  readonly clip?: AnchorClip;
  /**
   * Order of the shapes in a cell: the two squares first (the default; Caffe SSD, ssd.pytorch, torchvision and MMDetection agree)
   * or the large square last (Caffe's `min_max_aspect_ratios_order: false`).
   */
  readonly order?: 'squares-first' | 'large-square-last';
  /** Cuts `minSize` and `maxSize` to whole pixels, as Caffe SSD (which keeps them as integers) and MMDetection do. Default false. */
  readonly wholeSizes?: boolean;
}

/**
 * SSD's anchors. Levels without ratios or `maxSize` are allowed; no levels give no anchors.
 *
 * Sizes and centres are exact in double precision and rounded once, as corners, to float32; the references' own float32 steps
 * (Caffe: pixels, then divided by the image size; ssd.pytorch: fractions) differ from this by the last bit or two. `ssdPriors`
 * has their bits.
 * @throws RangeError naming the level and the value that cannot be.
 */
export function ssdAnchors(config: SsdAnchorConfig): AnchorSet {
  const { flip = true, order = 'squares-first', wholeSizes = false } = config;
  const size = (value: number, what: string): number =>
    positive(wholeSizes ? Math.trunc(value) : value, what);
  const levels = config.levels.map((level, index): BoxAnchorLevel => {
    const where = `level ${index}'s`;
    const min = size(level.minSize, `${where} minSize`);
    const small: [number, number][] = [[min, min]];
    const large: [number, number][] = [];
    if (level.maxSize !== undefined) {
      const side = Math.sqrt(min * size(level.maxSize, `${where} maxSize`));
      large.push([side, side]);
    }
    const others: [number, number][] = [];
    for (const ratio of level.ratios) {
      const root = Math.sqrt(positive(ratio, `${where} ratio`));
      if (ratio === 1) continue; // the small square already
      others.push([min * root, min / root]);
      if (flip) others.push([min / root, min * root]);
    }
    const shapes =
      order === 'squares-first' ? [...small, ...large, ...others] : [...small, ...others, ...large];
    return { rows: level.rows, cols: level.cols, step: level.step, shapes };
  });
  const { imageWidth, imageHeight, offset, clip } = config;
  return boxAnchors({ imageWidth, imageHeight, levels, offset, clip });
}

function placeAnchors(
  boxes: BoxArray,
  level: AnchorLevel,
  offset: number,
  clip: AnchorClip,
  imageWidth: number,
  imageHeight: number,
): void {
  const { rows, cols, stepX, stepY, shapes, start } = level;
  const bound = (value: number, limit: number, bounded: boolean): number =>
    bounded ? Math.min(Math.max(value, 0), limit) : value;
  const boundCentre = clip === 'center-size';
  const boundSize = boundCentre || clip === 'size';
  let at = 4 * start;
  for (let row = 0; row < rows; row++) {
    const cy = bound((row + offset) * stepY, imageHeight, boundCentre);
    for (let col = 0; col < cols; col++) {
      const cx = bound((col + offset) * stepX, imageWidth, boundCentre);
      for (const shape of shapes) {
        const w = bound(shape[0], imageWidth, boundSize);
        const h = bound(shape[1], imageHeight, boundSize);
        const corners = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
        for (let i = 0; i < 4; i++) {
          const limit = i % 2 === 0 ? imageWidth : imageHeight;
          boxes[at++] = clip === 'corners' ? Math.min(Math.max(corners[i], 0), limit) : corners[i];
        }
      }
    }
  }
}

/** What `gridAnchors` needs: any image size, any detection maps. */
export interface GridAnchorOptions {
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** `[rows, cols]` of each detection map, from fine to coarse. */
  readonly maps: readonly (readonly [rows: number, cols: number])[];
  /**
   * Side of the small square of the finest and of the coarsest level, as a fraction of the image's shorter side; the levels
   * between are spaced evenly (SSD, equation 4). Default 0.2 to 0.9, the paper's.
   */
  readonly scales?: readonly [finest: number, coarsest: number];
  /** Or the small square's side at each level, pixels, and one more for the last level's large square. Overrides `scales`. */
  readonly sizes?: readonly number[];
  /** Ratios besides 1: for all levels, or a list a level. Default `[2]`. Flips are added. */
  readonly ratios?: readonly number[] | readonly (readonly number[])[];
  /** Default `none`. */
  readonly clip?: AnchorClip;
}

/**
 * SSD anchors for a detector of one's own: steps are image size / cells, sizes follow the ratio rule, and each level's large
 * square has side `sqrt(s_k s_{k+1})`. A single level uses the two scales as `s_1` and `s_2`.
 */
export function gridAnchors(options: GridAnchorOptions): AnchorSet {
  const { imageWidth, imageHeight, maps, scales = [0.2, 0.9], ratios = [2], clip } = options;
  const count = maps.length;
  let sizes = options.sizes;
  if (sizes === undefined) {
    const step = count > 1 ? (scales[1] - scales[0]) / (count - 1) : scales[1] - scales[0];
    const shorter = Math.min(imageWidth, imageHeight);
    sizes = Array.from({ length: count + 1 }, (_, k) => shorter * (scales[0] + step * k));
  } else if (sizes.length !== count + 1) {
    throw new RangeError(
      `gridAnchors: ${count} maps need ${count + 1} sizes, the last one for the coarsest level's large square; got ${sizes.length}`,
    );
  }
  const nested = ratios.some((r) => typeof r !== 'number');
  if (nested && ratios.length !== count) {
    throw new RangeError(
      `gridAnchors: ratios has lists for ${ratios.length} levels, but there are ${count} maps`,
    );
  }
  const levels = maps.map(([rows, cols], k): SsdAnchorLevel => ({
    rows,
    cols,
    minSize: sizes[k],
    maxSize: sizes[k + 1],
    ratios: (nested ? ratios[k] : ratios) as readonly number[],
  }));
  return ssdAnchors({ imageWidth, imageHeight, levels, clip });
}

function positive(value: number, what: string): number {
  if (!(value > 0 && value < Infinity))
    throw new RangeError(`Anchors: ${what} must be a positive number, got ${value}`);
  return value;
}

function wholeNumber(value: number, what: string): number {
  if (!(Number.isInteger(value) && value > 0)) {
    throw new RangeError(`Anchors: ${what} must be a positive whole number, got ${value}`);
  }
  return value;
}
