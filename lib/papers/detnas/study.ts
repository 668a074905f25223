/** The claims of DetNAS as a study: each comparison run with several seeds. */
import { higher, finite } from '../../evidence/comparisons';
import type { Claim, Study, StudyArm, StudyContext, StudyMetric, StudyResult } from '../../evidence/study';
import { type Architecture, formatArchitecture } from '../../models/architecture';
import { detNasSpace } from '../../models/backbones/detnas';
import { detNasCosts, pathCost } from '../../search/path-costs';
import { kendallTau, spearmanRho } from '../../search/rank-correlation';
import { bestSoFar, type SearchResult } from '../../search/search';
import { createRandom } from '../../tensor/random';
import { formatPublished } from '../published';
import {
  detectionFigures,
  detectionMetrics,
  detectionTables,
  namedArms,
  stepCurve,
  studyOnFolder,
} from '../study-parts';
import { aloneFigures, trainDetNasAlone } from './alone';
import { type DetNasArm, detNasArms, detNasNetworkArm, detNasPathsArm } from './arms';
import { detNasCandidates, type DetNasCandidatesSettings } from './candidates';
import { type DetNasData, detNasSearchLimit, openDetNasData } from './experiment';
import { detNasAblation } from './published';
import { type DetNasRecipe, detNasRecipes } from './recipes';
import { uniformArchitecture } from './released';
import { searchDetNas } from './search';
import { trainedDetNasSupernet } from './supernets';

/** Raise it when the code begins to compute something else from the same recipe. */
const version = 1;

/** A run's surroundings. */
interface Run extends Pick<StudyContext, 'seed' | 'folder' | 'onProgress' | 'onNotice' | 'signal'> {
  readonly recipe: DetNasRecipe;
  readonly images: string | undefined;
  readonly data: DetNasData;
}

async function run(
  recipe: DetNasRecipe,
  images: string | undefined,
  { settings: arm }: StudyArm<DetNasArm>,
  context: StudyContext,
): Promise<StudyResult> {
  const data = await openDetNasData(recipe, { folder: images });
  const own: Run = { ...context, recipe, images, data };
  return arm.task === 'paths' ? comparePaths(own, arm) : makeNetwork(own, arm);
}

/** Candidates of a supernet that is trained first, where the cache has none. */
async function openCandidates(
  { recipe, images, seed, onProgress, onNotice }: Run,
  task: DetNasCandidatesSettings['task'],
  pretrained: boolean,
): ReturnType<typeof detNasCandidates> {
  const weights = await trainedDetNasSupernet({
    recipe,
    task,
    pretrained,
    seed,
    images,
    onNotice,
    onStep: (phase, { step, loss }, steps) =>
      onProgress({ step: step + 1, steps, note: `supernet, ${phase}, loss ${loss.toFixed(2)}` }),
  });
  return detNasCandidates({ recipe, task, images }, { files: { weights } });
}

/** A network by its origin, trained on its own. */
async function makeNetwork(own: Run, arm: DetNasArm & { task: 'network' }): Promise<StudyResult> {
  const { recipe, data, seed, folder, onProgress, onNotice } = own;
  const search = arm.origin === 'all-3x3' ? undefined : await findNetwork(own, arm);
  const architecture = search?.best.architecture ?? uniformArchitecture(recipe.size, 0);
  const alone = await trainDetNasAlone({
    recipe,
    kind: arm.detector,
    architecture,
    data,
    seed,
    checkpoint: `${folder}/alone`,
    onNotice,
    onStep: (phase, { step, loss }, steps) =>
      onProgress({ step: step + 1, steps, note: `network, ${phase}, loss ${loss.toFixed(2)}` }),
  });
  alone.detector.model.dispose();
  const { training, test } = alone;
  const { steps } = recipe.alone.training;
  const diverged = training.divergedAt !== undefined || test === undefined;
  const space = detNasSpace(recipe.size);
  const cost = pathCost(detNasCosts(recipe.size, recipe.limit.inputSize), architecture);
  return {
    diverged,
    metrics: {
      ...detectionFigures({ test }, { logs: training.logs, steps, diverged }),
      bestFitness: search ? finite(search.best.fitness) : null,
      meanFitness: null,
      tau: null,
      rho: null,
      multiplyAdds: cost.multiplyAdds / 1e6,
    },
    curves: {
      loss: stepCurve(training.logs, ({ loss }) => loss),
      ...(search && {
        bestSoFar: bestSoFar(search.history).map((value, i) => ({ step: i + 1, value: finite(value) })),
      }),
    },
    tables: {
      network: [{ architecture: formatArchitecture(architecture, space), ...cost }],
      ...(search && { candidates: candidateRows(recipe, search) }),
      ...(test && detectionTables(test)),
    },
  };
}

/** Searches for the arm's network; what a run that was broken off has found is known. */
async function findNetwork(own: Run, arm: DetNasArm & { task: 'network' }): Promise<SearchResult> {
  const { recipe, seed, folder, signal, onProgress } = own;
  const task = arm.origin === 'classification' ? 'classifier' : arm.detector;
  const candidates = await openCandidates(own, task, arm.pretrained);
  const { population, generations } = recipe.evolution;
  let done = 0;
  try {
    return await searchDetNas({
      recipe,
      seed,
      signal,
      strategy: arm.origin === 'random' ? 'random' : 'evolution',
      log: `${folder}/search.jsonl`,
      run: (candidate) => candidates.run(candidate),
      onEvaluated: ({ fitness }) =>
        onProgress({
          step: ++done,
          steps: population * generations,
          note: `search, fitness ${fitness.toFixed(1)}`,
        }),
    });
  } finally {
    candidates.close();
  }
}

function candidateRows(
  recipe: DetNasRecipe,
  { history }: SearchResult,
): Record<string, string | number | null>[] {
  const space = detNasSpace(recipe.size);
  const { cost } = detNasSearchLimit(recipe);
  return history.map(({ index, generation, origin, architecture, fitness, parents }) => ({
    index,
    generation,
    origin,
    architecture: formatArchitecture(architecture, space),
    parents: parents.join(' '),
    multiplyAdds: cost(architecture),
    fitness: finite(fitness),
  }));
}

/** Some networks of the space, drawn alike: the same for all seeds. */
export function rankedNetworks({ size, ranked }: Pick<DetNasRecipe, 'size' | 'ranked'>): Architecture[] {
  const { choices } = detNasSpace(size);
  const random = createRandom('detnas/ranked');
  return Array.from({ length: ranked }, () => choices.map((count) => random.integer(count)));
}

/** Paths of a supernet beside the same networks on their own. */
async function comparePaths(own: Run, arm: DetNasArm & { task: 'paths' }): Promise<StudyResult> {
  const { recipe, data, seed, onProgress, onNotice } = own;
  const space = detNasSpace(recipe.size);
  const networks = rankedNetworks(recipe);
  const candidates = await openCandidates(own, arm.detector, arm.pretrained);
  const inSupernet: number[] = [];
  try {
    for (const architecture of networks) {
      const { fitness } = await candidates.run({ architecture, recalibrate: arm.recalibrated });
      inSupernet.push(fitness);
    }
  } finally {
    candidates.close();
  }
  const alone: number[] = [];
  for (const [i, architecture] of networks.entries()) {
    const { ap } = await aloneFigures({
      recipe,
      kind: arm.detector,
      architecture,
      data,
      images: own.images,
      seed,
      onNotice,
      onStep: (phase, { step, loss }, steps) =>
        onProgress({
          step: i * steps + step + 1,
          steps: networks.length * steps,
          note: `network ${i + 1}, ${phase}, loss ${loss.toFixed(2)}`,
        }),
    });
    alone.push(ap);
  }
  return {
    diverged: false,
    metrics: {
      map: null,
      ap: null,
      mapUnseen: null,
      lastLoss: null,
      bestFitness: null,
      meanFitness: inSupernet.reduce((sum, value) => sum + value, 0) / inSupernet.length,
      tau: finite(kendallTau(inSupernet, alone)),
      rho: finite(spearmanRho(inSupernet, alone)),
      multiplyAdds: null,
    },
    tables: {
      networks: networks.map((architecture, i) => ({
        architecture: formatArchitecture(architecture, space),
        ...pathCost(detNasCosts(recipe.size, recipe.limit.inputSize), architecture),
        fitness: inSupernet[i],
        ap: alone[i],
      })),
    },
  };
}

function claims(): Claim[] {
  const name = (arm: DetNasArm): string => arm.name;
  const [found, random, hand] = (['evolution', 'random', 'all-3x3'] as const).map((origin) =>
    name(detNasNetworkArm(origin)),
  );
  const [paths, stale] = [true, false].map((recalibrated) => name(detNasPathsArm(recalibrated)));
  const pathsScratch = name(detNasPathsArm(true, { pretrained: false }));
  const [byHand, classification, scratch, detNas] = detNasAblation;
  const coco = (kind: 'fpn' | 'retinanet', from: typeof byHand): string =>
    `${formatPublished(from.coco[kind])} → ${formatPublished(detNas.coco[kind])} mAP of COCO with ${kind === 'fpn' ? 'FPN' : 'RetinaNet'}`;
  return [
    {
      name: 'recalibration',
      text: 'Paths of a supernet detect far more with statistics of their own than with those that its training left.',
      paper: 'necessary; no number',
      comparisons: [higher('meanFitness', paths, stale, 5)],
    },
    {
      name: 'recalibrated-rank',
      text: 'With statistics of their own paths are ranked more like the networks on their own.',
      paper: 'what the search rests on; no number',
      comparisons: [higher('tau', paths, stale, 0.1)],
    },
    {
      name: 'evolution',
      text: 'Evolution finds a fitter path than random search, in as many evaluations.',
      paper: 'evolution beats random search; no number',
      comparisons: [higher('bestFitness', found, random, 0.3)],
    },
    {
      name: 'found-random',
      text: 'The network that evolution found detects more than random search’s, each trained on its own.',
      paper: 'no number',
      comparisons: [higher('ap', found, random, 0.5)],
    },
    {
      name: 'by-hand',
      text: 'The network that was found detects more than the hand-made one of 3x3 units.',
      paper: coco('fpn', byHand),
      comparisons: [higher('ap', found, hand, 0.5)],
    },
    {
      name: 'by-hand-retinanet',
      text: 'The same with RetinaNet.',
      paper: coco('retinanet', byHand),
      comparisons: [
        higher(
          'ap',
          name(detNasNetworkArm('evolution', { detector: 'retinanet' })),
          name(detNasNetworkArm('all-3x3', { detector: 'retinanet' })),
          0.5,
        ),
      ],
    },
    {
      name: 'classification',
      text: 'A search for detection finds a better detector than a search for classification.',
      paper: coco('fpn', classification),
      comparisons: [higher('ap', found, name(detNasNetworkArm('classification')), 0.5)],
    },
    {
      name: 'pretraining',
      text: 'Paths of a supernet that was a classifier first detect more than those of one that was not.',
      paper: 'the supernet is pretrained; no number',
      comparisons: [higher('meanFitness', paths, pathsScratch, 2)],
    },
    {
      name: 'pretraining-found',
      text: 'And the network that is found on it detects more.',
      paper: coco('fpn', scratch),
      comparisons: [higher('ap', found, name(detNasNetworkArm('evolution', { pretrained: false })), 0.3)],
    },
  ];
}

const metrics: Readonly<Record<string, StudyMetric>> = {
  ...detectionMetrics,
  bestFitness: { title: 'Fitness of the best candidate (AP or accuracy on held-back images, %)', digits: 1 },
  meanFitness: { title: 'AP of paths of the supernet, IoU 0.5 to 0.95 (%)', digits: 1 },
  tau: { title: 'Kendall’s tau of paths and networks on their own', digits: 2 },
  rho: { title: 'Spearman’s rho of the same', digits: 2 },
  multiplyAdds: { title: 'Multiply-adds of the trunk (million)', digits: 2 },
};

/** The paper's comparisons, for `npm run evidence -- detnas`. */
export const detNasStudy: Study<DetNasArm> = {
  name: 'detnas',
  title: 'DetNAS: a trunk that was searched for detection',
  profiles: ['quick', 'default', 'paper'],
  metrics,
  arms: () => namedArms(detNasArms),
  settings: (profile) => ({ version, recipe: detNasRecipes[profile] }),
  claims,
  run: (arm, context) => run(detNasRecipes[context.profile], undefined, arm, context),
  onData: (folder) =>
    Promise.resolve(
      studyOnFolder(detNasStudy, folder, {
        run: (arm, context) => run(detNasRecipes[context.profile], folder, arm, context),
      }),
    ),
};
