/**
 * A front end for tests: Jupyter's sockets from the other side. It signs, packs and unpacks by itself, so that a mistake in
 * the kernel's own code for that can't hide.
 */
import { createHmac, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import * as zmq from 'zeromq';

// Generous, for machines under load; nothing waits this long where all is well. Shorter than a test may take, to be told what
// was waited for.
const patienceMs = 50_000;

export interface ClientConnection {
  transport: 'tcp' | 'ipc';
  ip: string;
  shell_port: number;
  iopub_port: number;
  stdin_port: number;
  control_port: number;
  hb_port: number;
  key: string;
  signature_scheme: string;
  [extra: string]: unknown;
}

export interface Received {
  type: string;
  header: Record<string, unknown>;
  parent: Record<string, unknown>;
  metadata: Record<string, unknown>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what tests look into
  content: any;
  topic: string;
}

export interface Answer {
  reply: Received;
  /** What iopub said about the request, from `busy` to `idle`. */
  iopub: Received[];
  /** The same without the statuses. */
  outputs: Received[];
}

/** A connection file in a folder of its own, and what is in it. */
export function writeConnection(
  changes: Record<string, unknown> = {},
  transport: 'tcp' | 'ipc' = 'ipc',
): { file: string; folder: string; connection: ClientConnection } {
  const folder = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'detlab-kernel-'));
  const connection: ClientConnection = {
    transport,
    ip: path.join(folder, 's'),
    shell_port: 1,
    iopub_port: 2,
    stdin_port: 3,
    control_port: 4,
    hb_port: 5,
    key: randomUUID(),
    signature_scheme: 'hmac-sha256',
    kernel_name: 'detlab',
    ...changes,
  };
  const file = path.join(folder, 'kernel.json');
  fs.writeFileSync(file, JSON.stringify(connection));
  return { file, folder, connection };
}

/** As {@link writeConnection}, on free ports of this machine. */
export async function writeTcpConnection(
  changes: Record<string, unknown> = {},
): Promise<ReturnType<typeof writeConnection>> {
  const [shell_port, iopub_port, stdin_port, control_port, hb_port] = await freePorts(5);
  const ports = { shell_port, iopub_port, stdin_port, control_port, hb_port };
  return writeConnection({ ip: '127.0.0.1', ...ports, ...changes }, 'tcp');
}

/** Ports below those that systems give to outgoing connections, which could take one before the kernel does. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const server = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) await new Promise((resolve) => server.close(resolve));
    if (free) found.add(port);
  }
  return [...found];
}

/** Messages of one channel, and who waits for some. */
class Inbox {
  readonly all: Received[] = [];
  private readonly waiting: Set<() => void> = new Set();

  constructor(private readonly name: string) {}

  add(message: Received): void {
    this.all.push(message);
    for (const look of this.waiting) look();
  }

  /** The first message from `from` on that `wanted` takes. */
  find(wanted: (message: Received) => boolean, from: number = 0): Promise<Received> {
    return new Promise((resolve, reject) => {
      let at = from;
      const look = (): boolean => {
        for (; at < this.all.length; at++) {
          if (!wanted(this.all[at]!)) continue;
          clearTimeout(timer);
          this.waiting.delete(look);
          resolve(this.all[at]!);
          return true;
        }
        return false;
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        const seen = this.all.map(({ type, content }) => `${type} ${JSON.stringify(content).slice(0, 100)}`);
        reject(new Error(`nothing came on ${this.name}; there were:\n${seen.slice(-30).join('\n')}`));
      }, patienceMs);
      if (!look()) this.waiting.add(look);
    });
  }
}

type Channel = 'shell' | 'control' | 'stdin';

export class TestClient {
  readonly session: string = randomUUID();
  readonly iopub: Inbox = new Inbox('iopub');
  readonly replies: Record<Channel, Inbox> = {
    shell: new Inbox('shell'),
    control: new Inbox('control'),
    stdin: new Inbox('stdin'),
  };
  private readonly sockets: Record<Channel, zmq.Dealer>;
  private readonly subscriber: zmq.Subscriber;
  private readonly heart: zmq.Request;
  private count = 0;
  /** What this front end signs with, unless a test says otherwise. */
  signingKey: string;

  private constructor(
    private readonly connection: ClientConnection,
    curve: Record<string, unknown>,
  ) {
    this.signingKey = connection.key;
    const options = { linger: 0, ...curve };
    const dealer = (): zmq.Dealer => new zmq.Dealer({ ...options, routingId: this.session });
    this.sockets = { shell: dealer(), control: dealer(), stdin: dealer() };
    this.subscriber = new zmq.Subscriber({ ...options, receiveHighWaterMark: 0 });
    this.heart = new zmq.Request({ ...options, relaxed: true, correlate: true });
    for (const channel of ['shell', 'control', 'stdin'] as const) {
      this.sockets[channel].connect(this.address(connection[`${channel}_port`]));
      void this.read(this.sockets[channel], this.replies[channel]);
    }
    this.subscriber.connect(this.address(connection.iopub_port));
    this.subscriber.subscribe('');
    void this.read(this.subscriber, this.iopub);
    this.heart.connect(this.address(connection.hb_port));
  }

  /** Connects, and waits for the welcome that says that nothing on iopub is missed any more. */
  static async connect(
    connection: ClientConnection,
    curve: Record<string, unknown> = {},
  ): Promise<TestClient> {
    const client = new TestClient(connection, curve);
    await client.iopub.find(({ type }) => type === 'iopub_welcome');
    return client;
  }

  private address(port: number): string {
    const { transport, ip } = this.connection;
    return transport === 'ipc' ? `ipc://${ip}-${port}` : `tcp://${ip}:${port}`;
  }

  private async read(socket: zmq.Dealer | zmq.Subscriber, inbox: Inbox): Promise<void> {
    for await (const frames of socket) inbox.add(this.unpack(frames as Buffer[]));
  }

  private unpack(frames: Buffer[]): Received {
    const at = frames.findIndex((frame) => frame.toString() === '<IDS|MSG>');
    const signed = frames.slice(at + 2, at + 6);
    if (frames[at + 1]!.toString() !== this.sign(signed, this.connection.key))
      throw new Error('the kernel signs wrongly');
    const [header, parent, metadata, content] = signed.map((frame) => JSON.parse(frame.toString()));
    const topic = frames
      .slice(0, at)
      .map((frame) => frame.toString())
      .join('/');
    return { type: header.msg_type, header, parent, metadata, content, topic };
  }

  private sign(frames: readonly Buffer[], key: string): string {
    if (key === '') return '';
    return createHmac(this.connection.signature_scheme.replace('hmac-', ''), key)
      .update(Buffer.concat(frames))
      .digest('hex');
  }

  /** A message's frames, signed; `content` may be a text that goes out as it is. */
  pack(type: string, content: unknown, header: Record<string, unknown> = {}): Buffer[] {
    const full = {
      msg_id: `${this.session}-${++this.count}`,
      msg_type: type,
      session: this.session,
      username: 'test',
      date: new Date().toISOString(),
      version: '5.4',
      ...header,
    };
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    return this.signed([JSON.stringify(full), '{}', '{}', text].map((part) => Buffer.from(part)));
  }

  /** Header, parent header, metadata and content as a message, whatever they hold. */
  signed(parts: readonly Buffer[]): Buffer[] {
    return [Buffer.from('<IDS|MSG>'), Buffer.from(this.sign(parts, this.signingKey)), ...parts];
  }

  async sendFrames(frames: (Buffer | string)[], channel: Channel = 'shell'): Promise<void> {
    await this.sockets[channel].send(frames);
  }

  /** Sends a request and returns its id. */
  async send(type: string, content: unknown, channel: Channel = 'shell'): Promise<string> {
    const frames = this.pack(type, content);
    await this.sendFrames(frames, channel);
    return (JSON.parse(frames[2]!.toString()) as { msg_id: string }).msg_id;
  }

  /** Waits for a message about a request on iopub. */
  published(
    id: string,
    type: string,
    wanted: (message: Received) => boolean = () => true,
  ): Promise<Received> {
    return this.iopub.find((m) => m.type === type && m.parent.msg_id === id && wanted(m));
  }

  /** Waits until a request is answered and iopub says that nothing more comes. */
  async answered(id: string, channel: Channel = 'shell'): Promise<Answer> {
    const [reply] = await Promise.all([
      this.replies[channel].find(({ parent }) => parent.msg_id === id),
      this.published(id, 'status', ({ content }) => content.execution_state === 'idle'),
    ]);
    const iopub = this.about(id);
    return { reply, iopub, outputs: iopub.filter(({ type }) => type !== 'status') };
  }

  /** What iopub has said about a request so far. */
  about(id: string): Received[] {
    return this.iopub.all.filter(({ parent }) => parent.msg_id === id);
  }

  async request(type: string, content: unknown = {}, channel: Channel = 'shell'): Promise<Answer> {
    return this.answered(await this.send(type, content, channel), channel);
  }

  execute(code: string, options: Record<string, unknown> = {}): Promise<Answer> {
    return this.request('execute_request', { code, ...options });
  }

  async ping(text: string): Promise<string> {
    await this.heart.send(text);
    const [echo] = await this.heart.receive();
    return echo!.toString();
  }

  close(): void {
    for (const socket of [...Object.values(this.sockets), this.subscriber, this.heart]) socket.close();
  }
}

/** The states that iopub announced, as `busy <id>`, oldest first. */
export function statuses(client: TestClient): string[] {
  return client.iopub.all
    .filter(({ type }) => type === 'status')
    .map(({ content, parent }) => `${content.execution_state} ${parent.msg_id ?? '-'}`);
}
