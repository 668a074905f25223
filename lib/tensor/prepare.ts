/**
 * Prepares TensorFlow for Node, once, in the user's cache: fetches TensorFlow's own wheel with pip, takes its libraries,
 * and compiles the C++ binding that the npm package `@tensorflow/tfjs-node-gpu` carries against them.
 */
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from './cache';
import { packageDirectory, packageVersion, projectRoot, tfjsNodePackage, which } from './packages';
import { libraries, type PlanInput, type PreparationPlan, preparationPlan } from './prepare-plan';
import { takeLock } from './prepare-lock';
import { type PrepareProgress, type ProgressPrinter, progressPrinter } from './prepare-progress';
import { endAll, type Outcome, runBounded } from './prepare-run';
import { findCompiler, findNvidia, findPip, folderBytes, formatBytes, freeBytes } from './prepare-tools';
import {
  addons,
  checkPrepared,
  findPrepared,
  type Manifest,
  napiVersion,
  preparedFormat,
  preparedKey,
  sha256,
  tensorflowCache,
  type Variant,
  wantedTensorFlow,
} from './prepared';
import { forgetSmoke, smokeBinding } from './smoke';
import { unzip } from './unzip';

/** Options of `prepareTensorFlow`. */
export interface PrepareOptions {
  /** Told whole lines; without it they go to stderr, where a terminal shows one updating line. */
  log?: (line: string) => void;
  /** Told each step, about twice a second. */
  onProgress?: (progress: PrepareProgress) => void;
  /** Try again although a download failed within the last hour. */
  force?: boolean;
  /** `true`: the CUDA build; `false`: the CPU build; left out: CUDA where an NVIDIA GPU is there. */
  gpu?: boolean;
  /** Seconds that all waiting for the network may take together (300). */
  timeoutSeconds?: number;
  /** Seconds without any progress after which a download is given up (60). */
  stallSeconds?: number;
}

/** What became of it. A failure is told, not thrown: everything still runs on `wasm`. */
export type Preparation =
  | {
      ok: true;
      directory: string;
      tensorflow: string;
      variant: Variant;
      /** Nothing had to be done. */ already: boolean;
      seconds: number;
    }
  | { ok: false; reason: string; remedy: string };

type Failure = Extract<Preparation, { ok: false }>;

/** A failure that stays the same for a while: each `npm start` must not wait for it again. */
interface Remembered extends Failure {
  when: number;
  /** Inverse of `already`: tells a remembered failure of another version or variant apart. */
  key: string;
}

const rememberMs = 60 * 60_000;
const compileSeconds = 600;
/** Older TensorFlows do not have the headers that the binding's strings need where they are now. */
const fallbackVersions = '>=2.17,<3';

/**
 * Makes sure that TensorFlow's native library is prepared for this machine. Safe to call from two processes at once, and
 * after one that was killed. Takes about a minute the first time (a download of some 260 MB), milliseconds afterwards.
 */
export async function prepareTensorFlow(options: PrepareOptions = {}): Promise<Preparation> {
  const printer = progressPrinter(process.stderr, options.log);
  try {
    if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return otherSystem();
    if (options.gpu ?? findNvidia() !== undefined) {
      const cuda = await prepareVariant('cuda', options, printer);
      if (cuda.ok || options.gpu) return cuda;
      printer.line(
        `TensorFlow for the GPU could not be prepared (${cuda.reason}); preparing it for the CPU.`,
      );
    }
    return await prepareVariant('cpu', options, printer);
  } catch (error) {
    return failure(
      error instanceof Error ? error.message : String(error),
      'Set DETLAB_CACHE to a folder that can be written.',
    );
  } finally {
    printer.end();
  }
}

function failure(reason: string, remedy: string): Failure {
  return { ok: false, reason: reason.trim().replace(/\s*\n\s*/g, '; '), remedy };
}

function otherSystem(): Failure {
  return failure(
    `TensorFlow is prepared on Linux (x64, arm64) only; this is ${process.platform}-${process.arch}`,
    `The official package may have a build for it: npm rebuild ${tfjsNodePackage} --ignore-scripts=false --foreground-scripts`,
  );
}

async function prepareVariant(
  variant: Variant,
  options: PrepareOptions,
  printer: ProgressPrinter,
): Promise<Preparation> {
  const start = Date.now();
  const ready = async (): Promise<Preparation | undefined> => {
    const found = findPrepared(variant);
    if ('problem' in found) return undefined;
    if (options.force) forgetSmoke(found.binding);
    const smoke = await smokeBinding(found.binding);
    const { directory, manifest } = found;
    if (smoke.ok) {
      return {
        ok: true,
        directory,
        tensorflow: manifest.tensorflow,
        variant,
        already: true,
        seconds: (Date.now() - start) / 1000,
      };
    }
    if (options.force) return undefined;
    return failure(`the prepared TensorFlow does not run here: ${smoke.error}`, 'npm run prepare-backend');
  };
  const before = await ready();
  if (before) return before;

  const root = tensorflowCache();
  const remembered = options.force ? undefined : readFailure(root, variant);
  if (remembered) return remembered;
  const report = (progress: PrepareProgress): void => {
    options.onProgress?.(progress);
    printer.progress(progress);
  };
  const release = await takeLock(path.join(root, 'prepare.lock'), {
    timeoutMs: ((options.timeoutSeconds ?? 300) + compileSeconds) * 1000,
    onWait: (holder, seconds) =>
      report({
        stage: 'wait',
        text: `process ${holder?.pid ?? '?'} is preparing TensorFlow; waiting for it`,
        seconds,
      }),
  });
  if (!release)
    return failure(
      'another process has been preparing TensorFlow for too long',
      `Delete ${path.join(root, 'prepare.lock')} and try again.`,
    );
  const partial = path.join(root, `.partial-${process.pid}-${Date.now()}`);
  const stopListening = onSignals(() => {
    endAll();
    fs.rmSync(partial, { recursive: true, force: true });
    release();
  });
  try {
    // The process that was waited for may have done the work.
    const meanwhile = await ready();
    if (meanwhile) return meanwhile;
    removeLeftovers(root);
    const done = await build(variant, partial, options, { report, line: (text) => printer.line(text) });
    if (!done.ok) return done;
    return { ...done, seconds: (Date.now() - start) / 1000 };
  } finally {
    stopListening();
    fs.rmSync(partial, { recursive: true, force: true });
    release();
  }
}

/** Ctrl-C in the middle: clean up, then let the signal do what it would have done. */
function onSignals(cleanUp: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const listeners = signals.map((signal) => {
    const listener = (): void => {
      cleanUp();
      process.removeListener(signal, listener);
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    };
    process.on(signal, listener);
    return () => process.removeListener(signal, listener);
  });
  return () => listeners.forEach((remove) => remove());
}

/** What killed processes left behind. Only called with the lock held, so nobody is working there. */
function removeLeftovers(root: string): void {
  for (const name of fs.readdirSync(root)) {
    if (name.startsWith('.partial-')) fs.rmSync(path.join(root, name), { recursive: true, force: true });
  }
}

interface Voice {
  report: (progress: PrepareProgress) => void;
  line: (text: string) => void;
}

async function build(
  variant: Variant,
  partial: string,
  options: PrepareOptions,
  voice: Voice,
): Promise<Preparation> {
  const tools = findTools();
  if ('reason' in tools) return tools;
  const root = tensorflowCache();
  fs.mkdirSync(path.join(partial, 'tmp'), { recursive: true });
  const base = { ...tools, variant, directory: partial };
  let plan = preparationPlan({ ...base, tensorflow: wantedTensorFlow });
  const free = freeBytes(root);
  if (free < plan.needBytes) {
    return failure(
      `${cacheDirectory()} has ${formatBytes(free)} free, and preparing TensorFlow needs ${formatBytes(plan.needBytes)}`,
      'Make room there, or set DETLAB_CACHE to a folder on a larger disk.',
    );
  }
  const size = variant === 'cpu' ? 'some 260 MB' : 'some 3 GB';
  voice.line(
    `Preparing TensorFlow ${wantedTensorFlow} (${variant}) in ${root}: once, ${size} to download. Ctrl-C stops it.`,
  );

  const deadline = Date.now() + (options.timeoutSeconds ?? 300) * 1000;
  let fetched = await fetchWheels(plan, partial, deadline, options, voice, wantedTensorFlow);
  if (fetched.how === 'failed' && hasNoVersion(fetched) && !isNetworkTrouble(fetched)) {
    voice.line(
      `The package index has no TensorFlow ${wantedTensorFlow} for this machine; asking for ${fallbackVersions}.`,
    );
    plan = preparationPlan({ ...base, tensorflow: fallbackVersions });
    fetched = await fetchWheels(plan, partial, deadline, options, voice, fallbackVersions);
  }
  if (fetched.how !== 'done') return rememberFailure(root, variant, fetchFailure(fetched));

  const tensorflow = await unpack(plan, partial, voice);
  if (typeof tensorflow !== 'string') return tensorflow;
  const compiled = await compile(plan, partial, tensorflow, voice);
  if (compiled) return compiled;
  return await moveIntoPlace(variant, tensorflow, partial, tools.compiler, voice);
}

type Tools = Omit<PlanInput, 'variant' | 'directory' | 'tensorflow'>;

function findTools(): Tools | Failure {
  const tfjsDirectory = packageDirectory(tfjsNodePackage);
  const napiDirectory = packageDirectory('node-api-headers');
  if (!tfjsDirectory || !napiDirectory) {
    return failure(
      `the npm package ${tfjsDirectory ? 'node-api-headers' : tfjsNodePackage} is not installed`,
      'npm ci',
    );
  }
  const pip = findPip();
  const compiler = findCompiler();
  if (!pip || !compiler) {
    const lacking = [pip ? '' : 'pip (Python)', compiler ? '' : 'a C++ compiler']
      .filter(Boolean)
      .join(' and ');
    const packages = [pip ? '' : 'python3-pip', compiler ? '' : 'g++'].filter(Boolean).join(' ');
    return failure(
      `${lacking} ${pip || compiler ? 'is' : 'are'} not on PATH`,
      `Debian, Ubuntu: sudo apt-get install ${packages}; then: npm run prepare-backend`,
    );
  }
  const nativeDirectory = path.join(projectRoot, 'lib', 'tensor', 'native');
  return { pip, compiler, tfjsDirectory, napiDirectory, nativeDirectory, strip: which('strip') };
}

function fetchWheels(
  plan: PreparationPlan,
  partial: string,
  deadline: number,
  options: PrepareOptions,
  voice: Voice,
  version: string,
): Promise<Outcome> {
  let total: number | undefined;
  return runBounded(plan.fetch, {
    deadlineSeconds: Math.max(1, (deadline - Date.now()) / 1000),
    stallSeconds: options.stallSeconds ?? 60,
    // pip unpacks and downloads in the temporary folder: inside ours, so that it is seen and goes with it.
    env: { ...process.env, TMPDIR: path.join(partial, 'tmp'), PYTHONUNBUFFERED: '1' },
    progress: () => folderBytes(partial),
    onProgress: (bytes, seconds) =>
      voice.report({ stage: 'download', text: `downloading TensorFlow ${version}`, bytes, total, seconds }),
    onOutput: (output) => {
      const size = /Downloading \S*tensorflow\S* \(([\d.]+) (MB|GB)\)/.exec(output);
      if (size && plan.extract.length > 0) total = Number(size[1]) * (size[2] === 'GB' ? 1e9 : 1e6);
    },
  });
}

function hasNoVersion(outcome: Outcome): boolean {
  return /No matching distribution found|Could not find a version/.test(outcome.output);
}

/** pip says "no matching distribution" too when the index was out of reach; what it says before tells the two apart. */
function isNetworkTrouble(outcome: Outcome): boolean {
  return /Retrying|NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|name resolution|ProxyError|SSLError|Max retries|HTTP error|timed out|IncompleteRead|broken connection/i.test(
    outcome.output,
  );
}

function fetchFailure(outcome: Outcome): Failure {
  const again = "Check the network (and pip's index and proxy settings), then: npm run prepare-backend";
  const seconds = Math.round(outcome.seconds);
  if (outcome.how === 'timeout') return failure(`the download was not done after ${seconds} s`, again);
  if (outcome.how === 'stalled')
    return failure(`the download stood still; given up after ${seconds} s`, again);
  if (isNetworkTrouble(outcome))
    return failure(`pip could not reach its package index (${seconds} s)`, again);
  if (/No space left on device/i.test(outcome.output))
    return failure('the disk is full', 'Make room, or set DETLAB_CACHE to a folder on a larger disk.');
  if (hasNoVersion(outcome)) {
    return failure(
      'the package index has no TensorFlow wheel for this machine',
      'TensorFlow has wheels for Linux with glibc 2.27 or newer.',
    );
  }
  const lines = outcome.output.trim().split('\n');
  const line = lines.filter((text) => /error/i.test(text)).at(-1) ?? lines.at(-1) ?? '';
  return failure(`pip failed: ${line.slice(0, 300) || `code ${outcome.code}`}`, again);
}

/** Takes what is needed from the wheel. Returns TensorFlow's version, as the wheel's name has it. */
async function unpack(plan: PreparationPlan, partial: string, voice: Voice): Promise<string | Failure> {
  if (plan.extract.length === 0) {
    const info = fs
      .readdirSync(path.join(partial, 'site'))
      .find((name) => /^tensorflow-[\d.]+.*\.dist-info$/.test(name));
    return info
      ? info.slice('tensorflow-'.length, -'.dist-info'.length)
      : failure('pip installed no TensorFlow', 'npm run prepare-backend');
  }
  const folder = path.join(partial, 'wheel');
  const wheel = fs.existsSync(folder)
    ? fs.readdirSync(folder).find((name) => name.endsWith('.whl'))
    : undefined;
  if (wheel === undefined)
    return failure('pip reported success but left no wheel', 'npm run prepare-backend');
  const start = Date.now();
  const report = (bytes: number): void =>
    voice.report({
      stage: 'unpack',
      text: 'unpacking TensorFlow',
      bytes,
      seconds: (Date.now() - start) / 1000,
    });
  try {
    let told = 0;
    await unzip(path.join(folder, wheel), partial, plan.extract, (bytes) => {
      if (Date.now() - told < 500) return;
      told = Date.now();
      report(bytes);
    });
  } catch (error) {
    return failure(
      `the wheel could not be unpacked: ${error instanceof Error ? error.message : String(error)}`,
      'npm run prepare-backend',
    );
  }
  fs.rmSync(folder, { recursive: true, force: true });
  for (const name of libraries) {
    const from = path.join(plan.tensorflowDirectory, name);
    if (!fs.existsSync(from))
      return failure(`${wheel} holds no ${name}`, 'Report this; until then everything runs on wasm.');
    fs.renameSync(from, path.join(partial, name));
  }
  return wheel.split('-')[1];
}

async function compile(
  plan: PreparationPlan,
  partial: string,
  tensorflow: string,
  voice: Voice,
): Promise<Failure | undefined> {
  const text = `compiling the binding for TensorFlow ${tensorflow}`;
  const onProgress = (_: number, seconds: number): void => voice.report({ stage: 'compile', text, seconds });
  const env = { ...process.env, TMPDIR: path.join(partial, 'tmp') };
  for (const command of plan.compile) {
    const outcome = await runBounded(command, { deadlineSeconds: compileSeconds, onProgress, env });
    if (outcome.how === 'done') continue;
    const line =
      outcome.output.split('\n').find((l) => /error/i.test(l)) ?? outcome.output.trim().split('\n').at(-1);
    const why = outcome.how === 'timeout' ? 'it did not end' : (line ?? `code ${outcome.code}`).slice(0, 300);
    return failure(
      `${command.file} could not compile the binding: ${why}`,
      'A C++17 compiler is needed (g++ 8 or clang 7, or newer); then: npm run prepare-backend',
    );
  }
  // Only the size is at stake, so a strip that fails is no matter: it leaves its input as it was.
  if (plan.strip) await runBounded(plan.strip, { deadlineSeconds: 120, onProgress, env });
  for (const file of [...plan.remove, path.join(partial, 'tmp')])
    fs.rmSync(file, { recursive: true, force: true });
  return undefined;
}

/** Writes the manifest, tries the result in a child process, and gives the folder its name: from then on it is there, whole. */
async function moveIntoPlace(
  variant: Variant,
  tensorflow: string,
  partial: string,
  compiler: string,
  voice: Voice,
): Promise<Preparation> {
  const below = variant === 'cpu' ? '' : 'site/tensorflow/';
  const files = [addons.binding, addons.mute, ...libraries.map((name) => below + name)];
  const binding = path.join(partial, addons.binding);
  const manifest: Manifest = {
    format: preparedFormat,
    tensorflow,
    requested: wantedTensorFlow,
    variant,
    platform: `${process.platform}-${process.arch}`,
    tfjs: packageVersion(tfjsNodePackage) ?? '',
    napi: napiVersion,
    compiler,
    created: new Date().toISOString(),
    sizes: Object.fromEntries(files.map((name) => [name, fs.statSync(path.join(partial, name)).size])),
    bindingSha256: sha256(binding),
  };
  fs.writeFileSync(path.join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const root = tensorflowCache();
  const directory = path.join(root, preparedKey(variant, tensorflow));
  voice.report({ stage: 'check', text: 'trying TensorFlow in a child process', seconds: 0 });
  const smoke = await smokeBinding(binding);
  forgetSmoke(binding); // known under its temporary name
  if (!smoke.ok)
    return failure(
      `TensorFlow was prepared but does not run here: ${smoke.error}`,
      'Everything runs on wasm; npm run doctor says more.',
    );
  // A damaged one that is in the way may be open in another process: moved aside, it stays alive there until that ends.
  if (fs.existsSync(directory))
    fs.renameSync(directory, path.join(root, `.partial-damaged-${process.pid}-${Date.now()}`));
  fs.renameSync(partial, directory);
  removeLeftovers(root);
  fs.rmSync(path.join(root, 'failed.json'), { force: true });
  const checked = checkPrepared(directory);
  if ('problem' in checked)
    return failure(`the prepared TensorFlow is damaged: ${checked.problem}`, 'npm run prepare-backend');
  await smokeBinding(checked.binding);
  voice.line(
    `TensorFlow ${tensorflow} is ready (${variant}; ${formatBytes(folderBytes(directory))} in ${directory}).`,
  );
  return { ok: true, directory, tensorflow, variant, already: false, seconds: 0 };
}

function rememberFailure(root: string, variant: Variant, failed: Failure): Failure {
  const remembered: Remembered = { ...failed, when: Date.now(), key: preparedKey(variant) };
  try {
    fs.writeFileSync(path.join(root, 'failed.json'), JSON.stringify(remembered));
  } catch {
    // not remembered, so tried again next time
  }
  return failed;
}

function readFailure(root: string, variant: Variant): Failure | undefined {
  try {
    const known = JSON.parse(fs.readFileSync(path.join(root, 'failed.json'), 'utf8')) as Remembered;
    const age = Date.now() - known.when;
    if (known.key !== preparedKey(variant) || age > rememberMs || age < 0) return undefined;
    return failure(`${known.reason}, ${Math.max(1, Math.round(age / 60_000))} min ago`, known.remedy);
  } catch {
    return undefined;
  }
}
