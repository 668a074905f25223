/** The wasm backend as the kernels of this folder use it: its memory, its tensors' addresses, and the pool that works on them. */
import { type tf } from '../../tf';
import type { KernelArguments, WasmBackend } from '../registry';
import type { Fields, Kernel } from './kernel';
import { Pool } from './pool';
import { allKernels } from './all-kernels';

/** What the kernels of this folder use of `BackendWasm` besides. */
export interface WasmHost extends WasmBackend {
  /** Where a tensor's values lie on the heap, in bytes. */
  getMemoryOffset(dataId: tf.DataId): number;
  /** Gives up one reference to the values; the last one frees them. */
  disposeData(dataId: tf.DataId): boolean;
  /** Takes one more reference to the values. */
  incRef(dataId: tf.DataId): void;
  readonly wasm: {
    /** Of the build with threads. */
    readonly wasmMemory?: WebAssembly.Memory;
    /** Of the build without. */
    readonly asm: { readonly memory?: WebAssembly.Memory };
    _malloc(bytes: number): number;
  };
}

/** What a kernel function of this folder is called with. */
export type WasmArguments<Inputs, Attributes> = KernelArguments<Inputs, Attributes, WasmHost>;

const pools = new WeakMap<WasmHost, Pool>();

/** The pool that works for a backend, started where it isn't running yet. @param threads see `Pool`. */
export function startPool(backend: WasmHost, threads: number): Pool {
  const running = pools.get(backend);
  if (running) return running;
  const memory = backend.wasm.wasmMemory ?? backend.wasm.asm.memory;
  if (!memory) throw new Error('the wasm backend does not show its memory');
  const pool = new Pool(
    { memory, allocate: (bytes) => backend.wasm._malloc(bytes) >>> 0 },
    allKernels,
    threads,
  );
  pools.set(backend, pool);
  return pool;
}

/** The pool of a backend; one of this thread alone where none has been started. */
export function poolOf(backend: WasmHost): Pool {
  return startPool(backend, 1);
}

/** Where a tensor's values lie, in bytes. Stays valid until the tensor is disposed of. */
export function addressOf(backend: WasmHost, info: tf.TensorInfo): number {
  return backend.getMemoryOffset(info.dataId);
}

/** Runs a kernel on a backend's memory; see `Pool.run`. */
export function run<F extends Fields>(
  backend: WasmHost,
  kernel: Kernel<F>,
  values: { readonly [Name in keyof F]: number },
  items: number,
  piece?: number,
): void {
  poolOf(backend).run(kernel, values, items, piece);
}

/** Calls `f` with the address of `count` floats that it may use until it returns. */
export function withMemory<T>(backend: WasmHost, count: number, f: (address: number) => T): T {
  const info = backend.makeOutput([count], 'float32');
  try {
    return f(addressOf(backend, info));
  } finally {
    backend.disposeData(info.dataId);
  }
}
