/** Tensors as images: what a network is given, what a layer makes of it, where a mask lies. */
import type { RgbImage } from '../data/types';

/** What this file needs of a tensor; the whole type would slow a notebook cell that only mentions pictures. */
export interface ImageTensor {
  readonly shape: readonly number[];
  readonly isDisposed: boolean;
  data(): Promise<ArrayLike<number | string>>;
}

/** Options of {@link tensorImage}. */
export interface TensorImageOptions {
  /**
   * The values that become black and full brightness; what lies beyond is cut. Unless told: for one channel its least and
   * greatest value; for colours 0 to 1 where all values lie between, else 0 to 255, and where some are negative the least and the
   * greatest value.
   */
  range?: readonly [black: number, white: number];
  /** Undoes a loader's `(value - mean) / std`, a number a channel; the range is then 0 to 255 unless told. */
  mean?: readonly number[];
  std?: readonly number[];
  /** Which image of a batch, from 0 (the first unless told). */
  index?: number;
}

/** NaN has no place between black and white: it is seen at once in a colour that photographs do not have. */
const nanColor = [255, 0, 255];

/**
 * A tensor as an 8-bit RGB image: `await tensorImage(batch, { index: 3, mean: recipe.mean, std: recipe.std })`. As a cell's last
 * expression the image shows itself; `drawBoxes(image, { classes })` makes a picture of it that `show` and `imageGrid` take, with
 * boxes or without.
 *
 * The tensor is `[H, W]`, `[H, W, C]` or `[B, H, W, C]`, of any numeric type, with one channel (grey), three (RGB), or four (the
 * fourth, transparency, is dropped); it is read once and not disposed. Infinite values count as the ends of the range; NaN becomes
 * magenta.
 * @throws RangeError on any other shape, an index outside the batch, or a disposed tensor.
 */
export async function tensorImage(tensor: ImageTensor, options: TensorImageOptions = {}): Promise<RgbImage> {
  const { shape } = tensor;
  const written = `[${shape.join(', ')}]`;
  if (tensor.isDisposed) throw new RangeError(`tensorImage: the tensor ${written} is disposed`);
  const [batch, height, width, channels] =
    shape.length === 2 ? [1, ...shape, 1] : shape.length === 3 ? [1, ...shape] : shape;
  if (shape.length < 2 || shape.length > 4 || ![1, 3, 4].includes(channels) || height * width === 0) {
    throw new RangeError(
      `tensorImage: a tensor of shape ${written} is no image; give [H, W], [H, W, C] or [B, H, W, C] with 1, 3 or 4 channels` +
        (shape.length >= 3 && channels > 4 ? ', such as one channel of it by slice()' : ''),
    );
  }
  const index = options.index ?? 0;
  if (!Number.isInteger(index) || index < 0 || index >= batch) {
    throw new RangeError(`tensorImage: there is no image ${index} in a batch of ${batch}, counted from 0`);
  }
  const pixels = height * width;
  const all = await tensor.data();
  const { mean, std } = options;
  const colors = Math.min(channels, 3);
  const values = new Float32Array(pixels * colors);
  for (let i = 0, source = index * pixels * channels, target = 0; i < pixels; i++, source += channels) {
    for (let c = 0; c < colors; c++)
      values[target++] = Number(all[source + c]) * (std?.[c] ?? 1) + (mean?.[c] ?? 0);
  }
  const [black, white] = options.range ?? (mean || std ? [0, 255] : rangeOf(values, colors));
  const scale = white > black ? 255 / (white - black) : 0;
  const data = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const color = values.subarray(i * colors, (i + 1) * colors);
    const broken = color.some(Number.isNaN);
    for (let c = 0; c < 3; c++) {
      const level = ((colors === 1 ? color[0] : color[c]) - black) * scale;
      data[3 * i + c] = broken ? nanColor[c] : Math.round(Math.min(255, Math.max(0, level)));
    }
  }
  return { width, height, data };
}

function rangeOf(values: Float32Array, colors: number): readonly [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (colors === 1 || low < 0) return [low, high];
  return [0, high > 1 ? 255 : 1];
}
