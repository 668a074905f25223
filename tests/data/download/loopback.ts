/** An HTTP server on this machine whose behaviour a test decides, request by request. */
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Loopback {
  readonly url: string;
  /** The requests so far. */
  readonly requests: { readonly url: string; readonly range?: string; readonly ifRange?: string }[];
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, count: number) => void;

/** Starts a server; request number `count` (from 0) goes to the handler. It ends with the test. */
export async function loopback(handler: Handler): Promise<Loopback> {
  const requests: Loopback['requests'] = [];
  const sockets = new Set<Socket>();
  const server = http.createServer((request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    requests.push({ url: request.url ?? '', range, ifRange: ifRange as string | undefined });
    handler(request, response, requests.length - 1);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`, requests };
}

/** Answers as an honest server does, from the bytes asked for; `cutAfter` bytes of the body the connection is cut. */
export function serve(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  content: Buffer,
  {
    etag = '"v1"',
    ranges = true,
    cutAfter = Infinity,
  }: { etag?: string; ranges?: boolean; cutAfter?: number } = {},
): void {
  const { range, 'if-range': ifRange } = request.headers;
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const part = ranges && range !== undefined && (ifRange === undefined || ifRange === etag);
  if (part && start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = part ? content.subarray(start) : content;
  const headers: http.OutgoingHttpHeaders = { 'content-length': body.length };
  if (etag !== '') headers.etag = etag;
  if (part) headers['content-range'] = `bytes ${start}-${content.length - 1}/${content.length}`;
  response.writeHead(part ? 206 : 200, headers);
  if (body.length <= cutAfter) response.end(body);
  else response.write(body.subarray(0, cutAfter), () => void cutSoon(response));
}

/** Cuts the connection when what was sent has surely been read: several turns of this process's loop later, also on a busy machine. */
export async function cutSoon(response: http.ServerResponse): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
  response.destroy();
}
