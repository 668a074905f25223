/** Cells and what is said about them: order, counts, queue, interrupts, the death of their process. */
import { describe, expect, test } from 'vitest';
import { statuses, TestClient } from './client';
import { gate, type Script } from './fake-cells';
import { cleanups, setUp, types } from './set-up';

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
    // What happened stands out: bold and red.
    const traceback = ['\u001b[1m\u001b[31mTypeError: no\u001b[0m'];
    const error = { ename: 'TypeError', evalue: 'no', traceback };
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
    expect(started[0]!.asked.map(({ options }) => options.number)).toEqual([1, 2, 2]);
  });

  test('store_history: false does not count', async () => {
    const { client } = await setUp();
    await client.execute('one');
    const { reply, outputs } = await client.execute('aside', { store_history: false });
    expect(reply.content.execution_count).toBe(1);
    // Its number is the one that it would have had.
    expect(outputs[0]!.content).toEqual({ code: 'aside', execution_count: 2 });
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
