/** How many images of a data set show each class: what long-tailed sampling and long-tailed figures go by. */
import { type Frequency, type FrequencyGroups, frequencyOf } from '../eval/coco/lvis';
import { countClasses } from './count-classes';
import type { DetectionDataset } from './types';

/** How often a class occurs. */
export interface ClassFrequency {
  readonly class: string;
  /** Images that show at least one object of it. */
  readonly images: number;
  /** Its objects. */
  readonly objects: number;
  /** LVIS's group by `images`. */
  readonly frequency: Frequency;
}

/**
 * Counts images and objects of each class, by label. For `apByFrequency`, count the training set and give it
 * `classFrequencies(train).map(({ frequency }) => frequency)`.
 *
 * All annotations count, also crowds and difficult objects. A class that no image shows is rare.
 * @param groups the most images of a rare and of a common class. Default LVIS's, which suit sets of some 100,000 images
 * @throws RangeError on a label that has no class, and what `frequencyOf` throws.
 */
export function classFrequencies(
  dataset: DetectionDataset,
  groups: FrequencyGroups = {},
): readonly ClassFrequency[] {
  return countClasses(dataset).map(({ class: name, images, objects }) => ({
    class: name,
    images,
    objects,
    frequency: frequencyOf(images, groups),
  }));
}
