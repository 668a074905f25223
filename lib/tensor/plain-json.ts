/** Values that JSON gives back as they went in, and one text for each of them. */

/** Whether it is an object with keys. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What JSON would change or lose would make two different values look the same.
 * @param where begins the message: `payload 3`
 * @throws naming the part that is not plain JSON: NaN, an object of a class, undefined in a list. A key that is undefined counts as none.
 */
export function checkPlainJson(value: unknown, where: string): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (Array.isArray(value)) return value.forEach((item, i) => checkPlainJson(item, `${where}[${i}]`));
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value as object) : undefined;
  // An object of another realm has another Object: what counts is that nothing is above it.
  if (isRecord(value) && (prototype === null || Object.getPrototypeOf(prototype) === null)) {
    for (const [key, part] of Object.entries(value))
      if (part !== undefined) checkPlainJson(part, `${where}.${key}`);
    return;
  }
  throw new Error(
    `${where} is ${typeof value === 'object' ? 'an object of a class' : String(value)}; it must be plain JSON`,
  );
}

/** JSON with the keys of objects in order: the same text for the same value. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
