/**
 * The benchmark's training steps and inference on webgpu: plain tfjs, this library, and PyTorch on the same GPU, in turns. Run it
 * compiled: node bench.js --json bench.json --python python3 --quick
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeCase } from '../../lib/bench/case-files';
import type { Comparison } from '../../lib/bench/measure';
import { planNet } from '../../lib/bench/nets';
import { reportRows, reportText } from '../../lib/bench/report';
import type { RivalProgram } from '../../lib/bench/rivals';
import { caseSize, compete, rivalNames, type StepCase, stepCases } from '../../lib/bench/steps';
import { useBackend } from '../../lib/tensor/backend';
import { projectRoot } from '../../lib/tensor/packages';
import { temporaryFolder } from './vulkan';

/** The rivals of one case, PyTorch twice: as it comes, with convolutions in TF32, and in float32 as WebGPU computes. */
function programs(folder: string, backend: string, python: string | undefined): RivalProgram[] {
  const script = path.join(projectRoot, 'dist', 'bench', 'rival-process.js');
  const node = (name: string, kind: string): RivalProgram => {
    return { name, command: process.execPath, args: [script, folder, kind, backend] };
  };
  const list = [node(rivalNames.plain, 'plain'), node(rivalNames.eager, 'eager')];
  if (python === undefined) return list;
  const rival = path.join(projectRoot, 'lib', 'bench', 'rivals', 'torch_rival.py');
  const args = ['-I', rival, folder, String(os.availableParallelism()), 'cuda'];
  const float32 = { ...process.env, NVIDIA_TF32_OVERRIDE: '0' };
  return [
    ...list,
    { name: rivalNames.torch, command: python, args, env: float32 },
    { name: `${rivalNames.torch}, TF32`, command: python, args },
  ];
}

/** The benchmark's own sizes; with `quick` one of each network; with `tiny` what a program in place of a GPU can do. */
function cases(quick: boolean, tiny: boolean): StepCase[] {
  const works = ['training', 'inference'] as const;
  if (!tiny) return works.flatMap((work) => stepCases(work, quick));
  return works.map((work): StepCase => ({ net: 'resnet', size: 32, batch: 2, depth: 0.25, work }));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      backend: { type: 'string', default: 'webgpu' },
      json: { type: 'string' },
      python: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      quick: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
    },
  });
  // Cases are made on the CPU: only the rivals need the GPU.
  await useBackend({ backend: 'cpu' });
  const rounds = Number(values.rounds);
  const comparisons: Comparison[] = [];
  for (const one of cases(values.quick, values.tiny)) {
    console.log(`${one.work}: ${caseSize(one)}`);
    const folder = temporaryFolder();
    try {
      writeCase(folder, planNet(one.net, one.size, one.depth), one.batch, one.work);
      const list = programs(folder, values.backend, values.python);
      const contestants = await compete(list, { rounds, visitMilliseconds: values.quick ? 200 : 500 });
      const part = one.work === 'training' ? 'training step' : 'inference';
      comparisons.push({ part, size: caseSize(one), images: one.batch, contestants });
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
    // After each: a run that is cut off leaves what it has.
    if (values.json) {
      const content = { rows: reportRows(comparisons), rounds: comparisons };
      fs.writeFileSync(values.json, JSON.stringify(content, null, 1));
    }
  }
  console.log(reportText(reportRows(comparisons)));
  const failed = comparisons.flatMap(({ contestants }) =>
    contestants.filter(({ name, missing }) => name === rivalNames.eager && missing !== undefined),
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}

void main();
