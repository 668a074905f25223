/** What `JSON.parse` takes without a word: keys that are repeated, of which the last one counts, and nesting of any depth. */

/**
 * @param json any text.
 * @throws RangeError where objects and arrays are nested deeper than `most`.
 */
export function checkDepth(json: string, most: number): void {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const letter = json[i];
    if (letter === '"') i = stringEnd(json, i);
    else if (letter === '{' || letter === '[') {
      if (++depth > most) throw new RangeError(`it is nested more than ${most} deep`);
    } else if (letter === '}' || letter === ']') depth--;
  }
}

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
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i;
}
