/** Where a training run's batches come from, and how a resumed run finds its place among them. */
import { createHash } from 'node:crypto';
import { endlessly, type Epochs } from './endlessly';

/**
 * Batches for training:
 * - a loader, whose epochs follow one another without end; a resumed run reads nothing twice;
 * - a function that gives the batches from a number on (from 0), for batches of one's own;
 * - any async iterable, of which a resumed run draws what the steps before it took, and drops that.
 */
export type BatchSource<Batch> =
  Epochs<Batch> | ((fromBatch: number) => AsyncIterable<Batch>) | AsyncIterable<Batch>;

/** The images of a batch, briefly: enough to tell whether another one has the same. */
export interface BatchIds {
  readonly count: number;
  /** The first ones, for people. */
  readonly first: readonly string[];
  readonly sha256: string;
}

/** What to remember of a batch. */
export function batchIds(ids: readonly string[]): BatchIds {
  const sha256 = createHash('sha256').update(JSON.stringify(ids)).digest('hex');
  return { count: ids.length, first: ids.slice(0, 3), sha256 };
}

/**
 * The batches from number `from` on.
 * @param before what the run had as the batch before: it is drawn again and compared, which tells another data set, seed, order or batch
 *   size. Left out, nothing is compared.
 * @throws when that batch has other images, or there are fewer batches than that.
 */
export async function openBatches<Batch extends { readonly ids: readonly string[] }>(
  source: BatchSource<Batch>,
  from: number,
  before?: BatchIds,
): Promise<AsyncIterator<Batch>> {
  const start = before && from > 0 ? from - 1 : from;
  const seeks = typeof source === 'function' || 'epoch' in source;
  const batches =
    typeof source === 'function' ? source(start) : 'epoch' in source ? endlessly(source, start) : source;
  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (let number = seeks ? start : 0; number < from; number++) {
      const next = await iterator.next();
      if (next.done) {
        throw new Error(
          `train: the batches end before number ${number}, but the run has used ${from} of them`,
        );
      }
      if (before && number === from - 1) compare(number, before, next.value.ids);
    }
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
  return iterator;
}

function compare(number: number, before: BatchIds, ids: readonly string[]): void {
  if (batchIds(ids).sha256 === before.sha256) return;
  const words = (first: readonly string[], count: number): string =>
    `${count} ${count === 1 ? 'image' : 'images'} (${first.join(', ')}${count > first.length ? ', …' : ''})`;
  throw new Error(
    `train: batch ${number} is not the one that the interrupted run had: it had ${words(before.first, before.count)}, ` +
      `now it has ${words(ids.slice(0, 3), ids.length)}. Give the loader the same data set, seed and batch size; where batches is a ` +
      'function, let it begin at the number that it is given',
  );
}
