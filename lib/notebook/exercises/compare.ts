/** Whether an answer is what was asked for, and in what way it is not, without saying what was. */
import { types } from 'node:util';
import { isNumbers, isPlainObject } from '../results/plain';
import { isTensor, type TensorLike } from '../results/tensor-like';

/** How numbers are compared. */
export interface Tolerance {
  /** Largest difference, in the answer's own unit. Default: a millionth of what is expected. */
  readonly tolerance?: number;
}

/**
 * What keeps an answer from being the expected one, as a sentence that does not give it away; `undefined` where nothing does.
 *
 * - numbers: within the tolerance;
 * - texts: the same words, capitals and spaces aside;
 * - lists, nested ones and typed arrays too: item by item; objects: by their keys;
 * - a tensor: by its values where a tensor is expected, by its shape where a list is.
 */
export function differenceOf(
  answer: unknown,
  expected: unknown,
  options: Tolerance = {},
): string | undefined {
  if (isTensor(answer) && answer.isDisposed) return 'The tensor was disposed before it could be looked at.';
  if (isTensor(expected)) {
    if (!isTensor(answer)) return `A tensor is asked for, this is ${kindOf(answer)}.`;
    if (!sameShape(answer.shape, expected.shape)) return 'The shape of the tensor is another.';
    const differs = differenceOf(valuesOf(answer), valuesOf(expected), options);
    return differs && 'The shape is right, values are not.';
  }
  if (isTensor(answer) && isList(expected)) return differenceOf(answer.shape, expected, options);
  if (typeof expected === 'number') {
    if (typeof answer !== 'number') return `A number is asked for, this is ${kindOf(answer)}.`;
    if (Number.isNaN(answer) && !Number.isNaN(expected)) return 'This is NaN, which is not a number.';
    const { tolerance = 1e-6 * Math.abs(expected) } = options;
    const near = Number.isFinite(expected)
      ? Math.abs(answer - expected) <= tolerance
      : Object.is(answer, expected);
    return near ? undefined : 'This is another number.';
  }
  if (typeof expected === 'string') {
    if (typeof answer !== 'string') return `A text is asked for, this is ${kindOf(answer)}.`;
    return plainText(answer) === plainText(expected) ? undefined : 'This is another text.';
  }
  if (isList(expected)) return listDifference(answer, expected, options);
  if (isPlainObject(expected)) return objectDifference(answer, expected, options);
  if (typeof answer !== typeof expected)
    return `${capital(kindOf(expected))} is asked for, this is ${kindOf(answer)}.`;
  return Object.is(answer, expected) ? undefined : 'This is another value.';
}

function listDifference(
  answer: unknown,
  expected: ArrayLike<unknown>,
  options: Tolerance,
): string | undefined {
  if (!isList(answer)) return `A list is asked for, this is ${kindOf(answer)}.`;
  if (answer.length !== expected.length)
    return `The list has ${answer.length} ${answer.length === 1 ? 'entry' : 'entries'}: too ${answer.length < expected.length ? 'few' : 'many'}.`;
  const wrong = Array.from(expected, (one, i) => differenceOf(answer[i], one, options) !== undefined).flatMap(
    (differs, i) => (differs ? [i + 1] : []),
  );
  if (wrong.length === 0) return undefined;
  if (wrong.length === expected.length && wrong.length > 1) return 'No entry of the list is right.';
  const shown = wrong.slice(0, 5).join(', ');
  return wrong.length === 1
    ? `Entry ${shown} of the list is not right.`
    : `Entries ${shown}${wrong.length > 5 ? ' and more' : ''} of the list are not right.`;
}

function objectDifference(
  answer: unknown,
  expected: Readonly<Record<string, unknown>>,
  options: Tolerance,
): string | undefined {
  if (!isPlainObject(answer)) return `An object is asked for, this is ${kindOf(answer)}.`;
  const keys = Object.keys(expected);
  const missing = keys.filter((key) => !(key in answer));
  if (missing.length > 0) return `The object has no ${missing.join(', ')}.`;
  const wrong = keys.filter((key) => differenceOf(answer[key], expected[key], options) !== undefined);
  return wrong.length === 0
    ? undefined
    : `Of the object, ${wrong.join(', ')} ${wrong.length === 1 ? 'is' : 'are'} not right.`;
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || isNumbers(value);
}

function valuesOf(tensor: TensorLike): (number | string)[] {
  return Array.from(tensor.dataSync() as ArrayLike<number | string>);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function plainText(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, ' ');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a value is, with its article. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (isTensor(value)) return 'a tensor';
  if (isList(value)) return 'a list';
  if (types.isPromise(value)) return 'a promise (is an `await` missing?)';
  const names: Record<string, string> = { string: 'a text', object: 'an object', boolean: 'true or false' };
  return names[typeof value] ?? `a ${typeof value}`;
}
