/** What a preparation needs on this machine: pip, a C++ compiler, room on the disk, and whether an NVIDIA GPU is there. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { which } from '../packages';
import type { Command } from './plan';

function answers(command: Command, timeoutMs = 20_000): boolean {
  const run = spawnSync(command.file, command.args, { stdio: 'ignore', timeout: timeoutMs });
  return run.status === 0;
}

/** pip as a command, or `undefined`: Debian's python3 may come without it, and a `pip` may stand alone. */
export function findPip(env: NodeJS.ProcessEnv = process.env): string[] | undefined {
  for (const name of ['python3', 'python']) {
    const python = which(name, env);
    if (python && answers({ file: python, args: ['-m', 'pip', '--version'] })) return [python, '-m', 'pip'];
  }
  for (const name of ['pip3', 'pip']) {
    const pip = which(name, env);
    if (pip && answers({ file: pip, args: ['--version'] })) return [pip];
  }
  return undefined;
}

/** A C++ compiler that answers: `CXX`, c++, g++ or clang++. */
export function findCompiler(env: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const name of [env.CXX, 'c++', 'g++', 'clang++']) {
    if (!name) continue;
    const file = path.isAbsolute(name) ? name : which(name, env);
    if (file && answers({ file, args: ['--version'] })) return file;
  }
  return undefined;
}

/** The NVIDIA GPU's name as its driver tells it, or `undefined` where there is none. Asked of the driver, not of CUDA. */
export function findNvidia(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const smi = which('nvidia-smi', env);
  if (smi) {
    const run = spawnSync(smi, ['-L'], { encoding: 'utf8', timeout: 20_000 });
    const name = /^GPU 0: (.*?)(?: \(UUID.*)?$/m.exec(run.stdout ?? '');
    if (run.status === 0 && name) return name[1];
  }
  // A driver without its tools (a container): every GPU has a folder there.
  const cards = '/proc/driver/nvidia/gpus';
  const [card] = fs.existsSync(cards) ? fs.readdirSync(cards) : [];
  if (card === undefined) return undefined;
  try {
    const text = fs.readFileSync(path.join(cards, card, 'information'), 'utf8');
    return /^Model:\s*(.*)$/m.exec(text)?.[1] ?? 'NVIDIA GPU';
  } catch {
    return 'NVIDIA GPU';
  }
}

/** Bytes that this user may still write there. */
export function freeBytes(directory: string): number {
  const stat = fs.statfsSync(directory);
  return stat.bavail * stat.bsize;
}

/** Bytes in a folder and below; files that vanish meanwhile count nothing. */
export function folderBytes(directory: string): number {
  let sum = 0;
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return 0;
  }
  for (const entry of entries) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) sum += folderBytes(file);
    else sum += fs.lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

/** 1234567890 as `1.2 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${Math.round(bytes / 1e6)} MB`;
  return `${Math.round(bytes / 1e3)} kB`;
}
