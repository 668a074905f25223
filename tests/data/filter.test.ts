import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatDatasets, filterClasses } from '../../lib/data/filter';
import { longTail } from '../../lib/data/long-tail';
import type { DetectionDataset } from '../../lib/data/types';

const letters = 'abcdefgh';

/** A data set whose image i shows the classes `labels[i]`. */
function labelled(labels: readonly (readonly number[])[], classes: number, name = 'set'): DetectionDataset {
  const examples = labels.map((shown, i) => ({
    id: `image-${i}`,
    width: 10,
    height: 10,
    objects: shown.map((label, x) => ({ box: [x, 0, x + 5, 5] as const, label, difficult: x === 1 })),
    image: () => Promise.reject(new Error('no pixels')),
  }));
  return { name, classes: letters.slice(0, classes).split(''), examples };
}

const labelsOf = (set: DetectionDataset): number[][] =>
  set.examples.map(({ objects }) => objects.map(({ label }) => label));

describe('filterClasses', () => {
  test('keeps and renumbers, with what else objects and data set have', () => {
    const set = { ...labelled([[0, 1], [2], [1, 1], []], 3), categoryIds: [10, 20, 30], problems: [] };
    const chosen = filterClasses(set, ['c', 'b']);
    expect([chosen.classes, labelsOf(chosen), chosen.categoryIds]).toEqual([
      ['c', 'b'],
      [[1], [0], [1, 1], []],
      [30, 20],
    ]);
    expect(chosen.examples[0].objects[0]).toEqual({ box: [1, 0, 6, 5], label: 1, difficult: true });
    expect(labelsOf(filterClasses(set, ['a'], { keepEmpty: false }))).toEqual([[0]]);
    expect(labelsOf(filterClasses(set, []))).toEqual([[], [], [], []]);
  });

  test('unknown and repeated names', () => {
    const set = { ...labelled([[0]], 1), classes: ['person'] };
    expect(() => filterClasses(set, ['preson'])).toThrow('no class "preson". Did you mean "person"?');
    expect(() => filterClasses(set, ['person', 'person'])).toThrow('"person" is asked for twice');
  });
});

describe('concatDatasets', () => {
  test('joins classes by name; ids stay apart', () => {
    const one = labelled([[0], [1]], 2, 'one');
    const two = { ...labelled([[0, 1, 2]], 3, 'two'), classes: ['b', 'c', 'a'] };
    const both = concatDatasets([one, two]);
    expect([both.name, both.classes, labelsOf(both)]).toEqual([
      'one + two',
      ['a', 'b', 'c'],
      [[0], [1], [1, 2, 0]],
    ]);
    expect(both.examples.map(({ id }) => id)).toEqual(['one/image-0', 'image-1', 'two/image-0']);
    const same = concatDatasets([one, one], 'twice');
    expect([same.name, new Set(same.examples.map(({ id }) => id)).size]).toEqual(['twice', 4]);
    expect(() => concatDatasets([])).toThrow('no data set');
  });
});

describe('longTail', () => {
  test('single classes: to the letter, 100 : 31 : 10 at an imbalance of 10', () => {
    const set = labelled(
      Array.from({ length: 300 }, (_, i) => [i % 3]),
      3,
    );
    const tailed = longTail(set, { imbalance: 10, seed: 1 });
    expect(tailed.tail).toEqual([
      { class: 'a', before: 100, target: 100, after: 100 },
      { class: 'b', before: 100, target: 31, after: 31 },
      { class: 'c', before: 100, target: 10, after: 10 },
    ]);
    expect(tailed.examples).toHaveLength(141);
    const places = tailed.examples.map((example) => set.examples.indexOf(example));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    const turned = longTail(set, { imbalance: 10, seed: 1, order: ['c', 'a', 'b'] });
    expect(turned.tail.map(({ after }) => after)).toEqual([31, 10, 100]);
  });

  test('a seed gives the same images, another seed others', () => {
    const set = labelled(
      Array.from({ length: 100 }, (_, i) => [i % 2]),
      2,
    );
    const ids = (seed: number): string[] =>
      longTail(set, { imbalance: 5, seed }).examples.map(({ id }) => id);
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
  });

  test('no class exceeds its target, whole images are kept, an imbalance of 1 caps at the most frequent', () => {
    const anyLabels = fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }), { maxLength: 60 });
    fc.assert(
      fc.property(
        anyLabels,
        fc.double({ min: 1, max: 100, noNaN: true }),
        fc.integer(),
        fc.constantFrom('images' as const, 'objects' as const),
        (labels, imbalance, seed, count) => {
          const set = labelled(labels, 4);
          const { tail, examples } = longTail(set, { imbalance, seed, count });
          for (const [label, { after, target, before }] of tail.entries()) {
            const found = examples.map(
              ({ objects }) => objects.filter((object) => object.label === label).length,
            );
            const counted = found.reduce((sum, n) => sum + (count === 'images' ? Math.min(1, n) : n), 0);
            expect(counted).toBe(after);
            expect(after).toBeLessThanOrEqual(target);
            expect(target).toBeLessThanOrEqual(before);
          }
          for (const example of examples) expect(set.examples).toContain(example);
          const empty = labels.filter((one) => one.length === 0).length;
          expect(examples.filter(({ objects }) => objects.length === 0)).toHaveLength(empty);
          if (imbalance === 1) expect(examples).toHaveLength(labels.length);
        },
      ),
    );
    const same = longTail(labelled([[0, 1], [1], [2, 0]], 3), { imbalance: 1, seed: 0 });
    expect(same.examples).toHaveLength(3);
  });

  test('refuses what makes no sense; an empty data set stays empty', () => {
    const set = labelled([[0]], 2);
    expect(() => longTail(set, { imbalance: 0.5, seed: 0 })).toThrow('imbalance is 0.5');
    expect(() => longTail(set, { imbalance: NaN, seed: 0 })).toThrow('imbalance is NaN');
    expect(() => longTail(set, { imbalance: 2, seed: 0, order: ['a', 'a'] })).toThrow(
      'must name each class once',
    );
    expect(longTail(labelled([], 0), { imbalance: 2, seed: 0 }).examples).toEqual([]);
  });
});
