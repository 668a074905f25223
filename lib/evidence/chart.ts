/** The chart of a study: a dot for each seed, a bar for their mean. */
import { type ChartOptions, type ChartSpec, chartWidth, compact, makeChart } from '../plot/chart-spec';
import { chartColors } from '../plot/colors';
import type { Evidence } from './summary';
import { metricValue } from './verdict';

/** Options of `evidenceChart`. */
export interface EvidenceChartOptions extends ChartOptions {
  /** The study's first unless told. */
  readonly metric?: string;
  /** Names of the arms to draw, in order; all unless told. */
  readonly arms?: readonly string[];
  /** The reader's own run, by arm, drawn as a diamond. */
  readonly own?: Readonly<Record<string, number>>;
}

/**
 * Arms below one another: a bar to the mean over seeds, a dot for each seed, and how many runs diverged.
 * @throws on an unknown metric or arm.
 */
export function evidenceChart(evidence: Evidence, options: EvidenceChartOptions = {}): ChartSpec {
  const { metric = Object.keys(evidence.metrics)[0], own = {}, ...rest } = options;
  const found = evidence.metrics[metric] as Evidence['metrics'][string] | undefined;
  if (!found)
    throw new Error(
      `evidenceChart: the study has no metric '${metric}', only ${Object.keys(evidence.metrics).join(', ')}`,
    );
  const rows = evidence.arms.filter((row) => row.metric === metric);
  const wanted = options.arms ?? rows.map(({ arm }) => arm);
  for (const name of [...wanted, ...Object.keys(own)])
    if (!rows.some(({ arm }) => arm === name))
      throw new Error(`evidenceChart: the study has no arm '${name}'`);
  const arms = wanted.map((name) => rows.find(({ arm }) => arm === name)!);
  const titles = arms.map(({ title }) => title);

  const dots = arms.flatMap(({ arm, title }) => [
    ...evidence.runs
      .filter((run) => run.arm === arm)
      .flatMap((run) => {
        const value = metricValue(run, metric, found);
        const what = run.diverged ? 'diverged' : 'one seed';
        return value === null ? [] : [{ arm: title, value: compact(value), what, seed: String(run.seed) }];
      }),
    ...(Object.hasOwn(own, arm) && Number.isFinite(own[arm])
      ? [{ arm: title, value: compact(own[arm]), what: 'your run', seed: 'yours' }]
      : []),
  ]);
  const bars = arms.map(({ title, mean, seeds, diverged, values }) => ({
    arm: title,
    mean: mean === null ? null : compact(mean),
    // The longest of its marks: the text stands beside it.
    end: Math.max(0, ...dots.map((dot) => (dot.arm === title ? (dot.value ?? 0) : 0))),
    text: label(mean, found.digits, seeds, diverged, values),
  }));
  const kinds = ['one seed', 'diverged', 'your run'].filter((kind) => dots.some(({ what }) => what === kind));
  const looks: Record<string, [shape: string, color: string]> = {
    'one seed': ['circle', chartColors[0]],
    diverged: ['cross', chartColors[7]],
    'your run': ['diamond', chartColors[4]],
  };
  // Room for the texts inside the plot.
  const ends = dots.map(({ value }) => value ?? 0);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const room = (high - low || 1) * 0.24;
  const y = {
    field: 'arm',
    type: 'nominal',
    sort: titles,
    title: null,
    axis: {
      grid: false,
      domain: true,
      ticks: false,
      labelColor: '#1f2328',
      labelLimit: 240,
      labelPadding: 8,
    },
    scale: { paddingInner: 0.4, paddingOuter: 0.2 },
  };
  const x = (field: string): Record<string, unknown> => ({
    field,
    type: 'quantitative',
    title: found.title,
    stack: null,
    scale: { domain: [compact(low), compact(high + room)], nice: false },
    axis: { grid: true, domain: false, ticks: false },
  });
  const layer: Record<string, unknown>[] = [
    {
      mark: { type: 'bar', color: '#a9cbe3', cornerRadiusEnd: 2 },
      encoding: {
        y,
        x: x('mean'),
        tooltip: [
          { field: 'arm', type: 'nominal' },
          { field: 'text', type: 'nominal', title: 'mean' },
        ],
      },
    },
    {
      mark: { type: 'text', align: 'left', baseline: 'middle', dx: 10 },
      encoding: { y, x: x('end'), text: { field: 'text', type: 'nominal' } },
    },
  ];
  if (dots.length > 0) {
    const scale = (index: 0 | 1): Record<string, unknown> => ({
      domain: kinds,
      range: kinds.map((kind) => looks[kind][index]),
    });
    const legend = { orient: 'top', title: null };
    layer.push({
      data: { values: dots },
      mark: { type: 'point', filled: true, opacity: 0.9, stroke: '#ffffff', strokeWidth: 0.75 },
      encoding: {
        y,
        x: x('value'),
        // A diamond of the same area looks smaller than a circle.
        size: { condition: { test: "datum.what === 'your run'", value: 130 }, value: 64 },
        shape: { field: 'what', type: 'nominal', scale: scale(0), legend },
        color: { field: 'what', type: 'nominal', scale: scale(1), legend },
        tooltip: [
          { field: 'arm', type: 'nominal' },
          { field: 'seed', type: 'nominal' },
          { field: 'value', type: 'quantitative', title: found.title, format: '.4~g' },
        ],
      },
    });
  }
  const summary = bars.map(({ arm, text }) => `${arm}: ${text}`).join('; ');
  return makeChart(
    { data: { values: bars }, layer },
    { width: chartWidth, ...rest, subtitle: rest.subtitle ?? 'bar: mean over seeds' },
    `${found.title} of each arm and seed. ${summary}.`,
    Math.max(140, 34 * arms.length + 120),
  );
}

/** `0.412, 1 of 3 diverged`: the mean, and what a reader must know beside it. */
function label(
  mean: number | null,
  digits: number | undefined,
  seeds: number,
  diverged: number,
  values: number,
): string {
  if (seeds === 0) return 'no runs yet';
  if (diverged === seeds) return seeds === 1 ? 'diverged' : `all ${seeds} diverged`;
  const number = mean === null ? 'no value' : mean.toFixed(digits ?? 3);
  const some = diverged > 0 ? `, ${diverged} of ${seeds} diverged` : '';
  const missing = values < seeds && diverged === 0 ? `, ${seeds - values} without a value` : '';
  return `${number}${some}${missing}`;
}
