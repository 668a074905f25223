/** The broadcast channel: what every front end of the kernel sees. */
import { paintTraceback } from './paint';
import type { CellMessage } from '../session';
import { progressMime } from '../outputs';
import type { Sockets } from './sockets';
import type { Header, Wire } from './wire';

/** Publishes messages in order, each with the header of the request that it belongs to. */
export class IoPub {
  private readonly sockets: Sockets;
  private readonly wire: Wire;
  private started = false;
  /** The request whose cell runs. */
  private running: Header | undefined;

  constructor(sockets: Sockets, wire: Wire) {
    this.sockets = sockets;
    this.wire = wire;
  }

  publish(type: string, content: object, parent: object = {}): void {
    this.start();
    this.send(type, content, parent, `kernel.${this.wire.session}.${type}`);
  }

  /** A front end subscribed: a word of welcome tells it that from now on it misses nothing. */
  welcome(frame: Buffer): void {
    if (frame[0] !== 1) return;
    const subscription = frame.subarray(1).toString('utf8');
    // A subscription that is no text can't be repeated in a message.
    if (!Buffer.from(subscription).equals(frame.subarray(1))) return;
    this.send('iopub_welcome', { subscription }, {}, subscription);
    this.start();
  }

  /** The kernel attends to a request. */
  busy(parent: Header): void {
    this.publish('status', { execution_state: 'busy' }, parent);
  }

  /** A request was answered. While a cell runs the kernel is still busy, and front ends show the last status they got. */
  idle(parent: Header): void {
    if (parent === this.running) this.running = undefined;
    this.publish('status', { execution_state: 'idle' }, parent);
    if (this.running) this.busy(this.running);
  }

  /** As {@link busy}, for a request that runs a cell. */
  busyWithCell(parent: Header): void {
    this.running = parent;
    this.busy(parent);
  }

  /** What a cell printed, showed or failed with. */
  publishCell(message: CellMessage, parent: object): void {
    switch (message.type) {
      case 'stream':
        return this.publish('stream', { name: message.name, text: message.text }, parent);
      case 'clear_output':
        return this.publish('clear_output', { wait: message.wait }, parent);
      case 'execute_result': {
        const { executionCount, metadata, data } = message;
        return this.publish('execute_result', { execution_count: executionCount, data, metadata }, parent);
      }
      case 'error': {
        const { ename, evalue, traceback } = message.error;
        return this.publish('error', { ename, evalue, traceback: paintTraceback(traceback) }, parent);
      }
      default: {
        // Progress as a number is for programs that watch; the notebook gets the forms that people read.
        const { [progressMime]: progress, ...data } = message.data;
        if (progress !== undefined && Object.keys(data).length === 0) return;
        const transient = message.displayId === undefined ? {} : { display_id: message.displayId };
        this.publish(message.type, { data, metadata: message.metadata, transient }, parent);
      }
    }
  }

  /** `starting` comes before everything else; before the first front end listens it would reach nobody. */
  private start(): void {
    if (this.started) return;
    this.started = true;
    this.publish('status', { execution_state: 'starting' });
  }

  private send(type: string, content: object, parent: object, topic: string): void {
    const frames = this.wire.encode(type, content, parent);
    this.sockets.send('iopub', topic === '' ? frames : [Buffer.from(topic), ...frames]);
  }
}
