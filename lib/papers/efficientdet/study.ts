/** EfficientDet's claims as a study: each comparison run with several seeds. */
import { equal, finite, higher, lower } from '../../evidence/comparisons';
import type { Claim, Study, StudyArm, StudyContext, StudyResult, StudyRow } from '../../evidence/study';
import { type FusionWeight, fusionWeights } from '../../models/necks/fusion-weights';
import { openExperimentData } from '../experiment-data';
import { formatPublished, type PublishedNumber } from '../published';
import {
  detectionFigures,
  detectionMetrics,
  detectionTables,
  namedArms,
  stepCurve,
  studyOnFolder,
} from '../study-parts';
import { efficientDetCosts } from './costs';
import {
  buildEfficientDet,
  efficientDetArmPlan,
  efficientDetLoader,
  efficientDetSteps,
  evaluateEfficientDet,
  trainEfficientDet,
} from './experiment';
import { timeFusion } from './fusion-time';
import { efficientDetFusions, efficientDetJitters, efficientDetNecks, efficientDetSwaps } from './published';
import {
  type EfficientDetArm,
  efficientDetArms,
  efficientDetRecipes,
  type EfficientDetRecipe,
} from './recipes';

/** Raise it when the code begins to compute something else from the same recipe. */
const version = 1;

async function run(
  recipe: EfficientDetRecipe,
  images: string | undefined,
  { settings: arm }: StudyArm<EfficientDetArm>,
  { seed, folder, onProgress, onNotice }: StudyContext,
): Promise<StudyResult> {
  const data = await openExperimentData(recipe, { folder: images });
  const classes = data.train.classes.length;
  const detector = await buildEfficientDet(recipe, arm, classes, seed);
  const steps = efficientDetSteps(recipe, arm);
  const evaluate = (set: typeof data.test) => evaluateEfficientDet(recipe, arm, detector, set);
  try {
    const training = await trainEfficientDet({
      recipe,
      arm,
      detector,
      batches: efficientDetLoader(recipe, arm, data.train, seed),
      checkpoint: `${folder}/detector`,
      onStep: (log) => {
        onProgress({ step: log.step + 1, steps, note: `loss ${log.loss.toFixed(2)}` });
      },
      onNotice,
    });
    const diverged = training.divergedAt !== undefined;
    const test = await evaluate(data.test);
    const unseen = data.unseen && (await evaluate(data.unseen));
    const cost =
      arm.trunk === 'efficientnet' ? efficientDetCosts(efficientDetArmPlan(recipe, arm), classes) : undefined;
    return {
      diverged,
      metrics: {
        ...detectionFigures({ test, unseen }, { logs: training.logs, steps, diverged }),
        neckMultiplyAdds: finite((cost?.neck.multiplyAdds ?? NaN) / 1e6),
        multiplyAdds: finite((cost?.total.multiplyAdds ?? NaN) / 1e6),
        fusionTime: finite(arm.fusion === 'sum' ? NaN : await timeFusion(arm.fusion)),
        secondsPerStep: finite(training.seconds / steps),
      },
      curves: {
        loss: stepCurve(training.logs, ({ loss }) => loss),
      },
      tables: {
        ...detectionTables(test),
        fusionWeights: shareRow(await fusionWeights(detector.model.fpn)),
      },
    };
  } finally {
    detector.model.dispose();
  }
}

/** The smallest and the largest share that an input has, and by how much the shares of a node miss a sum of 1 at most. */
function shareRow(weights: readonly FusionWeight[]): StudyRow[] {
  if (weights.length === 0) return [];
  const sums = new Map<string, number>();
  for (const { cell, node, share } of weights) {
    const key = `${cell} ${node}`;
    sums.set(key, (sums.get(key) ?? 0) + share);
  }
  const shares = weights.map(({ share }) => share);
  return [
    {
      smallest: Math.min(...shares),
      largest: Math.max(...shares),
      missing: Math.max(...[...sums.values()].map((sum) => Math.abs(1 - sum))),
    },
  ];
}

function step(from: PublishedNumber, to: PublishedNumber, digits: number = 1): string {
  return `${formatPublished(from, digits)} → ${formatPublished(to, digits)} AP`;
}

function claims(): Claim[] {
  const neck = (name: string, weighted = false) =>
    efficientDetNecks.find((row) => row.neck === name && row.weighted === weighted)!;
  const bifpn = neck('bifpn', true);
  const [resNet, efficientNet, bifpnSwap] = efficientDetSwaps;
  const [, mild, , wide] = efficientDetJitters;
  const speedUps = efficientDetFusions.map(({ speedUp }) => formatPublished(speedUp, 2)).join(', ');
  return [
    {
      name: 'top-down',
      text: 'BiFPN finds more than a top-down FPN that is repeated until it costs what FPN+PANet does.',
      paper: step(neck('top-down-fpn').ap, bifpn.ap, 2),
      comparisons: [higher('map', 'bifpn', 'top-down-fpn-repeated', 2)],
    },
    {
      name: 'panet',
      text: 'BiFPN without weights finds as much as repeated FPN+PANet, with fewer multiply-adds.',
      paper:
        `${step(neck('panet').ap, neck('bifpn').ap, 2)}, ` +
        `${formatPublished(neck('panet').multiplyAdds)} → ${formatPublished(neck('bifpn').multiplyAdds, 2)} of its cost`,
      comparisons: [
        equal('map', 'bifpn-sum', 'panet', 4),
        lower('neckMultiplyAdds', 'bifpn-sum', 'panet', 0.001),
      ],
    },
    {
      name: 'weights',
      text: 'Weighted fusion finds more than the plain sum.',
      paper: step(neck('bifpn').ap, bifpn.ap, 2),
      comparisons: [higher('map', 'bifpn', 'bifpn-sum', 1)],
    },
    {
      name: 'searched',
      text: 'BiFPN finds more than NAS-FPN and than the fully connected FPN.',
      paper: `${formatPublished(neck('nas-fpn').ap, 2)} and ${step(neck('fully-connected-fpn').ap, bifpn.ap, 2)}`,
      comparisons: [higher('map', 'bifpn', 'nas-fpn', 1), higher('map', 'bifpn', 'fully-connected-fpn', 1)],
    },
    {
      name: 'fusion',
      text: 'Fast normalised fusion finds as much as softmax.',
      paper: efficientDetFusions.map(({ softmaxAp, fastAp }) => step(softmaxAp, fastAp, 2)).join('; '),
      comparisons: [equal('map', 'bifpn', 'bifpn-softmax', 4)],
    },
    {
      name: 'fusion-time',
      text: 'Fast normalised fusion takes less time than softmax.',
      paper: `${speedUps} times as fast on a GPU`,
      comparisons: [lower('fusionTime', 'bifpn', 'bifpn-softmax', 0.05)],
    },
    {
      name: 'trunk',
      text: 'An EfficientNet in the place of a ResNet finds more, under the same top-down FPN.',
      paper: step(resNet.ap, efficientNet.ap),
      comparisons: [higher('map', 'top-down-fpn', 'resnet-top-down-fpn', 2)],
    },
    {
      name: 'feature-network',
      text: 'BiFPN in the place of a top-down FPN of as many cells finds more, on the same trunk.',
      paper: step(efficientNet.ap, bifpnSwap.ap),
      comparisons: [higher('map', 'bifpn', 'top-down-fpn', 2)],
    },
    {
      name: 'joint',
      text: 'At equal multiply-adds, scaling all dimensions together finds more than scaling any one alone.',
      paper: 'a figure, no number',
      comparisons: ['resolution', 'channels', 'cells', 'head'].map((one) =>
        higher('map', 'scale-joint', `scale-${one}`, 1),
      ),
    },
    {
      name: 'jitter-short',
      text: 'In short training, wide scale jitter is worse than mild.',
      paper: step(mild.ap30, wide.ap30),
      comparisons: [lower('map', 'jitter-wide', 'jitter-mild', 1)],
    },
    {
      name: 'jitter-long',
      text: 'In long training, wide scale jitter is better than mild.',
      paper: step(mild.ap300, wide.ap300),
      comparisons: [higher('map', 'jitter-wide-long', 'jitter-mild-long', 1)],
    },
    {
      name: 'schedule',
      text: 'Training for longer finds more.',
      paper: `${step(wide.ap30, wide.ap300)} from 30 to 300 epochs`,
      comparisons: [higher('map', 'bifpn-long', 'bifpn', 2)],
    },
  ];
}

const title = 'EfficientDet: feature networks, fusion, scaling, trunks and scale jitter';

/** EfficientDet's comparisons, for `npm run evidence -- efficientdet`. */
export const efficientDetStudy: Study<EfficientDetArm> = {
  name: 'efficientdet',
  title,
  profiles: ['quick', 'default', 'paper'],
  metrics: {
    ...detectionMetrics,
    multiplyAdds: { title: 'Multiply-adds (millions)', digits: 2 },
    neckMultiplyAdds: { title: 'Multiply-adds of the feature network (millions)', digits: 2 },
    fusionTime: { title: 'Time of a fusion, in plain sums', digits: 2 },
    secondsPerStep: { title: 'Seconds a step', digits: 3 },
  },
  arms: (profile) => namedArms(efficientDetArms(efficientDetRecipes[profile])),
  settings: (profile) => ({ version, recipe: efficientDetRecipes[profile] }),
  claims: () => claims(),
  run: (arm, context) => run(efficientDetRecipes[context.profile], undefined, arm, context),
  onData: (folder) =>
    Promise.resolve(
      studyOnFolder(efficientDetStudy, folder, {
        run: (arm, context) => run(efficientDetRecipes[context.profile], folder, arm, context),
      }),
    ),
};
