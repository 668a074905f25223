/** Runs a network over a loader's first epoch, as one graph where that pays. */
import type { Batch, Loader } from '../data/loader';
import type { Predictions } from '../models/detector';
import { compile } from '../tensor/compile/compile';
import { interruptSignal } from '../tensor/interrupt';
import type { tf } from '../tensor/tf';
import { batchTensor } from './batch-tensor';

/** Building a graph takes about as long as twenty batches save. */
const batchesForGraph = 32;

/**
 * Visits every batch in turn.
 * @param predict the network's inference
 * @param visit is given the batch, its pixels `[B, H, W, 3]`, which are disposed afterwards, and what runs the network
 * @throws what `visit` throws, and the interrupt's reason between two batches.
 */
export async function forEachBatch(
  loader: Loader,
  predict: (images: tf.Tensor4D) => Predictions,
  visit: (batch: Batch, images: tf.Tensor4D, run: (images: tf.Tensor4D) => Predictions) => Promise<void>,
): Promise<void> {
  const compiled =
    loader.batches >= batchesForGraph
      ? compile(({ images }: { images: tf.Tensor4D }) => predict(images))
      : undefined;
  const run = compiled ? (images: tf.Tensor4D): Predictions => compiled({ images }) : predict;
  try {
    for await (const batch of loader.epoch(0)) {
      interruptSignal()?.throwIfAborted();
      const images = batchTensor(batch);
      try {
        await visit(batch, images, run);
      } finally {
        images.dispose();
      }
    }
  } finally {
    compiled?.dispose();
  }
}
