/** The anchors of detectors on a feature pyramid: RetinaNet, Faster R-CNN's region proposals, EfficientDet. */
import { type AnchorSet, type BoxAnchorLevel, boxAnchors } from './anchors';

/** What RetinaNet's and the region proposals' anchors depend on. */
export interface PyramidAnchorOptions {
  /** Of the network's input, padding included, pixels. */
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** `[rows, cols]` of each map, from fine to coarse. Default: image size / 2^level, rounded up, for the published levels. */
  readonly maps?: readonly (readonly [rows: number, cols: number])[];
  /** For each map the square roots of its anchors' areas, pixels. Default: the published ones. */
  readonly sizes?: readonly (readonly number[])[];
  /** Heights by widths. Default 1/2, 1, 2. */
  readonly ratios?: readonly number[];
  /**
   * Whose rules: `torchvision` (default) rounds an anchor's corners to whole pixels around its centre (halves to even), lists all
   * sizes of the first ratio, then the second's, and takes a step of image size / cells, rounded down; `detectron2` rounds
   * nothing, lists all ratios of the first size, then the second's, and takes 2^level. Both have centres at the cells' upper left
   * corners.
   */
  readonly follow?: 'torchvision' | 'detectron2';
}

const ratios = [0.5, 1, 2];

/**
 * RetinaNet's anchors (Lin et al., ICCV 2017, section 4): levels 3 to 7, squares of 32 to 512 pixels, three sizes an octave, three
 * ratios; 9 a cell. torchvision cuts the sizes to whole pixels (32, 40, 50, ...); so does this unless it follows `detectron2`.
 */
export function retinaNetAnchors(options: PyramidAnchorOptions): AnchorSet {
  const octaves = [1, 2 ** (1 / 3), 2 ** (2 / 3)];
  const cut = options.follow === 'detectron2' ? (size: number): number => size : Math.trunc;
  const sizes = [32, 64, 128, 256, 512].map((size) => octaves.map((octave) => cut(size * octave)));
  return pyramidAnchors(options, options.sizes ?? sizes, 3);
}

/**
 * The anchors of Faster R-CNN's region proposals on a feature pyramid (Lin et al., CVPR 2017, section 4.1): levels 2 to 6, one
 * size a level from 32 to 512 pixels, three ratios; 3 a cell.
 */
export function rpnAnchors(options: PyramidAnchorOptions): AnchorSet {
  return pyramidAnchors(options, options.sizes ?? [[32], [64], [128], [256], [512]], 2);
}

function pyramidAnchors(
  options: PyramidAnchorOptions,
  sizes: readonly (readonly number[])[],
  firstLevel: number,
): AnchorSet {
  const { imageWidth, imageHeight, follow = 'torchvision' } = options;
  const maps = options.maps ?? pyramidMaps(imageWidth, imageHeight, firstLevel, sizes.length);
  if (maps.length !== sizes.length) {
    throw new RangeError(
      `Anchors: ${maps.length} maps need sizes for as many levels, got ${sizes.length}; give both maps and sizes`,
    );
  }
  const levels = maps.map(([rows, cols], k): BoxAnchorLevel => {
    const shapes = cellShapes(sizes[k], options.ratios ?? ratios, follow);
    const step: [number, number] =
      follow === 'torchvision'
        ? [Math.floor(imageWidth / cols), Math.floor(imageHeight / rows)]
        : [2 ** (firstLevel + k), 2 ** (firstLevel + k)];
    return { rows, cols, step, shapes };
  });
  return boxAnchors({ imageWidth, imageHeight, levels, offset: 0 });
}

function cellShapes(
  sizes: readonly number[],
  heightsByWidths: readonly number[],
  follow: 'torchvision' | 'detectron2',
): [number, number][] {
  if (follow === 'detectron2') {
    return sizes.flatMap((size) =>
      heightsByWidths.map((ratio): [number, number] => {
        const width = Math.sqrt((size * size) / ratio);
        return [width, ratio * width];
      }),
    );
  }
  return heightsByWidths.flatMap((ratio) =>
    sizes.map((size): [number, number] => {
      const root = Math.sqrt(ratio);
      return [2 * halfToEven(size / root / 2), 2 * halfToEven((size * root) / 2)];
    }),
  );
}

function halfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `[rows, cols]` of a pyramid's maps: each level halves the one before and rounds up, as convolutions of stride 2 with padding do. */
export function pyramidMaps(
  imageWidth: number,
  imageHeight: number,
  firstLevel: number,
  levels: number,
): [rows: number, cols: number][] {
  return Array.from({ length: levels }, (_, k) => {
    const stride = 2 ** (firstLevel + k);
    return [Math.ceil(imageHeight / stride), Math.ceil(imageWidth / stride)];
  });
}

/** What EfficientDet's anchors depend on; the defaults are those of D0 to D6. */
export interface EfficientDetAnchorOptions {
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** First and last level of the pyramid. Default 3 and 7; D7x goes to 8. */
  readonly minLevel?: number;
  readonly maxLevel?: number;
  /** Side of the smallest square in steps of its level. Default 4; D7 has 5. */
  readonly anchorScale?: number;
  /** Sizes an octave. Default 3. */
  readonly scales?: number;
  /**
   * What the square's width and height are multiplied by; a number r stands for `[sqrt(r), 1 / sqrt(r)]`, as in the release's last
   * version. Default `[1, 1]`, `[1.4, 0.7]`, `[0.7, 1.4]`, with which the published weights were trained.
   */
  readonly aspects?: readonly (number | readonly [x: number, y: number])[];
}

/**
 * EfficientDet's anchors (Tan et al., CVPR 2020; the authors' release): `scales * aspects` a cell, all aspects of the smallest size
 * first, centres in the middle of the cells; a step is image size / cells.
 */
export function efficientDetAnchors(options: EfficientDetAnchorOptions): AnchorSet {
  const { imageWidth, imageHeight, minLevel = 3, maxLevel = 7, anchorScale = 4, scales = 3 } = options;
  const aspects = (
    options.aspects ?? [
      [1, 1],
      [1.4, 0.7],
      [0.7, 1.4],
    ]
  ).map((aspect): readonly [number, number] =>
    typeof aspect === 'number' ? [Math.sqrt(aspect), 1 / Math.sqrt(aspect)] : aspect,
  );
  const levels = pyramidMaps(imageWidth, imageHeight, minLevel, maxLevel - minLevel + 1).map(
    ([rows, cols]): BoxAnchorLevel => {
      const [stepX, stepY] = [imageWidth / cols, imageHeight / rows];
      const shapes = Array.from({ length: scales }, (_, k) => 2 ** (k / scales)).flatMap((octave) =>
        aspects.map(([x, y]): [number, number] => [
          anchorScale * stepX * octave * x,
          anchorScale * stepY * octave * y,
        ]),
      );
      return { rows, cols, step: [stepX, stepY], shapes };
    },
  );
  return boxAnchors({ imageWidth, imageHeight, levels });
}
