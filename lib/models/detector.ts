/** What training, evaluation and drawing need of a detector, whichever method it is: SSD, RetinaNet, Faster R-CNN, your own. */
import type { Detection, GroundTruth } from '../boxes/types';
import type { Loss } from '../losses/loss';
import type { ForwardContext, Module } from '../nn/module';
import type { tf } from '../tensor/tf';

/** Which detections are given; what a method has no use for it leaves aside. */
export interface DetectionOptions {
  /** Lower scores are dropped. */
  readonly scoreThreshold?: number;
  /** Detections of one class that overlap a better one by more than this IoU are dropped. */
  readonly iouThreshold?: number;
  /** Detections an image. */
  readonly maxOutput?: number;
}

/** What a network predicts for a batch, by name, in fixed shapes. (A type, so that `tf.tidy` takes it.) */
export type Predictions = Readonly<Record<string, tf.Tensor>>;

/**
 * A detector: a network, the targets it learns from, its loss, and the way from its predictions to boxes.
 * `Options` are what its `detect` takes.
 */
export interface Detector<Options extends DetectionOptions = DetectionOptions> {
  /** The network; `forward` makes its raw predictions. */
  readonly model: Module & { forward(images: tf.Tensor4D, context: ForwardContext): unknown };
  /** Size in pixels of the images that it takes. */
  readonly inputSize: { readonly width: number; readonly height: number };
  /** Number of classes, without a background. */
  readonly classes: number;
  /**
   * What the loss compares a batch with, besides the images: tensors whose shapes depend on the batch's size only, so that a step
   * can be compiled. The caller disposes them.
   * @param groundTruth objects of each image, boxes in pixels of the input
   */
  targets(groundTruth: readonly (readonly GroundTruth[])[]): Record<string, tf.Tensor>;
  /**
   * The differentiated function of a training step: no value is read in JavaScript.
   * @param images `[B, H, W, 3]`, normalised
   */
  loss(images: tf.Tensor4D, targets: Readonly<Record<string, tf.Tensor>>, context: ForwardContext): Loss;
  /**
   * Runs the network for inference; may be compiled. The caller disposes what it gives.
   * @param context where the trunk is a supernet: the path.
   */
  predict(images: tf.Tensor4D, context?: Pick<ForwardContext, 'path'>): Predictions;
  /**
   * Detections of each image, highest score first, boxes in pixels of the input.
   * @param images `[B, H, W, 3]`, normalised as in training; not disposed.
   * @param predict runs the network. Default: `this.predict`; a compiled one is faster for many batches of one size.
   */
  detect(
    images: tf.Tensor4D,
    options?: Options,
    predict?: (images: tf.Tensor4D) => Predictions,
  ): Promise<Detection[][]>;
}
