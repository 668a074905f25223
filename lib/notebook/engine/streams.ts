/** What is printed while a session is open, gathered into few messages instead of one a line, and cut where it floods. */

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

/** Characters of output that a cell may print unless `DETLAB_OUTPUT_LIMIT` (in MB) says otherwise: a browser bears no more. */
export function outputLimit(env: NodeJS.ProcessEnv = process.env): number {
  const megabytes = Number(env.DETLAB_OUTPUT_LIMIT ?? 10);
  return Number.isFinite(megabytes) && megabytes > 0 ? megabytes * 1e6 : 10e6;
}

const keptTail = 2000;
// The session watches the timers that cells set; these are its own.
const { setTimeout: later } = globalThis;

/** Joins what is printed in quick succession; order between the two streams, and with other outputs, is kept by `flush`. */
export class StreamBuffer {
  private name: 'stdout' | 'stderr' = 'stdout';
  private text = '';
  private lastSent = 0;
  private timer: NodeJS.Timeout | undefined;
  private printed = 0;
  private omitted = 0;
  private tail = '';
  private told = false;

  constructor(
    private readonly send: StreamHandler,
    private readonly limit: number,
  ) {}

  write(name: 'stdout' | 'stderr', chunk: string): void {
    const room = Math.max(0, this.limit - this.printed);
    this.printed += chunk.length;
    if (chunk.length <= room) {
      this.append(name, chunk);
      return;
    }
    if (room > 0) this.append(name, chunk.slice(0, room));
    this.leaveOut(chunk.slice(room));
  }

  private append(name: 'stdout' | 'stderr', chunk: string): void {
    if (name !== this.name) this.flush();
    this.name = name;
    this.text += chunk;
    // The first of several goes out at once and the rest is joined, by the clock too: a cell that never yields to the event
    // loop still shows what it prints.
    if (this.text.length > 65_536 || Date.now() - this.lastSent > 50) this.flush();
    else this.timer ??= later(() => this.flush(), 50).unref();
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

  /** Sends what is held back and, where output was cut, how much is missing and how it ended. */
  end(): void {
    this.flush();
    if (this.omitted === 0) return;
    const megabytes = (this.omitted / 1e6).toFixed(1);
    this.send('stderr', `\n… ${megabytes} MB more were printed and left out. The end:\n${this.tail}`);
    this.omitted = 0;
  }

  private leaveOut(text: string): void {
    if (this.omitted === 0 && !this.told) {
      this.told = true;
      this.flush();
      this.send(
        'stderr',
        `\n… This cell has printed ${this.limit / 1e6} MB; the rest is left out (DETLAB_OUTPUT_LIMIT, in MB, allows more).\n`,
      );
    }
    this.omitted += text.length;
    this.tail = (this.tail + text).slice(-keptTail);
  }
}
