/** Decides how many threads a loader has, and when: they cost memory and a start, which small sets don't win back. */
import { threadCount } from '../../tensor/native';
import type { Transform } from '../transforms/transform';
import type { DetectionDataset } from '../types';
import type { ImageSettings } from './make-image';
import { LoaderThreads, threadScript } from './threads';

/** What the choice hangs on. */
export interface WorkersOptions {
  readonly dataset: DetectionDataset;
  readonly settings: ImageSettings;
  readonly augment: Transform | undefined;
  readonly batchSize: number;
  readonly warn: (line: string) => void;
}

/** The threads of a loader, if it has any. */
export interface Workers {
  /** Threads that the next batch can go to; `undefined` makes it on the main thread. */
  threads(): LoaderThreads | undefined;
  /** Whether threads only read images, since the augmentation can't be sent. */
  readonly readOnly: boolean;
  /** Told how long a batch took on the main thread, in milliseconds. */
  spent(milliseconds: number): void;
  close(): Promise<void>;
}

/** `auto` starts threads after this long on the main thread, and for batches that take at least so long, in milliseconds. */
const patience = { total: 250, batch: 4 } as const;
const mostAuto = 8;
const most = 64;

/** @throws RangeError unless `workers` is `auto` or a whole number from 0. */
export function chooseWorkers(workers: number | 'auto', options: WorkersOptions): Workers {
  if (workers !== 'auto' && !(Number.isInteger(workers) && workers >= 0 && workers <= most))
    throw new RangeError(
      `createLoader: workers is ${String(workers)}; it must be 'auto' or a whole number from 0 to ${most}`,
    );
  const { dataset, settings, augment, batchSize, warn } = options;
  const count = workers === 'auto' ? Math.min(mostAuto, threadCount() - 1) : workers;
  const readOnly = augment !== undefined && augment.recipe === undefined;
  const withoutFile = dataset.examples.filter(({ file }) => file === undefined).length;
  const nothingToDo = readOnly && withoutFile === dataset.examples.length;
  const script = threadScript(workers === 'auto');
  const possible = count > 0 && dataset.examples.length > 0 && !nothingToDo && script !== undefined;

  let threads: LoaderThreads | undefined;
  let ready = false;
  const start = (): LoaderThreads => {
    tell();
    const values = batchSize * settings.height * settings.width * 3;
    return new LoaderThreads(
      dataset.name,
      script!,
      count,
      { image: settings, recipe: augment?.recipe },
      values,
    );
  };
  let told = false;
  const tell = (): void => {
    const line = limits();
    if (told || line === undefined) return;
    told = true;
    warn(line);
  };
  const limits = (): string | undefined => {
    const reasons: string[] = [];
    if (readOnly) reasons.push('the augmentation has no recipe (withRecipe gives it one)');
    if (withoutFile > 0) reasons.push(`${withoutFile} of ${dataset.examples.length} images have no file`);
    if (script === undefined) reasons.push('the library is not compiled (npm run build)');
    if (reasons.length === 0) return undefined;
    const rest = possible ? 'that part stays on the main thread' : 'all work stays on the main thread';
    return `${dataset.name}: worker threads can't do everything: ${reasons.join('; ')}; ${rest}.`;
  };

  let total = 0;
  return {
    readOnly,
    threads() {
      if (workers === 'auto') return ready ? threads : undefined;
      if (!possible) {
        if (workers > 0 && dataset.examples.length > 0) tell();
        return undefined;
      }
      return (threads ??= start());
    },
    spent(milliseconds) {
      total += milliseconds;
      if (workers !== 'auto' || !possible || threads) return;
      if (total < patience.total || milliseconds < patience.batch) return;
      threads = start();
      // Where threads can't be had, the work stays here.
      threads.start().then(
        () => (ready = true),
        () => undefined,
      );
    },
    async close() {
      const ended = threads?.close();
      threads = undefined;
      ready = false;
      total = 0;
      await ended;
    },
  };
}
