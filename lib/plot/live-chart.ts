/** A line chart that grows while something trains. */
import { type ChartSpec } from './chart-spec';
import { chartColors } from './colors';
import { display, displaySink } from './display';
import { lineChart, type LineChartOptions } from './line-chart';
import { chartBundle } from './show';

/** Options of {@link createLiveChart}: those of a line chart, and the names of the series in their order of colours. */
export interface LiveChartOptions extends LineChartOptions {
  series: readonly string[];
  /** Least time between two updates in milliseconds (1000 unless told). */
  interval?: number;
  /** Milliseconds, from any origin (`performance.now` unless told). */
  clock?: () => number;
}

/** A chart that updates in place. */
export interface LiveChart {
  /**
   * Adds values at a step. Names are those of `series`; one that is left out has no point there. Cheap to call at each step:
   * most calls draw nothing.
   */
  push(step: number, values: Readonly<Record<string, number>>): void;
  /** Draws the final chart in full quality, static picture included. */
  done(): Promise<void>;
  /** The chart as it stands; throws while nothing was pushed. */
  spec(): ChartSpec;
}

let count = 0;
/** While it runs a chart holds at most this many points a curve: each update sends all of them. */
const livePoints = 160;

/**
 * Starts a live chart. While it runs, updates hold the interactive form only (drawing a PNG each second would take time from
 * training) and thinned curves. It sets no timer: a loop that stops leaves the last chart drawn.
 */
export function createLiveChart(options: LiveChartOptions): LiveChart {
  const { series, interval = 1000, clock = (): number => performance.now(), ...chart } = options;
  if (series.length === 0) throw new Error('createLiveChart: name at least one series');
  const displayId = `detlab-chart-${++count}`;
  const data = new Map(series.map((name) => [name, { x: [] as number[], y: [] as number[] }]));
  let shownAt = -Infinity;
  let shownOnce = false;

  const draw = (maxPoints?: number): ChartSpec => {
    const filled = series.flatMap((name, i) => {
      const { x, y } = data.get(name) as { x: number[]; y: number[] };
      return y.length > 0 ? [{ name, x, y, color: chartColors[i % chartColors.length] }] : [];
    });
    if (filled.length === 0) throw new Error(`the live chart of ${series.join(', ')} has no values yet`);
    return lineChart(filled, maxPoints === undefined ? chart : { ...chart, maxPoints });
  };

  return {
    push(step, values) {
      for (const [name, value] of Object.entries(values)) {
        const one = data.get(name);
        if (!one) throw new Error(`live chart: no series "${name}"; it was made with ${series.join(', ')}`);
        one.x.push(step);
        one.y.push(value);
      }
      const now = clock();
      if (!displaySink() || now - shownAt < interval || ![...data.values()].some((one) => one.y.length > 0))
        return;
      const spec = draw(Math.min(livePoints, options.maxPoints ?? livePoints));
      const bundle = { 'application/vnd.vegalite.v5+json': spec, 'text/plain': spec.description };
      display(bundle, { displayId, update: shownOnce });
      shownOnce = true;
      shownAt = clock();
    },
    async done() {
      const spec = draw();
      const { bundle, metadata } = await chartBundle(spec, displaySink() ? 'png' : 'none');
      display(bundle, { displayId, update: shownOnce, metadata });
      shownOnce = true;
    },
    spec: () => draw(),
  };
}
