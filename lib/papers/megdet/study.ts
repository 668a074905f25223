/** MegDet's claims as a study: each comparison run with several seeds. */
import { equal, finite, higher, lower } from '../../evidence/comparisons';
import type { Claim, Study, StudyArm, StudyContext, StudyResult } from '../../evidence/study';
import { openExperimentData } from '../experiment-data';
import { formatPublished } from '../published';
import {
  detectionFigures,
  detectionMetrics,
  detectionTables,
  evaluationCurve,
  namedArms,
  stepCurve,
  studyOnFolder,
} from '../study-parts';
import { buildMegDet, evaluateMegDet, megDetLoader, megDetSteps, trainMegDet } from './experiment';
import {
  megDetBestBnSize,
  megDetImagesPerDevice,
  megDetPolicies,
  megDetRates,
  megDetTimes,
} from './published';
import { type MegDetArm, megDetArms, megDetRecipes, type MegDetRecipe, megDetStudies } from './recipes';

/** Raise it when the code begins to compute something else from the same recipe. */
const version = 1;

/** Evaluations on the way, on a part of the test images: from them the updates and the time to a given mAP are read. */
const evaluations = 5;
const evaluationImages = 64;

async function run(
  recipe: MegDetRecipe,
  images: string | undefined,
  { settings: arm }: StudyArm<MegDetArm>,
  { seed, folder, onProgress, onNotice }: StudyContext,
): Promise<StudyResult> {
  const data = await openExperimentData(recipe, { folder: images });
  const detector = await buildMegDet(recipe, arm, data.train.classes.length, seed);
  const steps = megDetSteps(recipe, arm);
  const some = { ...data.test, examples: data.test.examples.slice(0, evaluationImages) };
  try {
    const training = await trainMegDet({
      recipe,
      arm,
      detector,
      batches: megDetLoader(recipe, arm, data.train, seed),
      seed,
      checkpoint: `${folder}/detector`,
      onStep: (log) => {
        onProgress({ step: log.step + 1, steps, note: `loss ${log.loss.toFixed(2)}` });
      },
      onNotice,
      evaluate: {
        everySteps: Math.ceil(steps / evaluations),
        run: async () => ({ map: (await evaluateMegDet(recipe, detector, some))?.voc.map ?? 0 }),
      },
    });
    const test = await evaluateMegDet(recipe, detector, data.test);
    const unseen = data.unseen && (await evaluateMegDet(recipe, detector, data.unseen));
    const diverged = training.divergedAt !== undefined || test === undefined;
    const secondsPerStep = training.seconds / training.logs.length;
    return {
      diverged,
      metrics: {
        ...detectionFigures({ test, unseen }, { logs: training.logs, steps, diverged }),
        updates: diverged ? null : steps,
        secondsPerStep: finite(secondsPerStep),
        seconds: diverged ? null : finite(training.seconds),
      },
      curves: {
        loss: stepCurve(training.logs, ({ loss }) => loss),
        map: evaluationCurve(training.evaluations, ({ map }) => 100 * map),
      },
      tables: {
        timeline: training.evaluations.map(({ step, metrics }) => ({
          updates: step,
          images: step * arm.batchSize,
          seconds: Math.round(10 * step * secondsPerStep) / 10,
          map: finite(100 * metrics.map),
        })),
        ...(test && detectionTables(test)),
      },
    };
  } finally {
    detector.model.dispose();
  }
}

function claims(recipe: MegDetRecipe): Claim[] {
  const { batch, warmup, frozen, bnSize, schedule } = megDetStudies(recipe);
  const [smallest, ...larger] = batch.map(({ name }) => name);
  const largest = larger[larger.length - 1];
  const [withoutWarmup, , edgeWithoutWarmup, edge] = warmup.map(({ name }) => name);
  const [frozenSmallest, frozenLargest, frozenHalf, frozenEdge] = frozen.map(({ name }) => name);
  const [frozenMiddle, ...sizes] = bnSize.map(({ name }) => name);
  const whole = sizes.pop()!;
  const [, long] = schedule.map(({ name }) => name);
  const hours = `${formatPublished(megDetTimes[8])} → ${formatPublished(megDetTimes[128])} hours`;
  const rates = `${formatPublished(megDetRates[16], 2)} → ${formatPublished(megDetRates[256], 2)}`;
  const best = formatPublished(megDetBestBnSize, 0);
  return [
    ...recipe.scales.map((scale, i) => ({
      name: `scaling-${scale}`,
      text: `A batch ${scale} times as large, at ${scale} times the rate, finds as much in ${scale} times fewer updates.`,
      paper: `level from 16 to 256 images, ${hours} at ${megDetImagesPerDevice} images a GPU`,
      comparisons: [equal('map', larger[i], smallest, 5), lower('updates', larger[i], smallest, 1)],
    })),
    {
      name: 'warmup',
      text: 'At the rate of the largest batch, training without warm-up fails, or finds clearly less than with it.',
      paper: `going straight to the rate of 256 images (${rates}) diverges early`,
      comparisons: [higher('map', largest, withoutWarmup, 5)],
    },
    {
      name: 'warmup-edge',
      text: 'Near the highest rate that trains at all, training without warm-up fails, or finds clearly less than with it.',
      paper: 'warm-up is what makes the rate of 256 images trainable; no number',
      comparisons: [higher('map', edge, edgeWithoutWarmup, 5)],
    },
    {
      name: 'frozen-large',
      text: 'Without trained batch norm, the largest batch at its whole rate diverges.',
      paper: '64 images and more fail, warm-up or not',
      comparisons: [{ kind: 'divergence', arm: frozenLargest, diverges: true }],
    },
    {
      name: 'frozen-half',
      text: 'With half of that rate it trains, and finds less than the smallest batch does.',
      paper: '64 images with half the rate converge, with a noticeable loss; 128 do not',
      comparisons: [
        { kind: 'divergence', arm: frozenHalf, diverges: false },
        lower('map', frozenHalf, frozenSmallest, 2),
      ],
    },
    {
      name: 'batch-norm',
      text: 'With batch norm trained over the whole batch, the largest batch trains at its whole rate.',
      paper: '16 to 256 images all converge',
      comparisons: [{ kind: 'divergence', arm: largest, diverges: false }],
    },
    {
      name: 'frozen-edge',
      text: 'Near the highest rate that trains with trained batch norm, frozen batch norm diverges or finds clearly less.',
      paper: 'without trained batch norm 64 images and more fail; with it, 256 train',
      comparisons: [higher('map', edge, frozenEdge, 5)],
    },
    {
      name: 'bn-size',
      text: 'Batch norm that sees 1, 2 or 4 of 16 images finds less than one that sees all of them.',
      paper: `2, 4 and 8 images are clearly worse than ${best}, the best`,
      comparisons: sizes.slice(0, 3).map((size) => lower('map', size, whole, 1)),
    },
    {
      name: 'bn-frozen',
      text: 'Frozen batch norm finds less than trained batch norm that sees the whole batch.',
      paper: 'with trained batch norm, batches from 16 to 256 are level, and above 16 images without',
      comparisons: [lower('map', frozenMiddle, whole, 1)],
    },
    {
      name: 'long',
      text: 'At the largest batch, training for longer finds more.',
      paper: `${formatPublished(megDetPolicies.normal)} → ${formatPublished(megDetPolicies.long)} AP at 32 images`,
      comparisons: [higher('map', long, largest, 2)],
    },
  ];
}

const title = 'MegDet: batch size, learning rate, warm-up and the images that batch norm sees';

/** MegDet's comparisons, for `npm run evidence -- megdet`. */
export const megDetStudy: Study<MegDetArm> = {
  name: 'megdet',
  title,
  profiles: ['quick', 'default', 'paper'],
  metrics: {
    ...detectionMetrics,
    updates: { title: 'Updates', digits: 0 },
    secondsPerStep: { title: 'Seconds an update', digits: 3 },
    seconds: { title: 'Seconds of training', digits: 0 },
  },
  arms: (profile) => namedArms(megDetArms(megDetRecipes[profile])),
  settings: (profile) => ({ version, recipe: megDetRecipes[profile] }),
  claims: (profile) => claims(megDetRecipes[profile]),
  run: (arm, context) => run(megDetRecipes[context.profile], undefined, arm, context),
  onData: (folder) =>
    Promise.resolve(
      studyOnFolder(megDetStudy, folder, {
        run: (arm, context) => run(megDetRecipes[context.profile], folder, arm, context),
      }),
    ),
};
