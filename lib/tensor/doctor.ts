/** `npm run doctor`: the ladder of backends on this machine: each rung, usable or not, why, and what would make it so. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cacheDirectory } from './cache';
import {
  type BackendName,
  type Finding,
  findTensorFlow,
  findWebgpu,
  ladder,
  type NativeTensorFlow,
  parseBackendName,
  type Rung,
} from './ladder';
import { threadCount } from './native';
import { packageVersion } from './packages';
import { officialInstallCommand, readFailure } from './prepare/prepare';
import { findTools } from './prepare/build';
import { findNvidia, folderBytes, formatBytes, freeBytes } from './prepare/tools';
import { tensorflowCache } from './prepared';
import { smokeRun } from './smoke';

/** A rung of the ladder, as it is on this machine. */
export interface RungReport {
  rung: Rung;
  usable: boolean;
  /** The version and where it comes from, or why it can't be used. */
  detail: string;
  /** The command, or the thing, that would make it usable. */
  remedy?: string;
}

/** What `doctor` finds. */
export interface DoctorReport {
  /** Names and values of the machine's facts. */
  system: [name: string, value: string][];
  rungs: RungReport[];
  /** The rung that `useBackend()` would take. */
  chosen?: Rung;
  /** What is set by variables, or is wrong with them. */
  notes: string[];
}

/** Looks at the machine and tries each rung, native ones in child processes. Downloads nothing and never throws. */
export async function doctor(): Promise<DoctorReport> {
  const gpu = findNvidia();
  const notes: string[] = [];
  const forced = forcedBackend(notes);
  const [native, webgpu, wasm, cpu] = await Promise.all([
    findTensorFlow(),
    // Who asks for WebGPU by name gets a program in place of a GPU, too.
    findWebgpu(forced === 'webgpu'),
    packageRung('wasm', '@tensorflow/tfjs-backend-wasm'),
    packageRung('cpu', '@tensorflow/tfjs'),
  ]);
  const rungs = ladder.map((rung): RungReport => {
    if (rung.backend === 'tensorflow')
      return { rung, ...(rung.device === 'gpu' ? onGpu(native, gpu) : onCpu(native)) };
    if (rung.backend === 'wasm') return { rung, ...wasm };
    if (rung.backend === 'cpu') return { rung, ...cpu };
    return webgpu.usable
      ? { rung, usable: true, detail: `${webgpu.version}, ${webgpu.adapter}` }
      : { rung, usable: false, detail: webgpu.reason, remedy: webgpu.remedy };
  });
  const chosen = rungs.find(
    (report) => report.usable && (forced === undefined || report.rung.backend === forced),
  )?.rung;
  if (forced !== undefined && !chosen)
    notes.push(`DETLAB_BACKEND asks for '${forced}', which can't be had: nothing will run.`);
  return { system: systemFacts(gpu, notes), rungs, chosen, notes };
}

type State = Omit<RungReport, 'rung'>;

function onGpu(native: Finding<NativeTensorFlow>, gpu: string | undefined): State {
  if (native.usable && native.gpu) return { usable: true, detail: origin(native) };
  if (gpu === undefined) {
    return {
      usable: false,
      detail: 'no NVIDIA GPU found',
      remedy: 'an NVIDIA GPU with its driver (nvidia-smi -L lists it)',
    };
  }
  if (!native.usable || native.source === 'official') {
    return {
      usable: false,
      detail: `${gpu} is there, TensorFlow for it is not prepared`,
      remedy: 'npm run prepare-backend',
    };
  }
  const remedy = 'a driver that is new enough for CUDA 12; TF_CPP_MIN_LOG_LEVEL=0 shows what TensorFlow says';
  return { usable: false, detail: `TensorFlow ${native.version} runs but does not see ${gpu}`, remedy };
}

function onCpu(native: Finding<NativeTensorFlow>): State {
  if (native.usable) return { usable: true, detail: origin(native) };
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    const detail = `${native.reason}; on ${process.platform}-${process.arch} only the official package's own install may bring it`;
    return { usable: false, detail, remedy: officialInstallCommand };
  }
  const tools = findTools();
  if ('reason' in tools)
    return { usable: false, detail: `${native.reason}; ${tools.reason}`, remedy: tools.remedy };
  const failed = readFailure(tensorflowCache(), 'cpu');
  if (failed) return { usable: false, detail: `${native.reason}; ${failed.reason}`, remedy: failed.remedy };
  const untried = process.arch === 'arm64' ? ' (on arm64 nobody has tried it yet)' : '';
  return { usable: false, detail: native.reason + untried, remedy: native.remedy };
}

function origin(native: NativeTensorFlow): string {
  const from = native.source === 'official' ? 'installed' : 'prepared';
  return `TensorFlow ${native.version}, ${from} in ${path.dirname(native.binding)}`;
}

async function packageRung(backend: BackendName, name: string): Promise<State> {
  const version = packageVersion(name);
  if (version === undefined)
    return { usable: false, detail: `the package ${name} is not installed`, remedy: 'npm ci' };
  const smoke = await smokeRun({ backend });
  return smoke.ok
    ? { usable: true, detail: version }
    : { usable: false, detail: smoke.error, remedy: 'npm ci' };
}

function forcedBackend(notes: string[]): BackendName | undefined {
  const text = process.env.DETLAB_BACKEND;
  if (!text) return undefined;
  try {
    const name = parseBackendName(text, 'DETLAB_BACKEND');
    notes.push(`DETLAB_BACKEND forces '${name}'.`);
    return name;
  } catch (error) {
    notes.push(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function systemFacts(gpu: string | undefined, notes: string[]): [string, string][] {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const glibc = report?.header?.glibcVersionRuntime;
  const libc = process.platform === 'linux' ? `, ${glibc ? `glibc ${glibc}` : 'no glibc'}` : '';
  let threads = '';
  try {
    threads = `${threadCount()} threads used`;
  } catch (error) {
    notes.push(error instanceof Error ? error.message : String(error));
  }
  const model = os.cpus()[0]?.model.trim();
  return [
    ['Node', `${process.versions.node} (${process.platform}-${process.arch}${libc})`],
    ['cores', [String(os.availableParallelism()), model, threads].filter(Boolean).join(', ')],
    ['memory', `${formatBytes(os.totalmem())}, ${formatBytes(os.freemem())} free`],
    ['GPU', gpu ?? 'no NVIDIA GPU found'],
    ['cache', cacheFact(notes)],
  ];
}

function cacheFact(notes: string[]): string {
  try {
    const directory = cacheDirectory((line) => notes.push(line));
    const tensorflow = path.join(directory, 'tensorflow');
    const share = fs.existsSync(tensorflow)
      ? `, ${formatBytes(folderBytes(tensorflow))} of it TensorFlow`
      : '';
    return `${directory} (${formatBytes(folderBytes(directory))}${share}; ${formatBytes(freeBytes(directory))} free on its disk)`;
  } catch (error) {
    notes.push(error instanceof Error ? error.message : String(error));
    return 'none can be written';
  }
}

/** The report as aligned plain text, without a final line break. */
export function formatDoctor(report: DoctorReport): string {
  const lines: string[] = ['The machine'];
  const nameWidth = Math.max(...report.system.map(([name]) => name.length));
  for (const [name, value] of report.system) lines.push(`  ${name.padEnd(nameWidth)}  ${value}`);

  lines.push('', 'Backends, the fastest first');
  const titleWidth = Math.max(...report.rungs.map(({ rung }) => rung.title.length));
  for (const { rung, usable, detail, remedy } of report.rungs) {
    const mark = rung === report.chosen ? '>' : ' ';
    lines.push(`${mark} ${usable ? 'yes' : 'no '}  ${rung.title.padEnd(titleWidth)}  ${detail}`);
    if (remedy !== undefined) lines.push(`${' '.repeat(titleWidth + 9)}what would help: ${remedy}`);
  }
  lines.push('');
  if (report.chosen)
    lines.push(
      `Notebooks run on ${report.chosen.title} (marked >). DETLAB_BACKEND=<name> forces another one.`,
    );
  for (const note of report.notes) lines.push(note);
  return lines.join('\n');
}
