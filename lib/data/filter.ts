/** Chooses classes of a data set, and joins data sets. */
import { nearest } from '../tensor/nearest';
import type { DetectionDataset, Example } from './types';

/** Options of `filterClasses`. */
export interface FilterClassesOptions {
  /** Keeps images in which none of the classes is left. Default true: they are backgrounds. */
  readonly keepEmpty?: boolean;
}

/**
 * The data set with the objects of some classes only; class k of `classes` gets label k. What else the data set has (problems, COCO's
 * ids of categories) stays and fits the new labels.
 * @throws Error naming the nearest class where there is none of a name; RangeError where a name comes twice.
 */
export function filterClasses<D extends DetectionDataset>(
  dataset: D,
  classes: readonly string[],
  { keepEmpty = true }: FilterClassesOptions = {},
): D {
  const twice = classes.find((name, index) => classes.indexOf(name) < index);
  if (twice !== undefined) throw new RangeError(`filterClasses: "${twice}" is asked for twice`);
  const labels = new Map<number, number>();
  classes.forEach((name, label) => {
    const old = dataset.classes.indexOf(name);
    if (old < 0) {
      const hint = nearest(name, dataset.classes);
      throw new Error(
        `${dataset.name} has no class "${name}".${hint ? ` Did you mean "${hint}"?` : ''} It has ${dataset.classes.join(', ')}.`,
      );
    }
    labels.set(old, label);
  });
  const examples = dataset.examples.map((example) => relabelled(example, labels));
  const { categoryIds } = dataset as { readonly categoryIds?: readonly unknown[] };
  return {
    ...dataset,
    classes: [...classes],
    examples: keepEmpty ? examples : examples.filter(({ objects }) => objects.length > 0),
    ...(categoryIds ? { categoryIds: [...labels.keys()].map((old) => categoryIds[old]) } : {}),
  };
}

/** The example with the objects whose label is in the map, as the map has it. */
function relabelled(example: Example, labels: ReadonlyMap<number, number>): Example {
  const objects = example.objects.flatMap((object) => {
    const label = labels.get(object.label);
    return label === undefined ? [] : [{ ...object, label }];
  });
  return { ...example, objects };
}

/**
 * Data sets one after the other, as VOC2007 and VOC2012 are used together. Classes are those of all of them, in order of appearance, by
 * name; ids that more than one set has get the set's name before them.
 * @throws RangeError where there is none.
 */
export function concatDatasets(datasets: readonly DetectionDataset[], name?: string): DetectionDataset {
  if (datasets.length === 0) throw new RangeError('concatDatasets: there is no data set to begin with');
  const classes = [...new Set(datasets.flatMap((dataset) => dataset.classes))];
  const seen = new Map<string, number>();
  for (const { examples } of datasets) {
    for (const id of new Set(examples.map((example) => example.id))) seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  const examples = datasets.flatMap((dataset, place) => {
    const labels = new Map(dataset.classes.map((className, label) => [label, classes.indexOf(className)]));
    const same = [...labels].every(([from, to]) => from === to);
    // Two sets may have one name (VOC's folders of two machines).
    const named = datasets.filter((other) => other.name === dataset.name).length > 1;
    const prefix = named ? `${dataset.name}#${place}` : dataset.name;
    return dataset.examples.map((example) => {
      const id = seen.get(example.id) === 1 ? example.id : `${prefix}/${example.id}`;
      return { ...(same ? example : relabelled(example, labels)), id };
    });
  });
  return { name: name ?? datasets.map((dataset) => dataset.name).join(' + '), classes, examples };
}
