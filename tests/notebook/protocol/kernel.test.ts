/** The protocol around the cells: what the kernel says about itself, help while typing, comms, the end. */
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as zmq from 'zeromq';
import { startKernel } from '../../../lib/notebook/protocol/kernel';
import { statuses, TestClient, writeConnection } from './client';
import { FakeCells } from './fake-cells';
import { cleanups, setUp, types } from './set-up';

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
