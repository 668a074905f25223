/** What comes in wrong: content, frames, signatures, sizes. The kernel says so and goes on. */
import { describe, expect, test } from 'vitest';
import { TestClient } from './client';
import { cleanups, setUp, types } from './set-up';

describe('what is not as it should be', () => {
  test('content with a wrong or missing field is answered with an error that names it', async () => {
    const { client } = await setUp();
    const cases: [string, object, RegExp][] = [
      ['execute_request', {}, /"code" is missing/],
      ['execute_request', { code: 5 }, /"code" is 5; it must be a text/],
      ['execute_request', { code: 'a', silent: 'yes' }, /"silent" is "yes"; it must be true or false/],
      ['execute_request', { code: 'a', user_expressions: { a: 1 } }, /"user_expressions" is \{"a":1\}/],
      ['complete_request', { code: 'a', cursor_pos: '1' }, /"cursor_pos" is "1"; it must be a whole number/],
      ['complete_request', { code: 'a', cursor_pos: -1 }, /"cursor_pos" is -1/],
      ['inspect_request', { cursor_pos: 1 }, /"code" is missing/],
      ['is_complete_request', { code: null }, /"code" is missing/],
      ['history_request', { hist_access_type: 'all' }, /"hist_access_type" is "all"; .*"range"/],
      ['history_request', { hist_access_type: 'tail', n: 'x' }, /"n" is "x"/],
      ['comm_info_request', { target_name: 1 }, /"target_name" is 1/],
      ['shutdown_request', { restart: 'no' }, /"restart" is "no"/],
    ];
    for (const [type, content, message] of cases) {
      const { reply, iopub } = await client.request(type, content);
      expect(reply.type).toBe(type.replace('_request', '_reply'));
      expect(reply.content).toMatchObject({ status: 'error', ename: 'BadRequest' });
      expect(reply.content.evalue).toMatch(message);
      expect(reply.content.evalue).toContain(type);
      expect(types(iopub)).toEqual(['busy', 'idle']);
    }
    expect((await client.execute('fine')).reply.content).toMatchObject({ status: 'ok', execution_count: 1 });
  });

  test('null stands for a field that was left out', async () => {
    const { client } = await setUp();
    const { reply } = await client.execute('fine', {
      silent: null,
      user_expressions: null,
      stop_on_error: null,
    });
    expect(reply.content.status).toBe('ok');
  });

  test('debugging is declined, in the debugger’s own words', async () => {
    const { client } = await setUp();
    const { reply } = await client.request('debug_request', { seq: 7, command: 'initialize' }, 'control');
    expect(reply.content).toMatchObject({
      type: 'response',
      request_seq: 7,
      command: 'initialize',
      success: false,
    });
  });

  const requestChannels = ['shell', 'control'] as const;
  test.each(requestChannels)('malformed messages on %s are refused with one line each', async (channel) => {
    const { client, lines } = await setUp({}, { messageLimit: 100_000 });
    const good = client.pack('execute_request', { code: 'never' });
    const [delimiter, signature, ...parts] = good;
    const resigned = (part: number, text: string | Buffer): Buffer[] =>
      client.signed(parts.map((frame, i) => (i === part ? Buffer.from(text) : frame)));
    const cases: [(Buffer | string)[], RegExp][] = [
      [['hello'], /a message was not taken: it has no <IDS\|MSG> frame/],
      [[''], /no <IDS\|MSG> frame/],
      [[delimiter!, signature!, ...parts.slice(0, 2)], /it has 3 frames after <IDS\|MSG>/],
      [[delimiter!], /it has 0 frames after/],
      [[delimiter!, '', ...parts], /execute_request was not taken: it is not signed/],
      [[delimiter!, 'f'.repeat(64), ...parts], /execute_request was not taken: its signature is not that/],
      [[delimiter!, 'short', ...parts], /its signature is not that/],
      [
        [delimiter!, signature!, ...parts.slice(0, 3), Buffer.from('{"code":"other"}')],
        /its signature is not that/,
      ],
      [resigned(0, Buffer.from([0xff, 0xfe])), /a message was not taken: its header is not UTF-8/],
      [resigned(0, '[]'), /its header is not a JSON object/],
      [resigned(0, '{"msg_type": "execute_request"}'), /its header has no "msg_id"/],
      [resigned(0, '{"msg_id": "1"}'), /its header has no "msg_type"/],
      [resigned(1, 'null'), /execute_request was not taken: its parent header is not a JSON object/],
      [resigned(2, '{'), /its metadata is not JSON/],
      [resigned(3, '"text"'), /its content is not a JSON object/],
      [resigned(3, 'code'), /its content is not JSON/],
      [resigned(3, `{"code":"${'x'.repeat(120_000)}"}`), /it has 0\.1 MB, more than the 0\.1 MB/],
      [client.pack('\u001b[2Jevil', {}), /"\\u001b\[2Jevil" was not taken: this kernel does not know/],
      [client.pack('make_coffee_request', {}), /make_coffee_request was not taken: .* does not know/],
    ];
    for (const [frames, reason] of cases) {
      const before = lines.length;
      await client.sendFrames(frames, channel);
      // Answered in the order of arrival, so what came before has been looked at by then.
      await client.request('kernel_info_request', {}, channel);
      const line = new RegExp(`^detlab kernel: ${channel}: .*${reason.source}`);
      expect(lines.slice(before)).toEqual([expect.stringMatching(line)]);
    }
    // A type that is not known is complained about once; its idle still comes.
    const again = await client.send('make_coffee_request', {}, channel);
    await client.published(again, 'status', ({ content }) => content.execution_state === 'idle');
    expect(lines).toHaveLength(cases.length);
    expect((await client.execute('fine')).reply.content.execution_count).toBe(1);
  });

  test('a message that is sent again is refused', async () => {
    const { client, lines, started } = await setUp();
    const frames = client.pack('execute_request', { code: 'once' });
    await client.sendFrames(frames);
    await client.sendFrames(frames);
    await client.sendFrames(frames, 'control');
    await client.request('kernel_info_request', {}, 'control');
    await client.execute('then');
    expect(lines).toEqual([
      expect.stringContaining('shell: execute_request was not taken: it was sent before'),
      expect.stringContaining('control: execute_request was not taken: it was sent before'),
    ]);
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['once', 'then']);
  });

  test('whatever the content, the kernel answers or says why not, and goes on', async () => {
    const { client, lines } = await setUp();
    let state = 1;
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const values = [null, true, -1, 0, 1e308, 0.5, '', 'x', '\u0000😀', [], [[1]], {}, { a: {} }, { a: 'b' }];
    const names = ['code', 'cursor_pos', 'silent', 'user_expressions', 'hist_access_type', 'n', 'pattern'];
    names.push('session', 'start', 'stop', 'comm_id', 'target_name', 'seq', 'command', '__proto__', 'status');
    const requests = ['execute', 'complete', 'inspect', 'is_complete', 'history', 'comm_info', 'debug'];
    requests.push('interrupt', 'connect', 'kernel_info');
    for (let i = 0; i < 400; i++) {
      const content: Record<string, unknown> = Object.create(null);
      for (let n = random(6); n > 0; n--)
        content[names[random(names.length)]!] = values[random(values.length)];
      const type = `${requests[random(requests.length)]}_request`;
      const { reply } = await client.request(type, JSON.stringify(content), i % 2 ? 'shell' : 'control');
      expect(reply.type).toBe(type.replace('request', 'reply'));
      expect(reply.content.ename ?? 'BadRequest').toMatch(/^(BadRequest|NotSupported)$/);
    }
    expect(lines).toEqual([]);
  });

  test('a front end with another key gets no answer and does no harm', async () => {
    const { client, connection, lines, started } = await setUp();
    const wrong = await TestClient.connect(connection);
    cleanups.push(() => wrong.close());
    wrong.signingKey = 'another';
    await wrong.send('execute_request', { code: 'evil' });
    await wrong.send('shutdown_request', { restart: false }, 'control');
    while (lines.length < 2) await client.request('kernel_info_request');
    await client.execute('fine');
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['fine']);
    expect(wrong.replies.shell.all).toEqual([]);
  });

  test('a message far beyond the limit costs its sender the connection, not the kernel its memory', async () => {
    const { client, connection, started } = await setUp({}, { messageLimit: 100_000 });
    const rude = await TestClient.connect(connection);
    cleanups.push(() => rude.close());
    await rude.sendFrames(client.pack('execute_request', { code: 'x'.repeat(1_000_000) }));
    expect((await client.execute('fine')).reply.content.status).toBe('ok');
    // ZeroMQ connects again by itself.
    expect((await rude.execute('sorry')).reply.content.status).toBe('ok');
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['fine', 'sorry']);
  });

  test('input that nobody asked for is ignored with a line', async () => {
    const { client, lines } = await setUp();
    await client.sendFrames(client.pack('input_reply', { value: 'x' }), 'stdin');
    while (lines.length === 0) await client.request('kernel_info_request');
    expect(lines).toEqual([expect.stringMatching(/^detlab kernel: stdin: input_reply was not taken/)]);
  });

  test('with an empty key nothing is signed', async () => {
    const { client } = await setUp({}, { changes: { key: '' } });
    expect((await client.execute('fine')).reply.content.status).toBe('ok');
    const frames = client.pack('kernel_info_request', {});
    frames[1] = Buffer.from('whatever');
    await client.sendFrames(frames);
    const { msg_id } = JSON.parse(frames[2]!.toString());
    expect((await client.answered(msg_id)).reply.type).toBe('kernel_info_reply');
  });

  test('other hashes sign as well', async () => {
    const { client } = await setUp({}, { changes: { signature_scheme: 'hmac-sha512' } });
    expect((await client.execute('fine')).reply.content.status).toBe('ok');
  });
});
