/** Graph necks in the pyramid's place, under RetinaNet and Faster R-CNN; and nodes with a plain convolution against plain numbers. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  BackboneWithFpn,
  biFpn,
  createFasterRcnnDetector,
  createRandom,
  createRetinaNetDetector,
  type Detector,
  FasterRcnn,
  FeaturePyramid,
  GraphNeck,
  type GraphNeckConfig,
  inference,
  nasFpn,
  type NeckGraph,
  ResNet,
  resNet18,
  RetinaNet,
  tf,
  useBackend,
} from 'detlab';
import { expectClose, expectNoLeak, normals } from '../../tensor/kernels/backends';
import { learn, lossGradients, objects } from '../reused';

beforeAll(() => useBackend());

const widths = [4, 6, 8, 10];
const channels = 12;
const backbone = (random: ReturnType<typeof createRandom>): ResNet =>
  new ResNet({ ...resNet18, widths, blocks: [1, 1, 1, 1] }, random);
const inputSize = { width: 128, height: 96 };
const necks: Readonly<Record<string, GraphNeckConfig>> = {
  BiFPN: { graph: biFpn(), cells: 2, redundantBias: false },
  'NAS-FPN': { graph: nasFpn(), cells: 2, fusion: 'sum', convolution: 'plain', redundantBias: false },
};
/** Rows and columns at strides 8 to 128. */
const sizes = [[12, 16], [6, 8], [3, 4], [2, 2], [1, 1]]; // prettier-ignore

const detectors: Readonly<
  Record<string, (neck: GraphNeckConfig) => Detector & { model: RetinaNet | FasterRcnn }>
> = {
  RetinaNet: (neck) => {
    const config = {
      backbone,
      taps: [1, 2, 3],
      outChannels: channels,
      neck,
      depth: 1,
      classes: 2,
      anchorsPerCell: 3,
    };
    const model = new RetinaNet(config, createRandom(1));
    return createRetinaNetDetector(model, { inputSize, sizes: [[16], [32], [64], [96], [128]] });
  },
  'Faster R-CNN': (neck) => {
    const model = new FasterRcnn(
      {
        backbone,
        taps: [1, 2, 3],
        outChannels: channels,
        neck,
        classes: 2,
        anchorSizes: [[16], [32], [64], [96], [128]],
        proposals: { training: { preNmsTop: 100, postNmsTop: 40 } },
        pooling: { canonicalSize: 64, outputSize: 3 },
        features: 16,
      },
      createRandom(1),
    );
    return createFasterRcnnDetector(model, { inputSize, maxObjects: 4 });
  },
};

/** Seeded, so that maps of one cell differ between the images. */
function images(): tf.Tensor4D {
  return tf.randomUniform<tf.Rank.R4>([2, inputSize.height, inputSize.width, 3], -2, 2, 'float32', 5);
}

describe.each(Object.entries(detectors))('%s', (_, build) => {
  test.each(Object.entries(necks))(
    'on %s: maps of all levels, and gradients of all parameters',
    (__, neck) => {
      const detector = build(neck);
      learn(detector.model);
      const { backbone: pyramid } = detector.model;
      expect(pyramid.fpn).toBeInstanceOf(GraphNeck);
      expect(pyramid.fpn.outChannels).toBe(channels);
      expect(pyramid.mapSizes(inputSize)).toEqual(sizes);
      const x = images();
      expectNoLeak(() => {
        const maps = pyramid.forward(x, inference);
        expect(maps.map(({ shape }) => shape)).toEqual(sizes.map((size) => [2, ...size, channels]));
        tf.dispose(maps);
      });
      const { loss, gradients } = lossGradients(detector, undefined, {}, x);
      expect(loss).toBeGreaterThan(0);
      expect([...gradients.values()].every((values) => values.every(Number.isFinite))).toBe(true);
      const still = [...gradients].filter(([, values]) => values.every((value) => value === 0));
      expect(still.map(([name]) => name)).toEqual([]);
      x.dispose();
      detector.model.dispose();
    },
  );
});

test('finds objects with the regions of the levels that the trunk has', async () => {
  const detector = detectors['Faster R-CNN'](necks.BiFPN);
  const x = images();
  const found = await detector.detect(x, { scoreThreshold: 0, maxOutput: 3 });
  expect(found).toHaveLength(objects.length);
  x.dispose();
  detector.model.dispose();
});

describe('BackboneWithFpn', () => {
  const neckOf = (neck: GraphNeckConfig): number => {
    const options = { backbone, taps: [1, 2, 3], outChannels: channels, neck };
    const net = new BackboneWithFpn(options, createRandom(1));
    const count = net.fpn.parameterCount();
    net.dispose();
    return count;
  };
  /** 1x1 convolutions and their batch norms, without a bias: so many of each tap's map. */
  const laterals = (...uses: readonly number[]): number =>
    uses.reduce((sum, count, i) => sum + count * (widths[i + 1] * channels + 2 * channels), 0);
  const norm = 2 * channels;

  test('has the parameters that its graph asks for', () => {
    // Eight nodes with 19 inputs a cell. The first cell brings P3 to its channels once, P4 and P5 twice; P6 is made of P5, too.
    const [separable, plain] = [9 * channels + channels ** 2, 9 * channels ** 2];
    const biFpnOf = (conv: number): number => 2 * (8 * (conv + norm) + 19) + laterals(1, 2, 2 + 1);
    expect(neckOf(necks.BiFPN)).toBe(biFpnOf(separable));
    expect(neckOf({ ...necks.BiFPN, convolution: 'plain' })).toBe(biFpnOf(plain));
    expect(neckOf({ ...necks.BiFPN, convolution: 'separable' })).toBe(biFpnOf(separable));
    // Seven nodes; P3 is used once, P4 twice, P5 once and for P6. Sums and attention have no weights.
    expect(neckOf(necks['NAS-FPN'])).toBe(2 * 7 * (plain + norm) + laterals(1, 2, 1 + 1));
    // A bias more for every convolution before a batch norm.
    expect(neckOf({ ...necks['NAS-FPN'], redundantBias: true }) - neckOf(necks['NAS-FPN'])).toBe(
      (2 * 7 + 5) * channels,
    );
  });

  test('is a pyramid where no other network is asked for', () => {
    const net = new BackboneWithFpn({ backbone, outChannels: channels }, createRandom(1));
    expect(net.fpn).toBeInstanceOf(FeaturePyramid);
    expect(net.taps).toEqual([0, 1, 2, 3]);
    net.dispose();
    const wide = new BackboneWithFpn({ backbone, taps: [1, 2, 3], neck: { cells: 1 } }, createRandom(1));
    expect(wide.fpn.outChannels).toBe(256);
    wide.dispose();
  });

  test('says where graph and taps do not go together', () => {
    const make = (neck: GraphNeckConfig) => () =>
      new BackboneWithFpn({ backbone, outChannels: channels, neck }, createRandom(1));
    expect(make({ cells: 1, graph: biFpn(3, 5) })).toThrow(/4 maps for the levels 3 to 5/);
    expect(make({ cells: 0 })).toThrow('cells is 0');
  });
});

test('a node with a plain convolution is what its numbers say', () => {
  const graph: NeckGraph = {
    name: 'one node',
    minLevel: 3,
    maxLevel: 4,
    nodes: [{ name: 'P3 out', level: 3, inputs: ['P3', 'P4'] }],
    outputs: ['P3 out', 'P4'],
  };
  const [side, width, epsilon] = [4, 3, 1e-3];
  const options = { inChannels: [width, width], channels: width, cells: 1, graph, fusion: 'sum' } as const;
  const neck = new GraphNeck({ ...options, convolution: 'plain' }, createRandom(1));
  expect(neck.parameterCount()).toBe(9 * width * width + width + 2 * width);
  learn(neck);
  const values = Object.fromEntries(
    neck
      .namedVariables()
      .map(({ name, variable }) => [name.split('after_combine.conv.')[1], [...variable.dataSync()]]),
  );
  const fine = normals(side * side * width, 1);
  const coarse = normals((side / 2) ** 2 * width, 2);
  const cells = [...Array(side).keys()];
  const fused = (y: number, x: number, c: number): number => {
    if (!(y in cells && x in cells)) return 0;
    const above = coarse[((y >> 1) * (side / 2) + (x >> 1)) * width + c];
    const sum = fine[(y * side + x) * width + c] + above;
    return sum / (1 + Math.exp(-sum));
  };
  const taps = [-1, 0, 1];
  const wanted = cells.flatMap((y) =>
    cells.flatMap((x) =>
      values['bn.weight'].map((scale, out) => {
        let sum = values['conv.bias'][out];
        for (const dy of taps) {
          for (const dx of taps) {
            for (let c = 0; c < width; c++) {
              const at = (((dy + 1) * 3 + dx + 1) * width + c) * width + out;
              sum += values['conv.weight'][at] * fused(y + dy, x + dx, c);
            }
          }
        }
        const deviation = Math.sqrt(values['bn.running_var'][out] + epsilon);
        return ((sum - values['bn.running_mean'][out]) / deviation) * scale + values['bn.bias'][out];
      }),
    ),
  );
  tf.tidy(() => {
    const maps = [
      tf.tensor4d(fine, [1, side, side, width]),
      tf.tensor4d(coarse, [1, side / 2, side / 2, width]),
    ];
    const [output] = neck.forward(maps, inference);
    expectClose(output.dataSync(), wanted, 1e-5, 'P3 out');
  });
  neck.dispose();
});
