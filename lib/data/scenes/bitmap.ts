/** RGBA pictures for compositing, and their halves (a mip chain) for shrinking without aliasing. */

/** 8-bit RGBA, row by row. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Half the size (rounded up), every pixel the mean of four; beyond an odd edge lies transparent black. */
export function halve(source: Bitmap): Bitmap {
  const width = (source.width + 1) >> 1;
  const height = (source.height + 1) >> 1;
  const data = new Uint8Array(width * height * 4);
  const stride = source.width * 4;
  for (let y = 0; y < height; y++) {
    const below = 2 * y + 1 < source.height;
    for (let x = 0; x < width; x++) {
      const beside = 2 * x + 1 < source.width;
      const s = 2 * y * stride + 8 * x;
      for (let c = 0; c < 4; c++) {
        let sum = source.data[s + c];
        if (beside) sum += source.data[s + c + 4];
        if (below) sum += source.data[s + c + stride];
        if (beside && below) sum += source.data[s + c + stride + 4];
        data[(y * width + x) * 4 + c] = (sum + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}
