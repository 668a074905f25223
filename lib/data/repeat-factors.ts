/** Repeat factor sampling: images with rare classes more often (Gupta et al., LVIS, CVPR 2019, arXiv 1908.03195, appendix B.2). */
import { classFrequencies } from './class-frequencies';
import type { DetectionDataset } from './types';

/**
 * How often an epoch should show each image, for the loader's option `repeat`: a class that a share f of the images shows has
 * `max(1, sqrt(threshold / f))`, and an image the highest of its classes. Images without objects have 1. As Detectron2 counts them:
 * f is the share of all images, also of those without objects, and crowds and difficult objects count.
 * @param threshold the share of images below which a class is repeated. LVIS: 0.001, for 100,000 images; a small set needs more, such
 *   as 0.1 for classes that fewer than a tenth of the images show. 0 repeats nothing.
 * @returns one an image, 1 or more, in the order of the data set.
 * @throws RangeError on a threshold that is not a share, 0 to 1.
 */
export function repeatFactors(dataset: DetectionDataset, threshold: number): Float64Array {
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new RangeError(
      `repeatFactors: threshold is ${threshold}; it must be a share of the images, 0 to 1 (LVIS: 0.001)`,
    );
  }
  const total = dataset.examples.length;
  const byLabel = classFrequencies(dataset).map(({ images }) =>
    images === 0 ? 1 : Math.max(1, Math.sqrt((threshold * total) / images)),
  );
  return Float64Array.from(dataset.examples, ({ objects }) =>
    objects.reduce((most, { label }) => Math.max(most, byLabel[label]), 1),
  );
}
