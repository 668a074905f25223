/**
 * Prepares TensorFlow for Node, once, in the user's cache: fetches TensorFlow's own wheel with pip, takes its libraries,
 * and compiles the C++ binding that the npm package `@tensorflow/tfjs-node-gpu` carries against them. This file decides
 * whether there is anything to do and sees to it that one process does it at a time; build.ts does it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { officialBinding } from '../ladder';
import { tfjsNodePackage } from '../packages';
import { buildTensorFlow, failure, type Failure } from './build';
import { networkSeconds, onSignals } from './limits';
import { takeLock } from './lock';
import { type PrepareProgress, type ProgressPrinter, progressPrinter } from './progress';
import { endAll } from './run';
import { findNvidia } from './tools';
import { findPrepared, preparedKey, tensorflowCache, type Variant } from '../prepared';
import { forgetSmoke, smokeBinding } from '../smoke';

/** Options of `prepareTensorFlow`. */
export interface PrepareOptions {
  /** Told whole lines; without it they go to stderr, where a terminal shows one updating line. */
  log?: (line: string) => void;
  /** Told each step, about twice a second. */
  onProgress?: (progress: PrepareProgress) => void;
  /** Try again although it failed within the last hour, and try what is there anew. */
  force?: boolean;
  /** `true`: the CUDA build; `false`: the CPU build; left out: CUDA where an NVIDIA GPU is there. */
  gpu?: boolean;
  /** Seconds that all waiting for the network may take together: `DETLAB_PREPARE_TIMEOUT`, else 300. */
  timeoutSeconds?: number;
  /** Seconds without any progress after which a download is given up (60). */
  stallSeconds?: number;
}

/** What became of it. A failure is told, not thrown: everything still runs on `wasm`. */
export type Preparation =
  | {
      ok: true;
      /** Where the binding lies. */
      directory: string;
      /** TensorFlow's version. */
      tensorflow: string;
      variant: Variant;
      /** Nothing had to be done. */
      already: boolean;
      seconds: number;
    }
  | Failure;

/** How long a failure is remembered, so that each `npm start` does not wait for the same again. */
const rememberMs = 60 * 60_000;

/**
 * Makes sure that TensorFlow's native library is there for this machine. Safe to call from two processes at once, and
 * after one that was killed. Takes half a minute and more the first time (a download of some 260 MB), milliseconds
 * afterwards. A usable one that the user's own `npm install @tensorflow/tfjs-node-gpu` brought is left to serve.
 */
export async function prepareTensorFlow(options: PrepareOptions = {}): Promise<Preparation> {
  const printer = progressPrinter(process.stderr, options.log);
  try {
    const own = await officialInstall();
    if (own) return own;
    if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return otherSystem();
    if (options.gpu ?? findNvidia() !== undefined) {
      const cuda = await prepareVariant('cuda', options, printer);
      if (cuda.ok || options.gpu) return cuda;
      printer.line(`TensorFlow can't be prepared for the GPU (${cuda.reason}); preparing it for the CPU.`);
    }
    return await prepareVariant('cpu', options, printer);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure(reason, 'Set DETLAB_CACHE to a folder that can be written; then: npm run prepare-backend');
  } finally {
    printer.end();
  }
}

/** The command that runs the official package's own install script, which brings an older TensorFlow where it can. */
export const officialInstallCommand: string = `npm rebuild ${tfjsNodePackage} --ignore-scripts=false --foreground-scripts`;

function otherSystem(): Failure {
  return failure(
    `TensorFlow is prepared on Linux (x64, arm64) only; this is ${process.platform}-${process.arch}`,
    `The official package may have a build for it: ${officialInstallCommand}`,
  );
}

async function officialInstall(): Promise<Preparation | undefined> {
  const binding = officialBinding();
  if (binding === undefined) return undefined;
  const smoke = await smokeBinding(binding);
  if (!smoke.ok) return undefined;
  const variant = smoke.gpu ? 'cuda' : 'cpu';
  return {
    ok: true,
    directory: path.dirname(binding),
    tensorflow: smoke.version,
    variant,
    already: true,
    seconds: 0,
  };
}

async function prepareVariant(
  variant: Variant,
  options: PrepareOptions,
  printer: ProgressPrinter,
): Promise<Preparation> {
  const start = Date.now();
  const before = await usePrepared(variant, options.force === true, start);
  if (before) return before;
  const root = tensorflowCache();
  const known = options.force ? undefined : readFailure(root, variant);
  if (known) return known;

  const timeoutSeconds = networkSeconds(options.timeoutSeconds);
  const report = (progress: PrepareProgress): void => {
    options.onProgress?.(progress);
    printer.progress(progress);
  };
  const lock = path.join(root, 'prepare.lock');
  const release = await takeLock(lock, {
    // The holder's network time, and time to compile on a busy machine.
    timeoutMs: (timeoutSeconds + 600) * 1000,
    onWait: (holder, seconds) => {
      const text = `process ${holder?.pid ?? '(unknown)'} is preparing TensorFlow; waiting for it`;
      report({ stage: 'wait', text, seconds });
    },
  });
  if (!release)
    return failure(
      'another process has been preparing TensorFlow for too long',
      `Delete ${lock} and try again.`,
    );
  const directory = path.join(root, `.partial-${process.pid}-${Date.now()}`);
  const stopListening = onSignals(() => {
    endAll();
    fs.rmSync(directory, { recursive: true, force: true });
    release();
  });
  try {
    // The process that was waited for may have done the work, or have found that the network is down.
    const meanwhile =
      (await usePrepared(variant, false, start)) ?? (options.force ? undefined : readFailure(root, variant));
    if (meanwhile) return meanwhile;
    removeLeftovers(root);
    const stallSeconds = options.stallSeconds ?? 60;
    const line = (text: string): void => printer.line(text);
    const built = await buildTensorFlow({ variant, directory, timeoutSeconds, stallSeconds, report, line });
    if (!built.ok) {
      if (!built.early) rememberFailure(root, variant, built);
      return { ok: false, reason: built.reason, remedy: built.remedy };
    }
    fs.rmSync(path.join(root, 'failed.json'), { force: true });
    return { ...built, variant, already: false, seconds: (Date.now() - start) / 1000 };
  } finally {
    stopListening();
    removeLeftovers(root);
    release();
  }
}

/** What is prepared already, if it is whole and runs here; a failure where it is whole but does not run; else nothing. */
async function usePrepared(variant: Variant, anew: boolean, start: number): Promise<Preparation | undefined> {
  const found = findPrepared(variant);
  if ('problem' in found) return undefined;
  if (anew) forgetSmoke(found.binding);
  const smoke = await smokeBinding(found.binding);
  if (smoke.ok) {
    const { tensorflow } = found.manifest;
    return {
      ok: true,
      directory: found.directory,
      tensorflow,
      variant,
      already: true,
      seconds: (Date.now() - start) / 1000,
    };
  }
  // Made again on demand only: it would most likely fail again, after a minute each time.
  return anew
    ? undefined
    : failure(
        `the prepared TensorFlow does not run here: ${smoke.error}`,
        'To make it anew: npm run prepare-backend',
      );
}

/** What killed processes left behind. Only called with the lock held, so nobody is working there. */
function removeLeftovers(root: string): void {
  for (const name of fs.readdirSync(root)) {
    if (!name.startsWith('.partial-')) continue;
    try {
      // A download whose parent was killed may still be writing there.
      fs.rmSync(path.join(root, name), { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // the next run removes it
    }
  }
}

/** A remembered failure: of which preparation, and when. */
interface Remembered extends Failure {
  when: number;
  key: string;
}

function rememberFailure(root: string, variant: Variant, failed: Failure): void {
  const remembered: Remembered = { ...failed, when: Date.now(), key: preparedKey(variant) };
  try {
    fs.writeFileSync(path.join(root, 'failed.json'), JSON.stringify(remembered));
  } catch {
    // not remembered, so tried again next time
  }
}

/** The failure that stopped the last try, if it was of this kind and within the last hour. */
export function readFailure(root: string, variant: Variant): Failure | undefined {
  try {
    const known = JSON.parse(fs.readFileSync(path.join(root, 'failed.json'), 'utf8')) as Remembered;
    const age = Date.now() - known.when;
    if (known.key !== preparedKey(variant) || age > rememberMs || age < 0) return undefined;
    const minutes = Math.round(age / 60_000);
    const when = minutes < 1 ? 'a moment ago' : `${minutes} min ago`;
    return failure(`${known.reason} (tried ${when})`, known.remedy);
  } catch {
    return undefined;
  }
}
