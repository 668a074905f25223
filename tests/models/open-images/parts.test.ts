/** The parts of the Open Images detector that need no file of weights: anchors, detections, loss, and finding weights in a graph. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createOpenImagesDetector,
  createRandom,
  loadStateDict,
  mobileNetAnchors,
  MobileNetSsd,
  mobileNetSsdCoder,
  mobileNetSsdWeights,
  openImagesDetections,
  predictedClasses,
  Sgd,
  sigmoidMultiboxLoss,
  stateDict,
  tf,
} from 'detlab';
import { zeroRandom } from '../../../lib/tensor/random';
import { backends, expectClose, normals, on } from '../../tensor/kernels/backends';
import { graphOf, type Graph } from './graph-of';

describe('anchors', () => {
  const { boxes, levels } = mobileNetAnchors();
  const box = (index: number): number[] => [...boxes.subarray(4 * index, 4 * index + 4)];

  test('there are 1,917, on six maps', () => {
    expect(boxes).toHaveLength(4 * 1917);
    expect(levels.map(({ rows, cols, shapes }) => [rows, cols, shapes.length])).toEqual([
      [19, 19, 3], [10, 10, 6], [5, 5, 6], [3, 3, 6], [2, 2, 6], [1, 1, 6],
    ]); // prettier-ignore
  });

  // By hand. The finest map's cells are 300 / 19 = 15.789 wide: their first centre is at 7.895. A tenth of the input is 30 pixels, its scale,
  // 0.2, is 60: 60 sqrt 2 = 84.853 by 42.426.
  test('three in the finest map’s cells, the first one small', () => {
    expectClose(box(0), [7.894737 - 15, 7.894737 - 15, 7.894737 + 15, 7.894737 + 15], 1e-6, 'small square');
    expectClose(box(1), [7.894737 - 42.426407, 7.894737 - 21.213203, 7.894737 + 42.426407, 7.894737 + 21.213203], 1e-6, 'wide'); // prettier-ignore
    expectClose(box(2), [7.894737 - 21.213203, 7.894737 - 42.426407, 7.894737 + 21.213203, 7.894737 + 42.426407], 1e-6, 'high'); // prettier-ignore
    expect(box(3)[0] - box(0)[0]).toBeCloseTo(300 / 19, 4);
  });

  // The coarsest map has one cell, centre 150, scale 0.95; its sixth box is sqrt(0.95 * 1) * 300 = 292.404 a side.
  test('six elsewhere, the last one a square between two scales', () => {
    const sixth = Math.sqrt(0.95) * 150;
    expectClose(box(1916), [150 - sixth, 150 - sixth, 150 + sixth, 150 + sixth], 1e-6, 'square');
    const third = 0.3333;
    const [w, h] = [142.5 * Math.sqrt(third), 142.5 / Math.sqrt(third)];
    expectClose(box(1915), [150 - w, 150 - h, 150 + w, 150 + h], 1e-6, 'ratio 0.3333');
    expect(levels[1].shapes[5][0]).toBeCloseTo(300 * Math.sqrt(0.35 * 0.5), 9);
  });

  test('a single map has the scale in the middle', () => {
    const [level] = mobileNetAnchors({ strides: [100], scales: [0.2, 0.8] }).levels;
    expect(level).toMatchObject({ rows: 3, cols: 3 });
    expect(level.shapes[1][0]).toBeCloseTo(300 * 0.5 * Math.SQRT2, 9);
  });
});

describe('detections', () => {
  const anchors = mobileNetAnchors();
  const count = 1917;
  const columns = 4;
  const logit = (p: number): number => Math.log(p / (1 - p));
  /** Anchor, scores of the background and three classes, deltas. */
  function detect(
    found: [number, number[], number[]?][],
    options?: Parameters<typeof openImagesDetections>[3],
  ): ReturnType<typeof openImagesDetections> {
    const logits = new Float32Array(count * columns).fill(-10);
    const deltas = new Float32Array(count * 4);
    for (const [anchor, scores, values] of found) {
      logits.set(scores.map(logit), anchor * columns);
      if (values) deltas.set(values, anchor * 4);
    }
    return openImagesDetections(logits, deltas, anchors, options);
  }
  // In the middle of the finest map, row 9, column 9: the small square, 135 to 165.
  const middle = 3 * (9 * 19 + 9);

  test('nothing there', () => {
    expect(detect([])).toEqual([]);
  });

  test('the best class of an anchor, by its sigmoid, whatever the background says', () => {
    const [one, ...rest] = detect([[middle, [0.9, 0.3, 0.6, 0.55]]]);
    expect(rest).toEqual([]);
    expect(one.label).toBe(1);
    expect(one.score).toBeCloseTo(0.6, 6);
    expectClose(one.box, [135, 135, 165, 165], 1e-5, 'box');
  });

  test('deltas are ty, tx, th, tw, of 10, 10, 5, 5', () => {
    // Down by half the anchor's 30 pixels, right by a tenth; three times as high, half as wide.
    const [one] = detect([[middle, [0.1, 0.9, 0.1, 0.1], [5, 1, 5 * Math.log(3), 5 * Math.log(0.5)]]]);
    const [cx, cy] = [150 + 3, 150 + 15];
    expectClose(one.box, [cx - 7.5, cy - 45, cx + 7.5, cy + 45], 1e-4, 'box');
    expect(mobileNetSsdCoder.order).toBe('yxhw');
  });

  test('thresholds are at least, and boxes end at the input', () => {
    expect(detect([[middle, [0.1, 0.499, 0.1, 0.1]]])).toEqual([]);
    expect(detect([[middle, [0.1, 0.5, 0.1, 0.1]]])).toHaveLength(1);
    expect(detect([[middle, [0.1, 0.3, 0.1, 0.1]]], { scoreThreshold: 0.25 })).toHaveLength(1);
    const [one] = detect([[0, [0.1, 0.9, 0.1, 0.1]]]);
    expect(one.box.slice(0, 2)).toEqual([0, 0]);
  });

  const twice: [number, number[], number[]?][] = [
    [middle, [0.1, 0.9, 0.6, 0.1]],
    [middle, [0.1, 0.9, 0.6, 0.1]],
    [middle + 3, [0.1, 0.1, 0.1, 0.8], [0, -10 * (300 / 19 / 30), 0, 0]], // its right neighbour, moved onto it
  ];
  test('a box suppresses boxes of other classes, unless told to go class by class', () => {
    expect(detect(twice).map(({ label }) => label)).toEqual([0]);
    expect(detect(twice, { suppression: 'class-wise' }).map(({ label }) => label)).toEqual([0, 2, 1]);
    expect(detect(twice, { suppression: 'class-wise', maxOutput: 2 }).map(({ label }) => label)).toEqual([
      0, 2,
    ]);
    expect(detect(twice, { iouThreshold: 1 }).map(({ label }) => label)).toEqual([0, 2]);
  });

  test('classes that are not looked for neither show nor suppress', () => {
    expect(detect(twice, { labels: [2] }).map(({ label }) => label)).toEqual([2]);
    // The anchor's best class is another: it stays silent, as in the graph's filter.
    expect(detect(twice, { labels: [1] })).toEqual([]);
    expect(detect(twice, { labels: [1], suppression: 'class-wise' }).map(({ label }) => label)).toEqual([1]);
  });

  test('refuses what does not fit, and NaN', () => {
    expect(() => openImagesDetections(new Float32Array(10), new Float32Array(4 * count), anchors)).toThrow(
      /10 logits and 7668 deltas do not go with 1917 anchors/,
    );
    expect(() => detect([[7, [0.1, NaN, 0.1, 0.1]]])).toThrow(/a score of anchor 7 is NaN/);
  });
});

describe.each(backends)('the loss, on %s', (backend) => {
  on(backend);

  /** The same by loops. */
  function scalar(logits: number[][], deltas: number[][], classes: number[], boxes: number[][]): number[] {
    const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    const losses = logits.map((row, a) =>
      row.reduce((sum, x, c) => sum + softplus(x) - (c === Math.max(0, classes[a]) ? x : 0), 0),
    );
    const positives = classes.filter((c) => c > 0).length;
    const negatives = losses.filter((_, a) => classes[a] === 0).sort((a, b) => b - a);
    const mined = negatives.slice(0, Math.max(3, 3 * positives));
    const own = losses.filter((_, a) => classes[a] > 0);
    const smooth = (d: number): number => (Math.abs(d) < 1 ? d * d * 0.5 : Math.abs(d) - 0.5);
    const box = deltas.map((row, a) =>
      classes[a] > 0 ? row.reduce((sum, d, i) => sum + smooth(d - boxes[a][i]), 0) : 0,
    );
    const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
    const normalizer = Math.max(1, positives);
    return [total([...own, ...mined]) / normalizer, total(box) / normalizer, positives];
  }

  test.each([
    ['two objects', [0, 2, 0, -1, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['none', [0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0]],
  ])('is what loops say: %s', (_, classes) => {
    const rows = (columns: number, seed: string): number[][] => {
      const values = normals(12 * columns, seed);
      return Array.from({ length: 12 }, (_, a) =>
        [...values.subarray(a * columns, (a + 1) * columns)].map((v) => 2 * v),
      );
    };
    const [logits, deltas, boxes] = [rows(3, 'logits'), rows(4, 'deltas'), rows(4, 'boxes')];
    const wanted = scalar(logits, deltas, classes, boxes);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const { total, parts } = sigmoidMultiboxLoss(
        { classLogits: tf.tensor3d([logits]), boxDeltas: tf.tensor3d([deltas]) },
        { classTargets: tf.tensor2d([classes], [1, 12], 'int32'), boxTargets: tf.tensor3d([boxes]) },
      );
      const own = [parts.class, parts.box, parts.positives].map((part) => part.dataSync()[0]);
      expectClose(own, wanted, 1e-5, 'class, box, positives');
      expect(total.dataSync()[0]).toBeCloseTo(wanted[0] + wanted[1], 3);
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('weights from a graph', () => {
  on('wasm');
  let network: MobileNetSsd;
  let graph: Graph;
  beforeAll(async () => {
    network = new MobileNetSsd({ classes: 3, batchNorm: false }, createRandom(5));
    graph = await graphOf(network);
  });

  test('all of them, at their places', async () => {
    expect(predictedClasses(graph)).toBe(3);
    const found = mobileNetSsdWeights(graph, network);
    const wanted = await stateDict(network);
    expect(new Set(found.keys())).toEqual(new Set(wanted.keys()));
    for (const [name, { shape, values }] of wanted) {
      expect(found.get(name)?.shape, name).toEqual(shape);
      expect(
        found.get(name)!.values.every((value, i) => value === values[i]),
        name,
      ).toBe(true);
    }
    const other = new MobileNetSsd({ classes: 3, batchNorm: false }, zeroRandom);
    expect(loadStateDict(other, found)).toEqual({ missing: [], unexpected: [] });
    other.dispose();
  });

  const change = (index: number, to: object): Graph => ({
    ...graph,
    operators: graph.operators.map((operator, i) => (i === index ? { ...operator, ...to } : operator)),
  });
  const convolution = (index: number, options: object): Graph =>
    change(index, { options: { ...graph.operators[index].options, ...options } });

  const wrong: [string, () => Graph, RegExp][] = [
    ['another stride', () => convolution(0, { stride: [1, 1] }), /backbone\.features\.0\.0: wanted one CONV_2D \[32, 3, 3, 3\] of stride 2, SAME padding and activation relu6 behind tensor 0, .*there is none among: CONV_2D \[32, 3, 3, 3\] .*"stride":\[1,1\]/],
    ['another activation', () => convolution(2, { activation: 'relu' }), /backbone\.features\.1\.conv\.1: .*activation none/],
    ['another padding', () => convolution(1, { padding: 'valid' }), /backbone\.features\.1\.conv\.0\.0: wanted one DEPTHWISE_CONV_2D/],
    ['a residual connection that is missing', () => change(graph.operators.findIndex(({ type }) => type === 'ADD'), { type: 'MUL' }), /backbone\.features\.3: the graph does not add its input/],
    ['no anchors', () => change(graph.operators.length - 1, { type: 'ADD' }), /is no concatenation of anchors, but ADD/],
    ['one output', () => ({ ...graph, outputs: graph.outputs.slice(0, 1) }), /the graph gives \[1, 1917, 4\]; an SSD gives/],
  ]; // prettier-ignore
  test.each(wrong)('refuses %s, and says where', (_, make, message) => {
    expect(() => mobileNetSsdWeights(make(), network)).toThrow(message);
  });

  test('refuses to fill a network with batch norm, or of other classes', () => {
    const normed = new MobileNetSsd({ classes: 3 }, zeroRandom);
    expect(() => mobileNetSsdWeights(graph, normed)).toThrow(/build the network with batchNorm: false/);
    normed.dispose();
    const other = new MobileNetSsd({ classes: 4, batchNorm: false }, zeroRandom);
    expect(() => loadStateDict(other, mobileNetSsdWeights(graph, other))).toThrow(
      /classification\.0\.weight/,
    );
    other.dispose();
  });
});

describe('a network of one’s own', () => {
  on('tensorflow');

  test('learns one object', () => {
    const model = new MobileNetSsd({ classes: 2, batchNorm: true }, createRandom(3));
    const detector = createOpenImagesDetector(model, ['left', 'right']);
    expect(detector).toMatchObject({ classes: 2, inputSize: { width: 300, height: 300 } });
    const images = tf.tensor4d(normals(300 * 300 * 3, 'picture'), [1, 300, 300, 3]);
    const targets = detector.targets([[{ box: [30, 40, 200, 260], label: 1 }]]);
    const optimizer = new Sgd(model.parameters());
    const variables = optimizer.parameters.map(({ variable }) => variable);
    const losses: number[] = [];
    for (let step = 0; step < 4; step++) {
      const { value, grads } = tf.variableGrads(
        () => detector.loss(images, targets, { training: true }).total,
        variables,
      );
      losses.push(value.dataSync()[0]);
      optimizer.step(
        variables.map(({ name }) => grads[name]),
        0.01,
      );
      tf.dispose([value, grads]);
    }
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses[3]).toBeLessThan(losses[0]);
    expect(() => createOpenImagesDetector(model, ['one'])).toThrow(
      /1 class names for a network of 2 classes/,
    );
    tf.dispose([images, targets]);
    optimizer.dispose();
    detector.dispose();
  });
});
