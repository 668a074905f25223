import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  downloadFile,
  type DownloadOptions,
  type DownloadProgress,
} from '../../../lib/data/download/download-file';
import { createRandom } from '../../../lib/tensor/random';
import { temporaryFolder } from '../temporary';
import { cutSoon, loopback, serve } from './loopback';

const bytesOf = (seed: number, length = 300_000): Buffer => {
  const random = createRandom(seed);
  return Buffer.from(Array.from({ length }, () => random.integer(256)));
};
const content = bytesOf(1);
const other = bytesOf(2);
const digestOf = (bytes: Buffer): DownloadOptions['digest'] => ({
  algorithm: 'md5',
  hex: createHash('md5').update(bytes).digest('hex'),
});
const quick = { connectMs: 2000, stallMs: 2000, pauseMs: 1 };

function target(): { file: string; part: string; record: string } {
  const file = path.join(temporaryFolder(), 'below', 'archive.tar');
  return { file, part: `${file}.part`, record: `${file}.part.json` };
}

describe('downloadFile', () => {
  test('downloads, checks, says how far it is, and leaves nothing else', async () => {
    const { url, requests } = await loopback((request, response) => serve(request, response, content));
    const { file } = target();
    const progress: DownloadProgress[] = [];
    const options = {
      size: content.length,
      digest: digestOf(content),
      onProgress: (p: DownloadProgress) => progress.push(p),
    };
    await downloadFile({ url, file, ...options, ...quick });
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    expect(fs.readdirSync(path.dirname(file))).toEqual(['archive.tar']);
    expect(progress.at(-1)).toEqual({ stage: 'download', done: content.length, total: content.length });
    expect(requests).toEqual([{ url: '/file', range: undefined, ifRange: undefined }]);
  });

  test('a connection that is cut again and again is taken up where it stopped', async () => {
    const { url, requests } = await loopback((request, response) =>
      serve(request, response, content, { cutAfter: 70_000 }),
    );
    const { file } = target();
    const reasons: string[] = [];
    await downloadFile({ url, file, ...quick, onRetry: (reason) => reasons.push(reason) });
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    expect(requests.length).toBeGreaterThanOrEqual(5);
    expect(requests[1].ifRange).toBe('"v1"');
    expect(requests[1].range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(reasons[0]).toMatch(/the connection was cut after \d+ of 300000 bytes/);
  });

  test('a server that cuts before it sends anything is given up on, and the bytes so far stay for the next call', async () => {
    let honest = false;
    const { url, requests } = await loopback((request, response, count) => {
      if (count === 0) serve(request, response, content, { cutAfter: 100_000 });
      else if (honest) serve(request, response, content);
      else response.destroy();
    });
    const { file, part } = target();
    await expect(downloadFile({ url, file, ...quick, attempts: 3 })).rejects.toThrow(
      /Can't download http.*the connection was cut \(3 attempts\)\. .* are kept: run it again to go on/,
    );
    const kept = fs.statSync(part).size;
    expect(kept).toBeGreaterThan(0);
    honest = true;
    await downloadFile({ url, file, ...quick });
    expect(requests.at(-1)?.range).toBe(`bytes=${kept}-`);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
  });

  test.each([
    ['sends nothing more', 0],
    ['sends a byte now and then', 50],
  ])('a server that stalls (%s) is left, and asked again', async (_, every) => {
    const { url } = await loopback((request, response, count) => {
      if (count > 0) return serve(request, response, content);
      response.writeHead(200, { 'content-length': content.length, etag: '"v1"' });
      response.write(content.subarray(0, 5000));
      let at = 5000;
      if (every > 0) {
        const timer = setInterval(() => response.write(content.subarray(at, ++at)), every);
        response.on('close', () => clearInterval(timer));
      }
    });
    const { file } = target();
    const reasons: string[] = [];
    await downloadFile({ url, file, ...quick, stallMs: 500, onRetry: (reason) => reasons.push(reason) });
    expect(reasons[0]).toMatch(/nothing arrived for 0\.5 s \(after \d+ bytes\)/);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
  });

  test('a server that never answers, and one that never accepts, end in bounded time', async () => {
    const silent = await loopback(() => undefined);
    await expect(
      downloadFile({ url: silent.url, file: target().file, ...quick, stallMs: 100, attempts: 2 }),
    ).rejects.toThrow('no answer within 0.1 s (2 attempts)');
    // A TLS handshake that nobody answers.
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.on('listening', resolve));
    onTestFinished(() => void server.close());
    const address = `https://127.0.0.1:${(server.address() as net.AddressInfo).port}/x`;
    await expect(
      downloadFile({ url: address, file: target().file, ...quick, connectMs: 100 }),
    ).rejects.toThrow('no connection within 0.1 s (2 attempts)');
  });

  test('no network: refused, or a name that nobody knows; two attempts, however many were allowed', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.on('listening', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await expect(
      downloadFile({ url: `http://127.0.0.1:${port}/x`, file: target().file, ...quick, attempts: 9 }),
    ).rejects.toThrow(/127\.0\.0\.1:\d+: the connection is refused \(2 attempts\)/);
    await expect(
      downloadFile({ url: 'http://no-such-host.invalid/x', file: target().file, ...quick, attempts: 9 }),
    ).rejects.toThrow(
      /no-such-host\.invalid: (the name .*network\?|no connection within 2 s).*\(2 attempts\)/,
    );
  });

  test('a server that lies about the length', async () => {
    const digest = digestOf(content);
    const lie = async (length: number): Promise<string> => {
      const { url } = await loopback((_, response) => {
        response.writeHead(200, { 'content-length': length });
        response.write(content.subarray(0, Math.min(length, content.length)), () => void cutSoon(response));
      });
      const options = { url, file: target().file, size: content.length, digest, ...quick, attempts: 2 };
      return downloadFile(options).then(
        () => 'whole',
        (error: Error) => error.message,
      );
    };
    expect(await lie(1000)).toContain('the server offers 1000 bytes, 300000 were expected');
    expect(await lie(900_000)).toContain('the server offers 900000 bytes, 300000 were expected');
    // No size is known: the promise is not kept, and ranges are not understood.
    const { url } = await loopback((_, response) => {
      response.writeHead(200, { 'content-length': content.length + 5 });
      response.write(content, () => void cutSoon(response));
    });
    await expect(downloadFile({ url, file: target().file, ...quick, attempts: 2 })).rejects.toThrow(
      'the connection was cut after 300000 of 300005 bytes (2 attempts)',
    );
  });

  test('a body without an end is stopped at the size that was expected', async () => {
    const { url } = await loopback((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(content), 5);
      response.on('close', () => clearInterval(timer));
    });
    const { file, part } = target();
    await expect(downloadFile({ url, file, size: 1_000_000, ...quick })).rejects.toThrow(
      'the server sends more than the 1000000 bytes that were expected',
    );
    expect(fs.statSync(part).size).toBeLessThanOrEqual(1_000_000);
  });

  test('a server that ignores ranges starts anew, and succeeds when it lets the file through', async () => {
    const { url, requests } = await loopback((request, response, count) =>
      serve(request, response, content, { ranges: false, cutAfter: count < 2 ? 100_000 : Infinity }),
    );
    const { file } = target();
    await downloadFile({ url, file, ...quick });
    expect(requests[1].range).toBeDefined();
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    // It always cuts: without ranges that can not end well, and does end.
    const stubborn = await loopback((request, response) =>
      serve(request, response, content, { ranges: false, cutAfter: 100_000 }),
    );
    await expect(
      downloadFile({ url: stubborn.url, file: target().file, ...quick, attempts: 3 }),
    ).rejects.toThrow(/cut after .*attempts/);
    expect(stubborn.requests.length).toBeLessThan(10);
  });

  test('a file that changes between attempts is not sewn together from two versions', async () => {
    // Honest about If-Range: the new version comes whole.
    const honest = await loopback((request, response, count) =>
      serve(request, response, count === 0 ? content : other, {
        etag: count === 0 ? '"v1"' : '"v2"',
        cutAfter: count === 0 ? 100_000 : Infinity,
      }),
    );
    const first = target().file;
    await downloadFile({ url: honest.url, file: first, ...quick });
    expect(fs.readFileSync(first).equals(other)).toBe(true);
    // Ignores If-Range: the rest of the new version comes, with its own mark.
    const careless = await loopback((request, response, count) => {
      delete request.headers['if-range'];
      serve(request, response, count === 0 ? content : other, {
        etag: count === 0 ? '"v1"' : '"v2"',
        cutAfter: count === 0 ? 100_000 : Infinity,
      });
    });
    const second = target().file;
    const reasons: string[] = [];
    await downloadFile({
      url: careless.url,
      file: second,
      ...quick,
      onRetry: (reason) => reasons.push(reason),
    });
    expect(fs.readFileSync(second).equals(other)).toBe(true);
    expect(reasons).toContain('the file on the server has changed');
    // Without any mark, and without a digest, nothing is joined.
    const unmarked = await loopback((request, response, count) =>
      serve(request, response, count === 0 ? content : other, {
        etag: '',
        cutAfter: count === 0 ? 100_000 : Infinity,
      }),
    );
    const third = target().file;
    await downloadFile({ url: unmarked.url, file: third, ...quick });
    expect(unmarked.requests[1].range).toBeUndefined();
    expect(fs.readFileSync(third).equals(other)).toBe(true);
  });

  test('wrong bytes: tried once more from the start, then refused with both digests, and thrown away', async () => {
    const { url, requests } = await loopback((request, response) => serve(request, response, other));
    const { file, part } = target();
    const digest = digestOf(content);
    await expect(downloadFile({ url, file, size: content.length, digest, ...quick })).rejects.toThrow(
      `its md5 is ${digestOf(other)?.hex}, ${digest?.hex} was expected. It is not the published file`,
    );
    expect(requests).toHaveLength(2);
    expect([fs.existsSync(file), fs.existsSync(part)]).toEqual([false, false]);
    // Wrong once, right then.
    const mended = await loopback((request, response, count) =>
      serve(request, response, count === 0 ? other : content),
    );
    await downloadFile({ url: mended.url, file, size: content.length, digest, ...quick });
    expect(fs.readFileSync(file).equals(content)).toBe(true);
  });

  test('the parts of two versions that a digest unmasks are thrown away, too', async () => {
    // No mark: with a digest the rest is asked for all the same, and turns out to be of another version.
    const { url, requests } = await loopback((request, response, count) =>
      serve(request, response, count === 0 ? other : content, {
        etag: '',
        cutAfter: count === 0 ? 100_000 : Infinity,
      }),
    );
    const { file } = target();
    await downloadFile({ url, file, digest: digestOf(content), ...quick });
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    expect(requests.map(({ range }) => range !== undefined)).toEqual([false, true, false]);
  });

  test('another range than was asked for, and a range that does not exist, start anew without ranges', async () => {
    const { url, requests } = await loopback((request, response, count) => {
      if (count === 0) return serve(request, response, content, { cutAfter: 100_000 });
      if (count === 1) {
        response.writeHead(206, {
          'content-range': `bytes 5-${content.length - 1}/${content.length}`,
          etag: '"v1"',
        });
        return response.end(content.subarray(5));
      }
      serve(request, response, content);
    });
    const { file } = target();
    await downloadFile({ url, file, ...quick });
    expect(requests.map(({ range }) => range !== undefined)).toEqual([false, true, false]);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    const again = target();
    fs.mkdirSync(path.dirname(again.file));
    fs.writeFileSync(again.part, Buffer.alloc(content.length + 9));
    fs.writeFileSync(again.record, JSON.stringify({ url, validator: '"v1"' }));
    await downloadFile({ url, file: again.file, ...quick });
    expect(fs.readFileSync(again.file).equals(content)).toBe(true);
  });

  test('a whole part is only checked; one that is too long, or whose record is broken, starts anew', async () => {
    const { url, requests } = await loopback((request, response) => serve(request, response, content));
    const { file, part, record } = target();
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(part, content);
    await downloadFile({ url, file, size: content.length, digest: digestOf(content), ...quick });
    expect(requests).toHaveLength(0);
    fs.writeFileSync(part, Buffer.concat([content, content]));
    fs.writeFileSync(record, '{"url"');
    await downloadFile({ url, file, size: content.length, digest: digestOf(content), ...quick });
    expect(requests).toHaveLength(1);
  });

  test.each([
    [404, 'the server answers with status 404', 1],
    [403, 'the server answers with status 403', 1],
    [503, 'the server answers with status 503 (3 attempts)', 3],
  ])('status %i', async (status, message, count) => {
    const { url, requests } = await loopback((_, response) =>
      response.writeHead(status, { 'retry-after': '0' }).end('no'),
    );
    await expect(downloadFile({ url, file: target().file, ...quick, attempts: 3 })).rejects.toThrow(message);
    expect(requests).toHaveLength(count);
  });

  test('redirects are followed, but not in circles, not to files, and not out of encryption', async () => {
    const { url, requests } = await loopback((request, response) => {
      if (request.url === '/file') response.writeHead(302, { location: '/there' }).end();
      else if (request.url === '/circle') response.writeHead(301, { location: '/circle' }).end();
      else if (request.url === '/disk') response.writeHead(301, { location: 'file:///etc/passwd' }).end();
      else serve(request, response, content);
    });
    const { file } = target();
    await downloadFile({ url, file, ...quick });
    expect(requests.map((request) => request.url)).toEqual(['/file', '/there']);
    const from = (name: string): string => url.replace('/file', name);
    await expect(downloadFile({ url: from('/circle'), file, ...quick })).rejects.toThrow(
      'redirects more than 5 times',
    );
    await expect(downloadFile({ url: from('/disk'), file, ...quick })).rejects.toThrow('only http and https');
    await expect(downloadFile({ url: 'ftp://x/y', file, ...quick })).rejects.toThrow('only http and https');
    await expect(downloadFile({ url: 'nonsense', file, ...quick })).rejects.toThrow(
      '"nonsense" is no address',
    );
  });

  test('a web page, and an encoding that was not asked for, are not taken for the file', async () => {
    const page = await loopback((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>'),
    );
    await expect(downloadFile({ url: page.url, file: target().file, ...quick })).rejects.toThrow(
      'sends a web page instead',
    );
    const packed = await loopback((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    );
    await expect(downloadFile({ url: packed.url, file: target().file, ...quick })).rejects.toThrow(
      'gzip-encoded',
    );
  });

  test('stopping keeps what is there', async () => {
    const { url } = await loopback((_, response) => {
      response.writeHead(200, { 'content-length': content.length, etag: '"v1"' });
      response.write(content.subarray(0, 50_000));
    });
    const { file, part } = target();
    const stop = new AbortController();
    const running = downloadFile({
      url,
      file,
      ...quick,
      signal: stop.signal,
      onProgress: ({ done }) => done > 0 && stop.abort(new Error('stopped by the user')),
    });
    await expect(running).rejects.toThrow('stopped by the user');
    expect(fs.statSync(part).size).toBeGreaterThan(0);
    await expect(downloadFile({ url, file, ...quick, signal: stop.signal })).rejects.toThrow(
      'stopped by the user',
    );
  });
});
