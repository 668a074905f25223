/** How long a training step takes with the trunk fine-tuned, frozen, and not run at all, on this machine. */
import type { Batch } from '../../data/loader';
import { batchFeatures } from '../../train/feature-cache';
import { type RepeatedStep, repeatedStep } from '../../train/repeated-step';
import { detectorTraining } from '../../train/train-detector';
import { featureTraining } from '../../train/train-on-features';
import { buildFrozen, type FrozenDetector } from './experiment';
import { frozenArm, type FrozenRecipe } from './recipes';
import type { FrozenSource } from './sources';

/** A step is recorded, its graph built, and compared with the record at the second and at the eighth call: none of these is timed. */
const warmUp = 8;

/** The times of one way of taking a step. */
export interface FrozenStepTime {
  readonly way: 'fine-tuned' | 'frozen' | 'frozen, features kept';
  /** Of each round. */
  readonly milliseconds: readonly number[];
}

/** Options of `frozenStepTimes`. */
export interface FrozenStepTimesOptions {
  readonly recipe: FrozenRecipe;
  readonly source: FrozenSource;
  /** What all of them train on. */
  readonly batch: Batch;
  /** How many classes its labels are of. */
  readonly classes: number;
  /** Rounds in which each way takes a step. Default 9. */
  readonly rounds?: number;
}

/** Times the compiled step of the recipe's usual detector on a trunk; the ways take turns, so that a busy machine slows all of them. */
export async function frozenStepTimes(options: FrozenStepTimesOptions): Promise<FrozenStepTime[]> {
  const { recipe, source, batch, classes, rounds = 9 } = options;
  const detectors: FrozenDetector[] = [];
  const ways: { way: FrozenStepTime['way']; step: RepeatedStep; milliseconds: number[] }[] = [];
  const build = async (reuse: 'frozen' | 'fine-tuned'): Promise<FrozenDetector> => {
    const detector = await buildFrozen(recipe, frozenArm(recipe, { reuse, source }), classes, 1);
    detectors.push(detector);
    return detector;
  };
  try {
    for (const way of ['fine-tuned', 'frozen'] as const) {
      ways.push({ way, step: repeatedStep(detectorTraining(await build(way)), batch), milliseconds: [] });
    }
    const frozen = await build('frozen');
    const step = repeatedStep(featureTraining(frozen), await batchFeatures(frozen, batch));
    ways.push({ way: 'frozen, features kept', step, milliseconds: [] });
    for (const { step: one } of ways) for (let i = 0; i < warmUp; i++) await one.run();
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < ways.length; i++) {
        const { step: one, milliseconds } = ways[(round + i) % ways.length];
        const started = performance.now();
        await one.run();
        milliseconds.push(performance.now() - started);
      }
    }
  } finally {
    for (const { step: one } of ways) one.dispose();
    for (const { model } of detectors) model.dispose();
  }
  return ways.map(({ way, milliseconds }) => ({ way, milliseconds }));
}
