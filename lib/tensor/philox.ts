/**
 * Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011): a generator without a
 * state, which turns a counter and a key into random bits. Any number of a stream can be had by itself.
 */

/** The upper half of the 64-bit product of two unsigned words, from products of their halves, none of which overflows. */
function upper(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const first = (Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16)) | 0;
  const second = (Math.imul(al, bh) + (first & 0xffff)) | 0;
  return (Math.imul(ah, bh) + (first >>> 16) + (second >>> 16)) | 0;
}

const [multiplier0, multiplier1] = [0xd2511f53 | 0, 0xcd9e8d57 | 0];
const [weyl0, weyl1] = [0x9e3779b9 | 0, 0xbb67ae85 | 0];

/**
 * Philox's bijection: 128 random bits for the counter c0 to c3 under the key k0, k1. All are 32-bit words, signed or not.
 * @param out gets the four words of the result.
 */
export function philox(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Int32Array,
): void {
  // Numbers and 32-bit operations alone: this is a wasm training step's inner loop.
  for (let round = 0; round < 10; round++) {
    const first = upper(multiplier1, c2) ^ c1 ^ k0;
    const third = upper(multiplier0, c0) ^ c3 ^ k1;
    c1 = Math.imul(multiplier1, c2);
    c3 = Math.imul(multiplier0, c0);
    c0 = first;
    c2 = third;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/**
 * Fills `out` with the numbers of TensorFlow's op StatelessRandomUniform for a seed of two int32: the seed, mixed by Philox itself,
 * makes the key and the upper half of the counter, whose lower half counts blocks of four numbers.
 * @param out is filled with multiples of 2^-23 in [0, 1).
 */
export function statelessUniform(seed: readonly [number, number], out: Float32Array): void {
  const bits = new Int32Array(4);
  const [low, high] = seed;
  // int32 to int64: the upper words repeat the sign.
  philox(low, low >> 31, high, high >> 31, 0x3ec8f720, 0x02461e29, bits);
  const [k0, k1, c2, c3] = bits;
  for (let i = 0, block = 0; i < out.length; i += 4, block++) {
    philox(block, 0, c2, c3, k0, k1, bits);
    // 23 bits, the mantissa of a float32 between 1 and 2
    for (let j = 0; j < 4 && i + j < out.length; j++) out[i + j] = (bits[j] & 0x7fffff) / 0x800000;
  }
}
