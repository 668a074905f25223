/** One preparation from start to end: find the tools, fetch, unpack, compile, try, move into place. */
import fs from 'node:fs';
import path from 'node:path';
import { dropSymbolTables } from './elf';
import { packageDirectory, packageVersion, projectRoot, tfjsNodePackage } from '../packages';
import { hasNoVersion, isNetworkTrouble, lastError } from './pip';
import { libraries, type PlanInput, type PreparationPlan, preparationPlan } from './plan';
import type { PrepareProgress } from './progress';
import { type Outcome, runBounded } from './run';
import { findCompiler, findPip, folderBytes, formatBytes, freeBytes } from './tools';
import {
  addons,
  checkPrepared,
  type Manifest,
  napiVersion,
  preparedFormat,
  preparedKey,
  sha256,
  tensorflowCache,
  type Variant,
  wantedTensorFlow,
} from '../prepared';
import { forgetSmoke, smokeBinding } from '../smoke';
import { unzip } from './unzip';

/** Why it did not work, and what would help; one line each. */
export interface Failure {
  ok: false;
  reason: string;
  remedy: string;
}

/** A failure; line breaks in the reason (programs' output) become semicolons. */
export function failure(reason: string, remedy: string): Failure {
  return { ok: false, reason: reason.trim().replace(/\s*\n\s*/g, '; '), remedy };
}

/** What a preparation is given. */
export interface BuildOptions {
  variant: Variant;
  /** The temporary folder beside the final one; the caller removes it. */
  directory: string;
  timeoutSeconds: number;
  stallSeconds: number;
  report: (progress: PrepareProgress) => void;
  line: (text: string) => void;
}

/** `early`: it failed before anything was fetched, so that trying again costs nothing. */
export type Built = { ok: true; directory: string; tensorflow: string } | (Failure & { early?: boolean });

/**
 * What pip is asked for, in this order, until the index has it: wheels for pip's own Python first, since a mirror or a folder
 * of wheels most likely has those; then for others, since a new Python is not served at once. Older TensorFlows than 2.17
 * do not have the headers where the binding's sources look for them.
 */
const attempts: readonly { tensorflow: string; python?: string }[] = [
  { tensorflow: wantedTensorFlow },
  { tensorflow: wantedTensorFlow, python: '3.12' },
  { tensorflow: wantedTensorFlow, python: '3.11' },
  { tensorflow: wantedTensorFlow, python: '3.13' },
  { tensorflow: '>=2.17,<3' },
  { tensorflow: '>=2.17,<3', python: '3.12' },
];
const compileSeconds = 600;
const again = 'npm run prepare-backend';

/** Prepares TensorFlow in `options.directory` and moves it to its name in the cache. The caller holds the lock. */
export async function buildTensorFlow(options: BuildOptions): Promise<Built> {
  const { variant, directory } = options;
  const tools = findTools();
  if ('reason' in tools) return { ...tools, early: true };
  const root = tensorflowCache();
  const base = { ...tools, variant, directory, arch: process.arch };
  let plan = preparationPlan({ ...base, tensorflow: wantedTensorFlow });
  const free = freeBytes(root);
  if (free < plan.needBytes) {
    const tight = failure(
      `${root} has ${formatBytes(free)} free, and preparing TensorFlow needs ${formatBytes(plan.needBytes)}`,
      'Make room there, or set DETLAB_CACHE to a folder on a larger disk.',
    );
    return { ...tight, early: true };
  }
  const size = variant === 'cpu' ? 'some 260 MB' : 'some 3 GB';
  options.line(
    `Preparing TensorFlow ${wantedTensorFlow} for the ${variant === 'cpu' ? 'CPU' : 'GPU'} in ${root}: ` +
      `once, ${size} to download. Ctrl-C stops it.`,
  );
  for (const name of ['tmp', 'stubs']) fs.mkdirSync(path.join(directory, name), { recursive: true });

  const deadline = Date.now() + options.timeoutSeconds * 1000;
  let fetched: Outcome | undefined;
  for (const { tensorflow, python } of attempts) {
    plan = preparationPlan({ ...base, tensorflow, python });
    fetched = await fetchWheels(plan, deadline, options, tensorflow);
    // Only a wheel that the index does not have is worth another question.
    if (fetched.how !== 'failed' || !hasNoVersion(fetched) || isNetworkTrouble(fetched)) break;
  }
  if (fetched?.how !== 'done') return fetchFailure(fetched as Outcome);

  const tensorflow = await unpack(plan, options);
  if (typeof tensorflow !== 'string') return tensorflow;
  const problem = await compile(plan, tensorflow, options);
  return problem ?? (await moveIntoPlace(tensorflow, tools.compiler, options));
}

type Tools = Omit<PlanInput, 'variant' | 'arch' | 'directory' | 'tensorflow'>;

/** What the preparation needs from this machine, or what is missing of it and the command that brings it. */
export function findTools(): Tools | Failure {
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
    const lacking = [pip ? '' : "Python's pip", compiler ? '' : 'a C++ compiler'].filter(Boolean);
    const packages = [pip ? '' : 'python3-pip', compiler ? '' : 'g++'].filter(Boolean);
    return failure(
      `${lacking.join(' and ')} ${lacking.length > 1 ? 'are' : 'is'} not on PATH`,
      `Debian, Ubuntu: sudo apt-get install ${packages.join(' ')}; then: ${again}`,
    );
  }
  const nativeDirectory = path.join(projectRoot, 'lib', 'tensor', 'prepare', 'native');
  return { pip, compiler, tfjsDirectory, napiDirectory, nativeDirectory };
}

function fetchWheels(
  plan: PreparationPlan,
  deadline: number,
  options: BuildOptions,
  version: string,
): Promise<Outcome> {
  let total: number | undefined;
  const text = `downloading TensorFlow ${version}`;
  return runBounded(plan.fetch, {
    deadlineSeconds: Math.max(0.1, (deadline - Date.now()) / 1000),
    stallSeconds: options.stallSeconds,
    // pip downloads and unpacks in the temporary folder: inside ours, so that it is seen and goes with it.
    env: { ...process.env, TMPDIR: path.join(options.directory, 'tmp'), PYTHONUNBUFFERED: '1' },
    progress: () => folderBytes(options.directory),
    onProgress: (seen, seconds) => {
      // pip copies the finished wheel, so that both are there for a moment.
      const bytes = total === undefined ? seen : Math.min(seen, total);
      options.report({ stage: 'download', text, bytes, total, seconds });
    },
    onOutput: (output) => {
      // Of one wheel the size is known; of CUDA's dozen only the sum on disk.
      const size = /Downloading \S*tensorflow\S* \(([\d.]+) MB\)/.exec(output);
      if (size && plan.extract.length > 0) total = Number(size[1]) * 1e6;
    },
  });
}

function fetchFailure(outcome: Outcome): Failure {
  const reach = `Check the network and pip's index and proxy settings; then: ${again}`;
  const seconds = `${Math.round(outcome.seconds)} s`;
  if (outcome.how === 'timeout') {
    const slow = `On a slow network give it more seconds: DETLAB_PREPARE_TIMEOUT=1800 ${again}`;
    return failure(`the download was not done after ${seconds}`, slow);
  }
  if (outcome.how === 'stalled') {
    return failure(`the download stood still and was given up after ${seconds}`, reach);
  }
  if (/No space left on device/i.test(outcome.output)) {
    return failure('the disk became full', 'Make room, or set DETLAB_CACHE to a folder on a larger disk.');
  }
  if (isNetworkTrouble(outcome)) {
    return failure(`pip could not reach its package index (${seconds})`, reach);
  }
  if (hasNoVersion(outcome)) {
    const remedy = `TensorFlow has wheels for Linux with glibc 2.27 or newer. If this is one: ${reach}`;
    return failure("pip's package index has no TensorFlow wheel for this machine", remedy);
  }
  return failure(`pip failed: ${lastError(outcome)}`, reach);
}

/** Takes what is needed from the wheel. Returns TensorFlow's version, as the wheel's name has it. */
async function unpack(plan: PreparationPlan, options: BuildOptions): Promise<string | Failure> {
  const { directory } = options;
  if (plan.extract.length === 0) {
    const site = path.join(directory, 'site');
    const names = fs.existsSync(site) ? fs.readdirSync(site) : [];
    const info = names.map((name) => /^tensorflow-([\d.]+).*\.dist-info$/.exec(name)).find(Boolean);
    return info ? info[1] : failure('pip reported success but installed no TensorFlow', again);
  }
  const folder = path.join(directory, 'wheel');
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const wheel = names.find((name) => name.endsWith('.whl'));
  if (wheel === undefined) return failure('pip reported success but left no wheel', again);
  const start = Date.now();
  let told = 0;
  try {
    await unzip(path.join(folder, wheel), directory, plan.extract, (bytes) => {
      if (Date.now() - told < 500) return;
      told = Date.now();
      options.report({
        stage: 'unpack',
        text: 'unpacking TensorFlow',
        bytes,
        seconds: (told - start) / 1000,
      });
    });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return failure(`the wheel could not be unpacked: ${problem}`, again);
  }
  fs.rmSync(folder, { recursive: true, force: true });
  for (const name of libraries) {
    const from = path.join(plan.tensorflowDirectory, name);
    if (!fs.existsSync(from))
      return failure(`${wheel} holds no ${name}`, 'Until this is mended everything runs on wasm.');
    fs.renameSync(from, path.join(directory, name));
  }
  for (const file of plan.shrink) dropSymbolTables(file);
  return wheel.split('-')[1];
}

async function compile(
  plan: PreparationPlan,
  tensorflow: string,
  options: BuildOptions,
): Promise<Failure | undefined> {
  const text = `compiling the binding for TensorFlow ${tensorflow}`;
  const onProgress = (_: number, seconds: number): void =>
    options.report({ stage: 'compile', text, seconds });
  const tmp = path.join(options.directory, 'tmp');
  const env = { ...process.env, TMPDIR: tmp };
  for (const command of plan.compile) {
    const outcome = await runBounded(command, { deadlineSeconds: compileSeconds, onProgress, env });
    if (outcome.how === 'done') continue;
    const first = outcome.output.split('\n').find((line) => /error/i.test(line));
    const problem =
      outcome.how === 'timeout' ? 'it did not end' : (first?.trim().slice(0, 300) ?? lastError(outcome));
    const remedy = `A C++17 compiler is needed (g++ 8, clang 7 or newer; CXX names one); then: ${again}`;
    return failure(`${command.file} could not compile the binding: ${problem}`, remedy);
  }
  for (const file of [...plan.remove, tmp]) fs.rmSync(file, { recursive: true, force: true });
  return undefined;
}

/** Writes the manifest, tries the result in a child process, and gives the folder its name: from then on it is there, whole. */
async function moveIntoPlace(tensorflow: string, compiler: string, options: BuildOptions): Promise<Built> {
  const { variant, directory } = options;
  const below = variant === 'cpu' ? '' : 'site/tensorflow/';
  const files = [addons.binding, addons.mute, ...libraries.map((name) => below + name)];
  const missing = files.find((name) => !fs.existsSync(path.join(directory, name)));
  if (missing !== undefined)
    return failure(`${missing} was not made, although no step reported a failure`, again);
  const binding = path.join(directory, addons.binding);
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
    sizes: Object.fromEntries(files.map((name) => [name, fs.statSync(path.join(directory, name)).size])),
    bindingSha256: sha256(binding),
  };
  fs.writeFileSync(path.join(directory, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);

  options.report({ stage: 'check', text: 'trying TensorFlow in a child process', seconds: 0 });
  const smoke = await smokeBinding(binding);
  forgetSmoke(binding); // it was known under its temporary name
  if (!smoke.ok) {
    const remedy = 'Everything runs on wasm; npm run doctor says more.';
    return failure(`TensorFlow was prepared but does not run here: ${smoke.error}`, remedy);
  }
  const root = tensorflowCache();
  const final = path.join(root, preparedKey(variant, tensorflow));
  // A damaged one that is in the way may be open in another process: moved aside, it stays whole for that one.
  if (fs.existsSync(final))
    fs.renameSync(final, path.join(root, `.partial-damaged-${process.pid}-${Date.now()}`));
  fs.renameSync(directory, final);
  const checked = checkPrepared(final);
  if ('problem' in checked) return failure(`the prepared TensorFlow is damaged: ${checked.problem}`, again);
  await smokeBinding(checked.binding);
  options.line(`TensorFlow ${tensorflow} is ready (${formatBytes(folderBytes(final))} in ${final}).`);
  return { ok: true, directory: final, tensorflow };
}
