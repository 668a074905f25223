/** Checks the answer to an exercise. */
import { checkTolerance, hintFor, isMissing, quiet, reasonOf } from './answers';
import { differenceOf, type Tolerance } from './compare';
import { type ExerciseHint, type ExerciseOutcome, exerciseOutcome } from './outcome';

/** What {@link checkAnswer} is given. */
export interface AnswerCheck<T> extends Tolerance {
  /** Number or name. */
  readonly exercise: number | string;
  /**
   * The reader's answer; `undefined`, `null` or an empty text while there is none. A function is called: what may fail belongs in one,
   * `() => myBlock.forward(dummy)`, so that its failure is told and the notebook runs on.
   */
  readonly answer: unknown;
  /**
   * The right answer, best computed by the library: a number, text, list, object or tensor; a list beside a tensor is its shape. Compared
   * as compare.ts says.
   */
  readonly expected: T;
  /** For wrong answers that have a reason. Without one that fits, in what way the answer differs is said. */
  readonly hints?: readonly ExerciseHint<T>[];
}

/**
 * Whether an answer is right, as something that a cell shows. It never shows the right one, and throws for no answer.
 *
 * ```ts
 * checkAnswer({ exercise: 1, answer: myAnswer, expected: anchors.boxes.length / 4, hints: [{ when: 1940, say: 'On each level, …' }] });
 * ```
 * @throws RangeError for a tolerance that is none.
 */
export function checkAnswer<T>(check: AnswerCheck<T>): ExerciseOutcome {
  const { exercise, expected, hints = [], tolerance } = check;
  checkTolerance(tolerance);
  let { answer } = check;
  try {
    if (typeof answer === 'function') answer = (answer as () => unknown)();
    quiet(answer);
    if (isMissing(answer)) return exerciseOutcome(exercise, 'open', 'Write one and run this cell again.');
    const difference = differenceOf(answer, expected, { tolerance });
    if (difference === undefined) return exerciseOutcome(exercise, 'right', '');
    return exerciseOutcome(exercise, 'wrong', hintFor(answer as T, hints, { tolerance }) ?? difference);
  } catch (error) {
    return exerciseOutcome(exercise, 'wrong', `It fails: ${reasonOf(error)}`);
  }
}
