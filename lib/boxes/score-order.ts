/** Sorting by score: what every kind of suppression and of mining begins with. */

/** Reinterprets a score's bits; shared, as every use is over before the next one begins. */
const floatBits = new Float32Array(1);
const intBits = new Uint32Array(floatBits.buffer);
/** Indices a packed key has room for: 53 bits less the 32 of a float. */
const packedIndices = 2 ** 21;

/**
 * Indices i of the highest `scores[offset + i * stride]` above the threshold, highest first, equal ones by index.
 *
 * A comparator called from the engine's sort costs ten times the sort itself, so score and index are packed into one double
 * whose numeric order is the order wanted: the float's bits, made monotonic and descending, times 2^21, plus the index.
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
  if (count > packedIndices) return topScoresOfMillions(scores, offset, stride, count, topK, n, passes);
  const keys = new Float64Array(n);
  n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    const score = scores[at];
    if (!passes(score)) continue;
    floatBits[0] = score + 0; // -0 and 0 are equal scores
    const bits = intBits[0];
    // Positive floats order like their bits; negative ones the other way round. Descending: the complement.
    const descending = bits & 0x80000000 ? bits : ~(bits | 0x80000000) >>> 0;
    keys[n++] = descending * packedIndices + i;
  }
  keys.sort();
  const kept = new Int32Array(Math.max(0, Math.min(n, topK)));
  for (let k = 0; k < kept.length; k++) kept[k] = keys[k] % packedIndices;
  return kept;
}

function topScoresOfMillions(
  scores: Float32Array,
  offset: number,
  stride: number,
  count: number,
  topK: number,
  n: number,
  passes: (score: number) => boolean,
): Int32Array {
  const indices = new Int32Array(n);
  n = 0;
  for (let i = 0, at = offset; i < count; i++, at += stride) {
    if (passes(scores[at])) indices[n++] = i;
  }
  indices.sort((a, b) => scores[offset + b * stride] - scores[offset + a * stride] || a - b);
  return indices.slice(0, Math.max(0, topK));
}
