import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitDataset } from '../../lib/data/split';
import type { DetectionDataset } from '../../lib/data/types';

/** A data set whose image i shows the classes `labels[i]`. */
function labelled(labels: readonly (readonly number[])[]): DetectionDataset {
  const examples = labels.map((classes, i) => ({
    id: `image-${i}`,
    width: 10,
    height: 10,
    objects: classes.map((label) => ({ box: [0, 0, 5, 5] as const, label })),
    image: () => Promise.reject(new Error('no pixels')),
  }));
  const count = Math.max(0, ...labels.flat()) + 1;
  return { name: 'set', classes: Array.from({ length: count }, (_, i) => `class ${i}`), examples };
}

const ids = (set: DetectionDataset): string[] => set.examples.map(({ id }) => id);

/** Images that show a class. */
const showing = (set: DetectionDataset, label: number): number =>
  set.examples.filter(({ objects }) => objects.some((object) => object.label === label)).length;

describe('splitDataset', () => {
  const anyLabels = fc.array(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }), { maxLength: 60 });

  test('parts are disjoint, in order, of the sizes that the fractions ask for, with and without strata', () => {
    fc.assert(
      fc.property(anyLabels, fc.integer(), fc.boolean(), fc.boolean(), (labels, seed, stratify, all) => {
        const set = labelled(labels);
        const fractions: Record<string, number> = all ? { a: 0.5, b: 0.2, c: 0.3 } : { a: 0.5, b: 0.2 };
        const parts = Object.values(splitDataset(set, fractions, seed, { stratify }));
        const taken = parts.flatMap(ids);
        expect(new Set(taken).size).toBe(taken.length);
        expect(taken.length).toBe(Math.round((all ? 1 : 0.7) * labels.length));
        const plain = Object.values(splitDataset(set, fractions, seed));
        expect(parts.map(({ examples }) => examples.length)).toEqual(
          plain.map(({ examples }) => examples.length),
        );
        for (const part of parts) {
          const places = ids(part).map((id) => ids(set).indexOf(id));
          expect(places).toEqual([...places].sort((x, y) => x - y));
        }
      }),
    );
  });

  test('strata: single-class images are dealt out to the letter', () => {
    // 40 of class 0, 20 of class 1, 10 of class 2, 10 without any, in an order that has nothing to do with it.
    const labels = Array.from({ length: 80 }, (_, i) => [[0], [0], [0], [0], [1], [1], [2], []][i % 8]);
    const parts = splitDataset(labelled(labels), { train: 0.7, val: 0.1, test: 0.2 }, 3, { stratify: true });
    const counts = Object.values(parts).map((part) => [0, 1, 2].map((label) => showing(part, label)));
    expect(counts).toEqual([
      [28, 14, 7],
      [4, 2, 1],
      [8, 4, 2],
    ]);
    expect(Object.values(parts).map(({ examples }) => examples.length)).toEqual([56, 8, 16]);
  });

  test('strata: a rare class is not left out of a part, as it can be without them', () => {
    const labels = Array.from({ length: 200 }, (_, i) => (i % 40 === 7 ? [0, 1] : i % 3 === 0 ? [0] : [2]));
    const missing = (stratify: boolean): number => {
      let count = 0;
      for (let seed = 0; seed < 20; seed++) {
        const parts = splitDataset(labelled(labels), { train: 0.6, test: 0.4 }, seed, { stratify });
        if (showing(parts.test, 1) !== 2) count++;
      }
      return count;
    };
    expect(missing(true)).toBe(0);
    expect(missing(false)).toBeGreaterThan(0);
  });

  test('the same seed gives the same parts, another seed others; the order of the files does not matter', () => {
    const labels = Array.from({ length: 60 }, (_, i) => [i % 4]);
    const part = (seed: number, stratify: boolean): string[] =>
      ids(splitDataset(labelled(labels), { a: 0.5 }, seed, { stratify }).a);
    for (const stratify of [true, false]) {
      expect(part(1, stratify)).toEqual(part(1, stratify));
      expect(part(1, stratify)).not.toEqual(part(2, stratify));
    }
    const set = labelled(labels);
    const turned = { ...set, examples: [...set.examples].reverse() };
    expect(ids(splitDataset(turned, { a: 0.5 }, 1).a).sort()).toEqual(part(1, false).sort());
  });

  test('a stratified share is close to what is wanted where classes do not mix; sizes of parts come first', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 5, maxLength: 80 }),
        fc.integer(),
        (labels, seed) => {
          const set = labelled(labels.map((label) => [label]));
          const { a } = splitDataset(set, { a: 0.5, b: 0.5 }, seed, { stratify: true });
          for (let label = 0; label < 5; label++) {
            const wanted = labels.filter((one) => one === label).length / 2;
            expect(Math.abs(showing(a, label) - wanted)).toBeLessThanOrEqual(3);
          }
        },
      ),
    );
  });
});
