/** Training steps and inference, each case by every rival in a process of its own, in turns. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { BackendInfo } from '../tensor/backend';
import { threadCount } from '../tensor/native';
import { projectRoot } from '../tensor/packages';
import { onSignals } from '../tensor/prepare/limits';
import { type Work, writeCase } from './case-files';
import { type Comparison, type Contestant, rotated } from './measure';
import { type NetName, planNet } from './nets';
import { Rival, type RivalProgram } from './rivals';
import { median } from './statistics';
import type { Kind } from './workloads';

/** What is run. */
export interface StepCase {
  readonly net: NetName;
  /** Side of the images, pixels. */
  readonly size: number;
  readonly batch: number;
  /** How many times as many blocks as the network has by itself. */
  readonly depth: number;
  readonly work: Work;
}

/** Options of `compareSteps`. */
export interface StepOptions {
  readonly backend: BackendInfo;
  readonly rounds: number;
  /** An interpreter that has PyTorch. */
  readonly python?: string;
  /** A visit lasts about so long: short steps are run several times, and their mean is one measurement. */
  readonly visitMilliseconds: number;
}

/** Names in the table. */
export const rivalNames: Readonly<Record<Kind | 'tensorflow' | 'torch', string>> = {
  plain: 'plain tfjs',
  eager: 'detlab, eager',
  compiled: 'detlab, compiled',
  /** `eager` on that backend, where another one is measured. */
  tensorflow: 'detlab on tensorflow',
  torch: 'PyTorch',
};

/** The cases of a choice. `quick` is what shows that everything runs. */
export function stepCases(work: Work, quick: boolean): StepCase[] {
  const nets: readonly NetName[] = ['resnet', 'mbconv', 'shuffle'];
  const at = (net: NetName, size: number, batch: number, depth: number = 1): StepCase => {
    return { net, size, batch, depth, work };
  };
  if (quick) return nets.map((net) => at(net, 96, 8));
  if (work === 'inference') return nets.flatMap((net) => [at(net, 192, 1), at(net, 192, 8)]);
  const grid = nets.flatMap((net) => [at(net, 96, 8), at(net, 192, 8), at(net, 96, 32), at(net, 192, 32)]);
  return [...grid, at('resnet', 96, 2), at('resnet', 96, 8, 2), at('resnet', 96, 8, 4)];
}

/** How the table calls a case. */
export function caseSize({ net, size, batch, depth }: StepCase): string {
  return `${net}, ${size} px, batch ${batch}${depth === 1 ? '' : `, ${depth}x the blocks`}`;
}

/** Runs one case. A rival that fails is told as missing; the others go on. */
export async function compareSteps(one: StepCase, options: StepOptions): Promise<Comparison> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-bench-'));
  const remove = (): void => fs.rmSync(folder, { recursive: true, force: true });
  const stopListening = onSignals(remove);
  try {
    writeCase(folder, planNet(one.net, one.size, one.depth), one.batch, one.work);
    const contestants = await compete(programs(folder, options), options);
    const part = one.work === 'training' ? 'training step' : 'inference';
    return { part, size: caseSize(one), images: one.batch, contestants };
  } finally {
    stopListening();
    remove();
  }
}

function programs(folder: string, { backend, python }: StepOptions): RivalProgram[] {
  const script = path.join(projectRoot, 'dist', 'bench', 'rival-process.js');
  const node = (name: string, kind: Kind, on: string): RivalProgram => {
    return { name, command: process.execPath, args: [script, folder, kind, on] };
  };
  const list = [
    node(rivalNames.plain, 'plain', backend.name),
    node(rivalNames.eager, 'eager', backend.name),
    backend.name === 'tensorflow'
      ? node(rivalNames.compiled, 'compiled', backend.name)
      : node(rivalNames.tensorflow, 'eager', 'tensorflow'),
  ];
  if (python !== undefined) {
    const rival = path.join(projectRoot, 'lib', 'bench', 'rivals', 'torch_rival.py');
    const args = ['-I', rival, folder, String(threadCount())];
    list.push({ name: rivalNames.torch, command: python, args });
  }
  return list;
}

/** Runs that come before the measured ones: a compiled step is recorded twice and built at the third. */
const warmUp = 4;

/** A contestant on its feet. */
interface Runner {
  readonly rival: Rival;
  readonly start: number;
  readonly values: readonly number[];
  readonly rounds: number[];
  peak: number;
}

/** Lets programs run the same case in turns. */
export async function compete(
  list: readonly RivalProgram[],
  { rounds, visitMilliseconds }: Pick<StepOptions, 'rounds' | 'visitMilliseconds'>,
): Promise<Contestant[]> {
  const runners: (Runner | undefined)[] = [];
  const missing: string[] = [];
  const attempt = async (index: number, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      missing[index] = error instanceof Error ? error.message : String(error);
      await runners[index]?.rival.end();
      runners[index] = undefined;
    }
  };
  try {
    let fastest = Infinity;
    for (const [index, program] of list.entries()) {
      await attempt(index, async () => {
        const { rival, ready } = await Rival.start(program);
        runners[index] = { rival, start: ready.memory, values: [], rounds: [], peak: 0 };
        const { milliseconds, values, peak } = await rival.request({ times: warmUp });
        runners[index] = { rival, start: ready.memory, values, rounds: [], peak };
        fastest = Math.min(fastest, milliseconds[warmUp - 1]);
      });
    }
    const times = Math.min(10, Math.max(1, Math.round(visitMilliseconds / fastest)));
    for (let round = 0; round < rounds; round++) {
      for (const index of rotated(list.length, round)) {
        const runner = runners[index];
        if (!runner) continue;
        await attempt(index, async () => {
          const { milliseconds, peak } = await runner.rival.request({ times });
          runner.rounds.push(median(milliseconds));
          runner.peak = peak;
        });
      }
    }
    return list.map(({ name }, index): Contestant => {
      const runner = runners[index];
      if (!runner) return { name, rounds: [], missing: missing[index] };
      const { rounds: measured, values, start, peak } = runner;
      return { name, rounds: measured, values, memory: { start, peak } };
    });
  } finally {
    for (const runner of runners) await runner?.rival.end();
  }
}
