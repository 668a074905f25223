/** Sorting by score: what every kind of suppression and of mining begins with. */

/** Reinterprets a score's bits; shared, as every use is over before the next one begins. */
const floatBits = new Float32Array(1);
const intBits = new Uint32Array(floatBits.buffer);
/** Scores a packed key has room for: 53 bits less the 32 of a float. */
const packedScores = 2 ** 21;
/** From so many scores on, of which but a part is wanted, it pays to leave out most before sorting. */
const manyScores = 16_384;

/**
 * Indices i of the highest `scores[offset + i * stride]` above the threshold, highest first, equal ones by index.
 *
 * A comparator called from the engine's sort costs ten times the sort itself, so score and place are packed into one double whose
 * numeric order is the order wanted: the float's bits, made monotonic and descending, times 2^21, plus the place.
 */
export function topScores(
  scores: Float32Array,
  offset: number,
  stride: number,
  count: number,
  threshold: number,
  topK: number,
): Int32Array {
  // Without a limit (-Infinity), scores of -Infinity take part too; NaN never does. A score of 0.3 is not above 0.3, though float32
  // makes it 0.30000001: the limit is rounded as scores are.
  const limit = Math.fround(threshold);
  const unlimited = threshold === -Infinity;
  const passes = (score: number): boolean => score > limit || (unlimited && score === -Infinity);
  let n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) if (passes(scores[at])) n++;
  const wanted = Math.max(0, Math.min(n, Math.floor(topK)));
  if (wanted === 0) return new Int32Array(0);
  let least = -Infinity;
  if (n >= manyScores && wanted <= n / 4) {
    least = lowerBound(scores, offset, stride, count, passes, wanted);
    n = 0;
    for (let i = 0, at = offset; i < count; i++, at += stride) {
      if (scores[at] >= least && passes(scores[at])) n++;
    }
  }
  const indices = new Int32Array(n);
  n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    if (scores[at] >= least && passes(scores[at])) indices[n++] = i;
  }
  if (n > packedScores) {
    return indices
      .sort((a, b) => scores[offset + b * stride] - scores[offset + a * stride] || a - b)
      .slice(0, wanted);
  }
  const keys = new Float64Array(n);
  for (let k = 0; k < n; k++) keys[k] = descending(scores[offset + indices[k] * stride]) * packedScores + k;
  keys.sort();
  const kept = new Int32Array(wanted);
  for (let k = 0; k < wanted; k++) kept[k] = indices[keys[k] % packedScores];
  return kept;
}

/** 32 bits that are the smaller the higher the score is. */
function descending(score: number): number {
  floatBits[0] = score + 0; // -0 and 0 are equal scores
  const bits = intBits[0];
  // Positive floats order like their bits; negative ones the other way round. Descending: the complement.
  return bits & 0x80000000 ? bits : ~(bits | 0x80000000) >>> 0;
}

/**
 * A score that at least `wanted` of those that pass reach, and not many more: it is found by counting them by their upper 16 bits, and
 * those of the last such bin by their lower ones where it is full (an untrained network scores everything alike).
 */
function lowerBound(
  scores: Float32Array,
  offset: number,
  stride: number,
  count: number,
  passes: (score: number) => boolean,
  wanted: number,
): number {
  const upper = new Uint32Array(65_536);
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    if (passes(scores[at])) upper[descending(scores[at]) >>> 16]++;
  }
  let bin = 0;
  let above = 0;
  while (above + upper[bin] < wanted) above += upper[bin++];
  let low = 0xffff;
  if (upper[bin] > 2 * wanted) {
    const lower = new Uint32Array(65_536);
    for (let i = 0, at = offset; i < count; i++, at += stride) {
      const key = descending(scores[at]);
      if (key >>> 16 === bin && passes(scores[at])) lower[key & 0xffff]++;
    }
    low = 0;
    for (let reached = above + lower[0]; reached < wanted; reached += lower[++low]);
  }
  // The lowest score of the bin, or of what is wanted of it; below -Infinity there is only NaN.
  const bits = ((bin << 16) | low) >>> 0;
  intBits[0] = bits & 0x80000000 ? bits : ~bits & 0x7fffffff;
  return Number.isNaN(floatBits[0]) ? -Infinity : floatBits[0];
}
