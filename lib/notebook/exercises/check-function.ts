/** Checks a function that an exercise asks for, on examples. */
import { types } from 'node:util';
import { shortText } from '../results/value-text';
import { checkTolerance, hintFor, quiet, reasonOf } from './answers';
import { differenceOf, kindOf, type Tolerance } from './compare';
import { type ExerciseOutcome, exerciseOutcome } from './outcome';

/** One example. */
export interface FunctionCase<Args extends readonly unknown[], Result> {
  /** The arguments. */
  readonly input: Args;
  readonly expected: Result;
}

/** A hint for functions that are wrong in a way that has a reason. */
export interface FunctionHint<Args extends readonly unknown[], Result> {
  /** Tells the way; one that throws does not fit. The first hint that fits is shown. */
  readonly when: (answer: (...args: Args) => Result) => boolean;
  readonly say: string;
}

/** What {@link checkFunction} is given. */
export interface FunctionCheck<Args extends readonly unknown[], Result> extends Tolerance {
  /** Number or name. */
  readonly exercise: number | string;
  /** The reader's function; `undefined` or `null` while there is none. */
  readonly answer: ((...args: Args) => Result) | undefined | null;
  /** Tried in this order; the first that fails is told, so begin with the simplest. Arrays among the arguments are copied for each call. */
  readonly cases: readonly FunctionCase<Args, Result>[];
  /** Whether a result is right. Default: as compare.ts says. */
  readonly equal?: (result: Result, expected: Result) => boolean;
  readonly hints?: readonly FunctionHint<Args, Result>[];
}

/**
 * Whether a function gives what is expected of it, as something that a cell shows. Told are the arguments that it fails for and what it
 * gives, never what it should give. It throws neither for a missing function nor for one that throws.
 * @throws RangeError where there are no cases, or for a tolerance that is none.
 */
export function checkFunction<Args extends readonly unknown[] | [], Result>(
  check: FunctionCheck<Args, Result>,
): ExerciseOutcome {
  const { exercise, answer, cases, equal, hints = [], tolerance } = check;
  checkTolerance(tolerance);
  if (cases.length === 0) throw new RangeError(`checkFunction: exercise ${exercise} has no cases`);
  if (answer === undefined || answer === null)
    return exerciseOutcome(exercise, 'open', 'Write the function and run this cell again.');
  if (typeof answer !== 'function')
    return exerciseOutcome(exercise, 'wrong', `A function is asked for, this is ${kindOf(answer)}.`);
  const same =
    equal ?? ((result, expected): boolean => differenceOf(result, expected, { tolerance }) === undefined);
  // What it is given are copies: a function that sorts or overwrites a list must not spoil the next example.
  const call = (...args: Args): Result => {
    const result = answer(...(args.map(copy) as unknown as Args));
    quiet(result);
    return result;
  };
  for (const { input, expected } of cases) {
    const given = `For (${input.map((one) => shortText(one, 60)).join(', ')})`;
    const problem = failureOf(call, input, (result) => same(result, expected));
    if (problem !== undefined)
      return exerciseOutcome(exercise, 'wrong', hintFor(call, hints) ?? `${given} ${problem}.`);
  }
  const count = cases.length === 1 ? 'one example' : `${cases.length} examples`;
  return exerciseOutcome(exercise, 'right', `Tried on ${count}.`);
}

function failureOf<Args extends readonly unknown[], Result>(
  call: (...args: Args) => Result,
  input: Args,
  isRight: (result: Result) => boolean,
): string | undefined {
  try {
    const result = call(...input);
    if (result === undefined) return 'it returns nothing';
    if (types.isPromise(result)) return 'it returns a promise; write it without `async`';
    return isRight(result) ? undefined : `it gives ${shortText(result, 120)}, which is not right`;
  } catch (error) {
    return `it fails: ${reasonOf(error)}`;
  }
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  return ArrayBuffer.isView(value) && 'slice' in value ? (value as Uint8Array).slice() : value;
}
