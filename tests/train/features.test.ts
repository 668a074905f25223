/** Training on a frozen trunk's maps, held to training on the images. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type BackboneBuilder,
  type Batch,
  cacheFeatures,
  createFasterRcnnDetector,
  createLoader,
  createRandom,
  createSsdDetector,
  type DetectionDataset,
  type Detector,
  detectorTrunk,
  endlessly,
  FasterRcnn,
  type FeatureBatch,
  type FeatureBatches,
  flipHorizontal,
  gridAnchors,
  RandomStream,
  ResNet,
  resNet18,
  reuseTrunk,
  Ssd,
  tf,
  trainDetector,
  trainOnFeatures,
  type TrainOnFeaturesOptions,
  useBackend,
} from 'detlab';
import { temporaryFolder } from '../data/temporary';
import { rectangles } from '../models/rectangles';
import { distance, learn, restore, snapshot } from '../models/reused';

beforeAll(() => useBackend());

/** Of another size than the network's input: boxes are scaled, too. */
const data = rectangles(5, { size: 48, side: [12, 12] });
const pixels = { mean: [110, 110, 110], std: [60, 60, 60] } as const;
const batchSize = 2;
const shuffle = 1;
const steps = 4;

const backbone: BackboneBuilder = (random) =>
  new ResNet({ ...resNet18, widths: [6, 8, 12, 16], blocks: [1, 1, 1, 1] }, random);
const inputSize = { width: 64, height: 64 };

const builders = {
  ssd: (): Detector => {
    const model = new Ssd(
      {
        inputSize: 64,
        backbone,
        // The last stage is for the extra layer alone.
        taps: [1, 2],
        extras: [{ squeeze: 8, channels: 12, stride: 2, padding: 1 }],
        anchorsPerCell: [2, 2, 2],
        classes: 2,
        batchNorm: { backbone: false, head: false },
      },
      createRandom(1),
    );
    const maps = model.mapSizes().map((side): [number, number] => [side, side]);
    const anchors = { imageWidth: 64, imageHeight: 64, maps, sizes: [12, 20, 32, 48], ratios: [] };
    return createSsdDetector(model, gridAnchors(anchors));
  },
  'faster-rcnn': (): Detector => {
    const model = new FasterRcnn(
      {
        backbone,
        outChannels: 12,
        batchNorm: true,
        classes: 2,
        anchorSizes: [[8], [16], [32], [48], [64]],
        proposals: { training: { preNmsTop: 100, postNmsTop: 40 } },
        pooling: { outputSize: 3, canonicalSize: 32 },
        features: 16,
      },
      createRandom(1),
    );
    const regionLoss = { sample: { size: 16, positiveFraction: 0.25 } };
    return createFasterRcnnDetector(model, { inputSize, maxObjects: 4, regionLoss });
  },
};

async function frozen(name: keyof typeof builders): Promise<Detector> {
  const detector = builders[name]();
  await reuseTrunk(detector, 'frozen', learn);
  return detector;
}

const loader = (mirrored: boolean) =>
  createLoader(data, {
    ...pixels,
    size: 64,
    batchSize,
    shuffle,
    dropLast: true,
    augment: mirrored ? flipHorizontal() : undefined,
  });

interface Trained {
  readonly losses: readonly number[];
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** Trains by `run`, with the same random numbers each time, and puts the weights back. */
async function trained(
  detector: Detector,
  run: (random: RandomStream) => Promise<{ readonly logs: readonly { readonly loss: number }[] }>,
): Promise<Trained> {
  const before = snapshot(detector.model);
  const random = new RandomStream(2);
  const { logs } = await run(random);
  random.dispose();
  const weights = snapshot(detector.model);
  restore(detector.model, before);
  return { losses: logs.map(({ loss }) => loss), weights };
}

const onImages = (detector: Detector, mirrored: boolean): Promise<Trained> =>
  trained(detector, (random) =>
    trainDetector({
      detector,
      batches: endlessly(loader(mirrored)),
      steps,
      schedule: () => 0.01,
      random,
      compile: false,
    }),
  );

const onFeatures = (
  detector: Detector,
  batches: FeatureBatches,
  more: Partial<TrainOnFeaturesOptions> = {},
): Promise<Trained> =>
  trained(detector, (random) =>
    trainOnFeatures({ detector, batches, steps, schedule: () => 0.01, random, compile: false, ...more }),
  );

describe.each(['ssd', 'faster-rcnn'] as const)('%s', (name) => {
  let detector: Detector;
  beforeAll(async () => void (detector = await frozen(name)));
  afterAll(() => detector.model.dispose());

  test('has the losses of training on the images, mirrored or not', async () => {
    const tensors = tf.memory().numTensors;
    const images = await onImages(detector, true);
    const cache = await cacheFeatures(detector, data, { ...pixels, batchSize: 2 });
    const batches = cache.batches({ batchSize, shuffle });
    const found = await onFeatures(detector, batches);
    expect(images.losses).toHaveLength(steps);
    expect(distance(found.losses, images.losses)).toBeLessThan(1e-4);
    // The second stage's graph takes long to make.
    if (name === 'ssd') {
      const compiled = await onFeatures(detector, batches, { compile: true });
      expect(distance(compiled.losses, images.losses)).toBeLessThan(1e-4);
    }

    const plainImages = await onImages(detector, false);
    const plain = await cacheFeatures(detector, data, { ...pixels, batchSize: 3, mirrored: false });
    const plainFound = await onFeatures(detector, plain.batches({ batchSize, shuffle }));
    expect(distance(plainFound.losses, plainImages.losses)).toBeLessThan(1e-4);
    expect(distance(plainImages.losses, images.losses)).toBeGreaterThan(1e-3);
    expect(2 * plain.bytes).toBe(cache.bytes);
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe('cacheFeatures', () => {
  let detector: Detector;
  beforeAll(async () => void (detector = await frozen('ssd')));
  afterAll(() => detector.model.dispose());

  /** 64 pixels at strides 8, 16 and 32. */
  const values = 8 * 8 * 8 + 4 * 4 * 12 + 2 * 2 * 16;

  async function drawn<B extends Batch | FeatureBatch>(batches: AsyncIterable<B>): Promise<B[]> {
    const all: B[] = [];
    for await (const batch of batches) all.push(batch);
    return all;
  }

  test('gives the loader’s images and boxes, from any batch on, and says what it takes', async () => {
    const told: [number, number][] = [];
    const onProgress = (done: number, total: number): void => void told.push([done, total]);
    const cache = await cacheFeatures(detector, data, { ...pixels, batchSize: 4, onProgress });
    expect(cache).toMatchObject({ stages: [1, 2, 3], images: 5, bytes: 4 * 2 * 5 * values });
    expect(cache.seconds).toBeGreaterThan(0);
    expect(told).toEqual([4, 5, 9, 10].map((done) => [done, 10]));
    const batches = cache.batches({ batchSize, shuffle });
    expect(batches.batches).toBe(2);
    for (const epoch of [0, 3]) {
      const wanted = await drawn(loader(true).epoch(epoch));
      const found = await drawn(batches.epoch(epoch));
      expect(found.map(({ ids }) => ids)).toEqual(wanted.map(({ ids }) => ids));
      expect(found.map(({ groundTruth }) => groundTruth)).toEqual(
        wanted.map(({ groundTruth }) => groundTruth),
      );
      expect(await drawn(batches.epoch(epoch, 1))).toEqual(found.slice(1));
      expect(await drawn(batches.epoch(epoch, 2))).toEqual([]);
      for (const { maps } of found) {
        expect([...maps].map(([stage, { shape }]) => [stage, shape])).toEqual([
          [1, [2, 8, 8, 8]],
          [2, [2, 4, 4, 12]],
          [3, [2, 2, 2, 16]],
        ]);
        expect([...maps.values()].reduce((sum, own) => sum + own.values.length, 0)).toBe(2 * values);
      }
    }
    const ids = async (epoch: number): Promise<unknown> =>
      (await drawn(batches.epoch(epoch))).map((batch) => batch.ids);
    expect(await ids(0)).not.toEqual(await ids(3));
  });

  test('says what is wrong', async () => {
    await expect(
      cacheFeatures(detector, data, { ...pixels, batchSize, maxBytes: 4 * 10 * values - 1 }),
    ).rejects.toThrow(
      /maps of 5 images and their mirror images take 0 MB, more than 0 MB; give fewer images, mirrored: false, or maxBytes/,
    );
    const half = { ...pixels, batchSize, maxBytes: 4 * 5 * values, mirrored: false };
    const cache = await cacheFeatures(detector, data, half);
    expect(cache.bytes).toBe(half.maxBytes);
    expect(() => cache.batches({ batchSize: 6, shuffle })).toThrow(
      /batchSize is 6; .* 1 to 5, the number of images/,
    );
    expect(() => cache.batches({ batchSize: 0, shuffle })).toThrow(/batchSize is 0/);

    const open = builders.ssd();
    await expect(cacheFeatures(open, data, { batchSize })).rejects.toThrow(
      'the trunk is trained, and its maps change with it; freeze it first',
    );
    open.model.dispose();

    const other = await frozen('faster-rcnn');
    const batches = cache.batches({ batchSize, shuffle });
    await expect(onFeatures(other, batches)).rejects.toThrow('and no map is given for it, only for 1, 2, 3');
    other.model.dispose();
  });

  test('lets go of the data set where an image cannot be read', async () => {
    const { examples, ...rest } = data;
    const image = (): Promise<never> => Promise.reject(new Error('no such picture'));
    const broken: DetectionDataset = { ...rest, examples: [examples[0], { ...examples[1], image }] };
    const tensors = tf.memory().numTensors;
    await expect(cacheFeatures(detector, broken, { batchSize })).rejects.toThrow('no such picture');
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test('a run that is broken off goes on bit for bit', async () => {
    const cache = await cacheFeatures(detector, data, { ...pixels, batchSize: 5 });
    const batches = cache.batches({ batchSize, shuffle });
    const whole = await onFeatures(detector, batches);
    const checkpoint = { folder: temporaryFolder(), everySteps: 1 };
    const silent = { checkpoint, onNotice: () => undefined };
    const onStep = ({ step }: { readonly step: number }): void => {
      if (step === 2) throw new Error('the power fails');
    };
    await expect(onFeatures(detector, batches, { ...silent, onStep })).rejects.toThrow('the power fails');
    // Whatever the weights are by then, they come from the checkpoint.
    const others = await frozen('ssd');
    for (const { variable } of others.model.parameters())
      variable.assign(tf.tidy(() => tf.mul(variable, 0.5)));
    const seen: number[] = [];
    const rest = await onFeatures(others, batches, { ...silent, onStep: ({ step }) => void seen.push(step) });
    expect(seen).toEqual([2, 3]);
    expect(rest.weights).toEqual(whole.weights);
    expect(rest.losses).toEqual(whole.losses);
    expect(detectorTrunk(others.model).parameterCount()).toBe(0);
    others.model.dispose();
  });
});
