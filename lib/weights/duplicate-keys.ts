/** Keys that a JSON text repeats: `JSON.parse` silently takes the last one. */

/**
 * The first key that an object of `json` has twice, as `outer.inner`, or `undefined`.
 * @param json a text that `JSON.parse` accepts.
 */
export function duplicateKey(json: string): string | undefined {
  /** Of each object or array that is open: the keys so far, and the last one. Arrays have none. */
  const open: { keys?: Set<string>; last: string }[] = [];
  let expectsKey = false;
  for (let i = 0; i < json.length; i++) {
    const letter = json[i];
    if (letter === '{') {
      open.push({ keys: new Set(), last: '' });
      expectsKey = true;
    } else if (letter === '[') {
      open.push({ last: '' });
      expectsKey = false;
    } else if (letter === '}' || letter === ']') {
      open.pop();
      expectsKey = false;
    } else if (letter === ',') {
      expectsKey = open[open.length - 1]?.keys !== undefined;
    } else if (letter === '"') {
      const end = stringEnd(json, i);
      if (expectsKey) {
        const level = open[open.length - 1];
        level.last = JSON.parse(json.slice(i, end + 1)) as string; // "\u0061" is "a", too
        if (level.keys?.has(level.last)) return open.map(({ last }) => last).join('.');
        level.keys?.add(level.last);
        expectsKey = false;
      }
      i = end;
    }
  }
  return undefined;
}

/** Where the string that begins at `start` has its closing quote. */
function stringEnd(json: string, start: number): number {
  let i = start + 1;
  while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i;
}
