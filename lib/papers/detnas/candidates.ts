/** How fit a candidate is, as work that threads and other machines can do: what a path of a trained supernet detects, or how it classifies. */
import { evaluateCoco } from '../../eval/coco/evaluate';
import { evaluateVoc } from '../../eval/voc';
import type { JobPlace, JobSource, JobWorker } from '../../jobs/source';
import type { Architecture } from '../../models/architecture';
import { DetNasSupernet } from '../../search/supernet';
import { createRandom } from '../../tensor/random';
import { Classifier } from '../../models/classifier';
import { readSafetensors } from '../../weights/safetensors';
import { loadStateDict } from '../../weights/state-dict';
import { ClassifierPaths } from './classifier-paths';
import { buildDetNas, detNasEvaluator, openDetNasData, openDetNasUpstream } from './experiment';
import type { DetNasDetectorKind } from './networks';
import type { DetNasRecipe } from './recipes';

/** What is asked of a worker. (A type: plain JSON.) */
export type DetNasCandidate = {
  readonly architecture: Architecture;
  /** Default true: the path's own statistics. */
  readonly recalibrate?: boolean;
};

/** How a path does, percent. (A type: plain JSON.) */
export type DetNasFigures = {
  /** What the search goes by: of a detector AP at IoU 0.5 to 0.95 on the images that are held back, of a classifier its accuracy. */
  readonly fitness: number;
  /** Of a detector: mAP at IoU 0.5. */
  readonly map?: number;
};

/** What workers are told. (A type: plain JSON.) */
export type DetNasCandidatesSettings = {
  readonly recipe: DetNasRecipe;
  /** What the supernet has been trained as: a detector of a kind, or a classifier. */
  readonly task: DetNasDetectorKind | 'classifier';
  /** A folder of images; left out: the shipped scenes. */
  readonly images?: string;
};

/** Where workers come from. @param weights the trained supernet's file, with what stands on it */
export function detNasCandidateSource(settings: DetNasCandidatesSettings, weights: string): JobSource {
  return { module: 'detlab', name: 'detNasCandidates', settings, files: { weights } };
}

/** A worker that may also be called without a signal, as nothing that it does takes long. */
export interface DetNasCandidateWorker extends JobWorker<DetNasCandidate, DetNasFigures> {
  run(candidate: DetNasCandidate, signal?: AbortSignal): Promise<DetNasFigures>;
  close(): void;
}

/** Evaluates candidates: the same candidate gives the same figures, whoever evaluates it, and whatever it has evaluated before. */
export async function detNasCandidates(
  settings: DetNasCandidatesSettings,
  { files }: Pick<JobPlace, 'files'>,
): Promise<DetNasCandidateWorker> {
  const { tensors: weights } = await readSafetensors(files.weights);
  const { recipe, task } = settings;
  if (task === 'classifier') {
    const { train, validation } = await openDetNasUpstream(recipe);
    const random = createRandom('detnas/candidates');
    const supernet = new DetNasSupernet(recipe.size, random);
    const model = new Classifier(supernet, { classes: train.classes.length }, random);
    loadStateDict(model, weights);
    const paths = new ClassifierPaths({ recipe, model, space: supernet.space, images: train, validation });
    return {
      run: async ({ architecture }) => ({ fitness: 100 * (await paths.accuracy(architecture)) }),
      close: () => {
        paths.dispose();
        model.dispose();
      },
    };
  }
  const data = await openDetNasData(recipe, { folder: settings.images });
  const { classes } = data.search;
  const detector = buildDetNas(recipe, task, undefined, classes.length, 0);
  loadStateDict(detector.model, weights);
  const evaluator = detNasEvaluator(recipe, detector, data);
  return {
    async run({ architecture, recalibrate }) {
      const found = await evaluator.detect(architecture, { recalibrate });
      return {
        fitness: 100 * evaluateCoco({ ...found, classes }).ap,
        map: 100 * evaluateVoc({ ...found, classes, method: 'all-point' }).map,
      };
    },
    close: () => {
      evaluator.dispose();
      detector.model.dispose();
    },
  };
}
