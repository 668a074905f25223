/** The batches of a training run. */

/** What gives batches epoch by epoch, as a `Loader` does. */
export interface Epochs<Batch> {
  /** Of one epoch. */
  readonly batches: number;
  /**
   * The batches of an epoch (from 0), the same each time it is asked for.
   * @param from leaves out the batches before this one.
   */
  epoch(epoch: number, from?: number): AsyncIterable<Batch>;
}

/**
 * A loader's epochs one after another, without end: what `train` makes of a loader.
 * @param fromStep leaves out the batches before this step, without reading their images: a resumed run goes on with what it
 *   would have seen.
 */
export async function* endlessly<Batch>(
  loader: Epochs<Batch>,
  fromStep: number = 0,
): AsyncGenerator<Batch, void, undefined> {
  if (loader.batches === 0) {
    throw new Error(
      'The loader has no batch: the data set is empty, or smaller than one batch with dropLast on',
    );
  }
  if (!Number.isInteger(fromStep) || fromStep < 0) {
    throw new RangeError(`endlessly: fromStep is ${fromStep}; it must be a whole number from 0`);
  }
  yield* loader.epoch(Math.floor(fromStep / loader.batches), fromStep % loader.batches);
  for (let epoch = Math.floor(fromStep / loader.batches) + 1; ; epoch++) yield* loader.epoch(epoch);
}
