/** The kernel's five sockets: opened as the connection file says, read, written in order, closed without a trace. */
import dns from 'node:dns/promises';
import fs from 'node:fs';
import net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type * as ZeroMQ from 'zeromq';
import { address, type Channel, channels, type Connection, socketPath } from './connection';

type Socket = ZeroMQ.Router | ZeroMQ.XPublisher;

/** A socket could not be opened, which ends the kernel. The message names the channel and what would help. */
export class SocketError extends Error {
  override readonly name: string = 'SocketError';
}

/** What the sockets' reader gets. `frames` start with the sender's identity, on iopub with a subscription. */
export type Receive = (channel: Channel, frames: Buffer[]) => void;

// Long enough for a peer on this machine to fetch its last messages; a peer that is gone holds the process no longer.
const lingerMs = 1000;

// Jupyter picks ports that are free, and the kernel opens them a second later. In between another program may hold one for a
// moment, to look for a free one itself; and the kernel before a restart may still close its own.
const portPatienceMs = 3000;

/** Open sockets. Messages of one channel leave in the order in which they were sent. */
export class Sockets {
  private readonly connection: Connection;
  private readonly open: Map<Channel, { socket: Socket; outbox: Outbox }> = new Map();
  private closing = false;

  private constructor(connection: Connection) {
    this.connection = connection;
  }

  /**
   * Opens all five. `frameLimit`: bytes of one frame at most; the connection of whoever sends more is cut.
   * @throws SocketError where one cannot be opened; then none is left open.
   */
  static async open(connection: Connection, frameLimit: number): Promise<Sockets> {
    const zmq = await loadZeroMQ();
    const sockets = new Sockets(connection);
    try {
      if (connection.curveSecretKey !== undefined && !zmq.capability.curve) {
        throw new SocketError(
          `${connection.file} asks for encrypted sockets (curve_secretkey), but this build of ZeroMQ has no CurveZMQ.`,
        );
      }
      const host = await numericHost(connection);
      for (const channel of channels) {
        const socket = createSocket(zmq, channel, connection, frameLimit, net.isIPv6(host));
        sockets.open.set(channel, { socket, outbox: new Outbox(socket) });
        await bind(socket, connection, channel, host);
      }
    } catch (error) {
      sockets.close();
      throw error;
    }
    return sockets;
  }

  /** Hands everything that arrives to `receive`, until the sockets are closed. */
  listen(receive: Receive): void {
    for (const [channel, { socket }] of this.open) void this.read(channel, socket, receive);
  }

  private async read(channel: Channel, socket: Socket, receive: Receive): Promise<void> {
    try {
      for await (const frames of socket) receive(channel, frames);
    } catch (error) {
      if (!this.closing) throw error;
    }
  }

  /** Puts a message into a channel's queue. */
  send(channel: Channel, frames: Buffer[]): void {
    this.open.get(channel)?.outbox.add(frames);
  }

  /** Waits until everything that was sent is in ZeroMQ's hands. */
  async flush(): Promise<void> {
    await Promise.all([...this.open.values()].map(({ outbox }) => outbox.empty()));
  }

  /** Closes the sockets; what is in ZeroMQ's hands is still delivered, for a second at most. Safe on the way out. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    for (const [channel, { socket }] of this.open) {
      const bound = socket.lastEndpoint !== null;
      socket.close();
      // ZeroMQ removes the file too, but in a thread of its own that a quick exit does not wait for.
      if (bound && this.connection.transport === 'ipc')
        fs.rmSync(socketPath(this.connection, channel), { force: true });
    }
  }
}

/** ZeroMQ takes one message of a socket at a time; the others wait here. */
class Outbox {
  private readonly socket: Socket;
  private waiting: Buffer[][] = [];
  private sending: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  add(frames: Buffer[]): void {
    this.waiting.push(frames);
    this.sending ??= this.sendAll();
  }

  async empty(): Promise<void> {
    await this.sending;
  }

  private async sendAll(): Promise<void> {
    while (this.waiting.length > 0 && !this.socket.closed) {
      const batch = this.waiting;
      this.waiting = [];
      for (const frames of batch) {
        if (this.socket.closed) break;
        // A peer that went away is no reason to stop.
        await this.socket.send(frames).catch(() => {});
      }
    }
    this.sending = undefined;
  }
}

async function loadZeroMQ(): Promise<typeof ZeroMQ> {
  try {
    return await import('zeromq');
  } catch (error) {
    throw new SocketError(
      `ZeroMQ, which Jupyter's protocol goes over, can't be loaded: ${(error as Error).message.split('\n')[0]}. ` +
        '`npm ci` in the project folder installs it.',
    );
  }
}

function createSocket(
  zmq: typeof ZeroMQ,
  channel: Channel,
  { curveSecretKey }: Connection,
  frameLimit: number,
  ipv6: boolean,
): Socket {
  const options = {
    linger: lingerMs,
    ipv6,
    maxMessageSize: frameLimit,
    // Without a limit: ZeroMQ would drop what is beyond, and a front end that misses an `idle` waits for ever.
    sendHighWaterMark: 0,
    ...(curveSecretKey === undefined ? {} : { curveServer: true, curveSecretKey }),
  };
  if (channel === 'iopub') return new zmq.XPublisher({ ...options, verbosity: 'allSubs' });
  // A front end that connects again keeps its identity; its old connection may not be known to be gone.
  return new zmq.Router({ ...options, handover: true });
}

/** ZeroMQ listens on numeric addresses and `*` only. */
async function numericHost({ transport, ip, file }: Connection): Promise<string> {
  if (transport === 'ipc' || ip === '*' || net.isIP(ip) !== 0) return ip;
  try {
    return (await dns.lookup(ip)).address;
  } catch {
    throw new SocketError(
      `${file}: "ip" is "${ip}", which is neither an address nor a name that can be resolved.`,
    );
  }
}

async function bind(socket: Socket, connection: Connection, channel: Channel, host: string): Promise<void> {
  const where = address(connection, channel, host);
  if (connection.transport === 'ipc' && (await isListening(socketPath(connection, channel)))) {
    throw new SocketError(describe('EADDRINUSE', connection, channel, where));
  }
  const patience = Date.now() + portPatienceMs;
  for (;;) {
    try {
      return await socket.bind(where);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE' || connection.transport === 'ipc' || Date.now() > patience) {
        throw new SocketError(describe(code ?? message, connection, channel, where));
      }
      await setTimeout(100);
    }
  }
}

/** ZeroMQ takes a path over from whoever listens there; another kernel must not lose its sockets. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}

function describe(code: string, connection: Connection, channel: Channel, where: string): string {
  const place =
    connection.transport === 'tcp'
      ? `Port ${connection.ports[channel]} on ${connection.ip} (${channel})`
      : `The socket ${socketPath(connection, channel)} (${channel})`;
  switch (code) {
    case 'EADDRINUSE':
      return (
        `${place} is in use, by another program or by a kernel with the same connection file ${connection.file}. ` +
        'Start the kernel again: Jupyter picks new ports.'
      );
    case 'EADDRNOTAVAIL':
    case 'ENODEV':
      return `${place} can't be opened: "ip" in ${connection.file} is no address of this machine.`;
    case 'EACCES':
      return `${place} can't be opened: this user may not. Ports below 1024 often need an administrator.`;
    case 'ENAMETOOLONG':
      return `${place} can't be opened: the path is longer than a socket's can be (about 100 characters).`;
    case 'ENOENT':
      return `${place} can't be opened: its folder does not exist ("ip" in ${connection.file}).`;
    default:
      return `${place} can't be opened: ${code} (${where}).`;
  }
}
