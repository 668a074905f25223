/**
 * SSD's anchors in the references' own form and to their last bit: fractions of the image, clipped and rounded in each one's order.
 * For weights and tests that come from there; everything here works on `ssdAnchors`, which are in pixels.
 */
import { type SsdAnchorConfig, type SsdAnchorLevel, ssdAnchors } from './anchors';

/**
 * What Caffe SSD's `PriorBox` layers write: `[A, 4]`, xyxy as fractions of the image. Sizes are whole pixels, whatever
 * `config.wholeSizes` says; centres, widths and heights are rounded to float32 in pixels, corners in fractions; clipped, if
 * `config.clip` is not `none`, at 0 and 1.
 */
export function caffePriors(config: SsdAnchorConfig): Float32Array {
  const { levels, imageWidth, imageHeight } = ssdAnchors({ ...config, wholeSizes: true, clip: 'none' });
  const { offset = 0.5, clip = 'none' } = config;
  const bound = (value: number): number => (clip === 'none' ? value : Math.min(Math.max(value, 0), 1));
  const priors: number[] = [];
  levels.forEach(({ rows, cols, stepX, stepY }, k) => {
    const shapes = caffeShapes(config.levels[k], config);
    for (let row = 0; row < rows; row++) {
      const y = Math.fround((row + offset) * Math.fround(stepY));
      for (let col = 0; col < cols; col++) {
        const x = Math.fround((col + offset) * Math.fround(stepX));
        for (const [width, height] of shapes) {
          const w = width / 2;
          const h = height / 2;
          priors.push(
            bound((x - w) / imageWidth),
            bound((y - h) / imageHeight),
            bound((x + w) / imageWidth),
            bound((y + h) / imageHeight),
          );
        }
      }
    }
  });
  return Float32Array.from(priors);
}

/** A cell's shapes in float32: a flipped ratio is the float32 reciprocal of one, not the same box upright. */
function caffeShapes(
  { minSize, maxSize, ratios }: SsdAnchorLevel,
  { flip = true, order = 'squares-first' }: SsdAnchorConfig,
): [number, number][] {
  const { fround } = Math;
  const small = Math.trunc(minSize);
  const square = (side: number): [number, number] => [side, side];
  const large = maxSize === undefined ? [] : [square(fround(Math.sqrt(small * Math.trunc(maxSize))))];
  const others = ratios
    .filter((ratio) => ratio !== 1)
    .flatMap((ratio) => (flip ? [fround(ratio), fround(1 / fround(ratio))] : [fround(ratio)]))
    .map((ratio): [number, number] => [fround(small * Math.sqrt(ratio)), fround(small / Math.sqrt(ratio))]);
  return order === 'squares-first'
    ? [square(small), ...large, ...others]
    : [square(small), ...others, ...large];
}

/**
 * What ssd.pytorch's `PriorBox` returns: `[A, 4]`, centre, width and height as fractions of the image, exact until they are rounded
 * to float32; clipped, if `config.clip` is not `none`, at 0 and 1. Sizes are not cut to whole pixels, whatever `config.wholeSizes`
 * says, and `config.flip` and `config.order` are as if left out.
 * @throws RangeError when the image is not square.
 */
export function pytorchPriors(config: SsdAnchorConfig): Float32Array {
  const { imageWidth: size, imageHeight, offset = 0.5, clip = 'none', levels: sizes } = config;
  if (imageHeight !== size) {
    throw new RangeError(`pytorchPriors: the image must be square, got ${size} x ${imageHeight}`);
  }
  const bound = (value: number): number => (clip === 'none' ? value : Math.min(Math.max(value, 0), 1));
  const priors: number[] = [];
  ssdAnchors({ ...config, wholeSizes: false, clip: 'none' }).levels.forEach((level, k) => {
    const { minSize, maxSize, ratios } = sizes[k];
    const small = minSize / size;
    const shapes: [number, number][] = [[small, small]];
    if (maxSize !== undefined) {
      const large = Math.sqrt(small * (maxSize / size));
      shapes.push([large, large]);
    }
    for (const ratio of ratios) {
      const root = Math.sqrt(ratio);
      shapes.push([small * root, small / root], [small / root, small * root]);
    }
    const cells = size / level.stepX;
    for (let row = 0; row < level.rows; row++) {
      for (let col = 0; col < level.cols; col++) {
        const x = bound((col + offset) / cells);
        const y = bound((row + offset) / cells);
        for (const [w, h] of shapes) priors.push(x, y, bound(w), bound(h));
      }
    }
  });
  return Float32Array.from(priors);
}
