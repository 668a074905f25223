/** What the views ask of plain data. */
import { inspect } from 'node:util';
import { displaySymbol } from '../../plot/display';

/** Whether a value is an object literal (of this or another realm) that does not say itself how it is shown. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false;
  return !(inspect.custom in value) && !(displaySymbol in value) && !(Symbol.toStringTag in value);
}

/** Whether a value is an array of numbers, typed or not. */
export function isNumbers(value: unknown): value is ArrayLike<number> {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'number');
  return (
    ArrayBuffer.isView(value) && !(value instanceof DataView) && typeof (value as Uint8Array)[0] !== 'bigint'
  );
}

/** Whether a value is an array of at least one item, all of them of a kind. */
export function isListOf<T>(value: unknown, isOne: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.length > 0 && value.every(isOne);
}
