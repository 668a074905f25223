/**
 * A Jupyter kernel: the protocol's sockets on one side, the process that runs cells on the other. No user code runs here,
 * so that interrupts, shutdown and heartbeat are served whatever a cell does.
 */
import { CellHost, type StartCells } from './cell-host';
import { type Channel, type Connection, readConnection } from './connection';
import { Executions } from './executions';
import { Fields } from './fields';
import { History } from './history';
import { IoPub } from './iopub';
import { type Handler, handlers, type Request } from './requests';
import { Sockets } from './sockets';
import { MessageRefused, Wire } from './wire';

export interface KernelOptions {
  /** Starts the process that runs cells. */
  startCells: StartCells;
  /** Gets a line for people, about what was refused (default: the console's error stream). */
  log?: (line: string) => void;
  /** The largest message that is taken, in bytes (default 64 MB). */
  messageLimit?: number;
}

/** A kernel that listens. */
export interface RunningKernel {
  readonly connection: Connection;
  /** Settles when the kernel has ended and its sockets are closed. */
  readonly ended: Promise<void>;
  /** Stops the running cell. */
  interrupt(): void;
  /** Ends the kernel, as a `shutdown_request` does. */
  stop(): Promise<void>;
  /** Ends the cells' process and closes the sockets at once, without waiting: the last act of a process. */
  abandon(): void;
}

export const defaultMessageLimit: number = 64 * 2 ** 20;

/**
 * Opens the sockets that a connection file names and answers what comes in.
 * @throws ConnectionFileError, SocketError
 */
export async function startKernel(connectionFile: string, options: KernelOptions): Promise<RunningKernel> {
  const connection = readConnection(connectionFile);
  const limit = options.messageLimit ?? defaultMessageLimit;
  // A message somewhat too large is refused with a word; what is far beyond must not even be read.
  const sockets = await Sockets.open(connection, 2 * limit);
  return new Kernel(connection, sockets, new Wire(connection, limit), options);
}

class Kernel implements RunningKernel {
  readonly connection: Connection;
  readonly ended: Promise<void>;
  private readonly sockets: Sockets;
  private readonly wire: Wire;
  private readonly log: (line: string) => void;
  private readonly iopub: IoPub;
  private readonly cells: CellHost;
  private readonly history: History = new History();
  private readonly executions: Executions;
  private readonly unknownTypes: Set<string> = new Set();
  private stopping: Promise<void> | undefined;
  private tellEnded: () => void = () => {};

  constructor(connection: Connection, sockets: Sockets, wire: Wire, options: KernelOptions) {
    this.connection = connection;
    this.sockets = sockets;
    this.wire = wire;
    this.log = options.log ?? ((line) => console.error(line));
    this.ended = new Promise((resolve) => (this.tellEnded = resolve));
    this.iopub = new IoPub(sockets, wire);
    this.cells = new CellHost(
      options.startCells,
      (name, text) => this.executions.nativeOutput(name, text),
      (end) => this.executions.cellsEnded(end),
    );
    this.executions = new Executions({
      cells: this.cells,
      iopub: this.iopub,
      history: this.history,
      reply: this.reply.bind(this),
      log: this.log,
    });
    sockets.listen((channel, frames) => this.receive(channel, frames));
    // The first cell should not wait for a process to start; the first front end should not wait for either.
    setImmediate(() => {
      if (!this.stopping) this.cells.start();
    });
  }

  interrupt(): void {
    this.executions.interrupt();
  }

  async stop(): Promise<void> {
    await this.endCells();
    await this.sockets.flush();
    this.sockets.close();
    this.tellEnded();
  }

  abandon(): void {
    this.cells.kill();
    this.sockets.close();
  }

  private endCells(): Promise<void> {
    this.stopping ??= this.cells.close(!this.executions.busy);
    this.executions.stop();
    return this.stopping;
  }

  private receive(channel: Channel, frames: Buffer[]): void {
    if (channel === 'heartbeat') return this.sockets.send(channel, frames);
    if (channel === 'iopub') return this.iopub.welcome(frames[0]!);
    try {
      this.dispatch({ channel, message: this.wire.decode(frames) });
    } catch (error) {
      if (error instanceof MessageRefused) this.refuse(channel, error.type, error.message);
      else this.refuse(channel, 'a message', `of a fault in the kernel: ${(error as Error).stack}`);
    }
  }

  private dispatch(request: Request): void {
    const { channel, message } = request;
    const type = message.header.msg_type;
    if (channel === 'stdin') return this.refuse(channel, type, 'this kernel never asks for input');
    if (this.stopping) return;
    if (type === 'execute_request') return this.queueCell(request);
    const handler = Object.hasOwn(handlers, type) ? handlers[type] : undefined;
    if (handler) return void this.answer(request, handler);
    this.iopub.busy(message.header);
    // A front end's extension may ask again and again.
    if (!this.unknownTypes.has(type)) {
      if (this.unknownTypes.size < 100) this.unknownTypes.add(type);
      this.refuse(channel, type, 'this kernel does not know such a message (said once)');
    }
    this.iopub.idle(message.header);
  }

  private queueCell(request: Request): void {
    try {
      this.executions.add(request);
    } catch (error) {
      const { header } = request.message;
      this.iopub.busy(header);
      this.reply(request, 'execute_reply', {
        ...errorContent(error),
        execution_count: this.executions.count,
      });
      this.iopub.idle(header);
    }
  }

  private async answer(request: Request, { reply, answer }: Handler): Promise<void> {
    const { channel, message } = request;
    const { header, content } = message;
    const type = header.msg_type;
    const { connection, iopub, cells, history } = this;
    const interrupt = (): void => this.interrupt();
    const shutDown = (): Promise<void> => this.endCells();
    const parts = { connection, iopub, cells, history, interrupt, shutDown };
    iopub.busy(header);
    let answered: object;
    try {
      answered = await answer(new Fields(type, content), parts, request);
    } catch (error) {
      answered = errorContent(error);
      if (!reply) this.refuse(channel, type, (error as Error).message);
    }
    if (reply) this.reply(request, reply, answered);
    iopub.idle(header);
    if (this.stopping && type === 'shutdown_request') await this.stop();
  }

  private reply({ channel, message }: Request, type: string, content: object, metadata: object = {}): void {
    const frames = this.wire.encode(type, content, message.header, metadata);
    this.sockets.send(channel, [...message.identities, ...frames]);
  }

  private refuse(channel: Channel, type: string, reason: string): void {
    // A console obeys control characters, and anybody can send some.
    const name = /^[\w ]{1,60}$/.test(type) ? type : JSON.stringify(type.slice(0, 60));
    this.log(`detlab kernel: ${channel}: ${name} was not taken: ${reason}`);
  }
}

function errorContent(error: unknown): object {
  const { name, message } = error as Error;
  return { status: 'error', ename: name, evalue: message, traceback: [`${name}: ${message}`] };
}
