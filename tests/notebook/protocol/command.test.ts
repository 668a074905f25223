/** The kernel as Jupyter starts it: a process with real cells, what ends it, and what it leaves behind. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import * as zmq from 'zeromq';
import { buildLibrary, entry, temporaryFolder } from '../helpers';
import { TestClient, writeConnection, writeTcpConnection } from './client';

beforeAll(buildLibrary);
// Several processes with a compiler each, on machines that do other things too.
vi.setConfig({ testTimeout: 240_000 });

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Started {
  child: ChildProcess;
  /** Exit code or signal. */
  ended: Promise<number | string | null>;
  /** What it printed so far. */
  text: () => string;
}

function start(words: string[], env: NodeJS.ProcessEnv = {}, cwd: string = temporaryFolder()): Started {
  const child = spawn(process.execPath, words, {
    cwd,
    env: { ...process.env, DETLAB_BACKEND: 'wasm', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  );
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await ended;
    fs.rmSync(cwd, { recursive: true, force: true });
  });
  return { child, ended, text: () => text };
}

interface Running extends Started {
  client: TestClient;
  folder: string;
}

async function startKernel(
  made: ReturnType<typeof writeConnection> = writeConnection(),
  { env, curve, cwd }: { env?: NodeJS.ProcessEnv; curve?: Record<string, unknown>; cwd?: string } = {},
): Promise<Running> {
  const started = start([entry, 'kernel', made.file], env, cwd);
  cleanups.push(() => fs.rmSync(made.folder, { recursive: true, force: true }));
  return { ...started, ...(await connect(made, curve)), folder: made.folder };
}

async function connect(
  made: ReturnType<typeof writeConnection>,
  curve?: Record<string, unknown>,
): Promise<{ client: TestClient }> {
  const client = await TestClient.connect(made.connection, curve);
  cleanups.push(() => client.close());
  return { client };
}

/** The process that runs the cells, as a cell sees it. */
async function cellProcess(client: TestClient): Promise<number> {
  const { outputs } = await client.execute('process.pid');
  return Number(outputs.find(({ type }) => type === 'execute_result')!.content.data['text/plain']);
}

/** Waits until a process is gone, or a zombie that waits to be collected. */
async function gone(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    try {
      const state = execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
      if (state.startsWith('Z')) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`process ${pid} is still there`);
}

describe('with real cells', () => {
  test('prints, results, errors, expressions, completion, inspection, in the folder of the notebook', async () => {
    const cwd = temporaryFolder();
    const { client } = await startKernel(undefined, { cwd });
    const first = await client.execute('console.log("hello");\nconst n: number = 40;\nn + 2', {
      user_expressions: { twice: 'n * 2', wrong: 'm' },
    });
    expect(first.outputs.map(({ type }) => type)).toEqual(['execute_input', 'stream', 'execute_result']);
    expect(first.outputs[1]!.content).toEqual({ name: 'stdout', text: 'hello\n' });
    expect(first.outputs[2]!.content).toMatchObject({ execution_count: 1, data: { 'text/plain': '42' } });
    expect(first.reply.content.user_expressions).toMatchObject({
      twice: { status: 'ok', data: { 'text/plain': '80' } },
      wrong: { status: 'error' },
    });
    const where = await client.execute('process.cwd()');
    expect(where.outputs[1]!.content.data['text/plain']).toContain(cwd);

    const failed = await client.execute(
      'const fail = (): never => {\n  throw new RangeError("no");\n};\nfail()',
    );
    expect(failed.reply.content).toMatchObject({ status: 'error', ename: 'RangeError', evalue: 'no' });
    expect(failed.reply.content.traceback.join('\n')).toContain('cell [3], line 2');
    expect(failed.outputs[1]).toMatchObject({ type: 'error', content: { ename: 'RangeError' } });
    const wrong = await client.execute('n.toUpperCase()');
    expect(wrong.reply.content.traceback.join('\n')).toMatch(/TS2339.*toUpperCase/);

    const code = "'😀' + n.toFix";
    const { reply } = await client.request('complete_request', { code, cursor_pos: [...code].length });
    expect(reply.content.matches).toEqual(['toFixed']);
    expect([reply.content.cursor_start, reply.content.cursor_end]).toEqual([8, 13]);
    const inspected = await client.request('inspect_request', { code: 'n', cursor_pos: 1 });
    expect(inspected.reply.content.data['text/plain']).toContain('number');
    const open = await client.request('is_complete_request', { code: 'function f() {' });
    expect(open.reply.content.status).toBe('incomplete');
  });

  test('a cell that never yields: control, heartbeat and interrupt are served, and variables stay', async () => {
    const { client, child } = await startKernel();
    await client.execute('const kept = 7;');
    for (const interrupt of [
      () => client.request('interrupt_request', {}, 'control'),
      () => child.kill('SIGINT'),
    ]) {
      const cell = await client.send('execute_request', { code: 'console.log("in"); for (;;) {}' });
      await client.published(cell, 'stream');
      expect((await client.request('kernel_info_request', {}, 'control')).reply.content.status).toBe('ok');
      expect(await client.ping('alive')).toBe('alive');
      await interrupt();
      expect((await client.answered(cell)).reply.content).toMatchObject({
        status: 'error',
        ename: 'Interrupted',
      });
    }
    expect((await client.execute('kept')).outputs[1]!.content.data['text/plain']).toBe('7');
  });

  test('help while typing comes while an asynchronous cell waits', async () => {
    const { client } = await startKernel();
    const cell = await client.send('execute_request', {
      code: 'console.log("in"); await new Promise(() => {});',
    });
    await client.published(cell, 'stream');
    const { reply } = await client.request('complete_request', { code: 'JSON.pars', cursor_pos: 9 });
    expect(reply.content.matches).toEqual(['parse']);
    expect(client.replies.shell.all.some(({ type }) => type === 'execute_reply')).toBe(false);
    await client.request('interrupt_request', {}, 'control');
    expect((await client.answered(cell)).reply.content.ename).toBe('Interrupted');
  });

  test('what native code and children print, and what a cell prints late, goes to its cell', async () => {
    const { client } = await startKernel();
    const cell = await client.send('execute_request', {
      code: `import { spawnSync } from 'node:child_process';
setTimeout(() => console.log('late'), 300);
spawnSync(process.execPath, ['-e', 'console.error("from a child")'], { stdio: 'inherit' });`,
    });
    const child = await client.published(cell, 'stream', ({ content }) => content.name === 'stderr');
    expect(child.content.text).toBe('from a child\n');
    await client.answered(cell);
    await client.execute('1');
    const late = await client.published(cell, 'stream', ({ content }) => content.name === 'stdout');
    expect(late.content.text).toBe('late\n');
  });

  test('a process for cells that is killed fails its cell, and the next has a new one', async () => {
    const { client } = await startKernel();
    const before = await cellProcess(client);
    const { reply } = await client.execute("process.kill(process.pid, 'SIGKILL'); for (;;) {}");
    expect(reply.content.ename).toBe('CellProcessEnded');
    expect(reply.content.evalue).toMatch(/SIGKILL.*variables are gone/s);
    expect(await cellProcess(client)).not.toBe(before);
    const after = await cellProcess(client);
    process.kill(after, 'SIGKILL');
    await client.iopub.find(
      ({ type, content }) => type === 'stream' && /variables are gone/.test(content.text),
    );
    expect((await client.execute('1 + 1')).reply.content.status).toBe('ok');
  });
});

describe('the end of the process', () => {
  test('a shutdown over tcp is answered first; then nothing is left', async () => {
    const { client, ended, text } = await startKernel(await writeTcpConnection());
    const cells = await cellProcess(client);
    const { reply } = await client.request('shutdown_request', { restart: false }, 'control');
    expect(reply.content).toEqual({ status: 'ok', restart: false });
    expect(await ended).toBe(0);
    expect(text()).toBe('');
    await gone(cells);
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)(
    '%s ends it, a running cell and its sockets too',
    async (signal) => {
      const { client, child, ended, folder } = await startKernel();
      const cells = await cellProcess(client);
      const cell = await client.send('execute_request', { code: 'console.log("in"); for (;;) {}' });
      await client.published(cell, 'stream');
      expect(fs.readdirSync(folder)).toHaveLength(6);
      child.kill(signal);
      expect(await ended).toBe(0);
      await gone(cells);
      expect(fs.readdirSync(folder)).toEqual(['kernel.json']);
    },
  );

  test('a console that nobody reads any more does not end it', async () => {
    const { client, child } = await startKernel();
    child.stderr!.destroy();
    child.stdout!.destroy();
    for (let i = 0; i < 3; i++) {
      await client.sendFrames(['nonsense'], 'control');
      expect((await client.request('kernel_info_request', {}, 'control')).reply.content.status).toBe('ok');
    }
    expect((await client.execute('1')).reply.content.status).toBe('ok');
  });

  test('when it is killed, the process for cells ends by itself', async () => {
    const { client, child, ended } = await startKernel();
    const cells = await cellProcess(client);
    const cell = await client.send('execute_request', { code: 'console.log("in"); for (;;) {}' });
    await client.published(cell, 'stream');
    child.kill('SIGKILL');
    await ended;
    await gone(cells);
  });

  test('it ends when the process that started it is gone', async () => {
    const made = writeConnection();
    cleanups.push(() => fs.rmSync(made.folder, { recursive: true, force: true }));
    const parent = `const { spawn } = require('node:child_process');
      spawn(process.execPath, ${JSON.stringify([entry, 'kernel', made.file])}, { stdio: 'inherit' });
      setInterval(() => {}, 1000);`;
    const { child, ended, text } = start(['-e', parent]);
    const { client } = await connect(made);
    const cells = await cellProcess(client);
    child.kill('SIGKILL');
    // Its output is the kernel's: closed when both are gone.
    expect(await ended).toBe('SIGKILL');
    expect(text()).toContain('the process that started it is gone');
    await gone(cells);
    expect(fs.readdirSync(made.folder)).toEqual(['kernel.json']);
  });

  test('it ends when the process that Jupyter names is gone', async () => {
    const jupyter = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    cleanups.push(() => void jupyter.kill('SIGKILL'));
    const { ended, text } = await startKernel(undefined, { env: { JPY_PARENT_PID: String(jupyter.pid) } });
    jupyter.kill('SIGKILL');
    expect(await ended).toBe(1);
    expect(text()).toContain('the process that started it is gone');
  });
});

describe('mistakes', () => {
  const run = async (words: string[], env?: NodeJS.ProcessEnv): Promise<{ code: unknown; text: string }> => {
    const { ended, text } = start([entry, 'kernel', ...words], env);
    const code = await ended;
    return { code, text: text() };
  };

  test('a file that is missing or wrong: a sentence, no stack, exit code 2', async () => {
    const folder = temporaryFolder();
    cleanups.push(() => fs.rmSync(folder, { recursive: true }));
    const missing = path.join(folder, 'none.json');
    const none = await run([missing]);
    expect(none.code).toBe(2);
    expect(none.text).toMatch(/^The connection file .*none\.json does not exist\./);
    expect(none.text.trim().split('\n')).toHaveLength(1);
    const wrong = writeConnection({ hb_port: 'x' });
    cleanups.push(() => fs.rmSync(wrong.folder, { recursive: true }));
    const bad = await run([wrong.file]);
    expect(bad).toMatchObject({ code: 2, text: expect.stringMatching(/"hb_port" is "x"/) });
    expect((await run([])).code).toBe(2);
    expect((await run([missing, missing])).code).toBe(2);
    expect(await run([missing], { DETLAB_MESSAGE_LIMIT: 'many' })).toMatchObject({
      code: 2,
      text: expect.stringContaining("DETLAB_MESSAGE_LIMIT is 'many'"),
    });
    expect(await run(['--help'])).toMatchObject({
      code: 0,
      text: expect.stringContaining('CONNECTION_FILE'),
    });
  });

  test('a port in use: its number and channel, exit code 1', async () => {
    const made = await writeTcpConnection();
    cleanups.push(() => fs.rmSync(made.folder, { recursive: true }));
    const server = net.createServer();
    await new Promise<void>((resolve) =>
      server.listen(made.connection.shell_port, '127.0.0.1', () => resolve()),
    );
    cleanups.push(() => void server.close());
    const { code, text } = await run([made.file]);
    expect(code).toBe(1);
    expect(text).toContain(`Port ${made.connection.shell_port} on 127.0.0.1 (shell) is in use`);
    expect(text.trim().split('\n')).toHaveLength(1);
  });
});

test('a port that is in use for a moment is waited for', async () => {
  const made = await writeTcpConnection();
  cleanups.push(() => fs.rmSync(made.folder, { recursive: true }));
  const server = net.createServer();
  await new Promise<void>((resolve) =>
    server.listen(made.connection.shell_port, '127.0.0.1', () => resolve()),
  );
  start([entry, 'kernel', made.file]);
  // Longer than the program takes to load, shorter than it waits.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await new Promise((resolve) => server.close(resolve));
  const { client } = await connect(made);
  expect((await client.execute('1 + 1')).reply.content.status).toBe('ok');
});

test('two kernels at once do not know of one another', async () => {
  const [a, b] = await Promise.all([startKernel(), startKernel()]);
  await Promise.all([a.client.execute('const mine = "a";'), b.client.execute('const mine = "b";')]);
  const [fromA, fromB] = await Promise.all([a.client.execute('mine'), b.client.execute('mine')]);
  expect(fromA.outputs[1]!.content.data['text/plain']).toContain('a');
  expect(fromB.outputs[1]!.content.data['text/plain']).toContain('b');
});

test('encrypted sockets, where Jupyter asks for them', async () => {
  const server = zmq.curveKeyPair();
  const own = zmq.curveKeyPair();
  const made = await writeTcpConnection({
    curve_publickey: server.publicKey,
    curve_secretkey: server.secretKey,
  });
  const { client } = await startKernel(made, {
    curve: {
      curveServerKey: server.publicKey,
      curvePublicKey: own.publicKey,
      curveSecretKey: own.secretKey,
    },
  });
  expect((await client.request('kernel_info_request')).reply.content.status).toBe('ok');
  expect(await client.ping('hidden')).toBe('hidden');
});
