/** What a result is of: the machine, its GPU and driver, and the PyTorch that stands beside it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { which } from '../../lib/tensor/packages';

/** One NVIDIA GPU, as its driver names it. */
export interface Gpu {
  readonly name: string;
  readonly driver: string;
  readonly memory: string;
}

/** A Python with PyTorch. */
export interface Torch {
  readonly python: string;
  readonly version: string;
  /** Of CUDA and cuDNN; absent where it has none. */
  readonly cuda?: string;
  readonly cudnn?: number;
  /** The GPU that it sees. */
  readonly device?: string;
}

/** The machine. */
export interface Machine {
  readonly gpus: readonly Gpu[];
  readonly cpu: string;
  readonly cores: number;
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** Why there is none, as a text. */
  readonly torch: Torch | string;
}

function ask(command: string, args: readonly string[], seconds: number): string | undefined {
  const { status, stdout } = spawnSync(command, [...args], { encoding: 'utf8', timeout: seconds * 1000 });
  return status === 0 ? stdout.trim() : undefined;
}

function findGpus(): Gpu[] {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  const program = which('nvidia-smi') ?? '/usr/local/nvidia/bin/nvidia-smi';
  const answer = ask(program, query, 60);
  if (answer) {
    return answer.split('\n').map((line): Gpu => {
      const [name, driver, memory] = line.split(', ');
      return { name, driver, memory };
    });
  }
  // The kernel's module says its version without a program.
  const version = '/proc/driver/nvidia/version';
  if (!fs.existsSync(version)) return [];
  const driver = /Module(?: for \S+)?\s+(\S+)/.exec(fs.readFileSync(version, 'utf8'))?.[1] ?? 'unknown';
  return [{ name: 'NVIDIA', driver, memory: 'unknown' }];
}

const torchFacts = `
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    'version': torch.__version__, 'cuda': torch.version.cuda,
    'cudnn': torch.backends.cudnn.version() if cuda else None,
    'device': torch.cuda.get_device_name(0) if cuda else None,
}))`;

function findTorch(python: string): Torch | string {
  const program = python.includes('/') ? python : which(python);
  if (program === undefined) return `there is no ${python} on PATH`;
  const answer = ask(program, ['-I', '-c', torchFacts], 300);
  if (answer === undefined) return `${program} can't import torch`;
  const { version, cuda, cudnn, device } = JSON.parse(answer) as Record<string, string & number>;
  return {
    python: program,
    version,
    ...(device === null ? {} : { cuda, cudnn, device }),
  };
}

/** Looks at this machine. @param python the interpreter that may have PyTorch */
export function findMachine(python: string): Machine {
  return {
    gpus: findGpus(),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory: os.totalmem(),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    torch: findTorch(python),
  };
}
