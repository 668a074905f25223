/**
 * Where a training step's time goes on webgpu: the GPU's time by shader program, beside the time of the whole step. Run it
 * compiled: node profile.js --json profile.json --quick
 */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { readCase, writeCase } from '../../lib/bench/case-files';
import { planNet } from '../../lib/bench/nets';
import { median } from '../../lib/bench/statistics';
import { caseSize, type StepCase, stepCases } from '../../lib/bench/steps';
import { createWorkload } from '../../lib/bench/workloads';
import { table } from '../../lib/plot/table';
import { useBackend } from '../../lib/tensor/backend';
import { projectRequire } from '../../lib/tensor/packages';
import { tf } from '../../lib/tensor/tf';
import { temporaryFolder } from './vulkan';

/** The time of one kind of shader program in a step. */
interface ProgramTime {
  readonly program: string;
  readonly calls: number;
  readonly milliseconds: number;
}

/** One case. */
interface StepProfile {
  readonly size: string;
  /** Of a whole step, measured without the timers. */
  readonly step: number;
  /** Of the GPU in it. */
  readonly gpu: number;
  readonly programs: readonly ProgramTime[];
}

/** tfjs's timing of a function, as its WebGPU backend fills it in. */
interface Timing {
  readonly kernelMs: number;
  getExtraProfileInfo(): string;
}

async function profile(one: StepCase): Promise<StepProfile> {
  const folder = temporaryFolder();
  writeCase(folder, planNet(one.net, one.size, one.depth), one.batch, one.work);
  const run = createWorkload('eager', readCase(folder));
  fs.rmSync(folder, { recursive: true, force: true });
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
    const started = performance.now();
    await run();
    if (i > 0) times.push(performance.now() - started); // the first compiles
  }
  // The timers run while a function does, so that the step must be queued before the first wait in it.
  let done: Promise<number> | undefined;
  const timing = (await tf.backend().time(() => void (done = run()))) as unknown as Timing;
  await done;
  const programs = new Map<string, ProgramTime>();
  for (const entry of timing.getExtraProfileInfo().split(', ')) {
    const [program, milliseconds] = entry.split(': ');
    const { calls = 0, milliseconds: sum = 0 } = programs.get(program) ?? {};
    programs.set(program, { program, calls: calls + 1, milliseconds: sum + Number(milliseconds) });
  }
  const sorted = [...programs.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  return { size: caseSize(one), step: median(times), gpu: timing.kernelMs, programs: sorted };
}

function show({ size, step, gpu, programs }: StepProfile): void {
  console.log(`\n${size}: ${step.toFixed(1)} ms a step, ${gpu.toFixed(1)} ms of them on the GPU`);
  const rows = programs.slice(0, 12).map(({ program, calls, milliseconds }) => ({
    program,
    calls,
    ms: milliseconds.toFixed(2),
    share: `${((100 * milliseconds) / gpu).toFixed(0)} %`,
  }));
  console.log(table(rows).text());
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
    },
  });
  // Dawn rounds its clock to a tenth of a millisecond unless told not to.
  const dawn = projectRequire('webgpu') as { create(flags: string[]): object; globals: object };
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create(['disable-dawn-features=timestamp_quantization']);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  console.log((await useBackend({ backend: 'webgpu' })).line);
  const sizes = values.tiny
    ? [{ size: 32, batch: 2, depth: 0.25 }]
    : [{ size: 96, batch: 8 }, { size: 192, batch: 32 }].slice(0, values.quick ? 1 : 2); // prettier-ignore
  const profiles: StepProfile[] = [];
  for (const one of stepCases('training', true).slice(0, values.tiny ? 1 : 3)) {
    for (const size of sizes) {
      const found = await profile({ ...one, ...size });
      profiles.push(found);
      show(found);
      if (values.json) fs.writeFileSync(values.json, JSON.stringify(profiles, null, 1));
    }
  }
  process.exit(0); // Dawn would hold the process
}

void main();
