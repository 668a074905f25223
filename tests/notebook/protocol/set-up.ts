/** A kernel in this process, with cells that are made up, and a front end that is connected to it. */
import fs from 'node:fs';
import { afterEach } from 'vitest';
import { type RunningKernel, startKernel } from '../../../lib/notebook/protocol/kernel';
import { type ClientConnection, type Received, TestClient, writeConnection } from './client';
import { FakeCells, type Script } from './fake-cells';

export interface Setup {
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

/** Run after each test, the latest first. */
export const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function setUp(
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

/** The types of messages, of statuses the state. */
export const types = (messages: readonly Received[]): string[] =>
  messages.map(({ type, content }) => (type === 'status' ? content.execution_state : type));
