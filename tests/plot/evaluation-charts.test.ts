import { describe, expect, test } from 'vitest';
import {
  cocoCurves,
  confusionMatrix,
  type Detection,
  errorBreakdown,
  evaluateCoco,
  type EvaluationInput,
} from 'detlab';
import type { ChartSpec } from '../../lib/plot/chart-spec';
import { confusionChart, errorChart, sizeChart } from '../../lib/plot/evaluation-charts';
import { precisionRecallChart } from '../../lib/plot/precision-recall-chart';
import { chartSvg } from '../../lib/plot/render';

const cat: Detection = { box: [0, 0, 20, 20], label: 0, score: 0.9 };
/** Two cats and a dog; found are one cat twice, the dog as a cat, and something where nothing is. */
const input: EvaluationInput = {
  classes: ['cat', 'dog'],
  groundTruth: [
    [
      { box: [0, 0, 20, 20], label: 0 },
      { box: [50, 50, 150, 150], label: 0 },
    ],
    [{ box: [0, 0, 50, 50], label: 1 }],
  ],
  detections: [
    [cat, { ...cat, score: 0.8 }, { ...cat, box: [200, 200, 220, 220], score: 0.3 }],
    [{ ...cat, box: [0, 0, 50, 50], score: 0.7 }],
  ],
};
const curveOf = (found: readonly boolean[], objects: number) => {
  let right = 0;
  const points = found.map((hit, i) => {
    if (hit) right++;
    return [right / objects, right / (i + 1)];
  });
  return { name: 'dog', recall: points.map(([r]) => r), precision: points.map(([, p]) => p) };
};

test('a thinned precision-recall curve runs where the whole one does', () => {
  // Of 100 objects the first 80 detections find 60, ten thousand more the rest: as detectors of a low threshold do.
  const found = Array.from({ length: 10_080 }, (_, i) => (i < 80 ? i % 4 !== 0 : i % 250 === 0));
  const curve = curveOf(found, 100);
  const { data } = precisionRecallChart([curve]) as unknown as { data: { values: string } };
  const kept = data.values
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').slice(1).map(Number));
  expect(kept.length).toBeLessThan(200);
  // Between neighbours the chart draws a straight line.
  const drawn = (recall: number): number => {
    const next = kept.findIndex(([r]) => r >= recall);
    const [[r0, p0], [r1, p1]] = [kept[Math.max(0, next - 1)], kept[next]];
    return r1 === r0 ? p1 : p0 + ((p1 - p0) * (recall - r0)) / (r1 - r0);
  };
  for (let i = 8; i < 80; i++) {
    if (!found[i]) continue;
    expect(Math.abs(drawn(curve.recall[i]) - curve.precision[i])).toBeLessThan(0.05);
  }
});

const nothing: EvaluationInput = { ...input, detections: [[], []] };

/** The texts of the picture, which must be drawn without a fault. */
async function textsOf(spec: ChartSpec): Promise<string[]> {
  const svg = await chartSvg(spec);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((m) => m[1]);
}

describe('confusions', () => {
  test('are shares of the row, or counts', async () => {
    const shares = await textsOf(confusionChart(confusionMatrix(input)));
    for (const text of ['cat', 'dog', 'background', '50', '100', 'score from 0.25, IoU from 0.5'])
      expect(shares).toContain(text);
    const counts = confusionChart(confusionMatrix(input), { cells: 'counts', title: 'Mine' });
    const { values } = counts.data as { values: { row: string; column: string; text: string }[] };
    // dog was found as cat; nothing was found as dog.
    expect(values.map(({ row, column, text }) => [row, column, text])).toEqual([
      ['cat', 'cat', '1'],
      ['cat', 'background', '1'],
      ['dog', 'cat', '1'],
      ['background', 'cat', '2'],
    ]);
    expect(await textsOf(counts)).toEqual(expect.arrayContaining(['2', 'Mine']));
  });

  test('of many classes are those of the worst, and names stay apart', async () => {
    const classes = Array.from({ length: 60 }, (_, i) => (i < 50 ? `c${i}` : 'same'));
    const object = (label: number) => ({ box: [0, 0, 9, 9] as const, label });
    const many = confusionMatrix({
      classes,
      groundTruth: classes.map((_, label) => [object(label)]),
      detections: classes.map((_, label) => [
        { ...object(label < 57 ? label : 57 + ((label + 1) % 3)), score: 1 },
      ]),
    });
    const chart = confusionChart(many, { maxClasses: 3 });
    const texts = await textsOf(chart);
    expect(texts).toEqual(expect.arrayContaining(['same', 'same (2)', 'same (3)', 'background']));
    expect(texts).not.toContain('c1');
    expect(JSON.stringify(chart.title)).toContain('the 3 of 60 classes most confused');
  });

  test('of nothing, and of no classes', async () => {
    await textsOf(confusionChart(confusionMatrix(nothing)));
    const none = confusionMatrix({ classes: [], groundTruth: [], detections: [] });
    expect(() => confusionChart(none)).toThrow('the matrix has no classes');
  });
});

describe('errors', () => {
  test('are bars with their number, or side by side', async () => {
    const breakdown = errorBreakdown(input);
    const texts = await textsOf(errorChart(breakdown));
    expect(texts).toEqual(
      expect.arrayContaining(['classification (1)', '50.0', 'missed (1)', 'AP 25.2 at IoU 0.5']),
    );
    const two = await textsOf(
      errorChart([
        { name: 'mine', result: breakdown },
        { name: 'blind', result: errorBreakdown(nothing) },
      ]),
    );
    expect(two).toEqual(expect.arrayContaining(['classification', 'mine', 'blind', '100.0']));
    expect(() => errorChart([])).toThrow('no bars');
  });
});

describe('sizes', () => {
  test('are bars with their objects, without those of which there are none', async () => {
    const texts = await textsOf(sizeChart(evaluateCoco({ ...input, classes: ['cat', 'dog', 'cow'] })));
    expect(texts).toEqual(
      expect.arrayContaining(['all (3 objects)', 'small (1 object)', '100.0', 'large (1 object)']),
    );
    const groundTruth = [[input.groundTruth[0][0]], []];
    const small = await textsOf(sizeChart([{ name: 'a', result: evaluateCoco({ ...input, groundTruth }) }]));
    expect(small).toEqual(expect.arrayContaining(['all', 'small']));
    expect(small).not.toContain('large');
    expect(small).not.toContain('diverged');
  });
});

test("COCO's curves end at the recall that they reach", () => {
  const [one, none] = cocoCurves(evaluateCoco(input));
  expect(one.recall).toHaveLength(101);
  const spec = precisionRecallChart([one, none]);
  expect(spec.description).toContain('cat: AP 0.505, recall up to 0.5; dog: AP 0, nothing found');
  const rows = (spec.data as { values: string }).values.split('\n');
  expect(rows.slice(1).every((row) => Number(row.split(',')[1]) <= 0.5)).toBe(true);
  expect(rows.length).toBeGreaterThan(40);
});
