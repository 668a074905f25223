/**
 * A process that runs one case in one way and answers requests on stdin, one JSON object a line (`rivals.ts` is the other side).
 * Rivals are processes of their own so that each has its own threads, registered kernels and peak memory.
 */
import { performance } from 'node:perf_hooks';
import readline from 'node:readline';
import { useBackend } from '../tensor/backend';
import { readCase } from './case-files';
import { peakMemory } from './memory';
import { usePlainBackend } from './plain-backend';
import type { RivalReady, RivalRequest, RivalResult } from './rivals';
import { createWorkload, type Kind } from './workloads';

const [folder, kind, backend] = process.argv.slice(2) as [string, Kind, string];

function answer(message: RivalReady | RivalResult): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function main(): Promise<void> {
  if (kind === 'plain') await usePlainBackend(backend);
  else await useBackend({ backend });
  const run = createWorkload(kind, readCase(folder));
  answer({ ready: true, memory: process.memoryUsage.rss() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as RivalRequest;
    const milliseconds: number[] = [];
    const values: number[] = [];
    for (let i = 0; i < request.times; i++) {
      const started = performance.now();
      values.push(await run());
      milliseconds.push(performance.now() - started);
    }
    answer({ milliseconds, values, peak: peakMemory() });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
