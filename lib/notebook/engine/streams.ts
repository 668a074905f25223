/** What is printed while a session is open, gathered into few messages instead of one a line. */

/** Receives what was printed; `chunk` may hold several lines or part of one. */
export type StreamHandler = (name: 'stdout' | 'stderr', chunk: string) => void;

type Write = typeof process.stdout.write;

/**
 * Takes over `process.stdout` and `process.stderr` (and so `console`) until the returned function is called. `route` gives
 * the handler for what is being printed now, or `undefined` to print as usual.
 */
export function captureStreams(route: () => StreamHandler | undefined): () => void {
  const restore: (() => void)[] = [];
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = process[name];
    const original = stream.write;
    const write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
      const handler = route();
      const callback = (typeof encoding === 'function' ? encoding : done) as
        ((error?: Error | null) => void) | undefined;
      if (!handler) return original.call(stream, chunk as string, encoding as BufferEncoding, callback);
      const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      handler(name, text);
      if (callback) process.nextTick(callback);
      return true;
    };
    stream.write = write as Write;
    restore.push(() => {
      if (stream.write === (write as Write)) stream.write = original;
    });
  }
  return () => restore.forEach((undo) => undo());
}

/** Joins what is printed in quick succession; order between the two streams, and with other outputs, is kept by `flush`. */
export class StreamBuffer {
  private name: 'stdout' | 'stderr' = 'stdout';
  private text = '';
  private lastSent = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly send: StreamHandler) {}

  write(name: 'stdout' | 'stderr', chunk: string): void {
    if (name !== this.name) this.flush();
    this.name = name;
    this.text += chunk;
    // The first of several goes out at once and the rest is joined, by the clock too: a cell that never yields to the event
    // loop still shows what it prints.
    if (this.text.length > 16_384 || Date.now() - this.lastSent > 50) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), 50).unref();
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.text === '') return;
    const text = this.text;
    this.text = '';
    this.lastSent = Date.now();
    this.send(this.name, text);
  }
}
