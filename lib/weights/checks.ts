/** Checks of what files claim. */

/** How many values a shape holds; `undefined` where it is no shape, or holds more than a number can count. */
export function sizeOfShape(shape: readonly unknown[]): number | undefined {
  let size = 1;
  for (const side of shape) {
    if (typeof side !== 'number' || !Number.isSafeInteger(side) || side < 0) return undefined;
    size *= side;
  }
  // A zero hides how large the others are.
  const others = shape.reduce<number>((product, side) => product * Math.max(1, side as number), 1);
  return Number.isSafeInteger(others) ? size : undefined;
}

/** Names that a file may not give a tensor: an object would take the first for its prototype, and the second is the format's own. */
export function isReservedName(name: string): boolean {
  return name === '__proto__' || name === '__metadata__';
}
