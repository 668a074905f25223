/** How hard a set of scenes is: one typed setting each, from first steps to crowds of small things. */
import { nearest } from '../../tensor/nearest';

/** The twelve VOC classes with enough art for experiments. */
export const coreClasses: readonly string[] = [
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'cow',
  'dog',
  'horse',
  'person',
  'train',
  'tvmonitor',
];

/** Nineteen of VOC's twenty classes (diningtable has no art), in VOC's order. */
export const vocClasses: readonly string[] = [
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
];

/** Everything that makes a set of scenes easier or harder. */
export interface SceneDifficulty {
  readonly name: string;
  /** Class names in label order, or how many of the best drawn upstream classes to take. */
  readonly classes: readonly string[] | { readonly upstream: number };
  /** How often class k of K appears: equally, or in proportion to 1 / (k + 1). Default `uniform`. */
  readonly frequency?: 'uniform' | 'zipf';
  /** Mean number of objects placed in an image, at least 1 (1 + Poisson). */
  readonly meanObjects: number;
  /** No image has more. */
  readonly maxObjects: number;
  /** Side of an object (root of width times height) as a fraction of the image's: smallest, median, largest. */
  readonly size: readonly [smallest: number, median: number, largest: number];
  /** Largest share of the smaller of two objects' boxes that the other may cover. */
  readonly maxOverlap: number;
  /** Unlabelled things: fewest and most in an image. */
  readonly distractors: readonly [fewest: number, most: number];
  /** Share of objects placed anywhere instead of on the ground. */
  readonly floating: number;
  /** Strength of stretch, rotation, hue and saturation jitter; 0 leaves drawings as they are, 1 is the standard. */
  readonly jitter: number;
  /** How much of the place's light and colour objects take on, 0 to 1. */
  readonly lighting: number;
  /** Strength of sensor noise and blur; 0 none, 1 the standard. */
  readonly noise: number;
}

const standard: SceneDifficulty = {
  name: 'standard',
  classes: vocClasses,
  meanObjects: 4.8,
  maxObjects: 12,
  size: [0.05, 0.16, 0.5],
  maxOverlap: 0.6,
  distractors: [0, 3],
  floating: 0.22,
  jitter: 1,
  lighting: 0.7,
  noise: 1,
};

/** The named settings. */
export const sceneDifficulties: Readonly<Record<SceneDifficultyName, SceneDifficulty>> = {
  /** For the headline comparisons on two cores: few, distinct classes, objects large enough for a small network. */
  headline: {
    ...standard,
    name: 'headline',
    classes: ['bird', 'boat', 'bottle', 'car', 'cat', 'person'],
    meanObjects: 2.6,
    maxObjects: 6,
    size: [0.1, 0.28, 0.6],
    maxOverlap: 0.3,
    distractors: [0, 1],
    floating: 0.15,
    jitter: 0.5,
    lighting: 0.5,
    noise: 0.5,
  },
  /** The twelve core classes, a few objects each; for tests and first notebooks. */
  easy: {
    ...standard,
    name: 'easy',
    classes: coreClasses,
    meanObjects: 3.3,
    maxObjects: 8,
    size: [0.08, 0.2, 0.5],
    maxOverlap: 0.45,
    distractors: [0, 2],
  },
  standard,
  /** Many small objects, for feature pyramids. */
  'crowded-small': {
    ...standard,
    name: 'crowded-small',
    classes: coreClasses,
    meanObjects: 10,
    maxObjects: 24,
    size: [0.03, 0.08, 0.25],
  },
  /** Sixty classes of the upstream art, most of them rare. */
  longtail: {
    ...standard,
    name: 'longtail',
    classes: { upstream: 60 },
    frequency: 'zipf',
    meanObjects: 4,
    maxObjects: 10,
    size: [0.08, 0.18, 0.45],
    maxOverlap: 0.45,
    distractors: [0, 2],
  },
};

/** Names of the settings. */
export type SceneDifficultyName = 'headline' | 'easy' | 'standard' | 'crowded-small' | 'longtail';

/** A setting by name, or a setting of one's own, checked. Throws naming what is wrong and the nearest valid name. */
export function resolveDifficulty(difficulty: SceneDifficultyName | SceneDifficulty): SceneDifficulty {
  if (typeof difficulty === 'string') {
    if (Object.hasOwn(sceneDifficulties, difficulty)) return sceneDifficulties[difficulty];
    const names = Object.keys(sceneDifficulties);
    const hint = nearest(difficulty, names);
    const known = `The difficulties are ${names.join(', ')}.`;
    throw new Error(
      `There is no difficulty "${String(difficulty)}". ${hint ? `Did you mean "${hint}"? ` : ''}${known}`,
    );
  }
  const { size, meanObjects, maxObjects, distractors } = difficulty;
  const wrong = !(size[0] > 0 && size[0] <= size[1] && size[1] <= size[2] && size[2] <= 1)
    ? `size is [${size.join(', ')}]; smallest, median and largest must rise, above 0 and up to 1`
    : !(meanObjects >= 1 && maxObjects >= 1)
      ? `meanObjects is ${meanObjects} and maxObjects ${maxObjects}; both must be at least 1`
      : !(distractors[0] >= 0 && distractors[0] <= distractors[1])
        ? `distractors is [${distractors.join(', ')}]; fewest and most must rise from 0`
        : undefined;
  if (wrong) throw new RangeError(`The difficulty "${difficulty.name}" can't be used: ${wrong}.`);
  return difficulty;
}
