/** What the checks do with answers that are missing, fail, or are wrong for a known reason. */
import { types } from 'node:util';
import { differenceOf, kindOf, type Tolerance } from './compare';
import type { ExerciseHint } from './outcome';

/** Whether nothing has been answered. */
export function isMissing(answer: unknown): boolean {
  return answer === undefined || answer === null || (typeof answer === 'string' && answer.trim() === '');
}

/** A promise is no answer, and told to be none; that it fails as well must not stop the notebook. */
export function quiet(answer: unknown): void {
  if (types.isPromise(answer)) answer.catch(() => undefined);
}

/** The first hint that fits a wrong answer. */
export function hintFor<T>(
  answer: T,
  hints: readonly ExerciseHint<T>[],
  options: Tolerance = {},
): string | undefined {
  return hints.find(({ when }) => {
    if (typeof when !== 'function') return differenceOf(answer, when, options) === undefined;
    try {
      return (when as (answer: T) => boolean)(answer);
    } catch {
      return false;
    }
  })?.say;
}

/** @throws RangeError for a tolerance that is none. */
export function checkTolerance(tolerance: number | undefined): void {
  if (tolerance !== undefined && !(tolerance >= 0))
    throw new RangeError(`check of an exercise: tolerance is 0 or more, got ${tolerance}`);
}

/** What was thrown, in a few words. */
export function reasonOf(error: unknown): string {
  return types.isNativeError(error) ? `${error.name}: ${error.message}` : `${kindOf(error)} was thrown`;
}
