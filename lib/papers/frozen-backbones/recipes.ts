/** The recipes of the notebook that reproduces "Proper Reuse of Image Classification Features", and of its evidence: one experiment at three sizes. */
import type { SceneDifficulty } from '../../data/scenes/difficulty';
import type { TrunkReuse } from '../../models/trunk-reuse';
import type { FrequencyGroups } from '../../eval/coco/lvis';
import { type DataRecipe, threeClassScenes } from '../experiment-data';
import type { ByProfile } from '../profile';
import { type FrozenCapacity, frozenCapacities, type FrozenDetectorKind, type FrozenPlan } from './networks';
import { frozenReleasedFasterRcnn, type FrozenReleasedRecipe, frozenReleasedRecipes } from './released';
import type { FrozenSource } from './sources';
import { eachArmOnce } from '../study-parts';

/**
 * What is done to training images: mirrored at random; at a random scale in a fixed frame besides (large-scale jitter, the paper's in every
 * experiment); with objects of another image pasted on top besides (its best results); nothing, so that features can be kept.
 */
export type FrozenAugmentation = 'none' | 'flip' | 'jitter' | 'copy-paste';

/** One run of the experiment, as plain values. */
export interface FrozenArm {
  /** Unique, and the name of its files. */
  readonly name: string;
  readonly detector: FrozenDetectorKind;
  /** Where the trunk's weights come from. */
  readonly source: FrozenSource;
  readonly reuse: TrunkReuse;
  /** The control: the trunk's weights shuffled, each tensor in itself. */
  readonly shuffled: boolean;
  /** What stands on the trunk. */
  readonly capacity: FrozenCapacity;
  /** Residual adapters in the trunk. */
  readonly adapters: boolean;
  /** Times the recipe's images. */
  readonly length: number;
  readonly augmentation: FrozenAugmentation;
  /** The images: all classes alike, or a long tail of them; of the latter drawn alike, or the rare ones more often (repeat factors). */
  readonly data: 'even' | 'long-tail' | 'long-tail-repeated';
}

/** A long tail of classes. */
export interface LongTailRecipe extends DataRecipe {
  /** Times as many images of the most frequent class as of the rarest. */
  readonly imbalance: number;
  /** Up to how many images a class is rare, and common. */
  readonly groups: Required<FrequencyGroups>;
  /** Times the recipe's images, as it has more classes to learn. */
  readonly length: number;
  /** Of repeat factor sampling: classes in a smaller share of the images are drawn more often. */
  readonly threshold: number;
}

/** Everything that fixes the experiment, beside the data. */
export interface FrozenRecipe extends DataRecipe {
  /** What a reader may expect of this size, in time and in meaning. */
  readonly expect: string;
  readonly plan: FrozenPlan;
  /** Where the trunks come from: of most runs, and of those that compare upstream sets, by their classes and by their pictures of each. */
  readonly sources: {
    readonly base: FrozenSource;
    readonly classes: readonly FrozenSource[];
    readonly pictures: readonly FrozenSource[];
  };
  /** The file of the source `file`. */
  readonly weights?: string;
  readonly longTail: LongTailRecipe;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Batch and rate of RetinaNet. */
  readonly retinaNet: { readonly batchSize: number; readonly learningRate: number };
  /** Images of a run's updates together, repetitions counted. */
  readonly images: number;
  /** Times that of the long schedule. */
  readonly long: number;
  /** Updates in which the rate climbs. */
  readonly warmupSteps: number;
  /** The rate of the first of them. Left out: a tenth of the rate that it climbs to. */
  readonly warmupFrom?: number;
  /** What is done to the images of most runs. Left out: they are mirrored. */
  readonly augmentation?: FrozenAugmentation;
  /** Shares of a run's updates after which the rate is divided by 10: of the short schedule, and of the long one. */
  readonly drops: { readonly short: readonly number[]; readonly long: readonly number[] };
  readonly momentum: number;
  readonly weightDecay: number;
  /** Longest gradient, L2. Left out: not clipped. */
  readonly clipNorm?: number;
  /** Ranges of the large-scale jitter. */
  readonly jitter: readonly [number, number];
  /** Whether a step runs as one graph, which takes about as long to build as twenty steps. */
  readonly compile: boolean;
}

/** Six classes, of which a long tail is made. */
const sixClassScenes: SceneDifficulty = {
  ...threeClassScenes,
  name: 'six-classes',
  classes: ['car', 'person', 'cat', 'bird', 'boat', 'bottle'],
};

const [short, long, retinaNet] = frozenReleasedRecipes; // Faster R-CNN, 72 and 600 epochs; RetinaNet, 72
const { weightDecay, warmup } = frozenReleasedFasterRcnn;

const smallRecipe: Omit<FrozenRecipe, 'expect'> = {
  difficulty: threeClassScenes, // a few hundred updates need easy ones
  trainImages: 600, // few, as the paper's question asks what a classifier can bring along
  testImages: 200,
  sceneSize: 192,
  plan: {
    inputSize: 96,
    channels: 32,
    cells: { bifpn: 1, 'nas-fpn': 2 },
    features: 64,
    pooled: 4,
  },
  longTail: {
    difficulty: sixClassScenes,
    trainImages: 1800,
    testImages: 200,
    sceneSize: 192,
    imbalance: 10,
    groups: { rare: 100, common: 240 }, // two classes each; with the 10 images of LVIS, which has 100,000, nothing here finds a class
    length: 2,
    threshold: 0.2,
  },
  sources: {
    base: 'drawings-200x64',
    classes: ['drawings-12x64', 'drawings-50x64', 'drawings-200x64'],
    pictures: ['drawings-200x4', 'drawings-200x16', 'drawings-200x64'],
  },
  batchSize: 8,
  learningRate: 0.1,
  retinaNet: { batchSize: 8, learningRate: 0.1 },
  images: 6400,
  long: 4,
  warmupSteps: 40,
  drops: { short: dropShares(short), long: dropShares(long) },
  momentum: 0.9,
  weightDecay,
  clipNorm: 10,
  jitter: [0.5, 1.5],
  compile: true,
};

function dropShares({ drops, epochs }: FrozenReleasedRecipe): number[] {
  return drops.map(({ epoch }) => epoch / epochs);
}

/** The recipes, by profile. */
export const frozenRecipes: ByProfile<FrozenRecipe> = {
  // Seconds, not minutes: enough to see that everything runs, not how far it gets.
  quick: {
    ...smallRecipe,
    expect: 'about a minute on two cores; a check that everything runs, the detectors barely begin to learn',
    trainImages: 96,
    testImages: 32,
    sceneSize: 128,
    plan: { ...smallRecipe.plan, inputSize: 64, cells: { bifpn: 1, 'nas-fpn': 1 } },
    longTail: {
      ...smallRecipe.longTail,
      trainImages: 160,
      testImages: 32,
      sceneSize: 128,
      groups: { rare: 8, common: 20 },
      length: 1,
    },
    images: 48,
    long: 2,
    warmupSteps: 2,
    compile: false,
  },
  default: { ...smallRecipe, expect: 'under ten minutes on two cores with TensorFlow' },
  // Faster R-CNN, 72 epochs of COCO, as released; `long` makes the 600. RetinaNet's batch and rate are in `released`.
  paper: {
    ...smallRecipe,
    expect: 'the published sizes, for a GPU and COCO; it has not been run',
    trainImages: 1e6, // all
    testImages: 1e6,
    sceneSize: 1024,
    plan: { inputSize: 1024, channels: 256, cells: { bifpn: 3, 'nas-fpn': 5 }, features: 1024, pooled: 7 },
    longTail: {
      ...smallRecipe.longTail,
      trainImages: 1e6,
      testImages: 1e6,
      sceneSize: 1024,
      imbalance: 1, // LVIS has a tail of its own, and its groups
      groups: { rare: 10, common: 100 },
      length: 1,
      threshold: 0.001, // LVIS's
    },
    sources: { base: 'file', classes: [], pictures: [] },
    batchSize: short.batchSize,
    retinaNet: { batchSize: retinaNet.batchSize, learningRate: retinaNet.rates[0] },
    learningRate: short.rates[0], // an account of the paper has half of it: `frozenRateConflict`
    images: short.steps * short.batchSize,
    long: long.steps / short.steps,
    warmupSteps: warmup.steps,
    warmupFrom: warmup.from,
    augmentation: 'jitter',
    clipNorm: undefined,
    jitter: [0.1, 2],
  },
};

/** The runs of each study of the notebook; one that two of them need is in both. */
export interface FrozenStudies {
  /** For the small trunk: each capacity frozen, fine-tuned and from scratch. */
  readonly capacity: readonly FrozenArm[];
  /** The same for ImageNet's, at the least and the most. */
  readonly imageNet: readonly FrozenArm[];
  /** Upstream classes, few to many, with as many pictures each; frozen, then fine-tuned. */
  readonly classes: readonly FrozenArm[];
  /** Upstream pictures of each class, few to many. */
  readonly pictures: readonly FrozenArm[];
  /** Short and long: frozen, fine-tuned, from scratch. */
  readonly schedule: readonly FrozenArm[];
  /** Frozen, without and with adapters. */
  readonly adapters: readonly FrozenArm[];
  /** Frozen: mirrored, with jitter, with copy-paste. */
  readonly augmentation: readonly FrozenArm[];
  /** A long tail: frozen and fine-tuned, drawn alike and by repeat factors. */
  readonly longTail: readonly FrozenArm[];
  /** Detection features: the Open Images detector's, frozen, and with shuffled weights. */
  readonly control: readonly FrozenArm[];
  /** Without a second stage: frozen and fine-tuned. */
  readonly retinaNet: readonly FrozenArm[];
}

/** The capacity that studies take that are about something else. */
export const frozenBaseCapacity: FrozenCapacity = 'nas-fpn';

/** What of a recipe its arms hang on. */
export type FrozenStudyParts = Pick<FrozenRecipe, 'long' | 'sources' | 'longTail' | 'augmentation'>;

/**
 * An arm by what makes it; everything else is the base's: Faster R-CNN with NAS-FPN on the recipe's trunk, the short schedule, the recipe's augmentation.
 */
export function frozenArm(
  {
    sources: { base },
    long,
    augmentation: usual = 'flip',
  }: Pick<FrozenRecipe, 'sources' | 'long' | 'augmentation'>,
  { reuse, ...rest }: Partial<Omit<FrozenArm, 'name'>> & Pick<FrozenArm, 'reuse'>,
): FrozenArm {
  const settings: Omit<FrozenArm, 'name'> = {
    detector: 'faster-rcnn',
    source: base,
    shuffled: false,
    capacity: frozenBaseCapacity,
    adapters: false,
    length: 1,
    augmentation: usual,
    data: 'even',
    ...rest,
    reuse,
  };
  const { detector, source, capacity, data, augmentation } = settings;
  const name = [
    reuse,
    detector === 'faster-rcnn' ? '' : detector,
    capacity,
    source === base ? '' : source,
    settings.shuffled ? 'shuffled' : '',
    settings.adapters ? 'adapters' : '',
    settings.length === long ? 'long' : '',
    augmentation === usual ? '' : augmentation,
    data === 'even' ? '' : data,
  ];
  return { name: name.filter((part) => part !== '').join('-'), ...settings };
}

/** The arms of a recipe, study by study. */
export function frozenStudies(recipe: FrozenStudyParts): FrozenStudies {
  const { long: length, sources, longTail } = recipe;
  const all = ['frozen', 'fine-tuned', 'scratch'] as const;
  const reused = ['frozen', 'fine-tuned'] as const;
  type Settings = Partial<Omit<FrozenArm, 'name' | 'reuse'>>;
  const frozen = (settings: Settings): FrozenArm => frozenArm(recipe, { ...settings, reuse: 'frozen' });
  const over = (settings: Settings, kinds: readonly TrunkReuse[]): FrozenArm[] =>
    kinds.map((reuse) => frozenArm(recipe, { ...settings, reuse }));
  const [least, most] = [frozenCapacities[0], frozenCapacities[frozenCapacities.length - 1]];
  return {
    capacity: frozenCapacities.flatMap((capacity) => over({ capacity }, all)),
    imageNet: [least, most].flatMap((capacity) => over({ capacity, source: 'imagenet' }, all)),
    classes: sources.classes.flatMap((source) => over({ source }, reused)),
    pictures: sources.pictures.flatMap((source) => over({ source }, reused)),
    schedule: [...over({}, all), ...over({ length }, all)],
    adapters: [least, frozenBaseCapacity].flatMap((capacity) =>
      [false, true].map((adapters) => frozen({ capacity, adapters })),
    ),
    augmentation: (['flip', 'jitter', 'copy-paste'] as const).map((augmentation) => frozen({ augmentation })),
    longTail: (['long-tail', 'long-tail-repeated'] as const).flatMap((data) =>
      over({ data, capacity: most, length: longTail.length }, reused),
    ),
    control: [false, true].map((shuffled) => frozen({ source: 'open-images', shuffled })),
    retinaNet: over({ detector: 'retinanet' }, reused),
  };
}

/** Every arm of a recipe once. */
export function frozenArms(recipe: FrozenStudyParts): FrozenArm[] {
  return eachArmOnce(Object.values(frozenStudies(recipe)) as (readonly FrozenArm[])[]);
}
