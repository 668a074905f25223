/** Feature networks against effdet's (`tests/reference/efficientdet.py`, in float64), and their parts against scalar loops. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createRandom,
  fuseMaps,
  type FusionMethod,
  fusionWeights,
  GraphNeck,
  type GraphNeckOptions,
  inference,
  loadStateDict,
  type NeckGraph,
  neckGraphs,
  normalizedWeights,
  attendMaps,
  resizeMap,
  tf,
  useBackend,
} from 'detlab';
import { backends, expectClose, normals, on, randomTensor } from '../../tensor/kernels/backends';
import { expectPart, type PartCase } from './part-case';

const { necks } = JSON.parse(
  readFileSync(path.join(__dirname, '..', 'fixtures', 'efficientdet.json'), 'utf8'),
) as { necks: Record<string, PartCase> };

const options: Record<string, Partial<GraphNeckOptions>> = {
  fast: { cells: 2 },
  softmax: { fusion: 'softmax' },
  'sum, P3 to P8, symmetric, no bias': {
    graph: neckGraphs.bifpn(3, 8),
    fusion: 'sum',
    padding: 'symmetric',
    redundantBias: false,
  },
  // one of its maps has the network's channels: no lateral convolution
  PANet: { graph: neckGraphs.panet(3, 7) },
};

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test.each(Object.keys(necks))('as effdet: %s', (name) => {
    const wanted = necks[name];
    const inChannels = wanted.inputs.map(([, , , channels]) => channels);
    const neck = new GraphNeck({ inChannels, channels: 4, cells: 1, ...options[name] }, createRandom(1));
    expectPart(neck, (maps, context) => neck.forward(maps, context), wanted);
    neck.dispose();
  });
});

describe('fusion', () => {
  beforeAll(() => useBackend());

  const shape: [number, number, number, number] = [2, 3, 2, 4];
  const maps = [1, 2, 3].map((seed) =>
    Array.from(
      normals(
        shape.reduce((product, side) => product * side),
        seed,
      ),
    ),
  );
  const tensors = (): tf.Tensor4D[] => maps.map((map) => tf.tensor4d(map, shape));

  /** The definitions, with one weight below 0. */
  const weights = [0.8, -0.5, 1.7];
  const positive = weights.map((weight) => Math.max(weight, 0));
  const exponentials = weights.map((weight) => Math.exp(weight));
  const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
  const shares: Record<FusionMethod, number[]> = {
    fast: positive.map((weight) => weight / (total(positive) + 1e-4)),
    softmax: exponentials.map((weight) => weight / total(exponentials)),
    sum: [1, 1, 1],
  };

  test.each(['fast', 'softmax', 'sum'] as const)('%s', (method) => {
    tf.tidy(() => {
      const learned = method === 'sum' ? undefined : tf.tensor1d(weights);
      const wanted = maps[0].map((_, i) => total(maps.map((map, k) => shares[method][k] * map[i])));
      expectClose(fuseMaps(tensors(), learned, method).dataSync(), wanted, 1e-6, method);
      if (method !== 'sum') {
        expectClose(
          normalizedWeights(tf.tensor1d(weights), method).dataSync(),
          shares[method],
          1e-6,
          'shares',
        );
      }
    });
  });

  test.each(['fast', 'softmax'] as const)(
    '%s: the weights’ gradient is that of finite differences',
    (method) => {
      const loss = (given: number[]): number => {
        const raw = method === 'fast' ? given.map((weight) => Math.max(weight, 0)) : given.map(Math.exp);
        const sum = total(raw) + (method === 'fast' ? 1e-4 : 0);
        return total(
          maps[0].map((_, i) => Math.sin(i) * total(maps.map((map, k) => (raw[k] / sum) * map[i]))),
        );
      };
      const wanted = weights.map((_, k) => {
        const moved = (by: number): number[] => weights.map((weight, i) => (i === k ? weight + by : weight));
        return (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5;
      });
      tf.tidy(() => {
        const upstream = tf.tensor4d(
          maps[0].map((_, i) => Math.sin(i)),
          shape,
        );
        const gradient = tf.grad((learned) =>
          tf.sum(tf.mul(fuseMaps(tensors(), learned as tf.Tensor1D, method), upstream)),
        )(tf.tensor1d(weights));
        expectClose(gradient.dataSync(), wanted, 1e-4, method);
      });
    },
  );

  test('attention adds the second map as far as the first is awake, and the rest as it is', () => {
    const [batch, rows, columns, channels] = shape;
    const wanted = maps[0].map((value, i) => {
      const [image, channel] = [Math.floor(i / (rows * columns * channels)), i % channels];
      let highest = -Infinity;
      for (let cell = 0; cell < rows * columns; cell++) {
        highest = Math.max(highest, maps[0][(image * rows * columns + cell) * channels + channel]);
      }
      return value + maps[1][i] / (1 + Math.exp(-highest)) + maps[2][i];
    });
    expect(batch).toBe(2);
    tf.tidy(() => expectClose(attendMaps(tensors()).dataSync(), wanted, 1e-6, 'attention'));
  });
});

describe('resizeMap', () => {
  beforeAll(() => useBackend());

  function pooled(
    x: number[][],
    stride: number,
    before: number,
    [rows, columns]: [number, number],
  ): number[][] {
    return Array.from({ length: rows }, (_, i) =>
      Array.from({ length: columns }, (_, j) => {
        let best = -Infinity;
        for (let a = 0; a <= stride; a++) {
          for (let b = 0; b <= stride; b++) {
            best = Math.max(best, x[i * stride + a - before]?.[j * stride + b - before] ?? -Infinity);
          }
        }
        return best;
      }),
    );
  }

  const map = (rows: number, columns: number): number[][] => {
    const values = normals(rows * columns, rows);
    return Array.from({ length: rows }, (_, i) => [...values.slice(i * columns, (i + 1) * columns)]);
  };
  const run = (x: number[][], size: [number, number], padding?: 'same' | 'symmetric'): number[] =>
    tf.tidy(() => {
      const tensor = tf.tensor4d(x.flat(), [1, x.length, x[0].length, 1]);
      const y = resizeMap(tensor, size, padding);
      expect(y.shape.slice(1, 3)).toEqual(size);
      return [...y.dataSync()];
    });

  // an even side is padded after its end, an odd one on both sides
  test('halves by windows of 3, quarters by windows of 5', () => {
    const even = map(6, 8);
    expect(run(even, [3, 4])).toEqual(pooled(even, 2, 0, [3, 4]).flat());
    expect(run(even, [3, 4], 'symmetric')).toEqual(pooled(even, 2, 1, [3, 4]).flat());
    const odd = map(5, 7);
    expect(run(odd, [3, 4])).toEqual(pooled(odd, 2, 1, [3, 4]).flat());
    expect(run(odd, [3, 4], 'symmetric')).toEqual(pooled(odd, 2, 1, [3, 4]).flat());
    const large = map(8, 12);
    expect(run(large, [2, 3])).toEqual(pooled(large, 4, 0, [2, 3]).flat());
  });

  test('enlarges by nearest neighbours, also to odd sizes, and leaves alone what fits', () => {
    const x = map(2, 3);
    const wanted = Array.from({ length: 3 }, (_, i) =>
      Array.from({ length: 5 }, (_, j) => x[Math.floor((i * 2) / 3)][Math.floor((j * 3) / 5)]),
    );
    expect(run(x, [3, 5])).toEqual(wanted.flat());
    expect(run(x, [2, 3])).toEqual(x.flat());
    // one side is a single cell already
    expect(run(map(1, 4), [1, 2])).toHaveLength(2);
  });
});

describe('GraphNeck', () => {
  beforeAll(() => useBackend());

  const inputs = (): tf.Tensor4D[] => [
    randomTensor<tf.Rank.R4>([2, 30, 24, 3], 1),
    randomTensor<tf.Rank.R4>([2, 15, 12, 4], 2),
    randomTensor<tf.Rank.R4>([2, 8, 6, 5], 3),
  ];

  test.each(Object.entries(neckGraphs))(
    '%s runs twice over five levels, and every parameter learns',
    (_, build) => {
      const random = createRandom(3);
      const neck = new GraphNeck(
        { inChannels: [3, 4, 5], channels: 6, cells: 2, graph: build(3, 7) },
        random,
      );
      const before = tf.memory().numTensors;
      tf.tidy(() => {
        const x = inputs();
        const maps = neck.forward(x, inference);
        const sides = [30, 15, 8, 4, 2].map((rows, i): [number, number] => [rows, [24, 12, 6, 3, 2][i]]);
        expect(maps.map((map) => map.shape)).toEqual(sides.map(([rows, columns]) => [2, rows, columns, 6]));
        expect(neck.mapSizes([30, 15, 8])).toEqual([30, 15, 8, 4, 2]);
        const parameters = neck.parameters();
        const { grads } = tf.variableGrads(
          () =>
            tf
              .addN(neck.forward(x, { training: true }).map((map) => tf.sum(tf.square(tf.add(map, 0.5)))))
              .asScalar(),
          parameters.map(({ variable }) => variable),
        );
        // a bias before a batch norm has none but by rounding
        const idle = parameters.filter(
          ({ variable }) => tf.max(tf.abs(grads[variable.name])).dataSync()[0] === 0,
        );
        expect(
          idle.filter(({ name }) => !/(conv_pw|conv\.conv)\.bias$/.test(name)).map(({ name }) => name),
        ).toEqual([]);
      });
      expect(tf.memory().numTensors).toBe(before);
      neck.dispose();
      expect(tf.memory().numTensors).toBe(before - neck.namedVariables().length);
    },
  );

  test('tells its fusion weights by the graph’s names', async () => {
    const neck = new GraphNeck({ inChannels: [3, 4, 5], channels: 4, cells: 2 }, createRandom(1));
    const rows = await fusionWeights(neck);
    expect(rows).toHaveLength(2 * 19);
    expect(rows[0]).toMatchObject({ cell: 0, node: 'P6 td', input: 'P6', weight: 1 });
    expect(rows[0].share).toBeCloseTo(1 / 2.0001, 6);
    const changed = neck.namedVariables().find(({ name }) => name === 'cell.1.fnode.4.combine.edge_weights')!;
    loadStateDict(neck, new Map([[changed.name, { shape: [3], values: Float32Array.of(3, 1, -1) }]]), {
      strict: false,
    });
    const node = (await fusionWeights(neck)).filter(({ cell, node }) => cell === 1 && node === 'P4 out');
    expect(node.map(({ input, weight }) => [input, weight])).toEqual([
      ['P4', 3],
      ['P4 td', 1],
      ['P3 out', -1],
    ]);
    expect(node.map(({ share }) => share.toFixed(4))).toEqual(['0.7500', '0.2500', '0.0000']);
    neck.dispose();
    const sums = new GraphNeck({ inChannels: [3], channels: 4, cells: 1, fusion: 'sum' }, createRandom(1));
    expect(await fusionWeights(sums)).toEqual([]);
    sums.dispose();
  });

  test('refuses what does not go together', () => {
    const make = (change: Partial<GraphNeckOptions>): GraphNeck =>
      new GraphNeck({ inChannels: [3, 4, 5], channels: 4, cells: 1, ...change }, createRandom(1));
    const graph: NeckGraph = { ...neckGraphs.bifpn(3, 7), outputs: [] };
    expect(() => make({ graph })).toThrow('0 outputs for 5 levels');
    expect(() => make({ inChannels: [1, 2, 3, 4, 5, 6] })).toThrow('6 maps for the levels 3 to 7');
    expect(() => make({ cells: 0 })).toThrow('cells is 0');
    const passed = { ...neckGraphs.bifpn(3, 7), outputs: ['P3', 'P4 out', 'P5 out', 'P6 out', 'P7 out'] };
    expect(() => make({ graph: passed })).toThrow(
      `the output "P3" of "BiFPN" is the trunk's map, of 3 channels instead of 4; give it a node: { name: 'P3 out', level: 3, inputs: ['P3'] }`,
    );
    const neck = make({});
    tf.tidy(() => {
      expect(() => neck.forward(inputs().slice(1), inference)).toThrow('2 maps for a network that takes 3');
    });
    neck.dispose();
  });
});
