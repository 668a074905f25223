/** Runs that are killed at any moment, and go on as if nothing had happened: real processes, killed by SIGKILL. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../lib/tensor/random';
import { useBackend } from '../../lib/tensor/backend';
import { readCheckpoint } from '../../lib/train/checkpoint';
import { listCheckpoints } from '../../lib/train/checkpoint-folder';
import { readTrainingLog } from '../../lib/train/training-log';
import { readSafetensors } from '../../lib/weights/safetensors';
import { buildLibrary, temporaryFolder } from '../notebook/helpers';

beforeAll(buildLibrary);

const script = path.join(__dirname, 'resumable-run.mjs');
const steps = 14;

interface Ending {
  readonly killed: boolean;
  readonly output: string;
}

/** Makes the run, or goes on with it; `killAfter` kills it so many milliseconds after it says that this step is done. */
function run(
  words: readonly string[],
  killAfter?: { readonly step: number; readonly milliseconds: number },
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    let armed = killAfter !== undefined;
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (!armed || !killAfter || !output.includes(`step ${killAfter.step}\n`)) return;
      armed = false;
      setTimeout(() => child.kill('SIGKILL'), killAfter.milliseconds);
    });
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ killed: signal === 'SIGKILL', output });
      else reject(new Error(`the run ended with ${code ?? signal}: ${errors.slice(-2000)}`));
    });
  });
}

/** All that a finished run leaves, less times. */
async function traces(folder: string) {
  const [{ file }] = await listCheckpoints(folder);
  const { facts, tensors } = await readCheckpoint(file);
  const log = await readTrainingLog(path.join(folder, 'log.jsonl'));
  const best = await readSafetensors(path.join(folder, 'best.safetensors'));
  const timeless = <T extends { readonly seconds: number }>(lines: readonly T[]) =>
    lines.map((line) => ({ ...line, seconds: 0 }));
  const values = (found: typeof tensors) =>
    [...found].map(([name, tensor]) => [
      name,
      tensor.shape,
      Buffer.from(tensor.values.buffer).toString('hex'),
    ]);
  return {
    log: { steps: timeless(log.steps), evaluations: timeless(log.evaluations) },
    damaged: [log.damaged, log.missing],
    tensors: values(tensors),
    best: [facts.best, facts.worse, values(best.tensors)],
    files: fs.readdirSync(folder).sort(),
  };
}

for (const backend of ['tensorflow', 'wasm']) {
  describe(`a run that is killed, on ${backend}`, () => {
    let missing: string | undefined;
    beforeAll(async () => {
      await useBackend({ backend }).catch((error: Error) => {
        if (backend !== 'tensorflow') throw error;
        missing = error.message;
      });
    });

    test.for(['sgd', 'adamw'])(
      'gives bit for bit what one gives that is left alone: %s',
      { timeout: 400_000 },
      async (optimizer, context) => {
        if (missing !== undefined) context.skip(missing);
        const folder = temporaryFolder();
        const [left, killed] = ['left', 'killed'].map((name) => path.join(folder, name));
        await run([left, backend, optimizer]);
        const expected = await traces(left);
        expect(expected.log.steps.map(({ step }) => step)).toEqual(
          Array.from({ length: steps }, (_, i) => i),
        );
        expect(expected.log.steps.at(-1)!.loss).toBeLessThan(expected.log.steps[0].loss);
        expect(expected.tensors.map(([name]) => name)).toContain('average/first.conv.weight');

        const words = [killed, backend, optimizer];
        const writes = optimizer === 'sgd' ? ['opened', 'tensors', 'renamed'] : ['header', 'synced', 'log'];
        for (const where of writes) {
          // Each dies at its own moment of a checkpoint of steps 4 to 9; those that come later find it written and get to the end.
          const { killed: died } = await run([...words, '--die', where]);
          if (where === writes[0]) expect(died).toBe(true);
        }
        const random = createRandom(`${backend} ${optimizer}`);
        const reached = (await listCheckpoints(killed))[0].step;
        for (let step = reached; step < steps - 1; step += 3) {
          await run(words, { step: Math.min(step, steps - 1), milliseconds: random.integer(40) });
        }
        const { killed: again, output } = await run(words);
        expect(again).toBe(false);
        expect(output).toMatch(/done 14 steps, resumed at \d+/);
        expect(await traces(killed)).toEqual(expected);
        fs.rmSync(folder, { recursive: true });
      },
    );
  });
}
