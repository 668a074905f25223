import { describe, expect, test } from 'vitest';
import { hardNegatives } from '../../lib/boxes/sampling';

describe('hard negatives', () => {
  const labels = Int32Array.of(2, -1, -1, -2, -1, -1, -1);
  const losses = Float32Array.of(9, 0.1, 0.5, 8, 0.5, 0.3, 0.5);

  test('three for each positive, the hardest, equal losses in the order of the anchors; ignored anchors never', () => {
    expect([...hardNegatives(losses, labels)]).toEqual([0, 0, 1, 0, 1, 0, 1]);
    expect([...hardNegatives(losses, labels, { ratio: 2 })]).toEqual([0, 0, 1, 0, 1, 0, 0]);
    expect([...hardNegatives(losses, labels, { ratio: 1.5 })]).toEqual([0, 0, 1, 0, 0, 0, 0]);
  });

  test('as many as there are when there are too few', () => {
    expect([...hardNegatives(losses, labels, { ratio: 100 })]).toEqual([0, 1, 1, 0, 1, 1, 1]);
  });

  test('without positives: none, or the number asked for', () => {
    const background = new Int32Array(7).fill(-1);
    expect([...hardNegatives(losses, background)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect([...hardNegatives(losses, background, { minNegatives: 2 })]).toEqual([1, 0, 0, 1, 0, 0, 0]);
  });

  test('anchors that are not eligible are left out', () => {
    const eligible = Uint8Array.of(1, 1, 0, 1, 1, 1, 1);
    expect([...hardNegatives(losses, labels, { ratio: 2 }, eligible)]).toEqual([0, 0, 0, 0, 1, 0, 1]);
  });

  test('empty, and lengths that differ', () => {
    expect(hardNegatives(new Float32Array(0), new Int32Array(0)).length).toBe(0);
    expect(() => hardNegatives(losses, new Int32Array(3))).toThrow('7 losses, but 3 labels');
  });
});
