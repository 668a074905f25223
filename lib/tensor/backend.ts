/** Chooses the TensorFlow.js backend that everything runs on, and says which and why. */
import { registerKernels } from './kernels/register';
import { startWasmBackend } from './kernels/wasm/start';
import { repairWebgpu } from './kernels/webgpu';
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
import { registerNativeBackend, threadCount } from './native';
import { guardWasmMemory } from './out-of-memory';
import './mend';
import { tf } from './tf';
import { importWebgpu, type WebgpuBackend, watchWebgpu } from './webgpu';

/** The backend in use. */
export interface BackendInfo {
  name: BackendName;
  device: 'gpu' | 'cpu';
  /** Of TensorFlow for `tensorflow`, else of the npm package. */
  version: string;
  /** CPU threads that the backend uses. */
  threads: number;
  /** One line: `backend: tensorflow 2.21.0 on the CPU (2 threads, oneDNN)`. */
  line: string;
  /** Why this one: forced, or why each faster one is not used. */
  why: string;
}

/** Options of `useBackend`. */
export interface UseBackendOptions {
  /** Force this backend: `tensorflow`, `webgpu`, `wasm` or `cpu`. Left out: `DETLAB_BACKEND`, else the fastest there is. */
  backend?: string;
}

let current: BackendInfo | undefined;
let pending: Promise<unknown> = Promise.resolve();

/** The backend that `useBackend` chose last, or `undefined` before its first call. */
export function backendInfo(): BackendInfo | undefined {
  return current;
}

/**
 * Chooses the fastest backend that this machine has (or the one that is forced), registers the kernels it lacks, and makes
 * it TensorFlow.js's. It uses what is there: `prepareTensorFlow` is what downloads. Further calls are cheap and keep the
 * backend, unless they name another one.
 * @throws where a forced backend can't be had, naming what is missing and the command that brings it.
 */
export function useBackend(options: UseBackendOptions = {}): Promise<BackendInfo> {
  // One after another: two calls at once must not both load the native library or leave the choice to chance.
  const next = pending.then(() => choose(options));
  pending = next.catch(() => undefined);
  return next;
}

async function choose(options: UseBackendOptions): Promise<BackendInfo> {
  const forcedBy =
    options.backend !== undefined ? 'backend' : process.env.DETLAB_BACKEND ? 'DETLAB_BACKEND' : undefined;
  if (forcedBy === undefined) {
    if (current && tf.getBackend() === current.name) return current;
    return (current = await climb());
  }
  const name = parseBackendName(options.backend ?? process.env.DETLAB_BACKEND ?? '', forcedBy);
  if (current?.name === name && tf.getBackend() === name) return current;
  return (current = await force(name, forcedBy));
}

/** The first rung that can be used; what is said of the others becomes the reason. */
async function climb(): Promise<BackendInfo> {
  const passed: string[] = [];
  let native: Finding<NativeTensorFlow> | undefined;
  for (const rung of ladder) {
    try {
      if (rung.backend === 'tensorflow') {
        native ??= await findTensorFlow();
        if (!native.usable) {
          if (rung.device === 'cpu') passed.push(`${rung.title}: ${native.reason} (${native.remedy})`);
          continue;
        }
        if ((rung.device === 'gpu') !== native.gpu) continue;
        return await startTensorFlow(native, why(rung, passed));
      }
      if (rung.backend === 'webgpu') {
        const found = await findWebgpu();
        if (!found.usable) {
          // Not installed is the usual case and no news; an installed one that does not work is.
          if (!found.reason.startsWith('not installed')) passed.push(`${rung.title}: ${found.reason}`);
          continue;
        }
        return await startWebgpu(found, why(rung, passed));
      }
      if (rung.backend === 'wasm') return await startWasm(why(rung, passed));
      return await startCpu(why(rung, passed));
    } catch (error) {
      passed.push(`${rung.title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`No backend of TensorFlow.js works here.\n  ${passed.join('\n  ')}`);
}

function why(rung: Rung, passed: readonly string[]): string {
  return passed.length > 0
    ? `the fastest there is; not used: ${passed.join('; ')}`
    : `the fastest there is here (${rung.title})`;
}

async function force(name: BackendName, forcedBy: string): Promise<BackendInfo> {
  const reason = `forced by ${forcedBy}`;
  const need = <T>(finding: Finding<T>): Extract<Finding<T>, { usable: true }> => {
    if (finding.usable) return finding as Extract<Finding<T>, { usable: true }>;
    throw new Error(
      `${forcedBy} asks for '${name}', which can't be had: ${finding.reason}. What would help: ${finding.remedy}`,
    );
  };
  if (name === 'tensorflow') return startTensorFlow(need(await findTensorFlow()), reason);
  // Who asks for WebGPU by name gets it on a software adapter too: slow, but good for a test.
  if (name === 'webgpu') return startWebgpu(need(await findWebgpu(true)), reason);
  if (name === 'wasm') return startWasm(reason);
  return startCpu(reason);
}

async function activate(name: BackendName): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start its backend '${name}'`);
  await tf.ready();
  // After the backend's package has registered its own kernels, which these replace and complete.
  registerKernels();
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

async function startTensorFlow(native: NativeTensorFlow, reason: string): Promise<BackendInfo> {
  const binding = registerNativeBackend(native.binding);
  await activate('tensorflow');
  const version = binding.TF_Version;
  const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || threadCount();
  const gpu = binding.isUsingGpuDevice();
  const oneDnn =
    process.arch === 'x64' && process.env.TF_ENABLE_ONEDNN_OPTS !== '0' && !version.startsWith('2.9.');
  const details = gpu ? 'CUDA' : `${plural(threads, 'thread')}${oneDnn ? ', oneDNN' : ''}`;
  return {
    name: 'tensorflow',
    device: gpu ? 'gpu' : 'cpu',
    version,
    threads,
    line: `backend: tensorflow ${version} on the ${gpu ? 'GPU' : 'CPU'} (${details})`,
    why: native.source === 'official' ? `${reason}; the installed @tensorflow/tfjs-node-gpu` : reason,
  };
}

async function startWebgpu(
  found: { version: string; adapter: string; software: boolean },
  reason: string,
): Promise<BackendInfo> {
  importWebgpu();
  await activate('webgpu');
  const backend = tf.backend() as unknown as WebgpuBackend;
  repairWebgpu(backend);
  watchWebgpu(backend);
  return {
    name: 'webgpu',
    device: found.software ? 'cpu' : 'gpu',
    version: found.version,
    threads: 1,
    line: `backend: webgpu ${found.version} on ${found.adapter}${found.software ? ' (a program, no GPU: very slow)' : ''}`,
    why: reason,
  };
}

async function startWasm(reason: string): Promise<BackendInfo> {
  const { version, threads, problem } = await startWasmBackend(threadCount(), () => activate('wasm'));
  guardWasmMemory();
  return {
    name: 'wasm',
    device: 'cpu',
    version,
    threads,
    line: `backend: wasm ${version} on the CPU (${plural(threads, 'thread')}, SIMD)`,
    why: problem === undefined ? reason : `${reason}; one thread only: ${problem}`,
  };
}

async function startCpu(reason: string): Promise<BackendInfo> {
  await activate('cpu');
  // The backend's greeting at its first operation recommends another package; the choice has been made here.
  (tf.backend() as unknown as { firstUse: boolean }).firstUse = false;
  const version = tf.version['tfjs-core'];
  return {
    name: 'cpu',
    device: 'cpu',
    version,
    threads: 1,
    line: `backend: cpu ${version} (plain JavaScript: very slow, for tests)`,
    why: reason,
  };
}
