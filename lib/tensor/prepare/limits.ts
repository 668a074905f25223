/** What ends a preparation before it is done: the time that the user grants it, and signals. */

/**
 * The seconds that all waiting for the network may take together: as given, else `DETLAB_PREPARE_TIMEOUT`, else 300.
 * @throws where the variable holds no number.
 */
export function networkSeconds(given?: number): number {
  const text = process.env.DETLAB_PREPARE_TIMEOUT;
  if (given !== undefined || !text) return given ?? 300;
  const seconds = Number(text);
  if (!(seconds > 0)) throw new Error(`DETLAB_PREPARE_TIMEOUT is '${text}': it must be a number of seconds`);
  return seconds;
}

/** Ctrl-C in the middle: clean up, then let the signal do what it would have done. Returns what stops listening. */
export function onSignals(cleanUp: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const removers = signals.map((signal) => {
    const listener = (): void => {
      cleanUp();
      process.removeListener(signal, listener);
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    };
    process.on(signal, listener);
    return () => process.removeListener(signal, listener);
  });
  return () => removers.forEach((remove) => remove());
}
