/** Downloads a large file over HTTP: goes on where it stopped, checks what it got, gives up in bounded time. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatSize } from '../../plot/format';
import { FinalTransferError, requestFile, TransferError } from './request';

/** How far a download is. */
export interface DownloadProgress {
  readonly stage: 'download' | 'check';
  readonly done: number;
  /** In all, where it is known. */
  readonly total?: number;
}

/** What to download, and how patiently. */
export interface DownloadOptions {
  readonly url: string;
  /** Where it goes. Until it is whole and checked, the bytes are in `<file>.part`. */
  readonly file: string;
  /** Bytes that it must have. */
  readonly size?: number;
  /** Digest that it must have, in hexadecimal digits. */
  readonly digest?: { readonly algorithm: 'md5' | 'sha1' | 'sha256'; readonly hex: string };
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Told of every failure that is got over. */
  readonly onRetry?: (reason: string) => void;
  /** Failures in a row, without a byte gained in between, until it gives up. Default 5. */
  readonly attempts?: number;
  /** Longest wait for a connection, in milliseconds. Default 20,000. */
  readonly connectMs?: number;
  /** Longest time in which less than a kilobyte arrives, in milliseconds. Default 30,000. */
  readonly stallMs?: number;
  /** First pause between attempts, which doubles, in milliseconds. Default 1,000. */
  readonly pauseMs?: number;
}

/** What is known of the bytes in `<file>.part`. */
interface PartRecord {
  readonly url: string;
  /** The server's own mark of this version of the file. */
  readonly validator?: string;
  readonly total?: number;
}

const leastBytes = 1024;
const longestPause = 30_000;

/**
 * Downloads a file, or what is missing of it. A server that cuts or stalls is asked again from where it stopped; one that ignores the
 * range, or has another version by now, starts the file anew. In the end size and digest must be as wanted; a file that fails is thrown
 * away and tried once more from the start.
 * @throws Error with the address, what happened, and what to do; what aborted the signal. The bytes so far stay for the next call.
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const { url, file, attempts = 5, pauseMs = 1000 } = options;
  const part = `${file}.part`;
  await fs.mkdir(path.dirname(file), { recursive: true });
  let failures = 0;
  let wrong = 0;
  let best = await sizeOf(part);
  const began = best;
  let useRange = true;
  for (;;) {
    let failure: TransferError;
    try {
      await transfer(part, options, useRange);
      const fault = await check(part, options);
      if (fault === undefined) break;
      await discard(part);
      best = 0;
      failure = new TransferError(fault);
      if (++wrong === 2)
        throw new FinalTransferError(`${fault}. It is not the published file: use another address`);
    } catch (error) {
      if (error instanceof FinalTransferError)
        throw new Error(`Can't download ${url}: ${error.message}.`, { cause: error });
      if (!(error instanceof TransferError)) throw error;
      failure = error;
    }
    options.signal?.throwIfAborted();
    const now = await sizeOf(part);
    if (failure instanceof RangeIgnored) useRange = false;
    failures = now > best ? 1 : failures + 1;
    best = Math.max(best, now);
    // Where nothing can be reached at all, waiting longer does not help.
    const most = failure.unreachable && best <= began ? Math.min(2, attempts) : attempts;
    if (failures >= most) {
      const kept = now > 0 ? ` ${formatSize(now)} are kept: run it again to go on.` : '';
      throw new Error(`Can't download ${url}: ${failure.message} (${failures} attempts).${kept}`, {
        cause: failure,
      });
    }
    options.onRetry?.(failure.message);
    const pause = Math.max(failure.waitMs, Math.min(longestPause, pauseMs * 2 ** (failures - 1)));
    await sleep(pause, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
  }
  await fs.rename(part, file);
  await fs.rm(recordFile(part), { force: true });
}

/** The server answers a range with something else. */
class RangeIgnored extends TransferError {}

/** One attempt: asks for what is missing and appends it. */
async function transfer(part: string, options: DownloadOptions, useRange: boolean): Promise<void> {
  const { url, size, digest, signal, connectMs = 20_000, stallMs = 30_000 } = options;
  const record = await readRecord(part);
  let offset = await sizeOf(part);
  const wanted = size ?? record?.total;
  const sameSource = record?.url === url && record.validator !== undefined;
  // Bytes of unknown versions may only be joined where a digest tells in the end.
  const joinable =
    useRange && (sameSource || digest !== undefined) && (wanted === undefined || offset <= wanted);
  if (offset > 0 && !joinable) {
    await discard(part);
    offset = 0;
  }
  if (offset > 0 && offset === wanted) return;
  const headers: Record<string, string> = { 'user-agent': 'detlab', 'accept-encoding': 'identity' };
  if (offset > 0) {
    headers.range = `bytes=${offset}-`;
    if (sameSource) headers['if-range'] = record.validator as string;
  }
  const answer = await requestFile(url, { headers, connectMs, answerMs: stallMs, signal });
  // The body may fail at any time from here on; whoever reads it is told.
  answer.on('error', () => undefined);
  try {
    await take(answer, part, offset, record, options, stallMs);
  } finally {
    answer.destroy();
  }
}

/** Looks at the answer's headers, then writes its body. */
async function take(
  answer: IncomingMessage,
  part: string,
  offset: number,
  record: PartRecord | undefined,
  options: DownloadOptions,
  stallMs: number,
): Promise<void> {
  const { url, size } = options;
  const { statusCode = 0, headers } = answer;
  if (statusCode === 416) {
    await discard(part);
    throw new TransferError('the server does not have the range that is missing');
  }
  if (statusCode !== 200 && statusCode !== 206) throw refusal(statusCode, headers['retry-after']);
  const coding = headers['content-encoding'] ?? 'identity';
  if (coding !== 'identity') throw new FinalTransferError(`the server sends the file ${coding}-encoded`);
  if (headers['content-type']?.startsWith('text/html')) throw new FinalTransferError(webPage);
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  const validator = validatorOf(headers);
  let from = 0;
  let total = length;
  if (statusCode === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
    const changed =
      record?.validator !== undefined &&
      record.url === url &&
      validator !== undefined &&
      validator !== record.validator;
    if (range === null || Number(range[1]) !== offset || changed) {
      await discard(part);
      if (changed) throw new TransferError('the file on the server has changed');
      throw new RangeIgnored('the server sends another range than it was asked for');
    }
    from = offset;
    total = range[3] === '*' ? undefined : Number(range[3]);
  }
  const expected = size ?? total;
  if (size !== undefined && total !== undefined && total !== size) {
    throw new TransferError(`the server offers ${total} bytes, ${size} were expected`);
  }
  const known: PartRecord = { url, validator, total: expected };
  const open = async (): Promise<fs.FileHandle> => {
    // Old bytes must never stand beside a record of the new version, whenever the process is killed.
    if (from === 0) await discard(part);
    if (from === 0 || record === undefined) await fs.writeFile(recordFile(part), JSON.stringify(known));
    return fs.open(part, from === 0 ? 'w' : 'r+');
  };
  const done = await writeBody(answer, open, from, expected, options, stallMs);
  if (expected !== undefined && done < expected) {
    throw new TransferError(`the connection was cut after ${done} of ${expected} bytes`);
  }
}

const webPage = 'the server sends a web page instead of the file (does the network ask for a login?)';

/** Appends the body; what is there stays until its first bytes have come. @returns bytes that are there now. */
async function writeBody(
  answer: IncomingMessage,
  open: () => Promise<fs.FileHandle>,
  from: number,
  expected: number | undefined,
  { signal, onProgress }: DownloadOptions,
  stallMs: number,
): Promise<number> {
  let done = from;
  let seen = from;
  let told = 0;
  let stalled = false;
  let handle: fs.FileHandle | undefined;
  // Counts what arrived in each period: a byte now and then is a stall, too.
  const watch = setInterval(() => {
    if (done - seen < leastBytes) {
      stalled = true;
      answer.destroy();
    }
    seen = done;
  }, stallMs);
  const abort = (): void => void answer.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (expected !== undefined && done + chunk.length > expected) {
        throw new FinalTransferError(`the server sends more than the ${expected} bytes that were expected`);
      }
      if (from === 0 && done === 0 && /^\s*<(!doctype html|html)/i.test(chunk.toString('latin1', 0, 100)))
        throw new FinalTransferError(webPage);
      handle ??= await open();
      await writeAll(handle, chunk, done);
      done += chunk.length;
      if (Date.now() - told < 200) continue;
      told = Date.now();
      onProgress?.({ stage: 'download', done, total: expected });
    }
    onProgress?.({ stage: 'download', done, total: expected });
    if (!answer.complete) throw new TransferError(`the connection was cut after ${done} bytes`);
    if ((expected ?? 0) === 0) handle ??= await open(); // an empty file
    return done;
  } catch (error) {
    signal?.throwIfAborted();
    if (stalled) throw new TransferError(`nothing arrived for ${stallMs / 1000} s (after ${done} bytes)`);
    if (error instanceof TransferError || error instanceof FinalTransferError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new FinalTransferError('the disk is full');
    if (code === 'EIO' || code === 'EROFS' || code === 'EFBIG') throw error;
    const expectation = expected === undefined ? '' : ` of ${expected}`;
    throw new TransferError(`the connection was cut after ${done}${expectation} bytes`, false, 0, {
      cause: error,
    });
  } finally {
    clearInterval(watch);
    signal?.removeEventListener('abort', abort);
    await handle?.close();
  }
}

async function writeAll(handle: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

/** What is wrong with the whole file, if anything. */
async function check(
  part: string,
  { size, digest, onProgress, signal }: DownloadOptions,
): Promise<string | undefined> {
  const there = await sizeOf(part);
  if (size !== undefined && there !== size) return `it has ${there} bytes, ${size} were expected`;
  if (digest === undefined) return undefined;
  const hex = await digestOf(part, digest.algorithm, signal, (done) =>
    onProgress?.({ stage: 'check', done, total: there }),
  );
  if (hex === digest.hex.toLowerCase()) return undefined;
  return `its ${digest.algorithm} is ${hex}, ${digest.hex} was expected`;
}

/** A file's digest in hexadecimal digits. */
export async function digestOf(
  file: string,
  algorithm: string,
  signal?: AbortSignal,
  onProgress?: (done: number) => void,
): Promise<string> {
  const hash = createHash(algorithm);
  let done = 0;
  let told = Date.now();
  for await (const chunk of createReadStream(file, {
    highWaterMark: 1 << 20,
    signal,
  }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    done += chunk.length;
    if (Date.now() - told < 200) continue;
    told = Date.now();
    onProgress?.(done);
  }
  return hash.digest('hex');
}

function refusal(status: number, retryAfter: string | undefined): TransferError | FinalTransferError {
  const what = `the server answers with status ${status}`;
  if (![408, 425, 429, 500, 502, 503, 504].includes(status)) return new FinalTransferError(what);
  const seconds = Number(retryAfter);
  return new TransferError(what, false, seconds > 0 ? Math.min(60, seconds) * 1000 : 0);
}

/** A strong ETag, or else the time of the last change. */
function validatorOf(headers: IncomingMessage['headers']): string | undefined {
  const { etag } = headers;
  return etag !== undefined && !etag.startsWith('W/') ? etag : headers['last-modified'];
}

function recordFile(part: string): string {
  return `${part}.json`;
}

async function readRecord(part: string): Promise<PartRecord | undefined> {
  try {
    return JSON.parse(await fs.readFile(recordFile(part), 'utf8')) as PartRecord;
  } catch {
    return undefined;
  }
}

async function sizeOf(file: string): Promise<number> {
  return (await fs.stat(file).catch(() => undefined))?.size ?? 0;
}

async function discard(part: string): Promise<void> {
  await fs.rm(part, { force: true });
  await fs.rm(recordFile(part), { force: true });
}
