/** A detector around an SSD network: its anchors, and the way from images to detections. Matching and losses are training's. */
import type { AnchorSet } from '../boxes/anchors';
import { ssdDetections, type SsdDetectionOptions } from '../boxes/ssd-detections';
import type { Detection } from '../boxes/types';
import { inference } from '../nn/module';
import { tf } from '../tensor/tf';
import type { SsdPredictions } from './heads/ssd';
import type { Ssd } from './ssd';

/** An SSD network with the anchors its predictions refer to. */
export interface SsdDetector {
  readonly model: Ssd;
  readonly anchors: AnchorSet;
  /**
   * Detections of each image, highest score first, boxes in pixels of the network's input (or of `width` x `height`).
   * @param images `[B, S, S, 3]`, normalised as in training; not disposed.
   * @param predict runs the network. Default: `model.forward` as it is; a compiled one is faster for many batches of one size.
   */
  detect(
    images: tf.Tensor4D,
    options?: SsdDetectionOptions,
    predict?: (images: tf.Tensor4D) => SsdPredictions,
  ): Promise<Detection[][]>;
}

/**
 * Joins a network and its anchors.
 * @throws when their detection maps or the number of anchors a cell differ, naming the level.
 */
export function createSsdDetector(model: Ssd, anchors: AnchorSet): SsdDetector {
  const { inputSize, anchorsPerCell } = model.config;
  const sizes = model.mapSizes();
  const describe = (cells: readonly string[]) => cells.join(', ');
  const wanted = sizes.map((size, level) => `${size}x${size}x${anchorsPerCell[level]}`);
  const given = anchors.levels.map(({ rows, cols, shapes }) => `${rows}x${cols}x${shapes.length}`);
  if (describe(wanted) !== describe(given)) {
    throw new RangeError(
      `createSsdDetector: the network predicts on maps of ${describe(wanted)} (rows x columns x anchors a cell), ` +
        `the anchors are for ${describe(given)}`,
    );
  }
  if (anchors.imageWidth !== inputSize || anchors.imageHeight !== inputSize) {
    throw new RangeError(
      `createSsdDetector: the network's input is ${inputSize}x${inputSize} pixels, the anchors are for ` +
        `${anchors.imageWidth}x${anchors.imageHeight}`,
    );
  }
  return {
    model,
    anchors,
    async detect(images, options, predict = (x) => model.forward(x, inference)) {
      const { classLogits, boxDeltas } = predict(images);
      const [logits, deltas] = await Promise.all([classLogits.data(), boxDeltas.data()]);
      const [batch, count, columns] = classLogits.shape;
      tf.dispose([classLogits, boxDeltas]);
      return Array.from({ length: batch }, (_, i) =>
        ssdDetections(
          logits.subarray(i * count * columns, (i + 1) * count * columns) as Float32Array,
          deltas.subarray(i * count * 4, (i + 1) * count * 4) as Float32Array,
          anchors,
          options,
        ),
      );
    },
  };
}
