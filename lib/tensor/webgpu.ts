/**
 * WebGPU in Node: Dawn, Chromium's implementation, behind `navigator.gpu`, and what makes its failures errors. By themselves they
 * are lines on stderr, while the program goes on with whatever the memory held before.
 */
import { projectRequire } from './packages';
import { tf } from './tf';

/** A shader program of tfjs's WebGPU backend. */
export interface WebgpuProgram {
  /** What its compiled form is found by again, beside types and ranks. */
  shaderKey: string;
  readonly outputShape: number[];
  getUserCode(): string;
}

type Failure = { readonly error: { readonly message: string } };

/** The part of tfjs's WebGPU backend that is used or replaced here. */
export interface WebgpuBackend {
  readonly device: {
    addEventListener(type: 'uncapturederror', listener: (event: Failure & Event) => void): void;
    readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  };
  readonly tensorMap: {
    get(id: object): { readonly values?: unknown; readonly dtype: tf.DataType; resource?: unknown };
  };
  readonly pipelineCache: Record<string, unknown>;
  runWebGPUProgram(
    program: WebgpuProgram,
    inputs: tf.TensorInfo[],
    outputDtype: tf.DataType,
    ...rest: unknown[]
  ): tf.TensorInfo;
  /** Gives a tensor its buffer. */
  uploadToGPU(id: object): void;
  /** Queues a compiled program. */
  recordAndSubmit(program: WebgpuProgram, ...rest: unknown[]): void;
  read(id: object): Promise<unknown>;
  readSync(id: object): unknown;
}

/** Puts Dawn behind `navigator.gpu` and imports tfjs's backend, which registers itself only where it finds that. */
export function importWebgpu(): void {
  const scope = globalThis as { navigator?: object };
  if (!scope.navigator) Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  if (!('gpu' in (scope.navigator as object))) {
    const dawn = projectRequire('webgpu') as { create(flags: string[]): object; globals: object };
    Object.assign(globalThis, dawn.globals);
    Object.defineProperty(scope.navigator, 'gpu', { value: dawn.create([]), configurable: true });
  }
  projectRequire('@tensorflow/tfjs-backend-webgpu');
}

const watched = new WeakSet<WebgpuBackend>();

/**
 * Makes a backend throw what WebGPU reports: in the operation that caused it, or at the next reading of values. Any number of
 * calls does what one does.
 */
export function watchWebgpu(backend: WebgpuBackend): void {
  if (watched.has(backend)) return;
  watched.add(backend);
  let failure: string | undefined;
  backend.device.addEventListener('uncapturederror', (event) => {
    event.preventDefault(); // else Dawn prints it, too
    const { message } = event.error;
    failure ??= /due to a previous error/.test(message) ? 'it was queued beside what failed before' : message;
  });
  void backend.device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') failure ??= `the GPU was lost: ${message}`;
  });
  let run: { program: WebgpuProgram; inputs: tf.TensorInfo[] } | undefined;
  /** Throws once what was reported since the last call. */
  const check = (): void => {
    if (failure === undefined) return;
    const message = failure.trim().split('\n').slice(0, 3).join(' ');
    failure = undefined;
    throw new Error(`webgpu, ${run ? describe(run.program, run.inputs) : 'reading values'}: ${message}`);
  };

  const { runWebGPUProgram, uploadToGPU, recordAndSubmit, read, readSync } = backend;
  backend.runWebGPUProgram = (program, inputs, dtype, ...rest) => {
    run = { program, inputs };
    return runWebGPUProgram.call(backend, program, inputs, dtype, ...rest);
  };
  // A failure is thrown before the program is queued: it would take what is queued already along.
  backend.uploadToGPU = (id) => {
    uploadToGPU.call(backend, id);
    if (failure !== undefined) backend.tensorMap.get(id).resource = null; // not to be used again for another tensor
    check();
  };
  backend.recordAndSubmit = (program, ...rest) => {
    if (failure !== undefined) delete backend.pipelineCache[program.shaderKey];
    check();
    recordAndSubmit.call(backend, program, ...rest);
    check();
  };
  backend.read = async (id) => {
    const values = await read.call(backend, id);
    run = undefined;
    check();
    return values;
  };
  backend.readSync = (id) => {
    const { values, dtype } = backend.tensorMap.get(id);
    if (values == null && dtype !== 'complex64') {
      throw new Error(
        'webgpu gives values only to those who wait: `await tensor.data()` in place of dataSync() or arraySync()',
      );
    }
    return readSync.call(backend, id);
  };
}

function describe(program: WebgpuProgram, inputs: readonly tf.TensorInfo[]): string {
  const shapes = inputs.map(({ shape }) => `[${shape}]`).join(', ');
  const megabytes = (tf.util.sizeFromShape(program.outputShape) * 4) / 2 ** 20;
  return `${program.constructor.name} of ${shapes} to [${program.outputShape}] (${megabytes.toFixed(1)} MiB)`;
}
