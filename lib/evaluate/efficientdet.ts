/**
 * EfficientDet as effdet's `validate.py` evaluates it: images scaled by Pillow's bilinear filter into the upper left corner, the rest filled
 * with ImageNet's mean; of all levels together the best 5000 pairs, boxes cut to the image, then hard NMS, 100 detections.
 */
import {
  denseDetections,
  type DenseDetectionOptions,
  efficientDetDetectionOptions,
} from '../boxes/dense-detections';
import { cocoCategoryIds, cocoClassNames } from '../data/coco-classes';
import { letterboxFit } from '../data/transforms/geometric';
import { normalizations } from '../data/transforms/normalization';
import { decodePredictions } from '../models/decode-predictions';
import {
  createEfficientDetDetector,
  EfficientDet,
  type EfficientDetPredictions,
} from '../models/efficientdet';
import {
  efficientDetConfig,
  efficientDetDetectorOptions,
  type EfficientDetPlan,
} from '../papers/efficientdet/networks';
import { zeroRandom } from '../tensor/random';
import type { PublishedNetwork } from './network';

/** The released weights' classes: COCO's category id less 1, of which ten were never annotated. */
const coco90: readonly (string | undefined)[] = Array.from({ length: 90 }, (_, label) => {
  const place = cocoCategoryIds.indexOf(label + 1);
  return place < 0 ? undefined : cocoClassNames[place];
});

/** Options of `efficientDetNetwork`. */
export interface EfficientDetNetworkOptions extends Pick<PublishedNetwork, 'name'> {
  readonly plan: EfficientDetPlan;
  readonly published?: PublishedNetwork['published'];
  /** Soft-NMS as the authors' release has it, boxes cut after it, instead of effdet's hard NMS. Default false. */
  readonly softNms?: boolean;
}

/** A network of a plan, for COCO's classes. */
export function efficientDetNetwork(options: EfficientDetNetworkOptions): PublishedNetwork {
  const { name, plan, published = [], softNms = false } = options;
  const { inputSize } = plan;
  // Both leave out what scores less than 0.001.
  const rules: DenseDetectionOptions = softNms
    ? efficientDetDetectionOptions
    : { ...efficientDetDetectionOptions, suppression: 'hard', clip: 'before' };
  return {
    name,
    input: {
      size: inputSize,
      fit: 'letterbox',
      position: 'corner',
      fill: [124, 116, 104],
      method: 'antialias',
      mean: normalizations.efficientdet.mean,
      std: normalizations.efficientdet.std,
    },
    classes: coco90,
    categoryId: (label) => label + 1,
    published,
    build() {
      const model = new EfficientDet(efficientDetConfig(plan, coco90.length), zeroRandom);
      const { anchors, predict } = createEfficientDetDetector(model, efficientDetDetectorOptions(plan));
      return {
        model,
        predict,
        detections(predictions, sizes) {
          return decodePredictions(predictions as EfficientDetPredictions, (logits, deltas, image) => {
            const { width, height } = sizes[image];
            const { scaleX, scaleY } = letterboxFit({ width, height }, inputSize, inputSize, 'corner');
            const content = { contentWidth: width * scaleX, contentHeight: height * scaleY };
            return denseDetections(logits, deltas, anchors, { ...rules, ...content, width, height });
          });
        },
      };
    },
  };
}
