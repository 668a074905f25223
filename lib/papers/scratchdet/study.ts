/** ScratchDet's claims as a study: each comparison run with several seeds. */
import { equal, finite, higher, lower } from '../../evidence/comparisons';
import type { Claim, Study, StudyArm, StudyContext, StudyResult, StudyRow } from '../../evidence/study';
import type { EvaluationLog, StepLog } from '../../train/training-log';
import { evaluateDetector } from '../evaluation';
import { formatPublished } from '../published';
import {
  detectionMetrics,
  detectionTables,
  evaluationCurve,
  lastLoss,
  namedArms,
  stepCurve,
  studyOnFolder,
} from '../study-parts';
import { openScratchDetData, scratchDetRecipeFor } from './data';
import {
  buildScratchDet,
  pretrainScratchDet,
  scratchDetLoader,
  scratchDetSteps,
  trainScratchDet,
} from './experiment';
import { scratchDetExtras, scratchDetPretrained, scratchDetPublished, scratchDetStems } from './published';
import { type ScratchDetArm, scratchDetArms, type ScratchDetRecipe, scratchDetRecipes } from './recipes';

/** Raise it when the code begins to compute something else from the same recipe. */
const version = 1;

/** Evaluations on the way, from which the time to a given mAP is read. */
const evaluations = 5;

/** The gradient over a run, in figures. */
export interface GradientFigures {
  /** Mean L2 norm of the gradient. */
  readonly norm: number;
  /**
   * The factor by which the gradient's norm typically changes from one step to the next: exp of the mean of |ln ||g_t|| - ln ||g_(t-1)|||.
   * A ratio, so that it does not depend on how large the gradient is; 1 is steady.
   */
  readonly fluctuation: number;
  /** The mean of ||g_t - g_(t-1)|| / ||g_(t-1)||: how far the gradient turns and stretches, in lengths of itself. */
  readonly relativeChange: number;
}

/** The gradient's figures over a run, without its first `warmupSteps` steps; NaN where there are too few finite ones. */
export function gradientFigures(
  logs: readonly Pick<StepLog, 'gradientNorm' | 'gradientChange'>[],
  warmupSteps: number,
): GradientFigures {
  const steady = logs
    .slice(warmupSteps)
    .filter(({ gradientNorm }) => Number.isFinite(gradientNorm) && gradientNorm > 0);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const pairs = steady.slice(1).map((log, i) => [steady[i].gradientNorm, log] as const);
  return {
    norm: mean(steady.map(({ gradientNorm }) => gradientNorm)),
    fluctuation: Math.exp(
      mean(pairs.map(([before, { gradientNorm }]) => Math.abs(Math.log(gradientNorm / before)))),
    ),
    relativeChange: mean(pairs.map(([before, { gradientChange = NaN }]) => gradientChange / before)),
  };
}

async function run(
  recipe: ScratchDetRecipe,
  images: string | undefined,
  { settings: arm }: StudyArm<ScratchDetArm>,
  { seed, folder, onProgress, onNotice }: StudyContext,
): Promise<StudyResult> {
  const data = await openScratchDetData(recipe, arm.images, { folder: images });
  const classes = data.train.classes.length;
  const detector = buildScratchDet(recipe, arm, classes, seed);
  const steps = scratchDetSteps(recipe, arm);
  const before = arm.pretrained ? recipe.pretraining.steps : 0;
  const total = before + steps;
  const progress = (done: number) => (log: StepLog) =>
    onProgress({ step: done + log.step + 1, steps: total, note: `loss ${log.loss.toFixed(2)}` });
  try {
    const pretraining = arm.pretrained
      ? await pretrainScratchDet(recipe, detector, seed, {
          checkpoint: `${folder}/classifier`,
          onStep: progress(0),
          onNotice,
        })
      : undefined;
    const training = await trainScratchDet({
      recipe,
      arm,
      detector,
      batches: scratchDetLoader(recipe, data.train, seed),
      checkpoint: `${folder}/detector`,
      onStep: progress(before),
      onNotice,
      evaluate: {
        everySteps: Math.ceil(steps / evaluations),
        run: async () => ({ map: (await evaluateDetector(recipe, detector, data.test)).voc.map }),
      },
    });
    const diverged = training.divergedAt !== undefined;
    // A training that broke down has no typical step.
    const gradient = gradientFigures(diverged ? [] : training.logs, recipe.warmupSteps);
    const test = await evaluateDetector(recipe, detector, data.test);
    const unseen = data.unseen && (await evaluateDetector(recipe, detector, data.unseen));
    return {
      diverged,
      metrics: {
        map: finite(100 * test.voc.map),
        mapUnseen: finite(100 * (unseen?.voc.map ?? NaN)),
        ap50Small: finite(100 * sizeAp50(test, 'small')),
        lastLoss: lastLoss(training.logs, steps, diverged),
        gradientNorm: finite(gradient.norm),
        fluctuation: finite(gradient.fluctuation),
        relativeChange: finite(gradient.relativeChange),
        secondsPerImage: finite(test.found.seconds / Math.max(1, test.found.ids.length)),
        accuracy: finite(100 * (pretraining?.accuracy ?? NaN)),
      },
      curves: {
        loss: stepCurve(training.logs, ({ loss }) => loss),
        gradientNorm: stepCurve(training.logs, ({ gradientNorm }) => gradientNorm),
        gradientChange: stepCurve(training.logs, ({ gradientChange = NaN }) => gradientChange),
        map: evaluationCurve(training.evaluations, ({ map }) => 100 * map),
      },
      tables: {
        timeline: timeline(
          training.evaluations,
          training.seconds / steps,
          pretraining?.training.seconds ?? 0,
        ),
        ...detectionTables(test),
      },
    };
  } finally {
    detector.model.dispose();
  }
}

/** The AP at IoU 0.5 of one range of sizes. */
function sizeAp50(
  { coco }: { coco: { bySize: readonly { name: string; ap50: number }[] } },
  size: string,
): number {
  return coco.bySize.find(({ name }) => name === size)?.ap50 ?? NaN;
}

/** When which mAP was reached, pretraining included. */
function timeline(logs: readonly EvaluationLog[], secondsPerStep: number, before: number): StudyRow[] {
  return logs.map(({ step, metrics }) => ({
    step,
    seconds: Math.round(10 * (before + step * secondsPerStep)) / 10,
    map: finite(100 * metrics.map),
  }));
}

/** "67.6 → 72.8 at 0.001" of the published table. */
function publishedPair(
  from: keyof typeof scratchDetPublished,
  to: keyof typeof scratchDetPublished,
  rate: number,
): string {
  const at = (norm: keyof typeof scratchDetPublished): string =>
    formatPublished(scratchDetPublished[norm].find(({ learningRate }) => learningRate === rate)!.map);
  return `${at(from)} → ${at(to)} mAP at rate ${rate}`;
}

function claims({ learningRates: [low, middle, high] }: ScratchDetRecipe): Claim[] {
  const stem = (name: keyof typeof scratchDetStems): string => formatPublished(scratchDetStems[name]);
  return [
    {
      name: 'norm',
      text: 'At the same learning rate, batch norm in the backbone gives a better detector.',
      paper: publishedPair('none', 'backbone', 0.001),
      comparisons: [higher('map', `norm-backbone-${low}`, `norm-none-${low}`, 5)],
    },
    {
      name: 'rate',
      text: 'Batch norm lets the rate be ten times as high, which makes a better detector, far better than that rate without it.',
      paper: `${publishedPair('none', 'backbone', 0.01)}, from 67.6 and 72.8 at 0.001`,
      comparisons: [
        higher('map', `norm-backbone-${middle}`, `norm-backbone-${low}`, 2),
        higher('map', `norm-backbone-${middle}`, `norm-none-${middle}`, 10),
      ],
    },
    {
      name: 'rate50',
      text: 'At fifty times the rate training still works with batch norm in backbone and head, and without it does not.',
      paper: publishedPair('none', 'both', 0.05),
      comparisons: [higher('map', `norm-both-${high}`, `norm-none-${high}`, 10)],
    },
    {
      name: 'gradient',
      text: 'With batch norm the gradient is steadier from step to step.',
      paper: 'a figure, no number',
      comparisons: [lower('fluctuation', `norm-backbone-${low}`, `norm-none-${low}`, 0.02)],
    },
    {
      name: 'stem',
      text: 'Halving the image behind the first convolution, not in it, finds more (B against A: the same maps, nearly the same cost).',
      paper: `${stem('resnet18-a')} → ${stem('resnet18-b')} mAP`,
      comparisons: [higher('map', 'stem-resnet18-b', 'stem-resnet18-a', 2)],
    },
    {
      name: 'downsampling',
      text: 'Halving the image once less before the first block finds more (A against ResNet-18; A costs more).',
      paper: `${stem('resnet18')} → ${stem('resnet18-a')} mAP`,
      comparisons: [higher('map', 'stem-resnet18-a', 'stem-resnet18', 2)],
    },
    {
      name: 'root',
      text: 'Three small convolutions for one large one in the stem find more (Root-ResNet-18 against B).',
      paper: `${stem('resnet18-b')} → ${stem('root-resnet18')} mAP`,
      comparisons: [higher('map', 'stem-root-resnet18', 'stem-resnet18-b', 1)],
    },
    {
      name: 'extras',
      text: 'Residual extra layers find as much as the convolutional ones, with fewer parameters.',
      paper: `the same mAP, ${formatPublished(scratchDetExtras.convolutional, 0)} → ${formatPublished(scratchDetExtras.residual, 0)} images a second`,
      comparisons: [equal('map', 'extras-residual', 'stem-root-resnet18', 4)],
    },
    {
      name: 'scratch',
      text: 'From scratch, trained for longer, the detector is better than from a pretrained trunk.',
      paper: `${formatPublished(scratchDetPretrained['vgg16-bn'])} (VGG16 with batch norm, pretrained) → ${formatPublished(scratchDetPublished.both[2].map)} (from scratch) mAP`,
      comparisons: [higher('map', 'scratch-long', 'pretrained', 0.5)],
    },
  ];
}

const title = 'ScratchDet: training from scratch, batch norm, stems and extra layers';

/** ScratchDet's comparisons, for `npm run evidence -- scratchdet`. */
export const scratchDetStudy: Study<ScratchDetArm> = {
  name: 'scratchdet',
  title,
  profiles: ['quick', 'default', 'paper'],
  metrics: {
    map: detectionMetrics.map,
    mapUnseen: detectionMetrics.mapUnseen,
    ap50Small: { title: 'AP50 of small objects (%)', diverged: 0, digits: 1 },
    lastLoss: detectionMetrics.lastLoss,
    gradientNorm: { title: 'Norm of the gradient', digits: 2 },
    fluctuation: { title: 'Fluctuation of the gradient’s norm', digits: 3 },
    relativeChange: { title: 'Change of the gradient, in its lengths', digits: 2 },
  },
  arms: (profile) => namedArms(scratchDetArms(scratchDetRecipes[profile])),
  settings: (profile) => ({ version, recipe: scratchDetRecipes[profile] }),
  claims: (profile) => claims(scratchDetRecipes[profile]),
  run: (arm, context) => run(scratchDetRecipes[context.profile], undefined, arm, context),
  async onData(folder) {
    // Another recipe has another size at most: arms and claims, which hang on its learning rates, are the same.
    const recipes = { ...scratchDetRecipes, paper: await scratchDetRecipeFor('paper', folder) };
    return studyOnFolder(scratchDetStudy, folder, {
      settings: (profile) => ({ version, recipe: recipes[profile] }),
      run: (arm, context) => run(recipes[context.profile], folder, arm, context),
    });
  },
};
