/** PNG files of pictures with few colours: a third of the size, which a notebook saved with its charts feels. */
import zlib from 'node:zlib';

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

let crcTable: Uint32Array | undefined;

/** The checksum of PNG, section 5.5 (zlib.crc32 needs a newer Node than the project does). */
function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Colours that stay exact because they are frequent; the rest of the 256 go where they are missed most. */
const frequentColors = 96;

/**
 * Encodes opaque RGBA pixels as an 8-bit palette PNG. The most frequent colours stay exact; each other colour, which in a chart is a
 * shade at the edge of a line or letter or a part of a colour scale, becomes the nearest of the palette.
 */
export function palettePng(rgba: Uint8Array | Uint8ClampedArray, width: number, height: number): Buffer {
  if (rgba.length !== width * height * 4) {
    throw new RangeError(
      `palettePng: ${width}x${height} RGBA pixels are ${width * height * 4} bytes, got ${rgba.length}`,
    );
  }
  const counts = new Map<number, number>();
  for (let i = 0; i < rgba.length; i += 4) {
    const color = (rgba[i] << 16) | (rgba[i + 1] << 8) | rgba[i + 2];
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  const palette = choosePalette(counts);
  const index = new Map(palette.map((color, i) => [color, i]));
  const nearest = (color: number): number => {
    let best = index.get(color);
    if (best !== undefined) return best;
    best = 0;
    let least = Infinity;
    for (let i = 0; i < palette.length; i++) {
      const distance = squaredDistance(palette[i], color);
      if (distance < least) [least, best] = [distance, i];
    }
    index.set(color, best);
    return best;
  };
  const lines = Buffer.alloc((width + 1) * height);
  for (let y = 0, i = 0; y < height; y++) {
    const start = y * (width + 1) + 1; // the byte before is the line's filter: none
    for (let x = 0; x < width; x++, i += 4) {
      lines[start + x] = nearest((rgba[i] << 16) | (rgba[i + 1] << 8) | rgba[i + 2]);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8); // 8 bits, palette, deflate, adaptive filters, not interlaced
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk(
      'PLTE',
      Uint8Array.from(palette.flatMap((color) => [color >> 16, (color >> 8) & 255, color & 255])),
    ),
    chunk('IDAT', zlib.deflateSync(lines, { level: 9 })),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** At most 256 colours: the frequent ones, then always the one whose pixels would be changed most. */
function choosePalette(counts: ReadonlyMap<number, number>): number[] {
  // Ties go to the smaller colour value: the same pixels always give the same file.
  const all = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  if (all.length <= 256) return all.map(([color]) => color);
  const palette = all.slice(0, frequentColors).map(([color]) => color);
  const rest = all.slice(frequentColors);
  const distances = rest.map(([color]) => Math.min(...palette.map((other) => squaredDistance(other, color))));
  while (palette.length < 256) {
    let worst = 0;
    rest.forEach(([, count], i) => {
      if (count * distances[i] > rest[worst][1] * distances[worst]) worst = i;
    });
    const chosen = rest[worst][0];
    palette.push(chosen);
    rest.forEach(([color], i) => (distances[i] = Math.min(distances[i], squaredDistance(chosen, color))));
  }
  return palette;
}

function squaredDistance(a: number, b: number): number {
  const red = (a >> 16) - (b >> 16);
  const green = ((a >> 8) & 255) - ((b >> 8) & 255);
  const blue = (a & 255) - (b & 255);
  return red * red + green * green + blue * blue;
}
