/** One HTTP request for a file's bytes, bounded in time at every step. */
import http from 'node:http';
import https from 'node:https';

/** A failure that another attempt may get over. */
export class TransferError extends Error {
  override readonly name: string = 'TransferError';

  constructor(
    message: string,
    /** No server was reached at all. */
    readonly unreachable: boolean = false,
    /** The server asks to wait so long, in milliseconds. */
    readonly waitMs: number = 0,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A failure that will be the same next time. */
export class FinalTransferError extends Error {
  override readonly name: string = 'FinalTransferError';
}

/** What to ask for, and how long to wait. */
export interface RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** For name, connection and handshake. */
  readonly connectMs: number;
  /** For the answer to begin. */
  readonly answerMs: number;
  readonly signal?: AbortSignal;
}

const mostRedirects = 5;

/**
 * Sends GET and follows redirects, never from https to http.
 * @returns the answer, its body unread, whatever its status (of 200, 206, 416 and those of errors).
 * @throws TransferError or FinalTransferError, which name the address; what aborted the signal.
 */
export async function requestFile(address: string, options: RequestOptions): Promise<http.IncomingMessage> {
  let url = parseAddress(address);
  for (let redirects = 0; ; redirects++) {
    const answer = await once(url, options);
    const { statusCode = 0 } = answer;
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(statusCode)) return answer;
    answer.destroy();
    if (location === undefined)
      throw new FinalTransferError(`${url.href} redirects (${statusCode}) to nowhere`);
    if (redirects === mostRedirects)
      throw new FinalTransferError(`${address} redirects more than ${mostRedirects} times`);
    const next = parseAddress(location, url);
    if (url.protocol === 'https:' && next.protocol === 'http:') {
      throw new FinalTransferError(`${url.href} redirects to ${next.href}, which is not encrypted`);
    }
    url = next;
  }
}

function parseAddress(text: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw new FinalTransferError(`"${text}" is no address`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new FinalTransferError(`${url.href}: only http and https addresses can be downloaded from`);
  }
  return url;
}

/** What an error of the network means, in plain words. */
const meanings: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name is not known (is there a network?)',
  EAI_AGAIN: 'the name could not be looked up (is there a network?)',
  ECONNREFUSED: 'the connection is refused',
  ENETUNREACH: 'the network is out of reach',
  EHOSTUNREACH: 'the server is out of reach',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'no connection in time',
};

function once(url: URL, options: RequestOptions): Promise<http.IncomingMessage> {
  const { headers, connectMs, answerMs, signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const client = url.protocol === 'https:' ? https : http;
    // An agent of its own: no connection of an earlier attempt is used again.
    const request = client.get(url, { headers, agent: false, signal });
    let timer = setTimeout(() => {
      request.destroy(new TransferError(`${url.host}: no connection within ${connectMs / 1000} s`, true));
    }, connectMs);
    request.on('socket', (socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          request.destroy(new TransferError(`${url.host}: no answer within ${answerMs / 1000} s`));
        }, answerMs);
      });
    });
    request.on('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (signal?.aborted) reject(signal.reason as Error);
      else if (error instanceof TransferError) reject(error);
      else {
        const meaning = meanings[error.code ?? ''] ?? error.message;
        const far = ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ETIMEDOUT'];
        reject(
          new TransferError(`${url.host}: ${meaning}`, far.includes(error.code ?? ''), 0, { cause: error }),
        );
      }
    });
  });
}
