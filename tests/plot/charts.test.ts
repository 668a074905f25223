import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { barChart } from '../../lib/plot/bar-chart';
import type { ChartSpec } from '../../lib/plot/chart-spec';
import { heatMap } from '../../lib/plot/heat-map';
import { histogram } from '../../lib/plot/histogram';
import { lineChart } from '../../lib/plot/line-chart';
import { panels } from '../../lib/plot/panels';
import { precisionRecallChart } from '../../lib/plot/precision-recall-chart';
import { chartPng, chartSvg, staticSpec } from '../../lib/plot/render';
import { scatterChart } from '../../lib/plot/scatter-chart';

const line = (title?: string): ChartSpec =>
  lineChart(
    [
      { name: 'with BN', y: [3, 2.5, 2, 1.5, 1] },
      { name: 'without', y: [3, 2.8, 2.9, NaN, NaN] },
    ],
    { title, x: 'Step', y: 'Loss (nats)', smoothing: 0.5 },
  );

const charts: Record<string, () => ChartSpec> = {
  line: () => line('Loss'),
  'line with seeds': () =>
    lineChart(
      [
        {
          name: 'a',
          runs: [
            [1, 2, 3],
            [2, 4, Infinity],
          ],
          x: [0, 10, 20],
        },
        { name: 'published', y: [2.5, 2.5, 2.5], x: [0, 10, 20], dashed: true },
      ],
      { x: 'Step', y: 'mAP (%)', yZero: true, yDomain: [0, 5] },
    ),
  'line on log axes': () =>
    lineChart([{ name: 'norm', y: [1, 0.1, 0, 1e-5], x: [1, 10, 100, 1000] }], {
      x: 'Step',
      y: 'Gradient norm (L2)',
      xScale: 'log',
      yScale: 'log',
    }),
  bars: () =>
    barChart(
      [
        { name: 'from scratch', runs: [40, 42, 44], reference: 43 },
        { name: 'with BN', value: 60, low: 58, high: 61, reference: 78.5 },
        { name: '10× rate', value: NaN },
      ],
      { title: 'mAP', value: 'mAP (%)' },
    ),
  'grouped bars': () =>
    barChart(
      ['small', 'large'].flatMap((name, i) => [
        { name, group: 'random', value: 10 + i },
        { name, group: 'frozen', value: 20 + i },
      ]),
      { value: 'AP (%)', direction: 'vertical' },
    ),
  'heat map': () =>
    heatMap(
      {
        rows: ['8', '32'],
        columns: ['0.01', '0.1', '1'],
        values: [
          [1, 2, NaN],
          [3, null, 4],
        ],
      },
      { x: 'Learning rate', y: 'Batch size (images)', value: 'mAP (%)' },
    ),
  histogram: () => histogram([1, 1, 2, 3, 3, 3, NaN], { x: 'Box width (pixels)', bins: 4 }),
  histograms: () =>
    histogram(
      [
        { name: 'train', values: [0, 0.2, 0.4, 0.9] },
        { name: 'test', values: new Float32Array([0.1, 0.5, 2]) },
      ],
      { x: 'IoU', bins: 5, domain: [0, 1], share: true },
    ),
  scatter: () =>
    scatterChart(
      [
        { x: 1, y: 30, label: 'D0', group: 'EfficientDet' },
        { x: 10, y: 40, label: 'D2', group: 'EfficientDet' },
        { x: 100, y: 38, label: 'RetinaNet', group: 'others' },
        { x: 0, y: 38, label: 'not on a log axis', group: 'others' },
      ],
      { x: 'Multiply-adds (billions)', y: 'AP (%)', xScale: 'log', connect: true },
    ),
  'precision and recall': () =>
    precisionRecallChart([
      { name: 'dog', recall: [0.1, 0.2, 0.3], precision: [1, 0.9, 0.7], averagePrecision: 0.27 },
      { name: 'cat', recall: [], precision: [], averagePrecision: 0 },
    ]),
  panels: () =>
    panels([line('Loss'), line('Norm'), line('Change')], { title: 'All', columns: 2, shared: 'y' }),
  'panels of kinds': () => panels([line('Loss'), charts.bars(), charts['heat map']()], { columns: 3 }),
};

describe.each(Object.entries(charts))('%s', (_, make) => {
  it('is the specification it was', () => {
    const { config: _config, ...rest } = make();
    expect(rest).toMatchSnapshot();
  });

  it('is the same each time and survives JSON unchanged', () => {
    const spec = make();
    expect(JSON.parse(JSON.stringify(spec))).toEqual(JSON.parse(JSON.stringify(make())));
    expect(JSON.stringify(spec)).not.toMatch(/NaN|Infinity/);
  });

  it('compiles without a warning and renders', async () => {
    const vegaLite = await import('vega-lite');
    const warnings: string[] = [];
    const note = (...args: readonly unknown[]): unknown => {
      warnings.push(args.join(' '));
      return logger;
    };
    const quiet = (): unknown => logger;
    const logger = { level: quiet, error: note, warn: note, info: quiet, debug: quiet };
    const compiled = vegaLite.compile(make() as never, { logger: logger as never });
    expect(warnings).toEqual([]);
    // The interactive form, with its hover targets, runs too: names must not clash between panels.
    const vega = await import('vega');
    const view = await new vega.View(vega.parse(compiled.spec), { renderer: 'none' }).runAsync();
    view.finalize();
    const svg = await chartSvg(make());
    expect(svg).toMatch(/^<svg [^>]*width="\d+"/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    const png = PNG.sync.read(await chartPng(make(), 1));
    const [, width, height] = /width="([\d.]+)" height="([\d.]+)"/.exec(svg) as RegExpExecArray;
    expect(Math.abs(png.width - Number(width))).toBeLessThanOrEqual(12);
    expect(Math.abs(png.height - Number(height))).toBeLessThanOrEqual(12);
  });
});

const texts = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((m) => m[1]);

describe('lineChart', () => {
  it('marks a diverged run where it stops', async () => {
    const spec = line();
    expect(spec.description).toContain('without: 3 to 2.886, diverged at 3');
    const svg = await chartSvg(spec);
    expect(texts(svg)).toContain('diverged at 3');
    expect(texts(svg)).toContain('Loss (nats)');
    expect(texts(svg)).toContain('Step');
  });

  it('marks a run that never was finite', async () => {
    const spec = lineChart(
      [
        { name: 'a', y: [NaN, NaN] },
        { name: 'b', y: [1, 2] },
      ],
      { x: 'Step', y: 'Loss' },
    );
    expect(spec.description).toContain('a: diverged at 0');
    expect(texts(await chartSvg(spec))).toContain('diverged at 0');
  });

  it('does not let an explosion flatten the others', () => {
    const exploding = [2, 1.8, 50, 4000, 1e9, NaN];
    const spec = lineChart(
      [
        { name: 'good', y: [2, 1.5, 1, 0.8, 0.6, 0.5] },
        { name: 'bad', y: exploding },
      ],
      { x: 'Step', y: 'Loss' },
    );
    const layer = (spec.layer as { encoding: { y: { scale: { domainMax?: number } } } }[])[0];
    expect(layer.encoding.y.scale.domainMax).toBe(3);
  });

  it('fits a log axis to the curves, and labels it at least twice', () => {
    const y = Array.from({ length: 50 }, (_, i) => 5 + 15 * Math.exp(-i / 10));
    const axisOf = (series: Parameters<typeof lineChart>[0]) => {
      const { layer } = lineChart(series, { x: 'Step', y: 'Loss', yScale: 'log' });
      const [{ encoding }] = layer as {
        encoding: { y: { scale: { domain: [number, number] }; axis: { values: number[] } } };
      }[];
      return { domain: encoding.y.scale.domain, values: encoding.y.axis.values };
    };
    const healthy = axisOf([{ name: 'good', y }]);
    expect(healthy.domain[0]).toBeCloseTo(Math.min(...y) / 1.1, 12);
    expect(healthy.domain[1]).toBeCloseTo(22, 12);
    expect(healthy.values).toEqual([5, 10, 20]);
    // The explosion has no say.
    const exploded = axisOf([
      { name: 'good', y },
      { name: 'bad', y: [20, 18, 1e5, 1e9, NaN] },
    ]);
    expect(exploded.domain[1]).toBe(30);
    expect(exploded.values).toEqual([5, 10, 20]);
    expect(axisOf([{ name: 'narrow', y: [5.2, 5.4, 5.1] }]).values).toBeUndefined();
  });

  it('says how many values a log axis cannot hold', () => {
    expect(JSON.stringify(charts['line on log axes']().title)).toContain('1 value ≤ 0 not shown');
  });

  it('thins long curves, keeping spikes, and stays small', () => {
    const y = Array.from({ length: 20_000 }, (_, i) => (i === 12_345 ? 99 : Math.sin(i / 500)));
    const spec = lineChart([{ name: 'a', y }], { x: 'Step', y: 'Loss' });
    const { values } = spec.data as { values: string };
    expect(values).toContain('a,12345,99');
    expect(values.split('\n').length).toBeLessThan(350);
    expect(JSON.stringify(spec).length).toBeLessThan(14_000);
  });

  it('writes steps in thousands, and shares as they are', async () => {
    const ticks = async (x: number[]): Promise<string[]> => {
      const svg = await chartSvg(lineChart([{ name: 'a', x, y: [1, 2] }], { x: 'x', y: 'y' }));
      return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]);
    };
    expect(await ticks([0, 5000])).toEqual(expect.arrayContaining(['1k', '5k']));
    expect(await ticks([0.01, 0.99])).toEqual(expect.arrayContaining(['0.2', '0.8']));
  });

  it('names the series that is wrong', () => {
    const options = { x: 'Step', y: 'Loss' };
    expect(() => lineChart([], options)).toThrow(/no series/);
    expect(() => lineChart([{ name: 'train', y: [] }], options)).toThrow(/"train" is empty/);
    expect(() => lineChart([{ name: 'train', y: [1, 2], x: [1] }], options)).toThrow(
      /"train" has 2 .* 1 of x/,
    );
    expect(() =>
      lineChart(
        [
          { name: 'a', y: [1] },
          { name: 'a', y: [1] },
        ],
        options,
      ),
    ).toThrow(/two series .*"a"/);
    expect(() => lineChart([{ name: 'a', y: [1], runs: [[1]] }], options)).toThrow(/both y and runs/);
    expect(() => lineChart([{ name: 'a', y: [1] }], { ...options, smoothing: 1 })).toThrow(/\[0, 1\), got 1/);
    expect(() => lineChart([{ name: 'a', y: [1] }], { ...options, width: -5 })).toThrow(/width.*-5/);
  });

  it('quotes names that CSV would break', async () => {
    const names = ['a, b', 'say "hi"', 'two\nlines'];
    const spec = lineChart(
      names.map((name, i) => ({ name, y: [i, i + 1] })),
      { x: 'Step', y: 'Loss' },
    );
    expect(texts(await chartSvg(spec))).toEqual(expect.arrayContaining(['a, b', 'say "hi"']));
  });
});

describe('barChart', () => {
  it('draws bars from zero, as long as their values', async () => {
    const svg = await chartSvg(
      barChart(
        [
          { name: 'a', value: 10 },
          { name: 'b', value: 20 },
        ],
        { value: 'mAP (%)', format: null },
      ),
    );
    const bars = barWidths(svg);
    expect(bars).toHaveLength(2);
    expect(bars[1] / bars[0]).toBeCloseTo(2, 1);
  });

  it('names the bar that is wrong', () => {
    expect(() => barChart([], { value: 'mAP' })).toThrow(/no bars/);
    expect(() => barChart([{ name: 'a' }], { value: 'mAP' })).toThrow(/"a" has neither/);
    expect(() => barChart([{ name: 'a', runs: [] }], { value: 'mAP' })).toThrow(/"a" has no runs/);
    expect(() =>
      barChart(
        [
          { name: 'a', value: 1 },
          { name: 'a', value: 2 },
        ],
        { value: 'mAP' },
      ),
    ).toThrow(/"a" is there twice/);
  });
});

/** Widths of the filled paths in the first chart colour: from the first to the farthest x of each. */
function barWidths(svg: string): number[] {
  return [...svg.matchAll(/<path[^>]*d="([^"]*)"[^>]*fill="#0072b2"/g)].map(([, d]) => {
    const xs = [...d.matchAll(/[MLC]([\d.]+)/g)].map((m) => Number(m[1]));
    return Math.max(...xs) - Math.min(...xs);
  });
}

describe('the other charts', () => {
  it('marks diverged cells, and says which row is wrong', async () => {
    expect(texts(await chartSvg(charts['heat map']()))).toEqual(
      expect.arrayContaining(['diverged', '1', '2', '3', '4']),
    );
    const options = { x: 'a', y: 'b', value: 'c' };
    expect(() => heatMap({ rows: ['r'], columns: ['1', '2'], values: [[1]] }, options)).toThrow(
      /"r" has 1 values for 2/,
    );
    expect(() => heatMap({ rows: [], columns: [], values: [] }, options)).toThrow(/no cells/);
  });

  it('draws a heat map whose runs all diverged', async () => {
    const spec = heatMap({ rows: ['r'], columns: ['c'], values: [[NaN]] }, { x: 'a', y: 'b', value: 'c' });
    expect(spec.description).not.toMatch(/Infinity/);
    expect(texts(await chartSvg(spec))).toContain('diverged');
  });

  it('counts what falls into each bin', () => {
    const { values } = charts.histogram().data as { values: string };
    expect(values.split('\n').slice(1)).toEqual([
      'values,1,1.5,2',
      'values,1.5,2,0',
      'values,2,2.5,1',
      'values,2.5,3,3',
    ]);
    expect(JSON.stringify(charts.histogram().title)).toContain('1 non-finite value left out');
    expect(JSON.stringify(charts.histograms().title)).toContain('1 value outside the axis');
    expect(() => histogram([{ name: 'w', values: [NaN] }], { x: 'a' })).toThrow(/"w" has no finite value/);
    expect(() => histogram([1], { x: 'a', bins: 0 })).toThrow(/bins.*0/);
  });

  it('writes the labels of points', async () => {
    const spec = charts.scatter();
    expect(texts(await chartSvg(spec))).toEqual(expect.arrayContaining(['D0', 'D2', 'RetinaNet']));
    expect(JSON.stringify(spec.title)).toContain('1 point not drawable');
    expect(() => scatterChart([], { x: 'a', y: 'b' })).toThrow(/no points/);
    expect(() => scatterChart([{ x: NaN, y: 1 }], { x: 'a', y: 'b' })).toThrow(/none of the 1 points/);
  });

  it('lists classes without detections', async () => {
    const svg = await chartSvg(charts['precision and recall']());
    expect(texts(svg)).toEqual(expect.arrayContaining(['dog (AP 0.27)', 'cat (AP 0.00)']));
    expect(() => precisionRecallChart([{ name: 'dog', recall: [1], precision: [] }])).toThrow(
      /"dog" has 1 .* 0/,
    );
  });

  it('draws one legend for panels of the same series', async () => {
    const svg = await chartSvg(panels([line('A'), line('B')], {}));
    expect(texts(svg).filter((text) => text === 'with BN')).toHaveLength(1);
    expect(() => panels([])).toThrow(/no charts/);
  });
});

describe('rendering', () => {
  it('leaves out of a picture what only a pointer needs', () => {
    expect(JSON.stringify(line())).toContain('"name":"interactive"');
    expect(JSON.stringify(staticSpec(line()))).not.toContain('interactive');
    expect(JSON.stringify(staticSpec(charts.panels()))).not.toContain('interactive');
  });

  it('draws sharp text in the shipped font', async () => {
    const { GlobalFonts } = await import('canvas');
    const [one, two] = await Promise.all([chartPng(line('Title'), 1), chartPng(line('Title'), 2)]);
    const [small, large] = [PNG.sync.read(one), PNG.sync.read(two)];
    expect([large.width, large.height]).toEqual([2 * small.width, 2 * small.height]);
    expect(small.width).toBe(600);
    expect(GlobalFonts.has('Inter')).toBe(true);
  });

  it('explains what is no chart', async () => {
    const wrong = { $schema: 'https://vega.github.io/schema/vega-lite/v5.json', mark: 'line', layer: 3 };
    await expect(chartSvg(wrong)).rejects.toThrow(/Vega-Lite 5 specification/);
  });
});
