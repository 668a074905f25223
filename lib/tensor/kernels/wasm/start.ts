/** Starts the wasm backend with as many threads as can be had. */
import path from 'node:path';
import { projectRequire } from '../../packages';
import { tf } from '../../tf';
import { startPool, type WasmHost } from './host';
import { registerSharedBackend } from './shared-backend';

/** More threads than this gain nothing at the sizes that the wasm backend is used for. */
const maxThreads = 16;

/** How the wasm backend runs. */
export interface WasmStart {
  /** Of the npm package. */
  readonly version: string;
  readonly threads: number;
  /** Why there is only one thread, where more were wanted. */
  readonly problem?: string;
}

/**
 * Starts the wasm backend, unless it runs already, and its threads.
 * @param threads how many are wanted.
 * @param activate makes `wasm` TensorFlow.js's backend.
 */
export async function startWasmBackend(threads: number, activate: () => Promise<void>): Promise<WasmStart> {
  const { setWasmPaths, version_wasm: version } = projectRequire('@tensorflow/tfjs-backend-wasm') as {
    setWasmPaths(folder: string): void;
    version_wasm: string;
  };
  let problem: string | undefined;
  const attempt = async (start: () => Promise<unknown>): Promise<void> => {
    try {
      await start();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
  };
  if (!tf.engine().registry['wasm']) {
    // The package looks for its binary beside the running script; the folder must end with a separator.
    const binary = projectRequire.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
    setWasmPaths(path.dirname(binary) + path.sep);
    if (threads > 1) await attempt(registerSharedBackend);
  }
  await activate();
  const pool = startPool(tf.backend() as unknown as WasmHost, Math.min(threads, maxThreads));
  await attempt(() => pool.started);
  return { version, threads: pool.threads, problem: pool.threads < threads ? problem : undefined };
}
