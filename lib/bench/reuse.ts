/** `npm run bench -- reuse`: a training step with the trunk fine-tuned, frozen, and not run at all. */
import { trunkMaps } from '../models/backbones/trunk-maps';
import { trainingCost } from '../models/training-cost';
import { detectorTaps, detectorTrunk } from '../models/trunk-reuse';
import { inference } from '../nn/module';
import { buildFrozen, type FrozenDetector } from '../papers/frozen-backbones/experiment';
import { frozenArm, frozenRecipes } from '../papers/frozen-backbones/recipes';
import type { FrozenSource } from '../papers/frozen-backbones/sources';
import { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import { batchTensor } from '../train/batch-tensor';
import type { FeatureBatch } from '../train/feature-cache';
import { createLocalStepper } from '../train/local-stepper';
import { Sgd } from '../train/sgd';
import { detectorTraining } from '../train/train-detector';
import { featureTraining } from '../train/train-on-features';
import type { TrainOptions } from '../train/train-options';
import { type Comparison, takeTurns, type Way } from './measure';
import { randomBatch } from './random-batch';

const images = 8;
const rate = 1e-3;
const recipe = frozenRecipes.default;

/** Steps of the notebook's small Faster R-CNN on its small trunk and on ImageNet's. What each costs is told to `note`. */
export async function compareReuse(rounds: number, note: (line: string) => void): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const source of [recipe.sources.base, 'imagenet'] as const) {
    const ways = await waysOf(source, note);
    // A step is recorded before its graph is built, and compared with it afterwards.
    for (const way of ways) for (let i = 0; i < 8; i++) await way.run();
    const contestants = await takeTurns(rounds, ways);
    ways.forEach((way) => way.dispose());
    const size = `trunk ${source}, ${recipe.plan.inputSize} px`;
    comparisons.push({ part: 'step on a trunk', size, images, contestants });
  }
  return comparisons;
}

type Closable = Way & { dispose(): void };

async function waysOf(source: FrozenSource, note: (line: string) => void): Promise<Closable[]> {
  const batch = randomBatch(images, recipe.plan.inputSize);
  const detectors = new Map<string, FrozenDetector>();
  for (const reuse of ['fine-tuned', 'frozen'] as const) {
    const detector = await buildFrozen(recipe, frozenArm(recipe, { reuse, source }), 3, 1);
    detectors.set(reuse, detector);
    const { total, keptBytes, trainableShare } = trainingCost(detector, { batch: images });
    note(
      `${source}, ${reuse}: ${(total / 1e9).toFixed(2)} thousand million multiply-adds a step, ${(keptBytes / 1e6).toFixed(1)} MB kept, ` +
        `${(100 * trainableShare).toFixed(0)} % trained`,
    );
  }
  const frozen = await buildFrozen(recipe, frozenArm(recipe, { reuse: 'frozen', source }), 3, 1);
  const onImages = (name: string, detector: FrozenDetector): Closable =>
    wayOf(name, { ...detectorTraining(detector), batch });
  return [
    ...[...detectors].map(([name, detector]) => onImages(name, detector)),
    wayOf('frozen, features kept', {
      ...featureTraining(frozen),
      batch: featuresOf(frozen, batch.ids, batchTensor(batch), batch.groundTruth),
    }),
  ];
}

/** The batch's features. @param pixels are disposed */
function featuresOf(
  detector: FrozenDetector,
  ids: readonly string[],
  pixels: tf.Tensor4D,
  groundTruth: FeatureBatch['groundTruth'],
): FeatureBatch {
  const stages = detectorTaps(detector.model);
  const maps = tf.tidy(() => trunkMaps(detectorTrunk(detector.model), pixels, inference, stages));
  const values = maps.map((map) => ({ values: map.dataSync<'float32'>(), shape: map.shape }));
  tf.dispose([pixels, maps]);
  return { ids, groundTruth, maps: new Map(stages.map((stage, i) => [stage, values[i]])) };
}

/** A compiled step, as training takes it. */
function wayOf<Batch extends { readonly ids: readonly string[] }, Inputs extends Record<string, tf.Tensor>>(
  name: string,
  {
    batch,
    ...training
  }: Pick<TrainOptions<Batch, Inputs>, 'model' | 'prepare' | 'loss'> & { readonly batch: Batch },
): Closable {
  const optimizer = new Sgd(training.model.parameters());
  const random = new RandomStream(1);
  const stepper = createLocalStepper({
    ...training,
    optimizer,
    context: { random },
    clipNorm: Infinity,
    change: false,
    compiled: true,
  });
  return {
    name,
    run: () => stepper.run(batch, { step: 0, learningRate: rate, last: true }),
    dispose() {
      void stepper.dispose();
      optimizer.dispose();
      random.dispose();
      training.model.dispose();
    },
  };
}
