/**
 * tfjs's wasm backend on a memory that threads share. The package has such a build, but starts it in browsers only, and then with eight
 * workers of its own. Only its memory is wanted here: the kernels of this folder bring their own threads (pool.ts).
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';
import { projectRequire } from '../../packages';
import { tf } from '../../tf';
import type { WasmHost } from './host';

const packageName = '@tensorflow/tfjs-backend-wasm';

/** The module that emscripten's code makes, as far as it is used here. */
type EmscriptenModule = WasmHost['wasm'] & {
  cwrap(name: string, result: 'number' | null, parameters: 'number'[]): (...args: number[]) => number;
  /** Bindings that tfjs's backend expects. */
  tfjs?: Record<string, (...args: number[]) => number>;
};

interface WasmPackage {
  setThreadsCount(count: number): void;
  readonly BackendWasm: new (module: EmscriptenModule) => ReturnType<typeof tf.backend>;
}

/** Stands for a worker of emscripten's: says that it is ready, and is never given anything to do. */
class IdleWorker {
  onmessage?: (event: { data: { cmd: string } }) => void;

  postMessage(message: { cmd: string }): void {
    if (message.cmd === 'load') queueMicrotask(() => this.onmessage?.({ data: { cmd: 'loaded' } }));
  }

  on(): void {}
  unref(): void {}
  terminate(): void {}
}

/** Starts emscripten's code, away from the globals that it would change: its handlers would end the process at any rejection. */
function startModule(): Promise<EmscriptenModule> {
  const file = projectRequire.resolve(`${packageName}/wasm-out/tfjs-backend-wasm-threaded-simd.js`);
  const { versions, hrtime } = process;
  const scope = {
    exports: {},
    module: { exports: {} as unknown },
    require: createRequire(file),
    __filename: file,
    __dirname: path.dirname(file),
    global: {},
    process: { versions, hrtime, argv: [], on: () => undefined, listeners: () => [] },
    Worker: IdleWorker,
  };
  vm.compileFunction(fs.readFileSync(file, 'utf8'), Object.keys(scope), { filename: file })(
    ...Object.values(scope),
  );
  const factory = scope.module.exports as (options: object) => Promise<EmscriptenModule>;
  return factory({ locateFile: (name: string, folder: string) => folder + name });
}

/**
 * Makes the shared build tfjs's backend `wasm`, in place of the package's own, which must not have been started yet. The package
 * must have been imported.
 * @throws where it can't be started; then the package's own is as it was.
 */
export async function registerSharedBackend(): Promise<void> {
  const wasm = projectRequire(packageName) as WasmPackage;
  const module = await startModule();
  if (!(module.wasmMemory?.buffer instanceof SharedArrayBuffer)) {
    throw new Error(`the threaded build of ${packageName} has no shared memory`);
  }
  const bind = (name: string, count: number, result: 'number' | null = null) =>
    module.cwrap(name, result, Array<'number'>(count).fill('number'));
  module.tfjs = {
    init: bind('init', 0),
    initWithThreadsCount: bind('init_with_threads_count', 1),
    getThreadsCount: bind('get_threads_count', 0, 'number'),
    registerTensor: bind('register_tensor', 3),
    disposeData: bind('dispose_data', 1),
    dispose: bind('dispose', 0),
  };
  wasm.setThreadsCount(1);
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => new wasm.BackendWasm(module), 2);
}
