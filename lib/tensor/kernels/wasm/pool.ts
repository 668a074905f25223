/** Runs kernels on a WebAssembly memory: on this thread, and where the memory is shared on worker threads beside it. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { projectRoot } from '../../packages';
import { ModuleWriter } from './assembler';
import { type Fields, type Kernel, maxFields, scratchBytes } from './kernel';

/** Where the words of the control block lie, in words; worker.cjs reads them too. */
const layout = {
  /** The number of the job; sleeping workers wait for it to change. */
  job: 0,
  /** How many workers are at the job, plus `closed` when no further may join. */
  door: 1,
  ready: 2,
  failed: 3,
  kernel: 4,
  items: 5,
  /** How many items are taken at a time, and the first that nobody has taken. */
  piece: 6,
  next: 7,
  parameters: 16,
  count: 16 + maxFields,
  closed: 1 << 16,
} as const;

/** What a pool needs of a backend. */
export interface PoolMemory {
  readonly memory: WebAssembly.Memory;
  /** Allocates bytes for good. */
  allocate(bytes: number): number;
}

/** A compiled kernel. */
interface Entry {
  readonly index: number;
  readonly names: readonly string[];
  readonly types: readonly ('int' | 'float')[];
  readonly run: (block: number, scratch: number, begin: number, end: number) => void;
}

/** How long a thread may take for its piece of a job, in tenths of a second. Pieces take less than a hundredth of a second. */
const patience = 600;

/** Kernels, compiled for one memory, and the threads that run them. */
export class Pool {
  private readonly entries: ReadonlyMap<unknown, Entry>;
  private readonly address: number;
  private readonly scratch: number;
  private control: Int32Array;
  private parameters: Float32Array;
  private readonly workers: Worker[] = [];
  /** Settled once every thread is there. Rejected where one can't be started; this one then works alone. */
  readonly started: Promise<unknown>;

  /**
   * @param threads how many threads to use; more than one needs a memory that is shared. The others take part as soon as they are
   *   there; they don't keep the process alive.
   */
  constructor(
    private readonly host: PoolMemory,
    private readonly kernels: readonly Kernel[],
    threads: number,
  ) {
    const shared = host.memory.buffer instanceof SharedArrayBuffer;
    const writer = new ModuleWriter();
    for (const kernel of kernels) writer.add(kernel, kernel.name);
    const compiled = new WebAssembly.Module(writer.bytes(shared));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: host.memory } });
    this.entries = new Map(
      kernels.map((kernel, index) => {
        const { name, fields } = kernel;
        const run = exports[name] as Entry['run'];
        return [kernel, { index, names: Object.keys(fields), types: Object.values(fields), run }];
      }),
    );
    this.address = host.allocate(layout.count * 4);
    const count = shared ? threads : 1;
    this.scratch = host.allocate(scratchBytes * count);
    [this.control, this.parameters] = this.views();
    this.control.fill(0);
    this.control[layout.door] = layout.closed;
    for (let i = 1; i < count; i++) this.workers.push(this.startWorker(compiled, i));
    this.started = Promise.all(this.workers.map(started)).catch(async (error: unknown) => {
      await this.dispose();
      throw error;
    });
    this.started.catch(() => undefined);
  }

  /** How many threads there are, this one among them. */
  get threads(): number {
    return this.workers.length + 1;
  }

  /**
   * Runs a kernel on items 0 to `items` - 1.
   * @param piece how many items a thread takes at a time. One piece is not worth another thread: it should take 20 microseconds
   *   at least.
   */
  run<F extends Fields>(
    kernel: Kernel<F>,
    values: { readonly [Name in keyof F]: number },
    items: number,
    piece: number = items,
  ): void {
    if (items <= 0) return;
    // An allocation that made the memory grow has left a view of unshared memory without content.
    if (this.control.length === 0) [this.control, this.parameters] = this.views();
    const { control, parameters } = this;
    this.finish();
    const { index, names, types, run } = this.entries.get(kernel) as Entry;
    for (let i = 0; i < names.length; i++) {
      if (types[i] === 'int') control[layout.parameters + i] = values[names[i]];
      else parameters[i] = values[names[i]];
    }
    const block = this.address + layout.parameters * 4;
    const ready = this.threads > 1 && items > piece ? Atomics.load(control, layout.ready) : 0;
    if (ready === 0) return run(block, this.scratch, 0, items);
    control[layout.kernel] = index;
    control[layout.items] = items;
    control[layout.piece] = piece;
    control[layout.next] = 0;
    Atomics.store(control, layout.door, 0);
    Atomics.add(control, layout.job, 1);
    Atomics.notify(control, layout.job, Math.min(ready, Math.ceil(items / piece) - 1));
    try {
      for (;;) {
        const begin = Atomics.add(control, layout.next, piece);
        if (begin >= items) break;
        run(block, this.scratch, begin, Math.min(items, begin + piece));
      }
    } finally {
      this.finish();
    }
    if (Atomics.exchange(control, layout.failed, 0) !== 0) {
      throw new Error(`kernel ${kernel.name}: a thread failed, its part of the result is missing`);
    }
  }

  /** Ends the other threads; the memory stays allocated. */
  async dispose(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker.terminate()));
  }

  /** Closes the job's door and waits for the workers that are still inside; one that was interrupted may have left it open. */
  private finish(): void {
    if (this.threads === 1) return;
    const { control } = this;
    Atomics.or(control, layout.door, layout.closed);
    for (let looks = 0, waits = 0; waits < patience; looks++) {
      const door = Atomics.load(control, layout.door);
      if (door === layout.closed) return;
      if (looks > 2000 && Atomics.wait(control, layout.door, door, 100) === 'timed-out') waits++;
    }
    throw new Error('a thread of the wasm backend has not come back from its work for a minute');
  }

  private views(): [Int32Array, Float32Array] {
    const { buffer } = this.host.memory;
    return [
      new Int32Array(buffer, this.address, layout.count),
      new Float32Array(buffer, this.address + layout.parameters * 4, maxFields),
    ];
  }

  private startWorker(compiled: WebAssembly.Module, index: number): Worker {
    const file = path.join(projectRoot, 'lib', 'tensor', 'kernels', 'wasm', 'worker.cjs');
    const worker = new Worker(file, {
      workerData: {
        module: compiled,
        memory: this.host.memory,
        names: this.kernels.map(({ name }) => name),
        words: { ...layout, address: this.address },
        scratch: this.scratch + index * scratchBytes,
      },
      // Not the options of this process: a profiler or a loader must not start in each thread.
      execArgv: [],
      stdout: true,
      stderr: true,
    });
    return worker;
  }
}

/** Settled once a worker has said that it is ready; from then on it doesn't keep the process alive. */
function started(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with code ${code} at its start`)));
    worker.once('message', () => {
      worker.unref();
      resolve();
    });
  });
}
