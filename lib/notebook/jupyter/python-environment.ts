/**
 * Private Python environments in the user's cache: made once with venv and pip, whole or not at all, shared by all clones
 * that ask for the same packages. What other people's Jupyter has installed is neither used nor touched.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { makeFolders } from '../../tensor/folders';
import { failure, type Failure } from '../../tensor/prepare/build';
import { networkSeconds, onSignals } from '../../tensor/prepare/limits';
import { takeLock } from '../../tensor/prepare/lock';
import { hasNoVersion, isNetworkTrouble, lastError, pipPatience, pipPlain } from '../../tensor/prepare/pip';
import { type PrepareProgress, type ProgressPrinter, progressPrinter } from '../../tensor/prepare/progress';
import { endAll, type Outcome, runBounded } from '../../tensor/prepare/run';
import { folderBytes, formatBytes, freeBytes } from '../../tensor/prepare/tools';
import { findPython, type FoundPython } from './find-python';

/** What an environment is made of. */
export interface EnvironmentSpec {
  /** Its folder's name begins with it. */
  name: string;
  /** What a reader calls it: `JupyterLab 4.6.6`. */
  title: string;
  /** What pip is asked for: `jupyterlab==4.6.6`. */
  requirements: readonly string[];
  /** Files that are written into it, by their path in the environment. */
  files?: Record<string, string>;
  /** A rough size, for the check of room and for what is announced. */
  megabytes: number;
}

/** Options of `preparePythonEnvironment`. */
export interface EnvironmentOptions {
  /** Told whole lines; without it they go to stderr, where a terminal shows one updating line. */
  log?: (line: string) => void;
  /** Seconds for all of it; left out: `DETLAB_PREPARE_TIMEOUT`, else 300. */
  timeoutSeconds?: number;
  /** Seconds without any progress after which pip is given up (60). */
  stallSeconds?: number;
  /** Believe a failure of the last hour instead of trying again. */
  trustFailure?: boolean;
}

/** An environment that is whole. */
export interface PythonEnvironment {
  ok: true;
  directory: string;
  python: string;
  /** The folder of its programs. */
  bin: string;
  /** Nothing had to be done. */
  already: boolean;
}

const stampName = 'detlab.json';
const rememberMs = 60 * 60_000;

/** `<cache>/python`, which holds the environments, their locks, and the memory of a failure. */
export function environmentsFolder(): string {
  return path.join(cacheDirectory(), 'python');
}

/** The environment's folder: another one for other packages, so that an older clone keeps what it has. */
export function environmentFolder(spec: EnvironmentSpec): string {
  const made = JSON.stringify([spec.requirements, spec.files ?? {}, process.platform, process.arch]);
  const key = createHash('sha256').update(made).digest('hex').slice(0, 12);
  return path.join(environmentsFolder(), `${spec.name}-${key}`);
}

/** The environment if it is there, whole, and its Python still runs (the one that it was made from may have been removed). */
export function findEnvironment(spec: EnvironmentSpec): PythonEnvironment | undefined {
  const directory = environmentFolder(spec);
  if (!fs.existsSync(path.join(directory, stampName))) return undefined;
  const bin = path.join(directory, process.platform === 'win32' ? 'Scripts' : 'bin');
  const python = path.join(bin, process.platform === 'win32' ? 'python.exe' : 'python');
  const run = spawnSync(python, ['-I', '-c', 'import pip'], { stdio: 'ignore', timeout: 60_000 });
  return run.status === 0 ? { ok: true, directory, python, bin, already: true } : undefined;
}

/** The variables for programs of an environment: its programs first, and no Python packages from elsewhere. */
export function environmentVariables(environment: PythonEnvironment): NodeJS.ProcessEnv {
  const { PYTHONPATH: _path, PYTHONHOME: _home, ...env } = process.env;
  const PATH = [environment.bin, env.PATH].filter(Boolean).join(path.delimiter);
  return { ...env, PATH, VIRTUAL_ENV: environment.directory };
}

/**
 * Makes sure that the environment is there. Takes a minute or so the first time. Safe to call from two processes at once and
 * after one that was killed; what pip has downloaded stays in pip's own cache for the next try. A failure is told, not thrown.
 */
export async function preparePythonEnvironment(
  spec: EnvironmentSpec,
  options: EnvironmentOptions = {},
): Promise<PythonEnvironment | Failure> {
  const printer = progressPrinter(process.stderr, options.log);
  try {
    return findEnvironment(spec) ?? (await prepareLocked(spec, options, printer));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure(reason, 'Set DETLAB_CACHE to a folder that can be written, and try again.');
  } finally {
    printer.end();
  }
}

async function prepareLocked(
  spec: EnvironmentSpec,
  options: EnvironmentOptions,
  printer: ProgressPrinter,
): Promise<PythonEnvironment | Failure> {
  const known = options.trustFailure ? readFailure(spec) : undefined;
  if (known) return known;
  const timeoutSeconds = networkSeconds(options.timeoutSeconds);
  const directory = environmentFolder(spec);
  const lock = `${directory}.lock`;
  const release = await takeLock(lock, {
    timeoutMs: (timeoutSeconds + 30) * 1000,
    onWait: (holder, seconds) => {
      const text = `process ${holder?.pid ?? '(unknown)'} is preparing ${spec.title}; waiting for it`;
      printer.progress({ stage: 'wait', text, seconds });
    },
  });
  if (!release) {
    const reason = `another process has been preparing ${spec.title} for too long`;
    return failure(reason, `Delete ${lock} and try again.`);
  }
  const stopListening = onSignals(() => {
    endAll();
    removeFolder(directory);
    release();
  });
  try {
    // The process that was waited for may have done the work, or have found that the network is down.
    const meanwhile = findEnvironment(spec) ?? (options.trustFailure ? readFailure(spec) : undefined);
    if (meanwhile) return meanwhile;
    const python = findPython();
    if ('reason' in python) return python;
    const made = await make(spec, python, { ...options, timeoutSeconds }, printer);
    if (!made.ok) {
      removeFolder(directory);
      fs.writeFileSync(failureFile(spec), JSON.stringify({ ...made, when: Date.now() }));
    } else fs.rmSync(failureFile(spec), { force: true });
    return made;
  } finally {
    stopListening();
    release();
  }
}

/** Makes the environment in place, since its programs name their folder; the stamp comes last and makes it valid. */
async function make(
  spec: EnvironmentSpec,
  python: FoundPython,
  options: EnvironmentOptions & { timeoutSeconds: number },
  printer: ProgressPrinter,
): Promise<PythonEnvironment | Failure> {
  const directory = environmentFolder(spec);
  removeFolder(directory);
  const root = environmentsFolder();
  makeFolders(root);
  const [free, need] = [freeBytes(root), spec.megabytes * 2e6];
  if (free < need) {
    const reason = `${root} has ${formatBytes(free)} free, and preparing ${spec.title} needs ${formatBytes(need)}`;
    return failure(reason, 'Make room there, or set DETLAB_CACHE to a folder on a larger disk.');
  }
  printer.line(
    `Preparing ${spec.title} (Python ${python.version}) in ${directory}: once, some ${spec.megabytes} MB. Ctrl-C stops it.`,
  );
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  const secondsLeft = (): number => Math.max(0.1, (deadline - Date.now()) / 1000);
  const report = (progress: PrepareProgress): void => printer.progress(progress);

  const venv = await runBounded(
    { file: python.file, args: ['-I', '-m', 'venv', directory] },
    {
      deadlineSeconds: secondsLeft(),
      onProgress: (_, seconds) => report({ stage: 'unpack', text: 'making a Python environment', seconds }),
    },
  );
  if (venv.how !== 'done') return makeFailure(venv, spec, `${python.file} -m venv failed`);
  const bin = path.join(directory, process.platform === 'win32' ? 'Scripts' : 'bin');
  const environment: PythonEnvironment = {
    ok: true,
    directory,
    bin,
    python: path.join(bin, process.platform === 'win32' ? 'python.exe' : 'python'),
    already: false,
  };
  const pip = await install(spec, environment, { deadline: secondsLeft(), ...options }, report);
  if (pip.how !== 'done') return makeFailure(pip, spec, 'pip failed');

  for (const [name, text] of Object.entries(spec.files ?? {})) {
    const file = path.join(directory, name);
    makeFolders(path.dirname(file));
    fs.writeFileSync(file, text);
  }
  const stamp = {
    requirements: spec.requirements,
    python: python.version,
    created: new Date().toISOString(),
  };
  fs.writeFileSync(path.join(directory, `${stampName}.tmp`), `${JSON.stringify(stamp, null, 2)}\n`);
  fs.renameSync(path.join(directory, `${stampName}.tmp`), path.join(directory, stampName));
  printer.line(`${spec.title} is ready.`);
  return environment;
}

async function install(
  spec: EnvironmentSpec,
  environment: PythonEnvironment,
  options: { deadline: number; stallSeconds?: number },
  report: (progress: PrepareProgress) => void,
): Promise<Outcome> {
  // pip downloads into the temporary folder: inside the environment, so that it is seen and goes with it.
  const tmp = path.join(environment.directory, 'tmp');
  fs.mkdirSync(tmp, { recursive: true });
  const env: NodeJS.ProcessEnv = { ...environmentVariables(environment), TMPDIR: tmp, PYTHONUNBUFFERED: '1' };
  // A user's settings for other environments, which would lead the packages elsewhere.
  for (const name of ['PIP_TARGET', 'PIP_PREFIX', 'PIP_USER', 'PIP_ROOT']) delete env[name];
  const words = ['--only-binary=:all:', ...pipPatience, ...pipPlain, ...spec.requirements];
  let packages = 0;
  let installing = false;
  const outcome = await runBounded(
    { file: environment.python, args: ['-I', '-m', 'pip', 'install', ...words] },
    {
      deadlineSeconds: options.deadline,
      stallSeconds: options.stallSeconds ?? 60,
      env,
      // Bytes while it downloads, then folders of packages while it unpacks them.
      progress: () => folderBytes(tmp) + installedPackages(environment),
      onOutput: (output) => {
        packages = Math.max(packages, (output.match(/^Collecting /gm) ?? []).length);
        installing = /^Installing collected packages/m.test(output);
      },
      onProgress: (_, seconds) => {
        const text = installing ? `installing ${spec.title}` : `downloading ${spec.title}`;
        const count = packages > 0 ? `: ${packages} packages` : '';
        report({ stage: installing ? 'check' : 'download', text: text + count, seconds });
      },
    },
  );
  removeFolder(tmp);
  return outcome;
}

/** How many entries its folder of packages has. */
function installedPackages({ directory }: PythonEnvironment): number {
  const library = path.join(directory, process.platform === 'win32' ? 'Lib' : 'lib');
  try {
    const folders = process.platform === 'win32' ? [''] : fs.readdirSync(library);
    return folders.reduce(
      (sum, name) => sum + fs.readdirSync(path.join(library, name, 'site-packages')).length,
      0,
    );
  } catch {
    return 0;
  }
}

function makeFailure(outcome: Outcome, spec: EnvironmentSpec, what: string): Failure {
  const reach = "Check the network and pip's index and proxy settings, and try again.";
  const seconds = `${Math.round(outcome.seconds)} s`;
  if (outcome.how === 'timeout') {
    const slow =
      'What was downloaded is kept by pip: try again, or give it more: DETLAB_PREPARE_TIMEOUT=1800';
    return failure(`${spec.title} was not there after ${seconds}`, slow);
  }
  if (outcome.how === 'stalled') return failure(`pip stood still and was given up after ${seconds}`, reach);
  if (/No space left on device/i.test(outcome.output))
    return failure('the disk became full', 'Make room, or set DETLAB_CACHE to a folder on a larger disk.');
  if (isNetworkTrouble(outcome)) return failure(`pip could not reach its package index (${seconds})`, reach);
  if (hasNoVersion(outcome))
    return failure(`pip's package index lacks a package: ${lastError(outcome)}`, reach);
  return failure(`${what}: ${lastError(outcome)}`, reach);
}

function failureFile(spec: EnvironmentSpec): string {
  return `${environmentFolder(spec)}.failed.json`;
}

function readFailure(spec: EnvironmentSpec): Failure | undefined {
  try {
    const known = JSON.parse(fs.readFileSync(failureFile(spec), 'utf8')) as Failure & { when: number };
    const age = Date.now() - known.when;
    if (age > rememberMs || age < 0) return undefined;
    return failure(`${known.reason} (tried ${Math.round(age / 60_000)} min ago)`, known.remedy);
  } catch {
    return undefined;
  }
}

function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
