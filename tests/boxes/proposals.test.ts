/** Region proposals and the samples that are drawn of them, against the functions on plain arrays, on every backend. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  absentScore,
  balancedSampleTensor,
  batchedNms,
  boxAnchors,
  cascadeCoders,
  clipBoxes,
  createRandom,
  efficientDetCoder,
  encodeTensor,
  fasterRcnnCoder,
  fpnLevels,
  fpnLevelsTensor,
  groupedNms,
  iou,
  iouTensor,
  matchAnchors,
  type ObjectTensors,
  type Proposals,
  retinaNetCoder,
  rpnAnchors,
  sampleRegions,
  selectProposals,
  tf,
} from 'detlab';
import { compile } from '../../lib/tensor/compile/compile';
import { backends, expectClose, expectNoLeak, normals, on } from '../tensor/kernels/backends';

/** Boxes of all sizes in an image of 100 by 80, as a flat array. */
function boxesOf(count: number, seed: string): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from(
    Array.from({ length: count }, () => {
      const [w, h] = [random.uniform(2, 60), random.uniform(2, 50)];
      const [x, y] = [random.uniform(0, 100 - w), random.uniform(0, 80 - h)];
      return [x, y, x + w, y + h];
    }).flat(),
  );
}

const uniforms = (count: number, seed: string): Float32Array => {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => Math.floor(random.next() * 2 ** 23) / 2 ** 23);
};

describe.each(backends)('region proposals on %s', (backend) => {
  on(backend);

  test.each([
    ['RPN', retinaNetCoder],
    ['Faster R-CNN', fasterRcnnCoder],
    ['the third stage', cascadeCoders[2]],
    ['EfficientDet', efficientDetCoder],
  ])('encodeTensor encodes as the coder of %s', (_, coder) => {
    const [boxes, anchors] = [boxesOf(20, 'boxes'), boxesOf(20, 'anchors')];
    tf.tidy(() => {
      const encoded = encodeTensor(tf.tensor3d(boxes, [2, 10, 4]), tf.tensor3d(anchors, [2, 10, 4]), coder);
      expect(encoded.shape).toEqual([2, 10, 4]);
      expectClose(encoded.dataSync(), coder.encode(boxes, anchors), 1e-5, 'deltas');
      expect(encodeTensor(tf.zeros([0, 4]), tf.zeros([0, 4]), coder).shape).toEqual([0, 4]);
    });
    expect(() => encodeTensor(tf.zeros([2, 3]), tf.zeros([2, 4]), coder)).toThrow(/end in 4 numbers/);
  });

  test('fpnLevelsTensor gives the levels of fpnLevels, also on their borders', () => {
    const exact = [56, 112, 224, 448, 896].flatMap((size) => [
      [0, 0, size, size],
      [10, 20, 10 + size / 2, 20 + 2 * size],
      [0, 0, size - 0.01, size],
    ]);
    const odd = [
      [3, 3, 3, 9],
      [9, 9, 4, 4],
    ];
    const boxes = Float32Array.from(
      [...exact, ...odd].flat().concat([...boxesOf(50, 'levels')].map((v) => 9 * v)),
    );
    for (const options of [{}, { minLevel: 3, maxLevel: 7 }, { canonicalSize: 56, maxLevel: 3 }]) {
      tf.tidy(() => {
        const levels = fpnLevelsTensor(tf.tensor2d(boxes, [boxes.length / 4, 4]), options);
        expect(levels.dtype).toBe('int32');
        expect([...levels.dataSync()]).toEqual([...fpnLevels(boxes, options)]);
      });
    }
  });

  test('groupedNms keeps what batchedNms keeps', () => {
    const [images, groups, count] = [2, 3, 40];
    const boxes = boxesOf(images * groups * count, 'nms');
    const scores = normals(images * groups * count, 'scores');
    scores[5] = NaN;
    scores[17] = absentScore;
    scores[60] = -Infinity;
    for (const maxOutput of [10, 500]) {
      const kept = tf.tidy(() =>
        groupedNms(
          tf.tensor4d(boxes, [images, groups, count, 4]),
          tf.tensor3d(scores, [images, groups, count]),
          {
            iouThreshold: 0.3,
            maxOutput,
          },
        ),
      );
      expect(kept.shape).toEqual([images, maxOutput, 5]);
      const rows = kept.arraySync();
      kept.dispose();
      rows.forEach((found, image) => {
        const from = image * groups * count;
        const indices = batchedNms(
          boxes.subarray(4 * from, 4 * (from + groups * count)),
          scores.subarray(from, from + groups * count),
          Int32Array.from({ length: groups * count }, (_, i) => Math.floor(i / count)),
          { iouThreshold: 0.3, maxOutput, scoreThreshold: absentScore },
        );
        const expected = Array.from(indices, (i) => [
          ...boxes.subarray(4 * (from + i), 4 * (from + i) + 4),
          1,
        ]);
        while (expected.length < maxOutput) expected.push([0, 0, 0, 0, 0]);
        expect(found).toEqual(expected);
      });
    }
  });

  test('groupedNms of nothing that takes part is rows of zeros', () => {
    tf.tidy(() => {
      const kept = groupedNms(tf.ones([1, 2, 3, 4]), tf.fill([1, 2, 3], absentScore), { maxOutput: 2 });
      expect([...kept.dataSync()]).toEqual(Array<number>(10).fill(0));
    });
    expect(() => groupedNms(tf.ones([1, 2, 3, 4]), tf.ones([1, 2, 4]), { maxOutput: 2 })).toThrow(
      /boxes \[1,2,3,4\] and scores \[1,2,4\]/,
    );
    expect(() => groupedNms(tf.ones([1, 2, 3, 4]), tf.ones([1, 2, 3]), { maxOutput: 0 })).toThrow(
      /maxOutput/,
    );
  });

  const anchors = rpnAnchors({
    imageWidth: 100,
    imageHeight: 80,
    maps: [
      [10, 13],
      [5, 7],
      [2, 3],
    ],
    sizes: [[16], [32], [64]],
  });
  const count = anchors.boxes.length / 4;

  /** `selectProposals` in words, on plain arrays. */
  function proposedByLoop(
    logits: Float32Array,
    deltas: Float32Array,
    { preNmsTop, postNmsTop }: { preNmsTop: number; postNmsTop: number },
  ): number[] {
    const all = anchors.levels.flatMap((level, l) => {
      const order = Array.from({ length: level.count }, (_, i) => level.start + i);
      order.sort((a, b) => logits[b] - logits[a] || a - b);
      return order.slice(0, preNmsTop).map((a) => ({ a, l }));
    });
    const pick = (values: Float32Array): Float32Array =>
      Float32Array.from(all.flatMap(({ a }) => [...values.subarray(4 * a, 4 * a + 4)]));
    const boxes = clipBoxes(retinaNetCoder.decode(pick(deltas), pick(anchors.boxes)), 100, 80);
    const scores = Float32Array.from(all, ({ a }, i) => {
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4);
      return x2 - x1 >= 1e-3 && y2 - y1 >= 1e-3 ? logits[a] : NaN;
    });
    const kept = batchedNms(
      boxes,
      scores,
      Int32Array.from(all, ({ l }) => l),
      { iouThreshold: 0.7, maxOutput: postNmsTop },
    );
    return Array.from(kept).flatMap((i) => [...boxes.subarray(4 * i, 4 * i + 4)]);
  }

  test.each([
    { preNmsTop: 12, postNmsTop: 20 },
    { preNmsTop: 50, postNmsTop: 1000 },
  ])('selectProposals does what its words say: %j', (limits) => {
    const logits = normals(2 * count, 'logits');
    const deltas = normals(8 * count, 'deltas');
    // Anchors far outside, and others that predict nothing that can be used.
    for (let a = 0; a < count; a += 9) deltas[4 * a] = 30;
    const { boxes, valid } = selectProposals(
      tf.tensor2d(logits, [2, count]),
      tf.tensor3d(deltas, [2, count, 4]),
      anchors,
      limits,
    );
    const places = Math.min(
      limits.postNmsTop,
      anchors.levels.reduce((sum, level) => sum + Math.min(level.count, limits.preNmsTop), 0),
    );
    expect(boxes.shape).toEqual([2, places, 4]);
    expect(valid.shape).toEqual([2, places]);
    const [corners, there] = [boxes.arraySync(), valid.arraySync()];
    for (const image of [0, 1]) {
      const expected = proposedByLoop(
        logits.subarray(image * count, (image + 1) * count),
        deltas.subarray(4 * image * count, 4 * (image + 1) * count),
        limits,
      );
      const found = expected.length / 4;
      expect(there[image]).toEqual(Array.from({ length: places }, (_, i) => (i < found ? 1 : 0)));
      expectClose(corners[image].slice(0, found).flat(), expected, 1e-6, 'boxes');
      expect(
        corners[image]
          .slice(found)
          .flat()
          .every((v) => v === 0),
      ).toBe(true);
    }
    tf.dispose([boxes, valid]);
  });

  test('selectProposals proposes nothing that is NaN, passes no gradient on, leaves nothing behind', () => {
    const logits = normals(count, 'logits');
    const deltas = normals(4 * count, 'deltas');
    logits.fill(NaN, 0, 100);
    deltas.fill(NaN, 4 * 90, 4 * 200);
    const run = (): Proposals =>
      selectProposals(tf.tensor2d(logits, [1, count]), tf.tensor3d(deltas, [1, count, 4]), anchors, {
        preNmsTop: 400,
        postNmsTop: 300,
      });
    tf.tidy(() => {
      const { boxes, valid } = run();
      expect([...boxes.dataSync()].every(Number.isFinite)).toBe(true);
      expect(valid.sum().dataSync()[0]).toBeGreaterThan(10);
    });
    tf.tidy(() => {
      const x = tf.tensor3d(normals(4 * count, 'deltas'), [1, count, 4]);
      const gradient = tf.grad((d: tf.Tensor) =>
        selectProposals(tf.zeros([1, count]), d as tf.Tensor3D, anchors, { postNmsTop: 5 }).boxes.square(),
      )(x);
      expect(gradient.abs().max().dataSync()[0]).toBe(0);
    });
    expectNoLeak(() => tf.tidy(() => void run()));
    expect(() => selectProposals(tf.zeros([1, 3]), tf.zeros([1, 3, 4]), anchors)).toThrow(/do not go with/);
    expect(() =>
      selectProposals(tf.zeros([1, count]), tf.zeros([1, count, 4]), anchors, { preNmsTop: 0 }),
    ).toThrow(/preNmsTop must be a positive whole number, got 0/);
  });

  test('iouTensor computes the IoU of every pair, 0 for boxes without area', () => {
    const [a, b] = [boxesOf(6, 'a'), boxesOf(5, 'b')];
    a.set([4, 4, 4, 9], 0);
    b.set([0, 0, 0, 0], 0);
    const pair = (values: Float32Array, i: number) =>
      [...values.subarray(4 * i, 4 * i + 4)] as [number, number, number, number];
    const expected = Array.from({ length: 30 }, (_, i) => iou(pair(a, Math.floor(i / 5)), pair(b, i % 5)));
    tf.tidy(() => {
      const found = iouTensor(tf.tensor3d(a, [1, 6, 4]), tf.tensor3d(b, [1, 5, 4]));
      expect(found.shape).toEqual([1, 6, 5]);
      expectClose(found.dataSync(), expected, 1e-6, 'IoU');
    });
  });

  test('balancedSampleTensor draws what a balanced sample is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('positive', 'negative', 'ignored'), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0, 0.25, 0.5, 1),
        fc.string(),
        (kinds, size, positiveFraction, seed) => {
          const n = kinds.length;
          const mark = (kind: string) => kinds.map((k) => (k === kind ? 1 : 0));
          const drawn = tf.tidy(() =>
            balancedSampleTensor(
              tf.tensor2d(mark('positive'), [1, n]),
              tf.tensor2d(mark('negative'), [1, n]),
              tf.tensor2d(uniforms(n, seed), [1, n]),
              { size, positiveFraction },
            ),
          );
          const [rows] = drawn.arraySync();
          drawn.dispose();
          expect(rows.length).toBe(Math.min(size, n));
          const taken = rows.filter(([, counts]) => counts === 1).map(([index]) => index);
          // Those that count come first.
          expect(rows.slice(0, taken.length).every(([, counts]) => counts === 1)).toBe(true);
          expect(new Set(taken).size).toBe(taken.length);
          const of = (kind: string): number => kinds.filter((k) => k === kind).length;
          const positives = Math.min(of('positive'), Math.floor(size * positiveFraction));
          const negatives = Math.min(of('negative'), size - positives);
          expect(taken.map((index) => kinds[index])).toEqual([
            ...Array<string>(positives).fill('positive'),
            ...Array<string>(negatives).fill('negative'),
          ]);
        },
      ),
      { numRuns: backend === 'tensorflow' ? 60 : 30, seed: 7 },
    );
  });

  test('balancedSampleTensor gives each positive and each negative the same chance', () => {
    const images = 1500;
    const drawn = tf.tidy(() => {
      const marks = (row: number[]) => tf.tile(tf.tensor2d(row, [1, 10]), [images, 1]);
      return balancedSampleTensor(
        marks([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]),
        marks([0, 0, 0, 0, 1, 1, 1, 1, 1, 0]),
        tf.tensor2d(uniforms(10 * images, 'fair'), [images, 10]),
        { size: 4, positiveFraction: 0.5 },
      );
    });
    const times = new Array<number>(10).fill(0);
    for (const row of drawn.arraySync()) for (const [index, counts] of row) times[index] += counts;
    drawn.dispose();
    // 2 of 4, and 2 of 5; four standard deviations are 78 and 76.
    for (const positive of times.slice(0, 4)) expect(Math.abs(positive - images / 2)).toBeLessThan(80);
    for (const negative of times.slice(4, 9)) expect(Math.abs(negative - images * 0.4)).toBeLessThan(80);
    expect(times[9]).toBe(0);
  });

  test('sampleRegions gives regions what matchAnchors and the coder say', () => {
    const [proposed, slots] = [30, 4];
    const boxes = boxesOf(2 * proposed, 'proposals');
    const there = Float32Array.from({ length: 2 * proposed }, (_, i) => (i % proposed < 26 ? 1 : 0));
    const objects = [[...boxesOf(3, 'objects')], []];
    const labels = [[2, 0, 5], []];
    // Two proposals close to objects.
    boxes.set(
      objects[0].slice(0, 4).map((v, i) => v + (i < 2 ? 0.5 : -0.5)),
      0,
    );
    boxes.set(
      objects[0].slice(8, 12).map((v, i) => v + (i < 2 ? 0.3 : 0.1)),
      4,
    );
    const tensors = (): { proposals: Proposals; targets: ObjectTensors; keys: tf.Tensor } => ({
      proposals: {
        boxes: tf.tensor3d(boxes, [2, proposed, 4]),
        valid: tf.tensor2d(there, [2, proposed]),
      },
      targets: {
        objectBoxes: tf.tensor3d(
          objects.flatMap((o) => [...o, ...new Array<number>(4 * slots - o.length).fill(0)]),
          [2, slots, 4],
        ),
        objectLabels: tf.tensor2d(
          labels.flatMap((l) => [...l, ...new Array<number>(slots - l.length).fill(-1)]),
          [2, slots],
          'int32',
        ),
      },
      keys: tf.tensor2d(uniforms(2 * (proposed + slots), 'keys'), [2, proposed + slots]),
    });
    const sampling = { size: 100, positiveFraction: 1, positiveIou: 0.5, coder: fasterRcnnCoder };
    tf.tidy(() => {
      const { proposals, targets, keys } = tensors();
      const sampled = sampleRegions(proposals, targets, keys, sampling);
      expect(sampled.boxes.shape).toEqual([2, proposed + slots, 4]);
      const values = {
        boxes: sampled.boxes.arraySync(),
        valid: sampled.valid.arraySync(),
        classTargets: sampled.classTargets.arraySync(),
        boxTargets: sampled.boxTargets.arraySync(),
        isObject: sampled.isObject.arraySync(),
      };
      for (const image of [0, 1]) {
        const truths = labels[image].map((label, k) => ({
          box: objects[image].slice(4 * k, 4 * k + 4) as [number, number, number, number],
          label,
        }));
        const candidates = Float32Array.from([
          ...boxes.subarray(4 * image * proposed, 4 * (image * proposed + 26)),
          ...objects[image],
        ]);
        const matches = matchAnchors(candidates, truths, { positiveIou: 0.5, bipartite: 'none' });
        const total = candidates.length / 4;
        expect(values.valid[image]).toEqual(
          Array.from({ length: proposed + slots }, (_, i) => (i < total ? 1 : 0)),
        );
        // By place: which candidate a sampled region is.
        const seen = new Set<number>();
        for (let place = 0; place < total; place++) {
          const region = values.boxes[image][place];
          const which = Array.from({ length: total }, (_, i) => i).find(
            (i) => !seen.has(i) && region.every((v, k) => v === candidates[4 * i + k]),
          )!;
          expect(which).toBeDefined();
          seen.add(which);
          expect(values.classTargets[image][place]).toBe(matches.labels[which] + 1);
          const object = matches.objects[which];
          const wanted =
            object < 0
              ? [0, 0, 0, 0]
              : fasterRcnnCoder.encode(Float32Array.from(truths[object].box), Float32Array.from(region));
          expectClose(values.boxTargets[image][place], wanted, 1e-5, 'offsets');
          if (object < 0) expect(values.isObject[image][place]).toBe(0);
        }
        expect(values.isObject[image].reduce((sum, v) => sum + v, 0)).toBe(truths.length);
        expect(values.boxes[image].slice(total)).toEqual(
          Array.from({ length: proposed + slots - total }, () => [0, 0, 1, 1]),
        );
      }
    });
    expectNoLeak(() =>
      tf.tidy(() => {
        const { proposals, targets, keys } = tensors();
        sampleRegions(proposals, targets, keys, { ...sampling, size: 8, positiveFraction: 0.25 });
      }),
    );
    tf.tidy(() => {
      const { proposals, targets } = tensors();
      expect(() => sampleRegions(proposals, targets, tf.zeros([2, proposed]), sampling)).toThrow(
        /30 proposals and 4 objects an image want keys \[2,34\], got \[2,30\]/,
      );
    });
  });
});

describe('region proposals in a graph', () => {
  on('tensorflow');

  test('suppression is part of it', () => {
    const anchors = boxAnchors({
      imageWidth: 40,
      imageHeight: 40,
      levels: [{ rows: 4, cols: 4, shapes: [[12, 12]] }],
    });
    const run = compile(
      ({ logits }: { logits: tf.Tensor2D }) =>
        selectProposals(logits, tf.zeros([1, 16, 4]), anchors, { postNmsTop: 3, iouThreshold: 0.05 }).boxes,
    );
    for (const seed of ['first', 'second', 'third']) {
      const logits = tf.tensor2d(normals(16, seed), [1, 16]);
      const [graph, eager] = [
        run({ logits }),
        selectProposals(logits, tf.zeros([1, 16, 4]), anchors, { postNmsTop: 3, iouThreshold: 0.05 }),
      ];
      expect([...graph.dataSync()]).toEqual([...eager.boxes.dataSync()]);
      tf.dispose([logits, graph, eager]);
    }
    run.dispose();
  });
});
