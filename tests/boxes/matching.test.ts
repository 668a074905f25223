import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { iou, toBoxArray } from '../../lib/boxes/geometry';
import {
  efficientDetMatching,
  matchAnchors,
  type MatchOptions,
  retinaNetMatching,
  roiMatching,
  rpnMatching,
} from '../../lib/boxes/matching';
import { efficientDetAnchors, retinaNetAnchors, rpnAnchors } from '../../lib/boxes/pyramid-anchors';
import type { Box, GroundTruth } from '../../lib/boxes/types';
import { fixture } from './detection-fixture';

const { matching } = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'boxes.json'), 'utf8')) as {
  matching: {
    anchors: Box[];
    truths: Box[];
    labels: number[];
    rule: 'independent' | 'greedy';
    matched: number[];
    objects: number[];
  }[];
};
const truth = (box: Box, label: number = 0, more: Partial<GroundTruth> = {}): GroundTruth => ({
  box,
  label,
  ...more,
});
/** Four anchors in a row, 10 x 10, touching. */
const row = toBoxArray([0, 10, 20, 30].map((x): Box => [x, 0, x + 10, 10]));

describe('SSD matching', () => {
  test.each(matching.map((fixture, index) => ({ ...fixture, index })))(
    'equals the reference, case $index ($rule)',
    ({ anchors, truths, labels, rule, matched, objects }) => {
      const result = matchAnchors(
        toBoxArray(anchors),
        truths.map((box, i) => truth(box, labels[i])),
        { bipartite: rule },
      );
      expect([...result.labels]).toEqual(matched);
      expect([...result.objects]).toEqual(objects);
      expect(result.positives).toBe(matched.filter((label) => label >= 0).length);
      anchors.forEach((anchor, a) => {
        const values = truths.map((box) => iou(box, anchor));
        const expected = objects[a] >= 0 ? values[objects[a]] : Math.max(0, ...values);
        expect(result.iou[a]).toBeCloseTo(expected, 6);
      });
    },
  );

  test('an image without objects is all background', () => {
    const { labels, objects, iou: overlap, positives } = matchAnchors(row, []);
    expect([...labels]).toEqual([-1, -1, -1, -1]);
    expect([...objects]).toEqual([-1, -1, -1, -1]);
    expect([...overlap]).toEqual([0, 0, 0, 0]);
    expect(positives).toBe(0);
    expect(matchAnchors(new Float32Array(0), [truth([0, 0, 1, 1])]).labels.length).toBe(0);
  });

  test('IoU of exactly 0.5 is positive, and a small object still gets its best anchor', () => {
    const { labels, objects } = matchAnchors(row, [truth([0, 0, 20, 10], 3), truth([31, 1, 33, 3], 5)]);
    expect([...labels]).toEqual([3, 3, -1, 5]);
    expect([...objects]).toEqual([0, 0, -1, 1]);
  });

  test('two objects want one anchor: the later takes it, or, greedily, the better and both are served', () => {
    const objects = [truth([0, 0, 10, 8], 1), truth([0, 0, 10, 6], 2)];
    expect([...matchAnchors(row, objects).labels]).toEqual([2, -1, -1, -1]);
    expect(matchAnchors(row, objects).iou[0]).toBeCloseTo(0.6, 6);
    // The second has no other anchor to go to: it overlaps none.
    expect([...matchAnchors(row, objects, { bipartite: 'greedy' }).labels]).toEqual([1, -1, -1, -1]);
    const shifted = [truth([0, 0, 10, 8], 1), truth([1, 0, 11, 6], 2)];
    expect([...matchAnchors(row, shifted, { bipartite: 'greedy' }).labels]).toEqual([1, 2, -1, -1]);
    expect([...matchAnchors(row, shifted, { bipartite: 'none' }).labels]).toEqual([1, -1, -1, -1]);
  });

  test('objects that overlap no anchor, or have no area, match nothing', () => {
    const objects = [
      truth([500, 500, 600, 600]),
      truth([5, 5, 5, 9]),
      truth([9, 9, 1, 1]),
      truth([NaN, 0, 9, 9]),
    ];
    for (const bipartite of ['independent', 'greedy', 'low-quality', 'force'] as const) {
      expect(matchAnchors(row, objects, { bipartite }).positives).toBe(0);
    }
  });

  test('between the thresholds anchors are ignored', () => {
    // IoU with the four anchors: 0, 10 / 14, 4 / 20, 0.
    const object = truth([10, 0, 24, 10], 7);
    const { labels, iou: overlap } = matchAnchors(row, [object], { negativeIou: 0.2 });
    expect(overlap[1]).toBeCloseTo(10 / 14, 6);
    expect(overlap[2]).toBeCloseTo(4 / 20, 6);
    expect([...labels]).toEqual([-1, 7, -2, -1]);
    expect(() => matchAnchors(row, [], { negativeIou: 0.6 })).toThrow(
      'negativeIou 0.6 is above positiveIou 0.5',
    );
  });

  test('difficult objects and crowds: used, dropped or ignored', () => {
    const difficult = truth([10, 0, 20, 10], 1, { difficult: true });
    const other = truth([30, 0, 40, 10], 2);
    expect([...matchAnchors(row, [difficult, other]).labels]).toEqual([-1, 1, -1, 2]);
    expect([...matchAnchors(row, [difficult, other], { difficult: 'drop' }).labels]).toEqual([-1, -1, -1, 2]);
    const ignored = matchAnchors(row, [difficult, other], { difficult: 'ignore' });
    expect([...ignored.labels]).toEqual([-1, -2, -1, 2]);
    expect([...ignored.objects]).toEqual([-1, -1, -1, 1]);
    // A crowd over three anchors: each lies wholly inside, though its IoU is a third.
    const crowd = truth([0, 0, 30, 10], 1, { crowd: true });
    expect([...matchAnchors(row, [crowd, other]).labels]).toEqual([-1, -1, -1, 2]);
    expect([...matchAnchors(row, [crowd, other], { crowd: 'ignore' }).labels]).toEqual([-2, -2, -2, 2]);
  });

  test('an anchor that is positive for one object stays so inside an ignored one', () => {
    const inside = [truth([0, 0, 10, 10], 4), truth([0, 0, 10, 9], 1, { difficult: true })];
    expect([...matchAnchors(row, inside, { difficult: 'ignore' }).labels]).toEqual([4, -1, -1, -1]);
  });
});

describe('matching of other detectors', () => {
  const { width: imageWidth, height: imageHeight, cases } = fixture.matching;
  const image = { imageWidth, imageHeight };
  const options: Record<string, MatchOptions> = {
    retinaNet: retinaNetMatching,
    rpn: rpnMatching,
    roi: roiMatching,
    ssd: {},
    efficientDet: efficientDetMatching,
  };

  test.each(cases.map((expected, index) => ({ ...expected, index })))(
    'case $index equals the reference: $rule',
    ({ rule, truths, matches, proposals }) => {
      const anchors = {
        retinaNet: () => retinaNetAnchors(image).boxes,
        ssd: () => retinaNetAnchors(image).boxes,
        rpn: () => rpnAnchors(image).boxes,
        efficientDet: () => efficientDetAnchors(image).boxes,
        roi: () => toBoxArray(proposals!),
      }[rule]();
      const objects = truths.map((box, i) => truth(box, i));
      const { labels, objects: matched } = matchAnchors(anchors, objects, options[rule]);
      const expected = new Int32Array(labels.length).fill(-1);
      for (const [anchor, object] of matches) expected[anchor] = object;
      // An object's label is its index here: -1 is background, -2 ignored, as in torchvision.
      expect([...labels]).toEqual([...expected]);
      expect([...matched]).toEqual([...expected].map((object) => Math.max(object, -1)));
    },
  );

  test('a low-quality match is for the object that the anchor itself overlaps most', () => {
    // The first object has only the first anchor to go to, which overlaps the second one more.
    const objects = [truth([0, 0, 2, 2], 1), truth([0, 0, 10, 4], 2)];
    const low = { ...retinaNetMatching, positiveIou: 0.7 };
    expect([...matchAnchors(row, objects, low).labels]).toEqual([2, -1, -1, -1]);
    // Every anchor that ties for the best is positive.
    const wide = [truth([0, 0, 40, 10], 3)];
    expect([...matchAnchors(row, wide, retinaNetMatching).labels]).toEqual([3, 3, 3, 3]);
    expect([...matchAnchors(row, wide, efficientDetMatching).labels]).toEqual([3, -1, -1, -1]);
  });

  test('a forced match goes to the earlier of two objects', () => {
    const objects = [truth([0, 0, 10, 4], 1), truth([0, 0, 10, 3], 2)];
    expect([...matchAnchors(row, objects, efficientDetMatching).labels]).toEqual([1, -1, -1, -1]);
    expect([...matchAnchors(row, objects, { bipartite: 'independent' }).labels]).toEqual([2, -1, -1, -1]);
  });

  test('every object that some anchor overlaps is learnt, except with `none`; thresholds hold', () => {
    const side = fc.integer({ min: 0, max: 30 });
    const box = fc
      .tuple(side, side, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }))
      .map(([x, y, w, h]): Box => [x, y, x + w, y + h]);
    const boxes = fc.array(box, { minLength: 1, maxLength: 12 });
    const rules = fc.constantFrom(...(['independent', 'greedy', 'low-quality', 'force', 'none'] as const));
    fc.assert(
      fc.property(boxes, boxes, rules, (anchors, truths, bipartite) => {
        const thresholds = { positiveIou: 0.6, negativeIou: 0.3 };
        const objects = truths.map((b, i) => truth(b, i));
        const result = matchAnchors(toBoxArray(anchors), objects, { ...thresholds, bipartite });
        const pairs = truths.map((t) => anchors.map((a) => Math.fround(iou(t, a))));
        anchors.forEach((_, a) => {
          const best = Math.max(...pairs.map((pair) => pair[a]));
          const object = result.objects[a];
          if (bipartite === 'none' && object >= 0) expect(pairs[object][a]).toBe(best);
          if (best >= Math.fround(0.6)) expect(object).toBeGreaterThanOrEqual(0);
          else if (object < 0) expect(result.labels[a]).toBe(best >= Math.fround(0.3) ? -2 : -1);
          expect(result.labels[a]).toBe(object >= 0 ? object : result.labels[a]);
        });
        if (bipartite === 'none') return;
        for (const pair of pairs) {
          const best = Math.max(...pair);
          // Its best anchor, or where that is taken another one of its own.
          if (best === 0) continue;
          const positives = pair.filter((_, a) => result.objects[a] >= 0);
          expect(positives.length).toBeGreaterThan(0);
          if (bipartite !== 'greedy') expect(result.objects[pair.indexOf(best)]).toBeGreaterThanOrEqual(0);
        }
        expect(result.positives).toBe(result.objects.filter((object) => object >= 0).length);
      }),
    );
  });

  test('no anchors, no objects', () => {
    for (const rule of Object.values(options)) {
      expect(matchAnchors(new Float32Array(0), [truth([0, 0, 1, 1])], rule).labels.length).toBe(0);
      expect([...matchAnchors(row, [], rule).labels]).toEqual([-1, -1, -1, -1]);
    }
  });
});
