/** Training an SSD with other matching or another loss than its detector's. */
import type { MultiboxLossOptions } from '../losses/multibox';
import type { EncodeOptions } from '../losses/multibox-targets';
import { createSsdDetector, type SsdDetector } from '../models/ssd-detector';
import type { TrainResult } from './train';
import { trainDetector, type TrainDetectorOptions } from './train-detector';

/** `trainDetector`'s options, and what an SSD can be trained with. */
export interface TrainSsdOptions extends Omit<TrainDetectorOptions, 'detector'> {
  readonly detector: SsdDetector;
  /** How anchors are matched to objects. Default: the detector's own. */
  readonly matching?: EncodeOptions;
  /** Default: the detector's own. */
  readonly loss?: MultiboxLossOptions;
}

/**
 * Trains an SSD in place on batches whose boxes are in pixels of the network's input. The log's parts are `class` and `box`
 * (the two losses) and `positives` (matched anchors of the batch).
 */
export function trainSsd(options: TrainSsdOptions): Promise<TrainResult> {
  const { detector, matching, loss, ...rest } = options;
  const { model, anchors, training } = detector;
  return trainDetector({
    ...rest,
    detector: createSsdDetector(model, anchors, {
      matching: matching ?? training.matching,
      loss: loss ?? training.loss,
    }),
  });
}
