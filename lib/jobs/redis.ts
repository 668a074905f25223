/** The connection to Redis: made with a bound, named in errors without its password, kept up. */
import type { Redis } from 'ioredis';

/** A connection, and what messages call it. */
export interface RedisConnection {
  readonly redis: Redis;
  /** `redis://host:port`: nothing secret. */
  readonly shown: string;
}

/** How long the first answer may take, milliseconds. */
const firstAnswerMs = 4500;
/** Longest pause between two tries to connect again, milliseconds. */
const longestPauseMs = 5000;

/** The address as messages give it. @throws an Error where the text is no address of a Redis. */
export function shownAddress(asker: string, text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // told below
  }
  if (!url || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '')
    throw new Error(
      // Not the text itself: it may hold a password.
      `${asker}: the queue's address is redis://host:port, or rediss://host:port for TLS; ` +
        (url ? `got one that begins with ${url.protocol}//${url.hostname}` : 'what was given is no address'),
    );
  return `${url.protocol}//${url.hostname}:${url.port === '' ? 6379 : url.port}`;
}

/**
 * Connects, and keeps connecting again after that: commands wait meanwhile.
 * @throws within five seconds where no Redis answers there, naming the address and why.
 */
export async function connectRedis(asker: string, address: string): Promise<RedisConnection> {
  const shown = shownAddress(asker, address);
  const { Redis } = await import('ioredis');
  let connected = false;
  const redis = new Redis(address, {
    lazyConnect: true,
    connectTimeout: firstAnswerMs,
    // BullMQ wants commands to wait as long as it takes.
    maxRetriesPerRequest: null,
    retryStrategy: (times) => (connected ? Math.min(longestPauseMs, 50 * 2 ** times) : null),
  });
  let why = 'nothing answers';
  redis.on('error', (error: Error) => void (why = error.message || (error as { code?: string }).code || why));
  let late: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error('no answer in time')), firstAnswerMs);
  });
  try {
    const answer = (async () => {
      await redis.connect();
      await redis.ping();
    })();
    await Promise.race([answer, patience]);
  } catch (error) {
    redis.disconnect();
    const { message } = error as Error;
    throw new Error(
      `${asker}: no Redis can be used at ${shown} (${/closed/.test(message) ? why : message}); is it running, and the address right?`,
      { cause: error },
    );
  } finally {
    clearTimeout(late);
  }
  connected = true;
  return { redis, shown };
}

/** Tells when a connection is lost, when it is back, and when patience has come to an end. Returns what ends the telling. */
export function watchRedis(
  { redis, shown }: RedisConnection,
  notice: (line: string) => void,
  patience?: { readonly seconds: number; lost(why: string): void },
): () => void {
  let gone = false;
  let late: NodeJS.Timeout | undefined;
  const onClose = (): void => {
    if (gone) return;
    gone = true;
    notice(`the connection to ${shown} is gone; trying again`);
    if (!patience) return;
    const why = `the connection to ${shown} has been gone for ${patience.seconds} s`;
    late = setTimeout(() => patience.lost(why), patience.seconds * 1000);
  };
  const onReady = (): void => {
    if (!gone) return;
    gone = false;
    clearTimeout(late);
    notice(`the connection to ${shown} is back`);
  };
  redis.on('close', onClose);
  redis.on('ready', onReady);
  return () => {
    redis.off('close', onClose);
    redis.off('ready', onReady);
    clearTimeout(late);
  };
}

/** Waits until things are closed, but only for so long: a Redis that is away must keep nobody. */
export async function closeAll(
  parts: readonly (() => Promise<unknown>)[],
  milliseconds: number = 2000,
): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => void (late = setTimeout(resolve, milliseconds)));
  const closed = (async () => {
    for (const close of parts) await close().catch(() => undefined);
  })();
  await Promise.race([closed, patience]);
  clearTimeout(late);
}
