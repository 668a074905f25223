/** A Redis of the tests' own, and processes that serve its queues. */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { which } from '../../lib/tensor/packages';

/** Undefined where there is none: tests of the queue are skipped then. */
export const redisProgram: string | undefined = which('redis-server');
if (redisProgram === undefined)
  console.log('No redis-server here: the tests of the queue are skipped (apt-get install redis-server).');

/** A process, and what it has said. */
export interface Running {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly code: Promise<number | null>;
}

export function start(program: string, words: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(program, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  const code = new Promise<number | null>((resolve) => child.on('close', (value) => resolve(value)));
  return { child, text: () => text, code };
}

export async function until(holds: () => boolean, what: () => string = () => ''): Promise<void> {
  for (const begun = performance.now(); !holds();) {
    if (performance.now() - begun > 50_000) throw new Error(`in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a Redis that keeps nothing on the disk. */
export async function startRedis(folder: string, port: number, ...words: string[]): Promise<Running> {
  const own = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ];
  const running = start(redisProgram!, [...own, ...words]);
  await until(() => running.text().includes('Ready to accept connections'), running.text);
  return running;
}

/** A process that serves; ready when it says so. A busy machine must not be taken for a lost one: its lock is long unless told. */
export function startWorker(options: object): Running {
  const script = path.join(__dirname, 'fixtures', 'serve.cjs');
  return start(process.execPath, [script, JSON.stringify({ lockSeconds: 20, ...options })]);
}

/** A process that has one payload worked on. */
export function startLeader(options: object): Running {
  const script = path.join(__dirname, 'fixtures', 'lead.cjs');
  return start(process.execPath, [script, JSON.stringify(options)]);
}
