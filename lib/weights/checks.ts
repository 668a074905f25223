/** Checks of what files claim. */

/** Dimensions that a tensor may have; NumPy's limit. */
const mostDimensions = 64;

/** How many values a shape holds; `undefined` where it is no shape, or holds more than a number can count. */
export function sizeOfShape(shape: readonly unknown[]): number | undefined {
  if (shape.length > mostDimensions) return undefined;
  let size = 1;
  for (const side of shape) {
    if (typeof side !== 'number' || !Number.isSafeInteger(side) || side < 0) return undefined;
    size *= side;
  }
  // A zero hides how large the others are.
  const others = shape.reduce<number>((product, side) => product * Math.max(1, side as number), 1);
  return Number.isSafeInteger(others) ? size : undefined;
}

/**
 * Names that a file may not give a tensor: an object would take the first for its prototype, the second is the format's own, and half a
 * surrogate pair is no text that could be written in UTF-8.
 */
export function isReservedName(name: string): boolean {
  return name === '__proto__' || name === '__metadata__' || !isText(name);
}

/** Whether a string can be written in UTF-8. */
export function isText(value: string): boolean {
  return !/\p{Surrogate}/u.test(value);
}

/**
 * A message with what files say of themselves in it, fit for a terminal: without control characters, which could move its cursor or colour
 * it, and not longer than a few lines.
 */
export function printable(message: string): string {
  const shown = message
    .slice(0, 2 * longestMessage)
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu,
      (letter) => `\\u${letter.codePointAt(0)!.toString(16).padStart(4, '0')}`,
    );
  return shown.length > longestMessage ? `${shown.slice(0, longestMessage)}…` : shown;
}

const longestMessage = 1000;
