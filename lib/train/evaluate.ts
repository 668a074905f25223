/** Runs a detector over a data set. */
import type { Detection, GroundTruth } from '../boxes/types';
import type { Loader } from '../data/loader';
import { unfitBox } from '../data/transforms/geometric';
import type { DetectionOptions, Detector, Predictions } from '../models/detector';
import type { tf } from '../tensor/tf';
import { forEachBatch } from './detection-batches';

/** What a detector found in each image of a data set, beside what is there. */
export interface DatasetDetections {
  /** Image ids, in the loader's order; the other lists go with it. */
  readonly ids: readonly string[];
  /** In pixels of the image as the data set has it. */
  readonly groundTruth: readonly (readonly GroundTruth[])[];
  readonly detections: readonly (readonly Detection[])[];
  readonly seconds: number;
}

/** Options of `detectAll`, beside the detector's own. */
export interface DetectAllOptions {
  /**
   * Runs the network instead of the detector's own `predict`, as it is given: a step that the caller has compiled, and a path of a supernet. The
   * detections' decoding disposes what it gives.
   */
  readonly predict?: (images: tf.Tensor4D) => Predictions;
  readonly onProgress?: (done: number) => void;
}

/**
 * Detects in every image of a loader's first epoch. The loader must not augment or shuffle.
 * Boxes come back in the pixels of the original images, where evaluation and drawing want them.
 */
export async function detectAll<Options extends DetectionOptions>(
  detector: Detector<Options>,
  loader: Loader,
  options: Options & DetectAllOptions = {} as Options,
): Promise<DatasetDetections> {
  const { onProgress, predict } = options;
  const started = performance.now();
  const ids: string[] = [];
  const groundTruth: GroundTruth[][] = [];
  const detections: Detection[][] = [];
  await forEachBatch(
    loader,
    (images) => detector.predict(images),
    async (batch, images, run) => {
      const found = await detector.detect(images, options, predict ?? run);
      batch.ids.forEach((id, i) => {
        const original = <T extends GroundTruth | Detection>(item: T): T => ({
          ...item,
          box: unfitBox(item.box, batch.fits[i]),
        });
        ids.push(id);
        groundTruth.push(batch.groundTruth[i].map(original));
        detections.push(found[i].map(original));
      });
      onProgress?.(ids.length);
    },
  );
  return { ids, groundTruth, detections, seconds: (performance.now() - started) / 1000 };
}
