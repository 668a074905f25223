/** The protocol, with cells that are made up: what goes over the sockets, and when. */
import fs from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import * as zmq from 'zeromq';
import { type RunningKernel, startKernel } from '../../../lib/notebook/protocol/kernel';
import { type ClientConnection, type Received, statuses, TestClient, writeConnection } from './client';
import { FakeCells, gate, type Script } from './fake-cells';

interface Setup {
  kernel: RunningKernel;
  client: TestClient;
  connection: ClientConnection;
  file: string;
  folder: string;
  /** The processes for cells that were started, oldest first. */
  started: FakeCells[];
  /** What the kernel said on its console. */
  lines: string[];
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setUp(
  scripts: Record<string, Script> = {},
  {
    changes = {},
    ready = true,
    messageLimit,
  }: { changes?: Record<string, unknown>; ready?: boolean; messageLimit?: number } = {},
): Promise<Setup> {
  const { file, folder, connection } = writeConnection(changes);
  const started: FakeCells[] = [];
  const lines: string[] = [];
  const kernel = await startKernel(file, {
    startCells: (events) => {
      started.push(new FakeCells(events, scripts, ready));
      return started[started.length - 1]!;
    },
    log: (line) => lines.push(line),
    messageLimit,
  });
  const client = await TestClient.connect(connection);
  cleanups.push(async () => {
    client.close();
    await kernel.stop();
    fs.rmSync(folder, { recursive: true });
  });
  return { kernel, client, connection, file, folder, started, lines };
}

const types = (messages: readonly Received[]): string[] =>
  messages.map(({ type, content }) => (type === 'status' ? content.execution_state : type));

describe('what the kernel says about itself', () => {
  test('a subscriber is welcomed, then told that the kernel starts, before anything else', async () => {
    const { client } = await setUp();
    await client.request('kernel_info_request');
    const [first, second] = client.iopub.all;
    expect(first).toMatchObject({ type: 'iopub_welcome', content: { subscription: '' }, parent: {} });
    expect(second).toMatchObject({ type: 'status', content: { execution_state: 'starting' }, parent: {} });
    expect(statuses(client).filter((s) => s.startsWith('starting'))).toHaveLength(1);
  });

  test('a second subscriber is welcomed too, and one with a topic of its own gets that topic', async () => {
    const { client, connection } = await setUp();
    const other = await TestClient.connect(connection);
    cleanups.push(() => other.close());
    const picky = new zmq.Subscriber({ linger: 0 });
    cleanups.push(() => picky.close());
    picky.connect(`ipc://${connection.ip}-${connection.iopub_port}`);
    picky.subscribe('mine');
    const [topic, , , header, , , content] = await picky.receive();
    expect(topic!.toString()).toBe('mine');
    expect(JSON.parse(header!.toString()).msg_type).toBe('iopub_welcome');
    expect(JSON.parse(content!.toString())).toEqual({ subscription: 'mine' });
    await client.request('kernel_info_request');
  });

  test('kernel_info, on shell and on control, with the version of the TypeScript that runs cells', async () => {
    const { client } = await setUp();
    const { version } = (await import('@tslab/typescript-for-tslab')).default;
    for (const channel of ['shell', 'control'] as const) {
      const { reply, iopub } = await client.request('kernel_info_request', {}, channel);
      expect(types(iopub)).toEqual(['busy', 'idle']);
      expect(reply.type).toBe('kernel_info_reply');
      expect(reply.content).toMatchObject({
        status: 'ok',
        protocol_version: '5.4',
        implementation: 'detlab',
        language_info: {
          name: 'typescript',
          version,
          file_extension: '.ts',
          mimetype: 'text/typescript',
          codemirror_mode: 'typescript',
        },
        debugger: false,
        supported_features: ['iopub_welcome'],
      });
      expect(reply.content.implementation_version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(reply.header.version).toBe('5.4');
      expect(reply.header.date).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    }
  });

  test('it answers before the process for cells is ready', async () => {
    const { client } = await setUp({}, { ready: false });
    expect((await client.request('kernel_info_request')).reply.content.status).toBe('ok');
  });

  test('connect_request gives the ports, the heartbeat echoes', async () => {
    const { client } = await setUp();
    const { reply } = await client.request('connect_request');
    const ports = { shell_port: 1, iopub_port: 2, stdin_port: 3, control_port: 4, hb_port: 5 };
    expect(reply.content).toEqual({ status: 'ok', ...ports });
    expect(await client.ping('one')).toBe('one');
    expect(await client.ping('two')).toBe('two');
  });
});

describe('running cells', () => {
  test('messages in order, each with the parent header, the reply with the count', async () => {
    const { client } = await setUp({
      show: ({ say, print, options }) => {
        print('before\n');
        say({ type: 'display_data', data: { 'text/plain': 'a' }, metadata: { m: 1 }, displayId: 'd1' });
        say({ type: 'update_display_data', data: { 'text/plain': 'b' }, metadata: {}, displayId: 'd1' });
        say({ type: 'display_data', data: { 'text/plain': 'c' }, metadata: {} });
        say({ type: 'clear_output', wait: true });
        say({ type: 'stream', name: 'stderr', text: 'oh' });
        say({
          type: 'execute_result',
          executionCount: options.number!,
          data: { 'text/plain': '42' },
          metadata: {},
        });
      },
    });
    const { reply, iopub, outputs } = await client.execute('show');
    expect(reply.type).toBe('execute_reply');
    expect(reply.content).toEqual({ status: 'ok', execution_count: 1, user_expressions: {}, payload: [] });
    expect(iopub[0]!.content.execution_state).toBe('busy');
    expect(iopub[iopub.length - 1]!.content.execution_state).toBe('idle');
    expect(outputs.map(({ type, content }) => [type, content])).toEqual([
      ['execute_input', { code: 'show', execution_count: 1 }],
      ['stream', { name: 'stdout', text: 'before\n' }],
      ['display_data', { data: { 'text/plain': 'a' }, metadata: { m: 1 }, transient: { display_id: 'd1' } }],
      ['update_display_data', { data: { 'text/plain': 'b' }, metadata: {}, transient: { display_id: 'd1' } }],
      ['display_data', { data: { 'text/plain': 'c' }, metadata: {}, transient: {} }],
      ['clear_output', { wait: true }],
      ['stream', { name: 'stderr', text: 'oh' }],
      ['execute_result', { execution_count: 1, data: { 'text/plain': '42' }, metadata: {} }],
    ]);
    for (const message of iopub) expect(message.parent.session).toBe(client.session);
    expect(Date.parse(reply.metadata.started as string)).toBeLessThanOrEqual(
      Date.parse(reply.header.date as string),
    );
    expect(outputs[1]!.topic).toMatch(/^kernel\..+\.stream$/);
  });

  test('numbers that are for programs stay out of the notebook; what only they can read is not sent', async () => {
    const mime = 'application/vnd.detlab.progress+json';
    const { client } = await setUp({
      progress: ({ say }) => {
        const data = { [mime]: { step: 1, total: 2 }, 'text/plain': '1 of 2' };
        say({ type: 'display_data', data, metadata: {} });
        say({ type: 'display_data', data: { [mime]: { step: 2, total: 2 } }, metadata: {} });
      },
    });
    const { outputs } = await client.execute('progress');
    expect(outputs.slice(1).map(({ content }) => content.data)).toEqual([{ 'text/plain': '1 of 2' }]);
  });

  test('an error goes to iopub and into the reply', async () => {
    const { client } = await setUp({
      bad: () => {
        throw new TypeError('no');
      },
    });
    const { reply, outputs } = await client.execute('bad');
    const error = { ename: 'TypeError', evalue: 'no', traceback: ['TypeError: no'] };
    expect(reply.content).toMatchObject({ status: 'error', execution_count: 1, ...error });
    expect(outputs.map(({ type }) => type)).toEqual(['execute_input', 'error']);
    expect(outputs[1]!.content).toEqual(error);
  });

  test('silent: nothing but statuses, no count, no history, no abort', async () => {
    const { client, started } = await setUp({
      'loud and bad': ({ print }) => {
        print('x');
        throw new Error('silent');
      },
    });
    await client.execute('counted');
    const first = await client.send('execute_request', {
      code: 'loud and bad',
      silent: true,
      store_history: true,
    });
    const second = await client.send('execute_request', { code: 'after' });
    const silent = await client.answered(first);
    expect(types(silent.iopub)).toEqual(['busy', 'idle']);
    expect(silent.reply.content).toMatchObject({ status: 'error', evalue: 'silent', execution_count: 1 });
    expect((await client.answered(second)).reply.content).toMatchObject({ status: 'ok', execution_count: 2 });
    const { reply } = await client.request('history_request', { hist_access_type: 'tail', n: 9 });
    expect(reply.content.history).toEqual([
      [1, 1, 'counted'],
      [1, 2, 'after'],
    ]);
    expect(started[0]!.asked.map(({ options }) => options.number)).toEqual([1, 1, 2]);
  });

  test('store_history: false does not count', async () => {
    const { client } = await setUp();
    await client.execute('one');
    const { reply, outputs } = await client.execute('aside', { store_history: false });
    expect(reply.content.execution_count).toBe(1);
    expect(outputs[0]!.content).toEqual({ code: 'aside', execution_count: 1 });
    expect((await client.execute('two')).reply.content.execution_count).toBe(2);
  });

  test('an empty cell is answered without a process and is not counted', async () => {
    const { client } = await setUp({}, { ready: false });
    const { reply } = await client.execute('  \n', { silent: true });
    expect(reply.content).toMatchObject({ status: 'ok', execution_count: 0 });
  });

  test('user_expressions reach the session and come back', async () => {
    const { client, started } = await setUp();
    await client.execute('code', { user_expressions: { a: '1 + 1' } });
    expect(started[0]!.asked[0]!.options.expressions).toEqual({ a: '1 + 1' });
  });

  test('what waits behind a failing cell is aborted, what comes later runs', async () => {
    const door = gate();
    const { client, started } = await setUp({
      failing: async () => {
        await door.promise;
        throw new Error('stop here');
      },
    });
    const failing = await client.send('execute_request', { code: 'failing' });
    const second = await client.send('execute_request', { code: 'second' });
    const third = await client.send('execute_request', { code: 'third' });
    await client.published(failing, 'execute_input');
    door.resolve();
    const replies = [];
    for (const id of [failing, second, third]) replies.push(await client.answered(id));
    expect(replies.map(({ reply }) => reply.content.status)).toEqual(['error', 'aborted', 'aborted']);
    expect(types(replies[1]!.iopub)).toEqual(['busy', 'idle']);
    expect((await client.execute('later')).reply.content).toMatchObject({ status: 'ok', execution_count: 2 });
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['failing', 'later']);
  });

  test('a cell that fails at once still stops those that were sent together with it', async () => {
    const { client, started } = await setUp({
      failing: () => {
        throw new Error('at once');
      },
    });
    const ids = [];
    for (const code of ['failing', 'second', 'third'])
      ids.push(await client.send('execute_request', { code }));
    for (const id of ids) await client.answered(id);
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['failing']);
  });

  test('stop_on_error: false goes on', async () => {
    const { client } = await setUp({
      failing: () => {
        throw new Error('no matter');
      },
    });
    const failing = await client.send('execute_request', { code: 'failing', stop_on_error: false });
    const next = await client.send('execute_request', { code: 'next' });
    expect((await client.answered(failing)).reply.content.status).toBe('error');
    expect((await client.answered(next)).reply.content.status).toBe('ok');
  });

  test('late output keeps the parent of the cell that left it', async () => {
    const late = gate();
    const { client } = await setUp({
      leaves: ({ print }) => void late.promise.then(() => print('late')),
      other: () => late.resolve(),
    });
    const first = await client.send('execute_request', { code: 'leaves' });
    await client.answered(first);
    const second = await client.send('execute_request', { code: 'other' });
    await client.answered(second);
    const stream = await client.published(first, 'stream');
    expect(stream.content).toEqual({ name: 'stdout', text: 'late' });
    expect(client.about(second).some(({ type }) => type === 'stream')).toBe(false);
  });

  test('native output goes to the running cell, then to the last one, and before any to the console', async () => {
    const door = gate();
    const { client, started, lines } = await setUp({ waits: () => door.promise });
    started[0]!.events.onNativeOutput('stderr', 'a library loads\n');
    expect(lines).toEqual(['a library loads']);
    const id = await client.send('execute_request', { code: 'waits' });
    await client.published(id, 'execute_input');
    started[0]!.events.onNativeOutput('stdout', 'while it runs');
    expect((await client.published(id, 'stream')).content.text).toBe('while it runs');
    door.resolve();
    await client.answered(id);
    started[0]!.events.onNativeOutput('stderr', 'after it');
    const after = await client.published(id, 'stream', ({ content }) => content.name === 'stderr');
    expect(after.content.text).toBe('after it');
  });

  test('a hundred megabytes arrive whole and in order', async () => {
    const piece = 'x'.repeat(99_990);
    const { client } = await setUp({
      flood: ({ print }) => {
        for (let i = 0; i < 1000; i++) print(`${String(i).padStart(9)}\n${piece}`);
      },
    });
    const { outputs, reply } = await client.execute('flood');
    expect(reply.content.status).toBe('ok');
    const streams = outputs.filter(({ type }) => type === 'stream');
    expect(streams.map(({ content }) => parseInt(content.text, 10))).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
  });

  test('half a character can be shown, and leaves the message readable', async () => {
    const { client } = await setUp({ half: ({ print }) => print('a\ud83d b\\ud83d 😀') });
    const { outputs } = await client.execute('half');
    expect(outputs[1]!.content.text).toBe('a\ufffd b\\ud83d 😀');
  });
});

describe('while a cell runs', () => {
  const waiting = (): { scripts: Record<string, Script>; open: () => void } => {
    const door = gate();
    return { scripts: { waits: () => door.promise }, open: door.resolve };
  };

  test('other requests are answered, and front ends go on seeing a busy kernel', async () => {
    const { scripts, open } = waiting();
    const { client } = await setUp(scripts);
    const cell = await client.send('execute_request', { code: 'waits' });
    await client.published(cell, 'execute_input');
    const requests: [string, object][] = [
      ['kernel_info_request', {}],
      ['complete_request', { code: 'a', cursor_pos: 1 }],
      ['inspect_request', { code: 'a', cursor_pos: 1 }],
      ['is_complete_request', { code: 'a' }],
      ['history_request', { hist_access_type: 'tail' }],
      ['comm_info_request', {}],
    ];
    for (const [type, content] of requests) {
      for (const channel of ['shell', 'control'] as const) {
        const id = await client.send(type, content, channel);
        expect((await client.answered(id, channel)).reply.content.status).toMatch(/^(ok|complete)$/);
        // The last status that a front end sees is what it shows.
        await client.iopub.find(
          ({ content: c, parent }) => c.execution_state === 'busy' && parent.msg_id === cell,
          client.iopub.all.findIndex(
            ({ content: c, parent }) => c.execution_state === 'idle' && parent.msg_id === id,
          ),
        );
      }
    }
    open();
    await client.answered(cell);
    await client.request('kernel_info_request');
    expect(statuses(client).at(-1)).toMatch(/^idle/);
  });

  test('an interrupt, on either channel or by the process’s owner, stops it', async () => {
    const { client, kernel } = await setUp({
      loops: async ({ interrupted }) => {
        await interrupted;
        throw Object.assign(new Error('the cell was interrupted'), { name: 'Interrupted' });
      },
    });
    const ways = [
      async () => void (await client.request('interrupt_request', {}, 'control')),
      async () => void (await client.request('interrupt_request', {}, 'shell')),
      async () => kernel.interrupt(),
    ];
    for (const interrupt of ways) {
      const cell = await client.send('execute_request', { code: 'loops' });
      const queued = await client.send('execute_request', { code: 'queued' });
      await client.published(cell, 'execute_input');
      await interrupt();
      expect((await client.answered(cell)).reply.content).toMatchObject({
        status: 'error',
        ename: 'Interrupted',
      });
      expect((await client.answered(queued)).reply.content.status).toBe('aborted');
    }
    expect((await client.request('interrupt_request', {}, 'control')).reply.content).toEqual({
      status: 'ok',
    });
  });

  test('a cell that waits for its process can be interrupted', async () => {
    const { client, started } = await setUp({}, { ready: false });
    const cell = await client.send('execute_request', { code: 'first' });
    await client.published(cell, 'execute_input');
    await client.request('interrupt_request', {}, 'control');
    const { reply, outputs } = await client.answered(cell);
    expect(reply.content.ename).toBe('Interrupted');
    expect(outputs.map(({ type }) => type)).toEqual(['execute_input', 'error']);
    started[0]!.becomeReady();
    expect((await client.execute('second')).reply.content.status).toBe('ok');
    expect(started[0]!.asked.map(({ code }) => code)).toEqual(['second']);
  });

  test('cells of two front ends wait for one another, and both see both', async () => {
    const { scripts, open } = waiting();
    const { client, connection } = await setUp(scripts);
    const other = await TestClient.connect(connection);
    cleanups.push(() => other.close());
    const first = await client.send('execute_request', { code: 'waits' });
    await other.published(first, 'execute_input');
    const second = await other.send('execute_request', { code: 'mine' });
    await other.request('kernel_info_request');
    expect(other.about(second)).toEqual([]);
    open();
    expect((await other.answered(second)).reply.content.execution_count).toBe(2);
    expect((await client.answered(first)).reply.content.execution_count).toBe(1);
    expect(client.replies.shell.all.some(({ parent }) => parent.msg_id === second)).toBe(false);
    await client.published(second, 'execute_input');
  });
});

describe('help while typing', () => {
  test('completion, with positions in code points', async () => {
    const { client, started } = await setUp();
    await client.request('kernel_info_request');
    const code = "'😀😀'.toUp";
    const [cells] = started;
    cells!.completion = {
      items: [{ text: 'toUpperCase', type: 'method', signature: '(): string' }],
      start: code.length - 4,
      end: code.length,
    };
    const { reply } = await client.request('complete_request', { code, cursor_pos: [...code].length });
    expect(cells!.positions).toEqual([code.length]);
    expect(reply.content).toEqual({
      status: 'ok',
      matches: ['toUpperCase'],
      cursor_start: 5,
      cursor_end: 9,
      metadata: {
        _jupyter_types_experimental: [
          { start: 5, end: 9, text: 'toUpperCase', type: 'method', signature: '(): string' },
        ],
      },
    });
  });

  test('inspection: found, and not found', async () => {
    const { client, started } = await setUp();
    await client.request('kernel_info_request');
    const nothing = await client.request('inspect_request', { code: '😀 x', cursor_pos: 99 });
    expect(nothing.reply.content).toEqual({ status: 'ok', found: false, data: {}, metadata: {} });
    started[0]!.inspection = { 'text/plain': 'const x: number' };
    const { reply } = await client.request('inspect_request', {
      code: '😀 x',
      cursor_pos: 2,
      detail_level: 1,
    });
    expect(reply.content).toMatchObject({ found: true, data: { 'text/plain': 'const x: number' } });
    expect(started[0]!.positions).toEqual([4, 3]);
  });

  test('completeness', async () => {
    const { client, started } = await setUp();
    await client.request('kernel_info_request');
    expect((await client.request('is_complete_request', { code: 'a' })).reply.content).toEqual({
      status: 'complete',
    });
    started[0]!.completeness = { status: 'incomplete', indent: '  ' };
    expect((await client.request('is_complete_request', { code: 'a' })).reply.content).toEqual({
      status: 'incomplete',
      indent: '  ',
    });
    started[0]!.completeness = { status: 'invalid' };
    expect((await client.request('is_complete_request', { code: 'a' })).reply.content).toEqual({
      status: 'invalid',
    });
  });

  test('history by tail, range and search, with outputs', async () => {
    const { client } = await setUp({
      'a + b': ({ say, options }) =>
        say({
          type: 'execute_result',
          executionCount: options.number!,
          data: { 'text/plain': '3' },
          metadata: {},
        }),
    });
    for (const code of ['a + b', 'x = 1', 'a + b']) await client.execute(code);
    const find = async (query: object): Promise<unknown> =>
      (await client.request('history_request', query)).reply.content.history;
    expect(await find({ hist_access_type: 'tail', n: 2, output: true, raw: true })).toEqual([
      [1, 2, ['x = 1', null]],
      [1, 3, ['a + b', '3']],
    ]);
    expect(await find({ hist_access_type: 'range', session: 0, start: 1, stop: 3 })).toEqual([
      [1, 1, 'a + b'],
      [1, 2, 'x = 1'],
    ]);
    expect(await find({ hist_access_type: 'search', pattern: 'a*', unique: true })).toEqual([
      [1, 3, 'a + b'],
    ]);
  });
});

describe('comms', () => {
  test('none is open; one that a front end opens is closed at once', async () => {
    const { client, lines } = await setUp();
    expect(
      (await client.request('comm_info_request', { target_name: 'jupyter.widget' })).reply.content,
    ).toEqual({
      status: 'ok',
      comms: {},
    });
    const id = await client.send('comm_open', { comm_id: 'c1', target_name: 'jupyter.widget', data: {} });
    expect((await client.published(id, 'comm_close')).content).toEqual({ comm_id: 'c1', data: {} });
    for (const type of ['comm_msg', 'comm_close']) {
      const sent = await client.send(type, { comm_id: 'c1', data: {} });
      await client.published(sent, 'status', ({ content }) => content.execution_state === 'idle');
    }
    expect(lines).toEqual([]);
  });
});

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

describe('a process for cells that dies', () => {
  test('fails its cell with the reason, aborts the rest, and the next cell has a new one', async () => {
    const { client, started } = await setUp({ crashes: () => new Promise(() => {}) });
    const cell = await client.send('execute_request', { code: 'crashes' });
    const queued = await client.send('execute_request', { code: 'queued' });
    await client.published(cell, 'execute_input');
    started[0]!.die('it ran out of memory', ['FATAL ERROR: heap']);
    const { reply, outputs } = await client.answered(cell);
    expect(reply.content).toMatchObject({ status: 'error', ename: 'CellProcessEnded', execution_count: 1 });
    expect(reply.content.evalue).toMatch(/it ran out of memory\. Its variables are gone/);
    expect(reply.content.traceback.join('\n')).toContain('FATAL ERROR: heap');
    expect(outputs[1]).toMatchObject({ type: 'error', content: { evalue: reply.content.evalue } });
    expect((await client.answered(queued)).reply.content.status).toBe('aborted');
    expect((await client.execute('next')).reply.content).toMatchObject({ status: 'ok', execution_count: 2 });
    expect(started).toHaveLength(2);
  });

  test('between cells is told in the last cell’s output, once', async () => {
    const { client, started } = await setUp();
    const cell = await client.send('execute_request', { code: 'fine' });
    await client.answered(cell);
    started[0]!.die('it was killed (SIGKILL)');
    const stream = await client.published(cell, 'stream');
    expect(stream.content.name).toBe('stderr');
    expect(stream.content.text).toMatch(/it was killed \(SIGKILL\)\. Its variables are gone/);
    const { reply } = await client.request('complete_request', { code: 'a', cursor_pos: 1 });
    expect(reply.content).toMatchObject({ status: 'ok', matches: [], cursor_start: 1, cursor_end: 1 });
    expect((await client.request('is_complete_request', { code: 'a' })).reply.content.status).toBe('unknown');
    expect(started).toHaveLength(1);
    expect((await client.execute('next')).reply.content.status).toBe('ok');
    expect(started).toHaveLength(2);
  });
});

describe('the end', () => {
  test.each(['shell', 'control'] as const)(
    'a shutdown_request on %s is answered, told on iopub, and ends everything',
    async (channel) => {
      const { client, kernel, started, folder } = await setUp();
      await client.execute('a cell');
      const id = await client.send('shutdown_request', { restart: true }, channel);
      const { reply, iopub } = await client.answered(id, channel);
      expect(reply).toMatchObject({ type: 'shutdown_reply', content: { status: 'ok', restart: true } });
      expect(types(iopub)).toEqual(['busy', 'shutdown_reply', 'idle']);
      await kernel.ended;
      expect(started[0]!.finished).toBe(true);
      expect(started[0]!.killed).toBe(true);
      expect(fs.readdirSync(folder)).toEqual(['kernel.json']);
    },
  );

  test('a cell that runs does not hold it up', async () => {
    const { client, kernel, started } = await setUp({ loops: () => new Promise(() => {}) });
    const cell = await client.send('execute_request', { code: 'loops' });
    await client.published(cell, 'execute_input');
    await client.request('shutdown_request', { restart: false }, 'control');
    await kernel.ended;
    expect(started[0]!.finished).toBe(false);
    expect(started[0]!.killed).toBe(true);
  });

  test('two kernels do not meet, and the end of one is not the other’s', async () => {
    const first = await setUp({}, { changes: { key: 'same' } });
    const second = await setUp({}, { changes: { key: 'same' } });
    await first.client.execute('mine');
    await second.client.execute('yours');
    await first.client.request('shutdown_request', {}, 'control');
    await first.kernel.ended;
    expect((await second.client.execute('still here')).reply.content.execution_count).toBe(2);
    expect(first.started[0]!.asked.map(({ code }) => code)).toEqual(['mine']);
  });
});

test('sockets that are taken are named, and the ones already opened are closed', async () => {
  const { file, connection } = await setUp();
  await expect(startKernel(file, { startCells: (e) => new FakeCells(e, {}) })).rejects.toThrow(
    /\(heartbeat\) is in use.*Start the kernel again/,
  );
  const other = writeConnection({
    ip: connection.ip,
    hb_port: 15,
    control_port: 14,
    stdin_port: 13,
    iopub_port: 12,
  });
  await expect(startKernel(other.file, { startCells: (e) => new FakeCells(e, {}) })).rejects.toThrow(
    new RegExp(`The socket ${connection.ip}-1 \\(shell\\) is in use`),
  );
  expect(fs.existsSync(`${connection.ip}-15`)).toBe(false);
  expect(fs.existsSync(`${connection.ip}-1`)).toBe(true);
  fs.rmSync(other.folder, { recursive: true });
});
