/** Training a supernet: a path a step. */
import type { Architecture, SearchSpace } from '../models/architecture';
import type { Loss } from '../losses/loss';
import type { ForwardContext, Module } from '../nn/module';
import type { tf } from '../tensor/tf';
import { type BatchSource, openBatches } from '../train/batch-source';
import { pathTensor } from './supernet';

/** A batch, and the path that is trained on it. */
export interface PathBatch<Batch> {
  readonly ids: readonly string[];
  readonly batch: Batch;
  readonly path: Architecture;
}

/** A network, its targets and its loss, as `train` takes them. */
export interface StepParts<Batch, Inputs extends Record<string, tf.Tensor>> {
  readonly model: Module;
  readonly prepare: (batch: Batch) => Inputs;
  readonly loss: (inputs: Inputs, context: ForwardContext) => Loss;
}

/**
 * What `train` needs to train one path a step: a detector's `detectorTraining`, or a classifier's parts, in which a supernet is the trunk.
 *
 *     await train({ ...pathTraining(detectorTraining(detector), space), batches: withPaths(loader, sample), partial: true, … });
 */
export function pathTraining<Batch, Inputs extends Record<string, tf.Tensor>>(
  { model, prepare, loss }: StepParts<Batch, Inputs>,
  space: SearchSpace,
): StepParts<PathBatch<Batch>, Inputs & { path: tf.Tensor1D }> & { readonly partial: true } {
  return {
    model,
    partial: true,
    prepare: ({ batch, path }) => ({ ...prepare(batch), path: pathTensor(path, space) }),
    loss: ({ path, ...inputs }, context) => loss(inputs as unknown as Inputs, { ...context, path }),
  };
}

/**
 * Batches with a path each.
 * @param sample the path of the batch of a number, from 0: drawn from a stream of its own, so that a resumed run has the same ones.
 */
export function withPaths<Batch extends { readonly ids: readonly string[] }>(
  source: BatchSource<Batch>,
  sample: (number: number) => Architecture,
): BatchSource<PathBatch<Batch>> {
  return async function* from(start: number) {
    const batches = await openBatches(source, start);
    try {
      for (let number = start; ; number++) {
        const next = await batches.next();
        if (next.done) return;
        yield { ids: next.value.ids, batch: next.value, path: sample(number) };
      }
    } finally {
      await batches.return?.();
    }
  };
}
