/** How work goes through a queue. */

/** Which queue, and how patient one is with it. */
export interface QueueOptions {
  /** `redis://host:port`, `rediss://` for TLS; `redis://user:password@host:port/database` where it asks for them. */
  readonly redis: string;
  /** The queue's name: letters, digits, `.`, `_` and `-`. Workers serve one. */
  readonly name: string;
  /** Tells one search from another that has the same source and payloads: what one has left in the queue, the other does not take up. */
  readonly id?: string;
  /** How many payloads are in the queue at most; default 32. To keep all machines busy, as many as their jobs together, and some. */
  readonly jobs?: number;
  /** How often a payload is tried whose worker is lost; default 3. */
  readonly attempts?: number;
  /** Pause before it is tried again, doubled each time; default 1. */
  readonly backoffSeconds?: number;
  /** How often the queue is looked through for answers whose announcement was lost; default 5. */
  readonly pollSeconds?: number;
  /** How long the connection may be gone before all payloads fail; default 600. */
  readonly patienceSeconds?: number;
  /** A line that somebody should read; default: `console.warn`. */
  readonly onNotice?: (line: string) => void;
}

/** The queue's name in commands, unless told. */
export const defaultQueueName: string = 'detlab';
