/**
 * Brings the native TensorFlow into this process: the binding from wherever it lies, with the JavaScript of
 * `@tensorflow/tfjs-node-gpu`. That package's own entry point is not used: it insists on a binding in its own folder.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import util from 'node:util';
import { apart } from './apart';
import { explainingBinding } from './out-of-memory';
import { projectRequire, tfjsNodePackage } from './packages';
import { addons } from './prepared';
import { tf } from './tf';

/** The parts of the compiled binding that are asked here. */
export interface NativeBinding {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  createTensor(shape: number[], dtype: number, values: unknown): number;
}

/** How many threads the work may use: `DETLAB_THREADS`, else what the machine (or its container) has. */
export function threadCount(env: NodeJS.ProcessEnv = process.env): number {
  const text = env.DETLAB_THREADS;
  if (text === undefined || text === '') return os.availableParallelism();
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new Error(`DETLAB_THREADS is '${text}': it must be a whole number of threads, 1 or more.`);
  }
  return threads;
}

/** What the native library reads once, when it is loaded: no log chatter, and the number of threads. The user's own values stay. */
export function nativeEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const threads = String(threadCount(env));
  return {
    // 3: errors too, since a GPU build on a machine without one reports the lack as errors.
    TF_CPP_MIN_LOG_LEVEL: env.TF_CPP_MIN_LOG_LEVEL ?? '3',
    TF_NUM_INTRAOP_THREADS: env.TF_NUM_INTRAOP_THREADS ?? threads,
    TF_NUM_INTEROP_THREADS: env.TF_NUM_INTEROP_THREADS ?? threads,
    OMP_NUM_THREADS: env.OMP_NUM_THREADS ?? threads,
    // Take GPU memory as it is needed: several notebooks can then share one GPU.
    TF_FORCE_GPU_ALLOW_GROWTH: env.TF_FORCE_GPU_ALLOW_GROWTH ?? 'true',
  };
}

/**
 * For TF_DETERMINISTIC_OPS on the CPU, which TensorFlow reads at the first operation that asks: the gradient of cropAndResize, and so
 * RoIAlign's, would otherwise add from several threads to one place, unguarded, and lose what two add at once. (On a GPU operations
 * refuse to run with it, and need it less: they add atomically.)
 */
const exactSums = '1';

let registered: string | undefined;

/** Loads the binding and registers the `tensorflow` backend with TensorFlow.js. A second call for the same file does nothing new. */
export function registerNativeBackend(file: string): NativeBinding {
  Object.assign(process.env, nativeEnvironment());
  keepOldUtilities();
  const binding = loadBinding(file);
  if (!binding.isUsingGpuDevice()) process.env.TF_DETERMINISTIC_OPS ??= exactSums;
  if (registered === file) return binding;
  projectRequire(`${tfjsNodePackage}/dist/register_all_kernels.js`);
  const { NodeJSKernelBackend } = projectRequire(`${tfjsNodePackage}/dist/nodejs_kernel_backend.js`) as {
    NodeJSKernelBackend: new (binding: NativeBinding, packageName: string) => ReturnType<typeof tf.backend>;
  };
  tf.registerBackend(
    'tensorflow',
    () => new NodeJSKernelBackend(copyingBinding(explainingBinding(binding)), tfjsNodePackage),
    3,
  );
  registered = file;
  return binding;
}

/** The binding, with tensors that share no memory with the arrays they are made of. */
function copyingBinding(binding: NativeBinding): NativeBinding {
  const { createTensor } = binding;
  return Object.defineProperty(binding, 'createTensor', {
    value: (shape: number[], dtype: number, values: unknown) => createTensor(shape, dtype, apart(values)),
    configurable: true,
  });
}

/** The libraries speak on stderr while they are loaded, whatever their log level: the addon beside the binding mutes that. */
function loadBinding(file: string): NativeBinding {
  const muteFile = path.join(path.dirname(file), addons.mute);
  const quiet = Number(process.env.TF_CPP_MIN_LOG_LEVEL) > 0 && fs.existsSync(muteFile);
  const muter = quiet ? (projectRequire(muteFile) as { mute(): void; unmute(): void }) : undefined;
  muter?.mute();
  try {
    return projectRequire(file) as NativeBinding;
  } finally {
    muter?.unmute();
  }
}

/** The package's JavaScript calls two functions of `util` that newer Nodes deprecate (a warning) or no longer have (a crash). */
function keepOldUtilities(): void {
  const target = util as unknown as Record<string, unknown>;
  target.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  target.isArray = Array.isArray;
}
