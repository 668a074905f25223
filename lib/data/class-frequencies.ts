/** How many images of a data set show each class: what long-tailed sampling and long-tailed figures go by. */
import { type Frequency, type FrequencyGroups, frequencyOf } from '../eval/coco/lvis';
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
  const { classes, examples } = dataset;
  const images = new Array<number>(classes.length).fill(0);
  const objects = new Array<number>(classes.length).fill(0);
  for (const example of examples) {
    for (const { label } of example.objects) {
      if (!(label in classes)) {
        throw new RangeError(
          `classFrequencies: ${dataset.name}, image ${example.id} has label ${label}, but there are ${classes.length} classes; ` +
            'labels count from 0',
        );
      }
      objects[label]++;
    }
    for (const label of new Set(example.objects.map((object) => object.label))) images[label]++;
  }
  return classes.map((name, label) => ({
    class: name,
    images: images[label],
    objects: objects[label],
    frequency: frequencyOf(images[label], groups),
  }));
}
