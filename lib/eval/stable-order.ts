/** The order of scores, highest first, equal ones as they came: what NumPy's `argsort(-scores, kind='mergesort')` gives. */

const runLength = 12;

/**
 * Indices of `scores` from the highest to the lowest; equal scores keep their order. A merge sort on typed arrays, several times
 * as fast as sorting with a comparison function. The scores must not be NaN.
 */
export function descendingOrder(scores: ArrayLike<number>): Uint32Array {
  const n = scores.length;
  let from = new Uint32Array(n);
  for (let start = 0; start < n; start += runLength) {
    const end = Math.min(start + runLength, n);
    for (let i = start; i < end; i++) {
      const score = scores[i];
      let at = i;
      while (at > start && scores[from[at - 1]] < score) {
        from[at] = from[at - 1];
        at--;
      }
      from[at] = i;
    }
  }
  let to = new Uint32Array(n);
  for (let width = runLength; width < n; width *= 2) {
    for (let start = 0; start < n; start += 2 * width) {
      const middle = Math.min(start + width, n);
      const end = Math.min(start + 2 * width, n);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at++) {
        // Equal scores are taken from the left.
        const takeLeft = right >= end || (left < middle && scores[from[left]] >= scores[from[right]]);
        to[at] = takeLeft ? from[left++] : from[right++];
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

/**
 * Indices grouped by key, ascending, each group in the order given (a counting sort). `starts[key]` to `starts[key + 1]` is the
 * group of `key`.
 * @param keys integers from 0 to `count - 1`
 * @param order the indices to group, default all of them in order
 */
export function groupByKey(
  keys: Int32Array,
  count: number,
  order?: Uint32Array,
): { readonly order: Uint32Array; readonly starts: Uint32Array } {
  const n = order ? order.length : keys.length;
  const starts = new Uint32Array(count + 1);
  for (let i = 0; i < n; i++) starts[keys[order ? order[i] : i] + 1]++;
  for (let key = 0; key < count; key++) starts[key + 1] += starts[key];
  const next = starts.slice(0, count);
  const grouped = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const index = order ? order[i] : i;
    grouped[next[keys[index]]++] = index;
  }
  return { order: grouped, starts };
}
