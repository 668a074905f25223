/** What a published network needs to be evaluated: how it is built, what its input looks like, and what its predictions mean. */
import type { Detection } from '../boxes/types';
import type { LoaderOptions } from '../data/loader';
import type { Detector, Predictions } from '../models/detector';
import type { PublishedNumber } from '../papers/published';

/** Width and height in pixels of an image as the data set has it. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** An AP that was published for the network's weights. */
export interface PublishedAp {
  /** On what, and how it differs from what is done here. */
  readonly what: string;
  /** Percent. */
  readonly ap: PublishedNumber;
}

/** A network that others have trained, with all that its evaluation depends on. */
export interface PublishedNetwork {
  readonly name: string;
  /** From an image's pixels to the network's input, as in the evaluation that the published AP is from. */
  readonly input: Pick<LoaderOptions, 'fit' | 'position' | 'fill' | 'method' | 'mean' | 'std'> & {
    readonly size: number;
  };
  /** `classes[label]`; `undefined` where the network predicts a class that was never annotated. */
  readonly classes: readonly (string | undefined)[];
  /** The id that COCO's files have for a label. */
  readonly categoryId: (label: number) => number;
  readonly published: readonly PublishedAp[];
  /** Builds the network, without weights. The caller disposes its `model`. */
  build(): EvaluatedDetector;
}

/** A network that is built. */
export interface EvaluatedDetector extends Pick<Detector, 'model' | 'predict'> {
  /**
   * Detections of each image of a batch, boxes in the image's pixels, highest score first.
   * @param predictions of `predict`; disposed
   * @param sizes of the images
   */
  detections(predictions: Predictions, sizes: readonly ImageSize[]): Promise<Detection[][]>;
}
