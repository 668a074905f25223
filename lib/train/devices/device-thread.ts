/** The thread that a device is: makes its replica, then does what it is asked, one thing after another. */
import { parentPort, workerData } from 'node:worker_threads';
import { useBackend } from '../../tensor/backend';
import { Device } from './device';
import type { DeviceJob, DeviceReply, DeviceRequest } from './messages';
import { loadReplica } from './replica';
import { TransportAborted } from './transport';

const port = parentPort!;
const job = workerData as DeviceJob;

let device: Device | undefined;
let queue: Promise<void> = begin();

port.on('message', (request: DeviceRequest) => {
  queue = queue.then(() => answer(request));
});

async function begin(): Promise<void> {
  try {
    const { rank, devices, source, backend } = job;
    await useBackend({ backend });
    device = new Device(await loadReplica(source, { rank, devices }), job);
    reply({ type: 'ready' });
  } catch (error) {
    fail(error);
  }
}

async function answer(request: DeviceRequest): Promise<void> {
  if (request.type === 'end') return port.close();
  try {
    if (!device) throw new Error('it could not be started');
    reply(await carryOut(device, request));
  } catch (error) {
    if (error instanceof TransportAborted) reply({ type: 'aborted' });
    else fail(error);
  }
}

async function carryOut(own: Device, request: Exclude<DeviceRequest, { type: 'end' }>): Promise<DeviceReply> {
  switch (request.type) {
    case 'load':
      own.load(request.state);
      return { type: 'done' };
    case 'gradient':
      return { type: 'gradient', reading: await own.gradient(request.batch, request.shard) };
    case 'update':
      return { type: 'update', report: await own.update(request.rate) };
    case 'forget':
      own.forget();
      return { type: 'done' };
    case 'state':
      return { type: 'state', state: await own.save() };
    case 'hash':
      return { type: 'hash', hash: await own.hash() };
  }
}

function reply(message: DeviceReply): void {
  port.postMessage(message);
}

function fail(error: unknown): void {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  reply({ type: 'failed', message, stack });
}
