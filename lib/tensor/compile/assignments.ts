/** Knowing which variables a computation assigns, and what they held before. */
import { addMender } from '../mend';
import { tf } from '../tf';

let restoreAssign: (() => void) | undefined;

/** What `noteAssignments` returns. */
export interface Assignments<T> {
  readonly result: T;
  /** What each variable that was assigned held before; the caller disposes these. */
  readonly olds: ReadonlyMap<tf.Variable, tf.Tensor>;
}

/**
 * Runs `body` and notes what it assigns. Where it throws, every variable holds again what it held before.
 * @param body not async.
 */
export function noteAssignments<T>(body: () => T): Assignments<T> {
  const olds = new Map<tf.Variable, tf.Tensor>();
  const prototype = tf.Variable.prototype as { assign(value: tf.Tensor): void };
  const { assign } = prototype;
  const outer = restoreAssign;
  const restore = (): void => {
    prototype.assign = assign;
    restoreAssign = outer;
  };
  prototype.assign = function (this: tf.Variable, value: tf.Tensor) {
    if (!olds.has(this)) olds.set(this, tf.keep(this.clone()));
    assign.call(this, value);
  };
  restoreAssign = restore;
  try {
    return { result: body(), olds };
  } catch (error) {
    restore();
    putBack(olds);
    throw error;
  } finally {
    if (prototype.assign !== assign) restore();
  }
}

/** Gives variables back what they held, and disposes the copies. */
export function putBack(olds: ReadonlyMap<tf.Variable, tf.Tensor>): void {
  for (const [variable, old] of olds) {
    if (!variable.isDisposed) variable.assign(old);
    old.dispose();
  }
}

addMender(() => {
  while (restoreAssign) restoreAssign();
});
