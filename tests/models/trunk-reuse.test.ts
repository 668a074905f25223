/** Detectors on a trunk that has learnt before: what is trained, what is kept for it, and what stays as it was. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  createLoader,
  type Detector,
  detectorMemory,
  detectorTaps,
  detectorTrunk,
  EfficientNet,
  endlessly,
  freezeModule,
  inference,
  isFrozen,
  Linear,
  createRandom,
  liveBytes,
  RandomStream,
  reuseTrunk,
  Sgd,
  tf,
  trainDetector,
  trunkMaps,
  useBackend,
} from 'detlab';
import { rectangles } from './rectangles';
import {
  distance,
  freezeStatistics,
  learn,
  lossGradients,
  objects,
  pictures,
  reusable,
  type ReusableName,
  reusableNames,
  restore,
  snapshot,
} from './reused';

beforeAll(() => useBackend());

/** Stages that are taken, and what their maps of two images come to: sides, channels. */
const resNet = [
  [16, 32],
  [8, 64],
  [4, 128],
  [2, 256],
] as const;
const tapped: Readonly<
  Record<ReusableName, { stages: readonly number[]; maps: readonly (readonly [number, number])[] }>
> = {
  ssd: { stages: [1, 2, 3], maps: resNet.slice(1) },
  retinanet: { stages: [1, 2, 3], maps: resNet.slice(1) },
  'faster-rcnn': { stages: [0, 1, 2, 3], maps: resNet },
  'cascade-rcnn': { stages: [0, 1, 2, 3], maps: resNet },
  // 40, 112 and 320 channels at a quarter of their width
  efficientdet: { stages: [2, 3, 4], maps: [[8, 16], [4, 32], [2, 80]] }, // prettier-ignore
};

/** Layers of levels where no object is matched, and batch norm of two cells, whose gradients are next to nothing. */
const unmatched: Readonly<Record<ReusableName, RegExp>> = {
  ssd: /^extras|^head\.(classification\.3|regression\.[123])\./,
  retinanet: /fpn\.layer_blocks/,
  'faster-rcnn': /fpn\.layer_blocks/,
  'cascade-rcnn': /fpn\.layer_blocks/,
  efficientdet: /fnode\.3\.|box_net\.bn_rep/,
};

/** A step's graph takes seconds to make: one for each network that runs its trunk in a way of its own. */
const compiledNames: readonly ReusableName[] = ['ssd', 'faster-rcnn', 'efficientdet'];

async function reused(name: ReusableName, reuse: 'frozen' | 'fine-tuned'): Promise<Detector> {
  const detector = reusable(name);
  await reuseTrunk(detector, reuse, learn);
  return detector;
}

/** The trunk's variables by their names in the detector. */
function trunkNames({ model }: Detector): Set<string> {
  const own = new Set<unknown>(
    detectorTrunk(model)
      .namedVariables()
      .map(({ variable }) => variable),
  );
  return new Set(
    model
      .namedVariables()
      .filter(({ variable }) => own.has(variable))
      .map(({ name }) => name),
  );
}

describe.each(reusableNames)('%s on a frozen trunk', (name) => {
  let [frozen, open]: Detector[] = [];
  let inTrunk: ReadonlySet<string>;
  beforeAll(async () => {
    [frozen, open] = [await reused(name, 'frozen'), await reused(name, 'fine-tuned')];
    inTrunk = trunkNames(frozen);
  });
  afterAll(() => {
    frozen.model.dispose();
    open.model.dispose();
  });

  test('has the gradients of a trunk that is not frozen, and none of its own', () => {
    expect(inTrunk.size).toBeGreaterThan(20);
    const rest = frozen.model.parameters();
    expect(rest.filter((parameter) => inTrunk.has(parameter.name))).toEqual([]);
    const others = open.model.parameters().filter((parameter) => !inTrunk.has(parameter.name));
    expect(rest.map((parameter) => parameter.name)).toEqual(others.map((parameter) => parameter.name));
    const optimizer = new Sgd(rest);
    const size = optimizer.slots().reduce((sum, { variable }) => sum + variable.size, 0);
    expect(size).toBe(others.reduce((sum, { variable }) => sum + variable.size, 0));
    const slotOf = (slot: string): string => slot.replace(/\.momentum_buffer$/, '');
    expect(optimizer.slots().filter((slot) => inTrunk.has(slotOf(slot.name)))).toEqual([]);
    optimizer.dispose();

    const before = tf.memory().numTensors;
    const found = lossGradients(frozen);
    expect(tf.memory().numTensors).toBe(before);
    const thaw = freezeStatistics(detectorTrunk(open.model));
    const wanted = lossGradients(open, others);
    thaw();
    expect(found.loss).toBeCloseTo(wanted.loss, 5);
    for (const [parameter, gradient] of wanted.gradients) {
      expect(distance(found.gradients.get(parameter)!, gradient), parameter).toBeLessThan(1e-4);
    }
  });

  test('keeps nothing of the trunk but the maps that it takes', () => {
    const prefix = name.includes('rcnn') || name === 'retinanet' ? 'backbone.body' : 'backbone';
    const measure = (detector: Detector) => {
      const { layers } = detectorMemory(detector, { batch: 2, groundTruth: objects });
      const sum = (kept: typeof layers): number => kept.reduce((total, { bytes }) => total + bytes, 0);
      const ofTrunk = layers.filter(({ layer }) => layer === prefix || layer.startsWith(`${prefix}.`));
      const ofInput = layers.filter(({ layer }) => layer === '(input)');
      return { trunk: sum(ofTrunk), input: sum(ofInput), all: sum(layers) };
    };
    const [of, all] = [measure(frozen), measure(open)];
    const maps = tapped[name].maps.reduce((sum, [side, channels]) => sum + side * side * channels, 0);
    expect(of.trunk).toBe(2 * 4 * maps);
    expect(all.trunk).toBeGreaterThan(3 * of.trunk);
    // Nor the images; and the rest keeps what it does in any case.
    expect(all.input - of.input).toBe(2 * 4 * 64 * 64 * 3);
    expect(of.all - of.trunk - of.input).toBe(all.all - all.trunk - all.input);

    const measured = [frozen, open].map((detector) => liveBytes(() => lossGradients(detector)));
    const [less, more] = measured.map(({ before, peak }) => peak - before);
    expect(more - less).toBeGreaterThan((all.trunk - of.trunk) / 2);
    // The trunk's normalisation is not the batch's.
    const [one, other] = measured.map(({ result }) => result.loss);
    expect(Math.abs(one - other)).toBeGreaterThan(1e-3);
  });

  test('trains the rest and leaves the trunk as it was, compiled or not', async () => {
    const data = rectangles(4, { size: 64, side: [14, 14] });
    const pixels = { size: 64, batchSize: 2, mean: [110, 110, 110], std: [60, 60, 60] } as const;
    const before = snapshot(frozen.model);
    const run = async (compile: boolean): Promise<number[]> => {
      const random = new RandomStream(1);
      const { logs } = await trainDetector({
        detector: frozen,
        batches: endlessly(createLoader(data, { ...pixels, shuffle: 1 })),
        steps: 3,
        schedule: () => 0.002,
        random,
        compile,
      });
      random.dispose();
      const after = snapshot(frozen.model);
      const changed = (variable: string): boolean =>
        after.get(variable)!.some((value, i) => !Object.is(value, before.get(variable)![i]));
      expect([...inTrunk].filter(changed)).toEqual([]);
      const idle = [...after.keys()].filter((variable) => !inTrunk.has(variable) && !changed(variable));
      expect(idle.filter((variable) => !unmatched[name].test(variable))).toEqual([]);
      restore(frozen.model, before);
      return logs.map(({ loss }) => loss);
    };
    const tensors = tf.memory().numTensors;
    const eager = await run(false);
    expect(eager).toHaveLength(3);
    if (compiledNames.includes(name)) expect(distance(await run(true), eager)).toBeLessThan(1e-4);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test('has the same loss on maps that are given', () => {
    const detector = frozen;
    const trunk = detectorTrunk(detector.model);
    const stages = detectorTaps(detector.model);
    expect(stages).toEqual(tapped[name].stages);
    const wanted = lossGradients(detector);
    tf.tidy(() => {
      const all = trunk.forward(pictures(), inference);
      const maps = new Map(stages.map((stage) => [stage, all[stage]]));
      const blank = tf.zeros<tf.Rank.R4>([2, 64, 64, 3]);
      const found = lossGradients(detector, undefined, { trunkMaps: maps }, blank);
      expect(found.loss).toBeCloseTo(wanted.loss, 5);
      for (const [parameter, gradient] of wanted.gradients) {
        expect(distance(found.gradients.get(parameter)!, gradient), parameter).toBeLessThan(1e-4);
      }
      expect([...maps.values()].every(({ isDisposed }) => !isDisposed)).toBe(true);

      const [first, second] = stages;
      const missing = new Map([[first, maps.get(first)!]]);
      expect(() => lossGradients(detector, undefined, { trunkMaps: missing })).toThrow(
        `stage ${second} has ${trunk.channels[second]} channels, and no map is given for it, only for ${first}`,
      );
      const { shape } = maps.get(first)!;
      const wrong = new Map(maps).set(first, maps.get(second)!);
      expect(() => lossGradients(detector, undefined, { trunkMaps: wrong })).toThrow(
        new RegExp(
          `stage ${first} has ${shape[3]} channels, the map .* \\[${maps.get(second)!.shape.join(', ')}\\]`,
        ),
      );
    });
  });
});

describe('trunkMaps', () => {
  test('of a trunk that is trained notes its statistics, of a frozen one none', async () => {
    const detector = reusable('ssd');
    const trunk = detectorTrunk(detector.model);
    const collect = (): number => {
      const statistics: Parameters<typeof trunkMaps>[2]['statistics'] = [];
      tf.tidy(() => void trunkMaps(trunk, pictures(), { training: true, statistics }, [3]));
      statistics.forEach(({ mean, variance }) => tf.dispose([mean, variance]));
      return statistics.length;
    };
    const before = tf.memory().numTensors;
    expect(collect()).toBe(20);
    await reuseTrunk(detector, 'frozen', () => undefined);
    expect(collect()).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
    expect(() =>
      trunkMaps(trunk, tf.zeros([1, 64, 64, 3]), { training: true, trunkMaps: new Map() }, [3]),
    ).toThrow('only for none');
    detector.model.dispose();
  });
});

test('a frozen trunk drops nothing in training and needs no random numbers', () => {
  const trunk = new EfficientNet({ width: 0.25, depth: 0.3, stochasticDepth: 0.5 }, createRandom(1));
  const x = pictures();
  const draw = (): tf.Tensor4D[] => trunkMaps(trunk, x, { training: true }, [4]);
  expect(() => tf.tidy(draw)).toThrow(/StochasticDepth: .*random/);
  freezeModule(trunk);
  tf.tidy(() => {
    const [map] = draw();
    expect(distance(map.dataSync(), trunk.forward(x, inference)[4].dataSync())).toBe(0);
  });
  x.dispose();
  trunk.dispose();
});

describe('reuseTrunk', () => {
  test.each(['fine-tuned', 'scratch'] as const)('%s: all of the network is trained', async (reuse) => {
    const detector = reusable('retinanet');
    const first = snapshot(detectorTrunk(detector.model));
    const load = vi.fn(learn);
    const trunk = await reuseTrunk(detector, reuse, load);
    expect(trunk).toBe(detectorTrunk(detector.model));
    expect(load.mock.calls).toEqual(reuse === 'scratch' ? [] : [[trunk]]);
    const weights = snapshot(trunk).get('conv1.weight')!;
    expect(distance(weights, first.get('conv1.weight')!) === 0).toBe(reuse === 'scratch');
    expect(isFrozen(trunk)).toBe(false);
    const { gradients } = lossGradients(detector);
    expect(gradients.size).toBe(detector.model.parameters().length);
    for (const parameter of trunkNames(detector)) {
      if (/running/.test(parameter)) continue;
      expect(
        gradients.get(parameter)!.some((value) => value !== 0),
        parameter,
      ).toBe(true);
    }
    detector.model.dispose();
  });

  test('waits for what is loaded, and freezes it after that', async () => {
    const detector = reusable('ssd');
    const trunk = await reuseTrunk(detector, 'frozen', async (loading) => {
      await Promise.resolve();
      expect(isFrozen(loading)).toBe(false);
      learn(loading);
    });
    expect(isFrozen(trunk)).toBe(true);
    expect(trunk.namedVariables().length).toBe(trunk.buffers().length);
    detector.model.dispose();
  });

  test('says what is wrong', async () => {
    const detector = reusable('ssd');
    await expect(reuseTrunk(detector, 'thawed' as 'frozen', learn)).rejects.toThrow(
      'there is no "thawed"; there are frozen, fine-tuned, scratch',
    );
    const broken = (): never => {
      throw new Error('no such file');
    };
    await expect(reuseTrunk(detector, 'frozen', broken)).rejects.toThrow('no such file');
    expect(isFrozen(detectorTrunk(detector.model))).toBe(false);
    detector.model.dispose();

    const model = new Linear({ inFeatures: 2, outFeatures: 2 }, createRandom(1));
    await expect(reuseTrunk({ model }, 'scratch', learn)).rejects.toThrow(/Linear has no trunk .*`backbone`/);
    expect(() => detectorTaps(model)).toThrow(/Linear does not say which stages/);
    model.dispose();
  });
});
