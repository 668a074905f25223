import { describe, expect, test } from 'vitest';
import type { Comparison } from '../../lib/bench/measure';
import { growth, reportRows, reportText } from '../../lib/bench/report';
import { rivalNames, type StepCase, stepCases } from '../../lib/bench/steps';

const { plain, compiled, torch } = rivalNames;

const comparison: Comparison = {
  part: 'training step',
  size: 'resnet, 96 px, batch 8',
  images: 8,
  contestants: [
    { name: plain, rounds: [400, 800, 420], values: [29.1007, 28], memory: { start: 1e8, peak: 8e8 } },
    { name: compiled, rounds: [100, 200, 100], values: [29.1007, 28], memory: { start: 1e8, peak: 7e8 } },
    { name: torch, rounds: [], missing: 'ended by SIGKILL' },
  ],
};

describe('the report', () => {
  test('ratios are taken within each round', () => {
    const [first, second, third] = reportRows([comparison]);
    expect(first.ratios).toEqual({});
    expect(second.time).toEqual({ median: 100, min: 100, max: 200 });
    expect(second.imagesPerSecond).toBe(80);
    expect(second.ratios).toEqual({ [plain]: { median: 0.25, min: 100 / 420, max: 0.25 } });
    expect(third).toMatchObject({ name: torch, missing: 'ended by SIGKILL', ratios: {} });
    expect(third.time).toBeUndefined();
  });

  test('the table says what is missing and why, and leaves out columns that nothing fills', () => {
    const text = reportText(reportRows([comparison]));
    expect(text).toMatch(/detlab, compiled +100 +100-200 +80\.0 +0\.25 \(0\.24-0\.25\) +700 +29\.1007/);
    expect(text).toMatch(/^PyTorch: ended by SIGKILL$/m);
    expect(text).not.toMatch(/of PyTorch/);
    expect(text.match(/resnet, 96 px, batch 8/g)).toHaveLength(1);
  });

  test('growth compares neighbours that differ in one thing', () => {
    const one = (size: number, batch: number, depth: number): StepCase => {
      return { net: 'resnet', work: 'training', size, batch, depth };
    };
    const took = (ms: number): Comparison => ({
      part: '',
      size: '',
      contestants: [
        { name: plain, rounds: [ms, ms * 3, ms] },
        { name: torch, rounds: [], missing: 'absent' },
      ],
    });
    const grown = growth([
      [one(96, 32, 1), took(40)],
      [one(96, 8, 1), took(10)],
      [one(96, 2, 1), took(5)],
      [one(192, 8, 1), took(30)],
      [one(96, 8, 2), took(15)],
      [{ ...one(192, 8, 1), net: 'mbconv' }, took(1)],
    ]);
    expect(grown.map(({ what, from, to, times }) => [what, from, to, times])).toEqual([
      ['batch', 'resnet, 96 px, batch 8', 'resnet, 96 px, batch 32', { [plain]: 4 }],
      ['batch', 'resnet, 96 px, batch 2', 'resnet, 96 px, batch 8', { [plain]: 2 }],
      ['size', 'resnet, 96 px, batch 8', 'resnet, 192 px, batch 8', { [plain]: 3 }],
      ['depth', 'resnet, 96 px, batch 8', 'resnet, 96 px, batch 8, 2x the blocks', { [plain]: 1.5 }],
    ]);
  });

  test('the cases reach every size and batch that is promised, for each network', () => {
    const cases = stepCases('training', false).filter(({ depth }) => depth === 1);
    for (const net of ['resnet', 'mbconv', 'shuffle']) {
      const found = cases.filter((one) => one.net === net).map(({ size, batch }) => `${size}/${batch}`);
      expect(found).toEqual(expect.arrayContaining(['96/8', '192/8', '96/32', '192/32']));
    }
    expect(
      growth(stepCases('training', false).map((one) => [one, comparison] as const)).map(({ what }) => what),
    ).toEqual(expect.arrayContaining(['batch', 'size', 'depth']));
  });
});
