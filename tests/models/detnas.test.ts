/** The networks of DetNAS's space: costs against the authors' table, and the space itself. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Architecture,
  Classifier,
  createRandom,
  detNasCosts,
  DetNasNet,
  detNasReleases,
  detNasSizes,
  detNasSpace,
  formatArchitecture,
  inference,
  parseArchitecture,
  pathCost,
  pathCostRange,
  spaceSize,
  summarize,
  tf,
  uniformArchitecture,
  useBackend,
  zeroRandom,
} from 'detlab';

beforeAll(async () => {
  await useBackend();
});

const { small, large } = detNasSizes;
const releaseOf = (name: string): Architecture =>
  detNasReleases.find((one) => one.name === name)!.architecture;

/** Millions: multiply-adds and parameters of the trunk, then multiply-adds with the classifier of 1000 classes, as counted by others. */
const published: [keyof typeof detNasSizes, string, Architecture, number[]][] = [
  ['small', 'COCO-FPN-300M', releaseOf('COCO-FPN-300M'), [288.1, 1.85, 321.2]],
  ['small', 'COCO-RetinaNet-300M', releaseOf('COCO-RetinaNet-300M'), [291.2, 2.04, 324.3]],
  ['small', 'VOC-FPN-300M', releaseOf('VOC-FPN-300M'), [316.4, 1.97, 349.5]],
  ['small', 'VOC-RetinaNet-300M', releaseOf('VOC-RetinaNet-300M'), [327.5, 1.8, 360.6]],
  ['large', 'COCO-FPN-1.3G', releaseOf('COCO-FPN-1.3G'), [1269.2, 8.42, 1318.4]],
  ['x1.8', 'COCO-FPN-3.8G', releaseOf('COCO-FPN-3.8G'), [3937.8, 26.72, 4085.9]],
  ['small', 'all 3x3', uniformArchitecture(small, 0), [262.7, 1.47, 295.8]],
  ['large', 'all 3x3', uniformArchitecture(large, 0), [1036.7, 6.24, 1085.9]],
  ['small', 'all like Xception', uniformArchitecture(small, 3), [325.7, 2.19, 358.8]],
];

describe('costs at 224 pixels', () => {
  test.each(published)('%s, %s', (size, _, architecture, [adds, numbers, allAdds]) => {
    const config = detNasSizes[size];
    const costs = pathCost(detNasCosts(config), architecture);
    expect(costs.multiplyAdds / 1e6).toBeCloseTo(adds, 1);
    expect(costs.parameters / 1e6).toBeCloseTo(numbers, 2);

    const trunk = new DetNasNet(config, architecture, zeroRandom);
    const conv = { channels: config.last, activation: 'relu' } as const;
    const classifier = new Classifier(trunk, { classes: 1000, conv }, zeroRandom);
    const whole = summarize(classifier, [224, 224, 3]);
    expect(whole.multiplyAdds / 1e6).toBeCloseTo(allAdds, 1);
    // The sum over blocks is the network's own count, to the unit.
    expect(pathCost(detNasCosts(config, 96), architecture)).toEqual({
      multiplyAdds: summarize(trunk, [96, 96, 3]).multiplyAdds,
      parameters: summarize(trunk, [96, 96, 3]).parameters,
    });
    classifier.dispose();
  });

  test.each(detNasReleases.filter(({ parameters }) => parameters !== undefined))(
    'the published parameters of $name',
    ({ name, size, architecture, parameters }) => {
      // What was published of the 3.8G network fits 1024 channels before its classifier, not the released code's 1728.
      const config = { ...detNasSizes[size], last: 1024 };
      const conv = { channels: config.last, activation: 'relu' } as const;
      const trunk = new DetNasNet(config, architecture, zeroRandom);
      const classifier = new Classifier(trunk, { classes: 1000, conv }, zeroRandom);
      expect(classifier.parameterCount() / 1e6, name).toBeCloseTo(parameters!.value!, 1);
      classifier.dispose();
    },
  );

  test('no architecture costs less than the least or more than the most', () => {
    const costs = detNasCosts(small, 64);
    const { least, most } = pathCostRange(costs);
    const random = createRandom(1);
    for (let i = 0; i < 200; i++) {
      const { multiplyAdds, parameters } = pathCost(
        costs,
        costs.space.choices.map((count) => random.integer(count)),
      );
      expect(multiplyAdds).toBeGreaterThanOrEqual(least.multiplyAdds);
      expect(multiplyAdds).toBeLessThanOrEqual(most.multiplyAdds);
      expect(parameters).toBeGreaterThanOrEqual(least.parameters);
      expect(parameters).toBeLessThanOrEqual(most.parameters);
    }
    const cheapest = costs.blocks.map((choices) => {
      const adds = choices.map(({ multiplyAdds }) => multiplyAdds);
      return adds.indexOf(Math.min(...adds));
    });
    expect(pathCost(costs, cheapest).multiplyAdds).toBe(least.multiplyAdds);
  });
});

describe('the networks', () => {
  test('maps are as announced, for even and odd sizes', () => {
    const net = new DetNasNet(
      { stem: 4, widths: [8, 12, 16, 24], blocks: [1, 2, 1, 1], last: 8 },
      [0, 1, 2, 3, 1],
      createRandom(1),
    );
    for (const side of [64, 97]) {
      const maps = net.forward(tf.randomNormal([2, side, side, 3], 0, 1, 'float32', 1), inference);
      expect(maps.map(({ shape }) => shape)).toEqual(
        net.mapSizes(side).map((cells, i) => [2, cells, cells, net.channels[i]]),
      );
      tf.dispose(maps);
    }
    net.dispose();
  });

  test('refuses an architecture of another space, naming the block', () => {
    expect(() => new DetNasNet(small, [0, 1], zeroRandom)).toThrow(/2 blocks; the space has 20/);
    const wrong = [...uniformArchitecture(small, 0)];
    wrong[7] = 4;
    expect(() => new DetNasNet(small, wrong, zeroRandom)).toThrow(
      /block 7 has choice 4; it has choices 0 to 3/,
    );
    expect(() => detNasCosts({ ...small, widths: [64, 160] })).toThrow(/2 widths for 4 stages/);
  });
});

describe('the space', () => {
  test('has 4^20 and 4^40 architectures', () => {
    expect(spaceSize(detNasSpace(small))).toBe(1_099_511_627_776n);
    expect(spaceSize(detNasSpace(large))).toBe(4n ** 40n);
  });

  test('architectures are read as they are written', () => {
    const space = detNasSpace(small);
    const { architecture } = detNasReleases[0];
    expect(formatArchitecture(architecture, space)).toBe('2120 2112 33130031 3132');
    expect(parseArchitecture('21202112331300313132', space)).toEqual(architecture);
    expect(parseArchitecture('2,1,2,0 2,1,1,2 3,3,1,3,0,0,3,1 3,1,3,2', space)).toEqual(architecture);
    const wide = { choices: [12, 3], stages: [1, 1] };
    expect(formatArchitecture([11, 2], wide)).toBe('11 2');
    expect(parseArchitecture('11 2', wide)).toEqual([11, 2]);
    expect(() => parseArchitecture('2120 2112 33130031 313x', space)).toThrow(/block 19 has choice NaN/);
    expect(() => parseArchitecture('212', space)).toThrow(/'212'.*3 blocks; the space has 20/);
  });
});
