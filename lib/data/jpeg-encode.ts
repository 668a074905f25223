/**
 * A baseline JPEG encoder (ITU T.81, no chroma subsampling). Exists because jpeg-js rebuilds its tables for every image, which
 * takes ten times as long as encoding a small one; integer and IEEE arithmetic only, so its bytes are the same everywhere.
 */
import { jpegTables, type HuffmanTable } from './jpeg-tables';
import type { RgbImage } from './types';

/** Scale factors of the AAN cosine transform: cos(k pi / 16) * sqrt(2), written out so that no engine's cosine matters. */
// prettier-ignore
const aan = [1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379];

/** Coefficient order of the bit stream: index in the 8 x 8 block for each position. */
const zigzag: readonly number[] = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
  53, 60, 61, 54, 47, 55, 62, 63,
];

/** Quantisation for one quality: the table as written, in zigzag order, and what a coefficient is multiplied by. */
interface Quantiser {
  readonly written: Uint8Array;
  readonly factors: Float64Array;
}

const quantisers = new Map<number, readonly [Quantiser, Quantiser]>();

/** Luminance and chrominance quantisers, scaled as the Independent JPEG Group's library does. */
function quantisersOf(quality: number): readonly [Quantiser, Quantiser] {
  let pair = quantisers.get(quality);
  if (pair === undefined) {
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - quality * 2;
    const make = (base: readonly number[]): Quantiser => {
      const factors = new Float64Array(64);
      const written = new Uint8Array(64);
      base.forEach((value, i) => {
        const step = Math.max(1, Math.min(255, Math.floor((value * scale + 50) / 100)));
        written[zigzag.indexOf(i)] = step;
        factors[i] = 1 / (step * aan[i >> 3] * aan[i & 7] * 8);
      });
      return { written, factors };
    };
    pair = [make(jpegTables.luminance), make(jpegTables.chrominance)];
    quantisers.set(quality, pair);
  }
  return pair;
}

/** Bits into bytes, with a zero stuffed after each 255. */
class BitWriter {
  bytes: Uint8Array;
  length = 0;
  private accumulator = 0;
  private pending = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  put(...values: readonly number[]): void {
    for (const value of values) this.byte(value);
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes[this.length++] = value;
  }

  bits(code: number, count: number): void {
    // At most 7 pending and 16 new bits: 32-bit arithmetic is enough.
    this.accumulator = (this.accumulator << count) | code;
    this.pending += count;
    while (this.pending >= 8) {
      this.pending -= 8;
      const value = (this.accumulator >>> this.pending) & 255;
      this.byte(value);
      if (value === 255) this.byte(0);
    }
    this.accumulator &= (1 << this.pending) - 1;
  }

  /** Fills the last byte with ones. */
  flush(): void {
    if (this.pending > 0) this.bits((1 << (8 - this.pending)) - 1, 8 - this.pending);
  }
}

/**
 * Encodes an image.
 * @param quality 1 to 100, as libjpeg counts it.
 * @throws RangeError on a quality out of range or an image without pixels or too large for the format.
 */
export function encodeJpeg(image: RgbImage, quality: number): Uint8Array {
  const { width, height } = image;
  if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
    throw new RangeError(`encodeJpeg: quality is ${quality}; it must be a whole number from 1 to 100`);
  }
  if (width < 1 || height < 1 || width > 65535 || height > 65535) {
    throw new RangeError(
      `encodeJpeg: the image is ${width} x ${height}; JPEG holds 1 to 65535 pixels a side`,
    );
  }
  const [luminance, chrominance] = quantisersOf(quality);
  const out = new BitWriter(1024 + width * height);
  writeHeaders(out, width, height, luminance, chrominance);

  const planes = [new Float64Array(64), new Float64Array(64), new Float64Array(64)];
  const coefficients = new Int32Array(64);
  const last = [0, 0, 0];
  for (let y = 0; y < height; y += 8) {
    for (let x = 0; x < width; x += 8) {
      loadBlock(image, x, y, planes);
      for (let c = 0; c < 3; c++) {
        transform(planes[c]);
        quantise(planes[c], c === 0 ? luminance : chrominance, coefficients);
        const tables = c === 0 ? jpegTables.luminanceCodes : jpegTables.chrominanceCodes;
        writeBlock(out, coefficients, last[c], tables.dc, tables.ac);
        last[c] = coefficients[0];
      }
    }
  }
  out.flush();
  out.put(0xff, 0xd9);
  return out.bytes.slice(0, out.length);
}

/** 8 x 8 pixels as luma and chroma about zero; beyond the edge the last row and column repeat. */
function loadBlock(
  { width, height, data }: RgbImage,
  x: number,
  y: number,
  [luma, blue, red]: readonly Float64Array[],
): void {
  for (let j = 0, k = 0; j < 8; j++) {
    const row = Math.min(height - 1, y + j) * width;
    for (let i = 0; i < 8; i++, k++) {
      const at = (row + Math.min(width - 1, x + i)) * 3;
      const r = data[at];
      const g = data[at + 1];
      const b = data[at + 2];
      luma[k] = 0.299 * r + 0.587 * g + 0.114 * b - 128;
      blue[k] = -0.168736 * r - 0.331264 * g + 0.5 * b;
      red[k] = 0.5 * r - 0.418688 * g - 0.081312 * b;
    }
  }
}

/** The cosine transform of Arai, Agui and Nakajima, rows then columns; what it leaves unscaled is in the quantiser. */
function transform(block: Float64Array): void {
  for (let k = 0; k < 64; k += 8) transformLine(block, k, 1);
  for (let k = 0; k < 8; k++) transformLine(block, k, 8);
}

function transformLine(d: Float64Array, o: number, s: number): void {
  const a0 = d[o] + d[o + 7 * s];
  const a7 = d[o] - d[o + 7 * s];
  const a1 = d[o + s] + d[o + 6 * s];
  const a6 = d[o + s] - d[o + 6 * s];
  const a2 = d[o + 2 * s] + d[o + 5 * s];
  const a5 = d[o + 2 * s] - d[o + 5 * s];
  const a3 = d[o + 3 * s] + d[o + 4 * s];
  const a4 = d[o + 3 * s] - d[o + 4 * s];
  // Even part.
  const b0 = a0 + a3;
  const b3 = a0 - a3;
  const b1 = a1 + a2;
  const b2 = a1 - a2;
  d[o] = b0 + b1;
  d[o + 4 * s] = b0 - b1;
  const z1 = (b2 + b3) * 0.707106781;
  d[o + 2 * s] = b3 + z1;
  d[o + 6 * s] = b3 - z1;
  // Odd part.
  const c4 = a4 + a5;
  const c5 = a5 + a6;
  const c6 = a6 + a7;
  const z5 = (c4 - c6) * 0.382683433;
  const z2 = 0.5411961 * c4 + z5;
  const z4 = 1.306562965 * c6 + z5;
  const z3 = c5 * 0.707106781;
  const e1 = a7 + z3;
  const e2 = a7 - z3;
  d[o + 5 * s] = e2 + z2;
  d[o + 3 * s] = e2 - z2;
  d[o + s] = e1 + z4;
  d[o + 7 * s] = e1 - z4;
}

function quantise(block: Float64Array, { factors }: Quantiser, out: Int32Array): void {
  for (let k = 0; k < 64; k++) {
    const value = block[zigzag[k]] * factors[zigzag[k]];
    out[k] = value < 0 ? -Math.floor(0.5 - value) : Math.floor(0.5 + value);
  }
}

/** One block: the difference of its mean to the last one's, then runs of zeros and values. */
function writeBlock(
  out: BitWriter,
  block: Int32Array,
  last: number,
  dc: HuffmanTable,
  ac: HuffmanTable,
): void {
  const difference = block[0] - last;
  const size = bitSize(difference);
  out.bits(dc.codes[size], dc.lengths[size]);
  if (size > 0) out.bits(difference < 0 ? difference + (1 << size) - 1 : difference, size);
  let end = 63;
  while (end > 0 && block[end] === 0) end--;
  let run = 0;
  for (let k = 1; k <= end; k++) {
    const value = block[k];
    if (value === 0) {
      run++;
      continue;
    }
    for (; run > 15; run -= 16) out.bits(ac.codes[0xf0], ac.lengths[0xf0]);
    const bits = bitSize(value);
    const symbol = (run << 4) | bits;
    out.bits(ac.codes[symbol], ac.lengths[symbol]);
    out.bits(value < 0 ? value + (1 << bits) - 1 : value, bits);
    run = 0;
  }
  if (end < 63) out.bits(ac.codes[0], ac.lengths[0]);
}

/** How many bits a value's magnitude takes. */
function bitSize(value: number): number {
  return 32 - Math.clz32(value < 0 ? -value : value);
}

function writeHeaders(
  out: BitWriter,
  width: number,
  height: number,
  luminance: Quantiser,
  chrominance: Quantiser,
): void {
  const word = (value: number): [number, number] => [value >> 8, value & 255];
  out.put(0xff, 0xd8);
  out.put(0xff, 0xe0, ...word(16), 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0); // JFIF 1.1
  out.put(0xff, 0xdb, ...word(2 + 2 * 65), 0, ...luminance.written, 1, ...chrominance.written);
  out.put(0xff, 0xc0, ...word(17), 8, ...word(height), ...word(width), 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1);
  const { luminanceCodes: l, chrominanceCodes: c } = jpegTables;
  for (const [id, table] of [
    [0x00, l.dc],
    [0x10, l.ac],
    [0x01, c.dc],
    [0x11, c.ac],
  ] as const) {
    out.put(0xff, 0xc4, ...word(3 + 16 + table.symbols.length), id, ...table.counts, ...table.symbols);
  }
  out.put(0xff, 0xda, ...word(12), 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0);
}
