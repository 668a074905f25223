import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toBoxArray } from '../../lib/boxes/geometry';
import { nms } from '../../lib/boxes/nms';
import { softNms } from '../../lib/boxes/soft-nms';
import { useBackend } from '../../lib/tensor/backend';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';
import { fixture } from './detection-fixture';

const none = new Float32Array(0);
const { boxes: some, scores: theirs, cases } = fixture.softening;
const boxes = toBoxArray(some);
const scores = Float32Array.from(theirs);

describe('soft-NMS', () => {
  test('by hand: IoU 0.5 with the best, then with nothing', () => {
    const three = toBoxArray([
      [0, 0, 10, 10],
      [0, 0, 10, 5],
      [50, 50, 60, 60],
    ]);
    const values = Float32Array.of(0.5, 1, 0.75);
    const gaussian = softNms(three, values);
    expect([...gaussian.indices]).toEqual([1, 2, 0]);
    expect(gaussian.scores[2]).toBeCloseTo(0.5 * Math.exp(-0.25 / 0.5), 6);
    const linear = softNms(three, values, { method: 'linear' });
    expect([...linear.scores]).toEqual([1, 0.75, 0.25]);
    expect([...softNms(three, values, { method: 'linear', iouThreshold: 0.5 }).scores]).toEqual([
      1, 0.75, 0.5,
    ]);
    expect([...softNms(three, values, { method: 'linear', scoreThreshold: 0.25 }).indices]).toEqual([1, 2]);
    expect([...softNms(three, values, { maxOutput: 1 }).indices]).toEqual([1]);
  });

  test.each(cases)('equals the definition: $options', ({ options, indices, scores: expected }) => {
    const kept = softNms(boxes, scores, options);
    expect([...kept.indices]).toEqual(indices);
    expected.forEach((score, i) => expect(kept.scores[i]).toBeCloseTo(score, 7));
  });

  test("equals TensorFlow's op as the EfficientDet release calls it: half the sigma, no hard limit", async () => {
    await useBackend({ backend: 'cpu' });
    const { selectedIndices, selectedScores } = tf.image.nonMaxSuppressionWithScore(
      tf.tensor2d(boxes, [scores.length, 4]),
      tf.tensor1d(scores),
      25,
      1,
      0.001,
      0.5 / 2,
    );
    const kept = softNms(boxes, scores, { maxOutput: 25 });
    expect([...kept.indices]).toEqual([...selectedIndices.dataSync()]);
    selectedScores.dataSync().forEach((score, i) => expect(kept.scores[i]).toBeCloseTo(score, 6));
  });

  test('groups lower only their own scores', () => {
    const groups = Int32Array.from(scores, (_, i) => i % 3);
    const together = softNms(boxes, scores, { groups });
    const apart = [0, 1, 2].flatMap((g) => {
      const members = [...scores.keys()].filter((i) => i % 3 === g);
      const own = softNms(
        Float32Array.from(members.flatMap((i) => [...boxes.subarray(4 * i, 4 * i + 4)])),
        Float32Array.from(members, (i) => scores[i]),
      );
      return [...own.indices].map((k, at) => ({ index: members[k], score: own.scores[at] }));
    });
    apart.sort((a, b) => b.score - a.score || a.index - b.index);
    expect([...together.indices]).toEqual(apart.map(({ index }) => index));
    expect([...together.scores]).toEqual(apart.map(({ score }) => score));
  });

  test('scores fall along the result and never rise above their own; a narrow bell is hard suppression of what touches', () => {
    const edge = fc.integer({ min: 0, max: 40 });
    const box = fc.tuple(edge, edge, edge, edge);
    const score = fc.integer({ min: 0, max: 8 }).map((v) => v / 8);
    fc.assert(
      fc.property(fc.array(fc.tuple(box, score), { maxLength: 25 }), (items) => {
        const b = toBoxArray(items.map(([r]) => r));
        const s = Float32Array.from(items, ([, v]) => v);
        const kept = softNms(b, s);
        expect(new Set(kept.indices).size).toBe(kept.indices.length);
        kept.indices.forEach((i, k) => {
          expect(kept.scores[k]).toBeLessThanOrEqual(s[i]);
          if (k > 0) expect(kept.scores[k]).toBeLessThanOrEqual(kept.scores[k - 1]);
        });
        const narrow = softNms(b, s, { sigma: 1e-9 });
        expect([...narrow.indices]).toEqual([...nms(b, s, { iouThreshold: 0, scoreThreshold: 0.001 })]);
      }),
    );
  });

  test('many boxes: as the loop over all pairs says', () => {
    const random = createRandom('soft');
    const n = 400;
    const many = Float32Array.from({ length: 4 * n }, (_, i) => random.uniform(0, 50) + (i % 4 < 2 ? 0 : 40));
    const values = Float32Array.from({ length: n }, () => random.next());
    const current = Float64Array.from(values);
    const expected: number[] = [];
    for (;;) {
      let best = -1;
      current.forEach((v, i) => {
        if (v > 0.001 && !expected.includes(i) && (best < 0 || v > current[best])) best = i;
      });
      if (best < 0) break;
      expected.push(best);
      current.forEach((_, i) => {
        if (expected.includes(i)) return;
        const [a, b] = [many.subarray(4 * best, 4 * best + 4), many.subarray(4 * i, 4 * i + 4)];
        const w = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
        const h = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
        const area = (r: Float32Array): number => (r[2] - r[0]) * (r[3] - r[1]);
        const overlap = (w * h) / (area(a) + area(b) - w * h);
        current[i] *= Math.exp((-overlap * overlap) / 0.5);
      });
    }
    expect([...softNms(many, values).indices]).toEqual(expected);
    expect(expected.length).toBeLessThan(n);
  });

  test('empty, degenerate, NaN, and options that cannot be', () => {
    expect(softNms(none, none)).toEqual({ indices: new Int32Array(0), scores: none });
    const odd = toBoxArray([
      [5, 5, 5, 5],
      [5, 5, 5, 5],
      [0, 0, 9, 9],
    ]);
    expect([...softNms(odd, Float32Array.of(0.5, 0.5, NaN)).indices]).toEqual([0, 1]);
    expect(() => softNms(odd, none)).toThrow('3 boxes, but 0 scores');
    expect(() => softNms(odd, new Float32Array(3), { sigma: 0 })).toThrow(
      'sigma must be a positive number, got 0',
    );
  });
});
