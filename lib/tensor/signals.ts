/** Signals that ask this process to end: Ctrl-C, as the user meant it. */

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Calls a listener at every signal that asks this process to end, which then does not end by itself. Returns what stops listening. */
export function onInterrupts(listener: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of interrupts) process.on(signal, listener);
  return () => {
    for (const signal of interrupts) process.off(signal, listener);
  };
}

/** Under npm one Ctrl-C arrives twice, from the terminal and from npm; nobody asks for something else so soon. */
const echoMilliseconds = 1000;

/** A listener to signals that does not hear their echoes. `act` is told how often the user has asked, from 1. */
export function withoutEchoes<Args extends readonly unknown[]>(
  act: (times: number, ...args: Args) => void,
): (...args: Args) => void {
  let times = 0;
  let last = -Infinity;
  return (...args) => {
    const now = performance.now();
    if (now - last < echoMilliseconds) return;
    last = now;
    act(++times, ...args);
  };
}
