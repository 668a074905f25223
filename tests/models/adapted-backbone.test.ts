/** Trunks with adapters in them: at first their own maps, then a way back to the adapters that leaves the rest alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  activationMemory,
  AdaptedBackbone,
  type ChainedBackbone,
  createLoader,
  createRandom,
  createSsdDetector,
  type Detector,
  detectorTaps,
  detectorTrunk,
  EfficientNet,
  endlessly,
  type ForwardContext,
  freezeModule,
  gridAnchors,
  inference,
  isFrozen,
  type LayerMemory,
  Module,
  reuseTrunk,
  ResNet,
  resNet18,
  Ssd,
  tf,
  trainDetector,
  useBackend,
} from 'detlab';
import { rectangles } from './rectangles';
import { distance, freezeStatistics, learn, pictures, snapshot } from './reused';

beforeAll(() => useBackend());

const widths = [4, 6, 8];
const resNet = (): ResNet => new ResNet({ ...resNet18, widths, blocks: [1, 2, 1] }, createRandom(1));

/** Each with stochastic depth, where it has any, and without. */
const trunks: Readonly<Record<string, (stochasticDepth: number) => ChainedBackbone>> = {
  ResNet: resNet,
  EfficientNet: (stochasticDepth) =>
    new EfficientNet({ width: 0.25, depth: 0.3, stochasticDepth }, createRandom(1)),
  'EfficientNet-Lite': (stochasticDepth) =>
    new EfficientNet(
      { width: 0.25, depth: 0.5, fixedEnds: true, activation: 'relu6', squeezeRatio: 0, stochasticDepth },
      createRandom(1),
    ),
};

/** Adapters as after some training. */
function bend(net: AdaptedBackbone): void {
  net.adapters.forEach(learnAll);
}

function learnAll(adapter: AdaptedBackbone['adapters'][number], stage: number): void {
  const random = createRandom(`adapter ${stage}`);
  for (const { variable } of adapter.namedVariables()) {
    const values = tf.tensor(
      Float32Array.from({ length: variable.size }, () => 0.3 * random.normal()),
      variable.shape,
    );
    variable.assign(values);
    values.dispose();
  }
}

describe.each(Object.entries(trunks))('%s', (_, build) => {
  let trunk: ChainedBackbone;
  let net: AdaptedBackbone;
  let x: tf.Tensor4D;
  beforeAll(() => {
    // There are no random numbers for it in what follows: what is frozen runs as in inference.
    trunk = build(0.2);
    learn(trunk);
    net = new AdaptedBackbone(trunk, {}, createRandom(2));
    x = pictures();
  });
  afterAll(() => {
    tf.dispose(x);
    net.dispose();
  });

  test('gives the trunk’s own maps at first, frozen or not', () => {
    expect(net.channels).toEqual(trunk.channels);
    expect(net.mapSizes(64)).toEqual(trunk.mapSizes(64));
    expect(net.adapters.map(({ down }) => down.weight.shape[3])).toEqual(
      trunk.channels.map((channels) => Math.round(channels / 4)),
    );
    const same = (context: ForwardContext, own: ForwardContext): void =>
      tf.tidy(() => {
        const wanted = trunk.forward(x, own);
        const found = net.forward(x, context);
        expect(found.map(({ shape }) => shape)).toEqual(wanted.map(({ shape }) => shape));
        found.forEach((map, i) => {
          expect(map.shape).toEqual([2, net.mapSizes(64)[i], net.mapSizes(64)[i], net.channels[i]]);
          expect(distance(map.dataSync(), wanted[i].dataSync()), `stage ${i}`).toBe(0);
        });
      });
    const before = tf.memory().numTensors;
    same(inference, inference);
    freezeModule(trunk);
    same({ training: true }, inference);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('its chains are all of its layers, in their order', () => {
    const chained = trunk
      .chains()
      .flat()
      .flatMap((layer) => (layer instanceof Module ? layer.namedVariables() : []))
      .map(({ variable }) => variable);
    const own = trunk.namedVariables().map(({ variable }) => variable);
    // But for the first chain's stem, a convolution and a batch norm.
    expect(chained).toEqual(own.slice(own.length - chained.length));
    expect(own.length - chained.length).toBe(5);
    expect(trunk.chains()).toHaveLength(trunk.channels.length);
  });

  test('frozen, adapters of all stages have the gradients of a trunk that is not', () => {
    freezeModule(trunk);
    bend(net);
    const parameters = net.parameters();
    const inAdapters = net.adapters.flatMap((adapter) => adapter.namedVariables());
    expect(parameters.map(({ variable }) => variable)).toEqual(inAdapters.map(({ variable }) => variable));
    const gradients = (of: AdaptedBackbone): Float32Array[] =>
      tf.tidy(() => {
        const own = of.adapters.flatMap((adapter) => adapter.namedVariables());
        // The last map alone: the first adapters are reached through the frozen stages.
        const { grads } = tf.variableGrads(
          () => of.forward(x, { training: true })[of.channels.length - 1].square().mean(),
          own.map(({ variable }) => variable),
        );
        return own.map(({ variable }) => grads[variable.name].dataSync<'float32'>().slice());
      });
    const before = tf.memory().numTensors;
    const found = gradients(net);
    expect(tf.memory().numTensors).toBe(before);

    const open = build(0);
    learn(open);
    freezeStatistics(open);
    const other = new AdaptedBackbone(open, {}, createRandom(2));
    bend(other);
    const wanted = gradients(other);
    parameters.forEach(({ name }, i) => {
      expect(Math.max(...wanted[i].map(Math.abs)), name).toBeGreaterThan(0);
      expect(distance(found[i], wanted[i]), name).toBeLessThan(1e-4);
    });
    other.dispose();
  });
});

describe('AdaptedBackbone', () => {
  test('frozen, keeps nothing of its first stage but the map that the adapter learns from', () => {
    const net = new AdaptedBackbone(resNet(), {}, createRandom(2));
    freezeModule(net.trunk);
    bend(net);
    const x = pictures();
    const rows = activationMemory(net, (context) => net.forward(x, context));
    const of = (pattern: RegExp, kept: readonly LayerMemory[] = rows): number =>
      kept.filter(({ layer }) => pattern.test(layer)).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(of(/^trunk\.(conv1|bn1|layer1)|^\(input\)/)).toBe(4 * 2 * 16 * 16 * widths[0]);
    expect(of(/^trunk\.layer1\.0$/)).toBe(4 * 2 * 16 * 16 * widths[0]);
    // What is trained as a whole keeps the images, too, and the inputs of its layers.
    const open = new AdaptedBackbone(resNet(), {}, createRandom(2));
    freezeStatistics(open.trunk);
    const all = activationMemory(open, (context) => open.forward(x, context));
    expect(of(/^\(input\)/, all)).toBe(4 * x.size);
    expect(of(/^trunk\.layer1/, all)).toBeGreaterThan(2 * of(/^trunk\.layer1/));
    expect(of(/^trunk\.layer[23]/, all)).toBeGreaterThan(2 * of(/^trunk\.layer[23]/));
    // Nor more than with batch norm that is trained.
    const plain = new AdaptedBackbone(resNet(), {}, createRandom(2));
    const trained = activationMemory(plain, (context) => plain.forward(x, context));
    expect(of(/^trunk\.layer[23]/)).toBeLessThan(of(/^trunk\.layer[23]/, trained));
    x.dispose();
    [net, open, plain].forEach((module) => module.dispose());
  });

  test('all of it is trained where the trunk is not frozen', () => {
    const net = new AdaptedBackbone(resNet(), { ratio: 1 }, createRandom(2));
    expect(net.adapters.map(({ down }) => down.weight.shape[3])).toEqual(widths);
    bend(net);
    const x = pictures();
    const { value, grads } = tf.variableGrads(() => net.forward(x, { training: true })[2].square().mean());
    expect(Object.keys(grads).length).toBeGreaterThanOrEqual(net.parameters().length);
    for (const { name, variable } of net.parameters()) {
      expect(
        tf.tidy(() => grads[variable.name].abs().max().dataSync()[0]),
        name,
      ).toBeGreaterThan(0);
    }
    tf.dispose([x, value, grads]);
    net.dispose();
  });

  test.each([0, -1, NaN, Infinity])('no ratio: %s', (ratio) => {
    const trunk = resNet();
    expect(() => new AdaptedBackbone(trunk, { ratio }, createRandom(1))).toThrow(
      `AdaptedBackbone: ratio is ${ratio}; give a share of the channels above 0`,
    );
    trunk.dispose();
  });

  test('in a detector whose trunk is reused: the adapters and the rest are trained, the trunk is not', async () => {
    const build = (): Detector => {
      const model = new Ssd(
        {
          inputSize: 64,
          backbone: (random) => new AdaptedBackbone(resNet(), {}, random),
          taps: [1, 2],
          extras: [{ squeeze: 4, channels: 8, stride: 2, padding: 1 }],
          anchorsPerCell: [2, 2, 2],
          classes: 2,
          batchNorm: { backbone: false, head: false },
        },
        createRandom(4),
      );
      const maps = model.mapSizes().map((side): [number, number] => [side, side]);
      const sizes = [14, 20, 32, 48];
      return createSsdDetector(
        model,
        gridAnchors({ imageWidth: 64, imageHeight: 64, maps, sizes, ratios: [] }),
      );
    };
    const data = rectangles(4, { size: 64, side: [14, 14] });
    const pixels = { size: 64, batchSize: 2, mean: [110, 110, 110], std: [60, 60, 60] } as const;
    const losses: number[][] = [];
    for (const compile of [false, true]) {
      const detector = build();
      const trunk = await reuseTrunk(detector, 'frozen', learn);
      const adapted = detectorTrunk(detector.model) as AdaptedBackbone;
      expect(adapted).toBeInstanceOf(AdaptedBackbone);
      expect(trunk).toBe(adapted.trunk);
      expect([isFrozen(trunk), isFrozen(adapted)]).toEqual([true, false]);
      expect(detectorTaps(detector.model)).toEqual([1, 2]);
      const before = snapshot(detector.model);
      const { logs } = await trainDetector({
        detector,
        batches: endlessly(createLoader(data, { ...pixels, shuffle: 1 })),
        steps: 3,
        schedule: () => 0.01,
        compile,
      });
      for (const [name, values] of snapshot(detector.model)) {
        // A level that no object is matched on has nothing to regress.
        if (name.startsWith('head.regression')) continue;
        const same = values.every((value, i) => Object.is(value, before.get(name)![i]));
        expect(same, name).toBe(name.startsWith('backbone.trunk.'));
      }
      losses.push(logs.map(({ loss }) => loss));
      detector.model.dispose();
    }
    expect(distance(losses[1], losses[0])).toBeLessThan(1e-4);
  });
});
