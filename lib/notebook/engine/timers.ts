/**
 * A cell that is interrupted while it waits for a timer must not go on when the timer fires: a loop with an `await` in it
 * would run on unseen. Timers know which cell set them; those of an interrupted cell never fire.
 */
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';

type Callback = (...args: unknown[]) => void;
type Starter = (callback: Callback, ...rest: unknown[]) => unknown;

/**
 * Watches `setTimeout`, `setInterval` and `setImmediate`. `isDead` gives, for code that sets a timer now, a function that
 * says later whether its cell was interrupted. The returned function undoes it.
 */
export function dropTimersOfInterruptedCells(isDead: () => () => boolean): () => void {
  const undo: (() => void)[] = [];
  for (const name of ['setTimeout', 'setInterval', 'setImmediate'] as const) {
    const original = globalThis[name] as unknown as Starter;
    const watched: Starter = (callback, ...rest) => {
      if (typeof callback !== 'function') return original(callback, ...rest);
      const dead = isDead();
      const timer = original(
        (...args) => {
          if (!dead()) callback(...args);
          else if (name === 'setInterval') clearInterval(timer as NodeJS.Timeout);
        },
        ...rest,
      );
      return timer;
    };
    // util.promisify finds the promise forms by symbols on the functions.
    Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original));
    for (const place of [globalThis, timers] as unknown as Record<string, Starter>[]) {
      place[name] = watched;
      undo.push(() => {
        if (place[name] === watched) place[name] = original;
      });
    }
  }
  for (const name of ['setTimeout', 'setImmediate'] as const) {
    const places = timersPromises as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const original = places[name]!;
    const watched = async (...args: unknown[]): Promise<unknown> => {
      const dead = isDead();
      const value = await original(...args);
      return dead() ? new Promise(() => {}) : value;
    };
    places[name] = watched;
    undo.push(() => {
      if (places[name] === watched) places[name] = original;
    });
  }
  return () => undo.forEach((restore) => restore());
}
