/** How long work learns that the user pressed the notebook's stop button. */

const symbol = Symbol.for('detlab.abort');

/** The running cell's signal, or `undefined` outside a notebook. Loops call `interruptSignal()?.throwIfAborted()` at each step. */
export function interruptSignal(): AbortSignal | undefined {
  return (globalThis as { [symbol]?: AbortSignal })[symbol];
}
