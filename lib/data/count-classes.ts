/** How often the classes of a data set occur. */
import type { DetectionDataset } from './types';

/** A class of a data set. */
export interface ClassCount {
  readonly class: string;
  readonly objects: number;
  /** Images that show it. */
  readonly images: number;
  readonly difficult: number;
  readonly crowd: number;
}

/**
 * Counts by label. All annotations count as objects, also crowds and difficult ones.
 * @throws RangeError on a label that has no class.
 */
export function countClasses({ name, classes, examples }: DetectionDataset): ClassCount[] {
  const counts = classes.map((title) => ({ class: title, objects: 0, images: 0, difficult: 0, crowd: 0 }));
  for (const { id, objects } of examples) {
    for (const { label, difficult, crowd } of objects) {
      if (!(label in counts)) {
        throw new RangeError(
          `countClasses: ${name}, image ${id} has label ${label}, but there are ${classes.length} classes; labels count from 0`,
        );
      }
      counts[label].objects++;
      if (difficult) counts[label].difficult++;
      if (crowd) counts[label].crowd++;
    }
    for (const label of new Set(objects.map((object) => object.label))) counts[label].images++;
  }
  return counts;
}
