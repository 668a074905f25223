/** The claims of "Proper Reuse of Image Classification Features" as a study: each comparison run with several seeds. */
import { classFrequencies } from '../../data/class-frequencies';
import { apByFrequency } from '../../eval/coco/lvis';
import { equal, finite, grows, higher, lower } from '../../evidence/comparisons';
import type { Claim, Study, StudyArm, StudyContext, StudyMetric, StudyResult } from '../../evidence/study';
import { trainingCost } from '../../models/training-cost';
import { detectorTrunk, type TrunkReuse } from '../../models/trunk-reuse';
import { rememberWeights } from '../../train/weight-distance';
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
import {
  buildFrozen,
  evaluateFrozen,
  frozenArmData,
  frozenBatch,
  frozenLoader,
  frozenSteps,
  openFrozenData,
  trainFrozen,
} from './experiment';
import { frozenCoco, frozenJftGain, frozenLvis, frozenStepOperations, frozenTable3 } from './published';
import {
  type FrozenArm,
  frozenArm,
  frozenArms,
  type FrozenRecipe,
  frozenRecipes,
  frozenStudies,
} from './recipes';

/** Raise it when the code begins to compute something else from the same recipe. */
const version = 1;

/** Evaluations on the way, on a part of the test images: AP beside the distance from the first weights. */
const evaluations = 5;
const evaluationImages = 64;

async function run(
  recipe: FrozenRecipe,
  images: string | undefined,
  { settings: arm }: StudyArm<FrozenArm>,
  { seed, folder, onProgress, onNotice }: StudyContext,
): Promise<StudyResult> {
  const data = frozenArmData(await openFrozenData(recipe, { folder: images }), arm);
  const detector = await buildFrozen(recipe, arm, data.train.classes.length, seed);
  const { batchSize } = frozenBatch(recipe, arm);
  const cost = trainingCost(detector, { batch: batchSize });
  const start = rememberWeights(detectorTrunk(detector.model));
  const steps = frozenSteps(recipe, arm);
  const some = { ...data.test, examples: data.test.examples.slice(0, evaluationImages) };
  // Without the running statistics: those of a network that begins from scratch move by far the most.
  const part = (name: string): string => (/running_(mean|var)$/.test(name) ? 'statistics' : 'weights');
  const kind = arm.reuse === 'frozen' ? 'fixed' : 'trainable';
  const moved = async (): Promise<number> =>
    (await start.distance({ part })).parts.get('weights')![kind].relative;
  try {
    const training = await trainFrozen({
      recipe,
      arm,
      detector,
      batches: frozenLoader(recipe, arm, data.train, seed),
      seed,
      checkpoint: `${folder}/detector`,
      onStep: (log) => {
        onProgress({ step: log.step + 1, steps, note: `loss ${log.loss.toFixed(2)}` });
      },
      onNotice,
      evaluate: {
        everySteps: Math.ceil(steps / evaluations),
        run: async () => ({
          map: (await evaluateFrozen(recipe, arm, detector, some))?.voc.map ?? 0,
          moved: await moved(),
        }),
      },
    });
    const test = await evaluateFrozen(recipe, arm, detector, data.test);
    const unseen = data.unseen && (await evaluateFrozen(recipe, arm, detector, data.unseen));
    const diverged = training.divergedAt !== undefined || test === undefined;
    const frequencies = classFrequencies(data.train, recipe.longTail.groups);
    const rows = test && detectionTables(test);
    const { apRare, apCommon, apFrequent } =
      test && arm.data !== 'even'
        ? apByFrequency(
            test.coco,
            frequencies.map(({ frequency }) => frequency),
          )
        : { apRare: NaN, apCommon: NaN, apFrequent: NaN };
    return {
      diverged,
      metrics: {
        ...detectionFigures({ test, unseen }, { logs: training.logs, steps, diverged }),
        apRare: finite(100 * apRare),
        apCommon: finite(100 * apCommon),
        apFrequent: finite(100 * apFrequent),
        rareGain: finite(100 * (apRare - apFrequent)),
        moved: finite(await moved()),
        trainableShare: 100 * cost.trainableShare,
        operations: cost.total / 1e9,
        peakMemory: cost.peakBytes / 1e6,
        secondsPerStep: finite(training.seconds / training.logs.length),
      },
      curves: {
        loss: stepCurve(training.logs, ({ loss }) => loss),
        map: evaluationCurve(training.evaluations, ({ map }) => 100 * map),
        moved: evaluationCurve(training.evaluations, ({ moved: distance }) => distance),
      },
      tables: {
        ...rows,
        ...(rows && {
          byClass: rows.byClass.map((row, label) => ({
            ...row,
            images: frequencies[label].images,
            frequency: frequencies[label].frequency,
          })),
        }),
      },
    };
  } finally {
    start.dispose();
    detector.model.dispose();
  }
}

function claims(recipe: FrozenRecipe): Claim[] {
  const { long: length, sources } = recipe;
  type Settings = Parameters<typeof frozenArm>[1];
  const of = (reuse: TrunkReuse, settings: Omit<Settings, 'reuse'> = {}): string =>
    frozenArm(recipe, { ...settings, reuse }).name;
  /** Frozen and fine-tuned. */
  const pair = (settings: Omit<Settings, 'reuse'> = {}): [frozen: string, fineTuned: string] => [
    of('frozen', settings),
    of('fine-tuned', settings),
  ];
  const [thin, nas, cascade] = (['fpn', 'nas-fpn', 'nas-fpn-cascade'] as const).map((capacity) =>
    pair({ capacity }),
  );
  const source = 'imagenet';
  const [frozen, fineTuned] = pair();
  const fineTunedLong = of('fine-tuned', { length });
  const [tailFrozen, tailFineTuned] = frozenStudies(recipe).longTail.map(({ name: arm }) => arm);
  const change = (row: number): string => {
    const { value } = frozenTable3[row].delta;
    return `${value! > 0 ? '+' : ''}${value} mAP`;
  };
  const [coco] = frozenCoco;
  const rare = frozenLvis.find(({ metric }) => metric === 'rare box mAP')!;
  return [
    {
      name: 'thin',
      text: 'With a feature pyramid alone, freezing finds less than fine-tuning.',
      paper: `${change(0)} with FPN`,
      comparisons: [lower('map', thin[0], thin[1], 2)],
    },
    {
      name: 'closes',
      text: 'The more is trained on top of it, the better the frozen trunk does beside the fine-tuned one.',
      paper: `${change(0)} with FPN, ${change(1)} with NAS-FPN, ${change(2)} with NAS-FPN and a cascade`,
      comparisons: [grows('map', cascade, thin, 2)],
    },
    {
      name: 'level',
      text: 'With NAS-FPN, freezing finds as much as fine-tuning.',
      paper: change(1),
      comparisons: [equal('map', nas[0], nas[1], 3)],
    },
    {
      name: 'better',
      text: 'With NAS-FPN and a cascade, freezing finds more than fine-tuning.',
      paper: change(2),
      comparisons: [higher('map', cascade[0], cascade[1], 0.5)],
    },
    {
      name: 'imagenet-closes',
      text: 'The same of a trunk that has learnt ImageNet: the gap closes from FPN to NAS-FPN with a cascade.',
      paper: 'as above; the paper’s trunks have learnt ImageNet or JFT-300M',
      comparisons: [
        grows('map', pair({ capacity: 'nas-fpn-cascade', source }), pair({ capacity: 'fpn', source }), 2),
      ],
    },
    {
      name: 'pretrained',
      text: 'A reused trunk, frozen or fine-tuned, finds more than one from scratch in the short schedule.',
      paper: 'what all of it rests on; no number',
      comparisons: [frozen, fineTuned].map((arm) => higher('map', arm, of('scratch'), 2)),
    },
    {
      name: 'resources',
      // Time is measured in turns, by the benchmark: runs beside one another slow each other down.
      text: 'Freezing takes fewer operations a step, and less memory.',
      paper: `about ${formatPublished(frozenStepOperations.fineTuned, 0)} → ${formatPublished(frozenStepOperations.frozen, 0)} thousand million operations a step; less memory`,
      comparisons: [lower('operations', nas[0], nas[1], 0.01), lower('peakMemory', nas[0], nas[1], 0.1)],
    },
    {
      name: 'rare',
      text: 'On a long tail, freezing gains more on rare classes than on frequent ones, beside fine-tuning.',
      paper: `${formatPublished(rare.fineTuned)} → ${formatPublished(rare.frozen)} on LVIS’ rare classes; about 0 where classes are frequent`,
      comparisons: [higher('rareGain', tailFrozen, tailFineTuned, 1)],
    },
    {
      name: 'drift',
      text: 'Longer fine-tuning moves further from the classifier’s weights.',
      paper: 'longer training moves away from the initialisation; no number',
      comparisons: [higher('moved', fineTunedLong, fineTuned, 0.01)],
    },
    {
      name: 'erodes',
      text: 'Longer training takes fine-tuning’s lead over training from scratch away.',
      paper: 'the benefit of pretraining shrinks with longer schedules; no number',
      comparisons: [grows('map', [fineTuned, of('scratch')], [fineTunedLong, of('scratch', { length })], 2)],
    },
    {
      name: 'frozen-long',
      text: 'Longer training does the frozen trunk more good, beside the fine-tuned one.',
      paper:
        'after 600 epochs a better classifier still helps the frozen trunk, and no longer the fine-tuned one',
      comparisons: [grows('map', pair({ length }), pair(), 2)],
    },
    ...(sources.classes.length === 0
      ? []
      : [
          {
            name: 'classes',
            text: 'A trunk that has learnt more classes does better frozen.',
            paper: `JFT-300M over ImageNet about +${formatPublished(frozenJftGain)} mAP, frozen`,
            comparisons: [higher('map', frozen, of('frozen', { source: sources.classes[0] }), 1)],
          },
          {
            name: 'pictures',
            text: 'A trunk that has learnt from more pictures of each class does better frozen.',
            paper: 'as above: 300 million pictures over 1.2 million',
            comparisons: [higher('map', frozen, of('frozen', { source: sources.pictures[0] }), 1)],
          },
        ]),
    {
      name: 'adapters',
      text: 'Residual adapters in the frozen trunk find more than the frozen trunk alone.',
      paper: `${formatPublished(coco.frozen)} → ${formatPublished(coco.adapted!)} mAP with NAS-FPN and a cascade`,
      comparisons: [higher('map', of('frozen', { adapters: true }), frozen, 0.5)],
    },
    {
      name: 'adapters-thin',
      text: 'Under a feature pyramid alone adapters find more, too.',
      paper: 'not tried there, as far as is known',
      comparisons: [higher('map', of('frozen', { capacity: 'fpn', adapters: true }), thin[0], 0.5)],
    },
    {
      name: 'control',
      text: 'Frozen features of a detector find far more than the same weights shuffled: it is what was learnt that serves.',
      paper: 'not the paper’s: a control',
      comparisons: [
        higher(
          'map',
          of('frozen', { source: 'open-images' }),
          of('frozen', { source: 'open-images', shuffled: true }),
          10,
        ),
      ],
    },
  ];
}

const metrics: Readonly<Record<string, StudyMetric>> = {
  ...detectionMetrics,
  apRare: { title: 'AP of rare classes (%)', diverged: 0, digits: 1 },
  apCommon: { title: 'AP of common classes (%)', diverged: 0, digits: 1 },
  apFrequent: { title: 'AP of frequent classes (%)', diverged: 0, digits: 1 },
  rareGain: { title: 'AP of rare less that of frequent classes (%)', digits: 1 },
  moved: { title: 'Distance of the trunk from its first weights, share of their norm', digits: 3 },
  trainableShare: { title: 'Trained share of the parameters (%)', digits: 1 },
  operations: { title: 'Multiply-adds a step (thousand millions)', digits: 2 },
  peakMemory: { title: 'Memory of a step at the worst moment (MB)', digits: 1 },
  secondsPerStep: { title: 'Seconds a step', digits: 3 },
};

/** The paper's comparisons, for `npm run evidence -- frozen-backbones`. */
export const frozenStudy: Study<FrozenArm> = {
  name: 'frozen-backbones',
  title: 'Frozen backbones: what of a classifier a detector should keep',
  profiles: ['quick', 'default', 'paper'],
  metrics,
  arms: (profile) => namedArms(frozenArms(frozenRecipes[profile])),
  settings: (profile) => ({ version, recipe: frozenRecipes[profile] }),
  claims: (profile) => claims(frozenRecipes[profile]),
  run: (arm, context) => run(frozenRecipes[context.profile], undefined, arm, context),
  onData: (folder) =>
    Promise.resolve(
      studyOnFolder(frozenStudy, folder, {
        run: (arm, context) => run(frozenRecipes[context.profile], folder, arm, context),
      }),
    ),
};
