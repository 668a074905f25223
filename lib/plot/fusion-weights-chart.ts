/** How learned fusion changes in training: what each node's inputs are multiplied by (EfficientDet, figure 5). */
import type { FusionWeight } from '../models/necks/fusion-weights';
import { type ChartOptions, type ChartSpec, chartWidth } from './chart-spec';
import { lineChart } from './line-chart';
import { panels } from './panels';

/** The weights of a feature network at a step of its training. */
export interface FusionWeightsAt {
  readonly step: number;
  /** What `fusionWeights` returned then. */
  readonly weights: readonly FusionWeight[];
}

/** Options of {@link fusionWeightsChart}. */
export interface FusionWeightsChartOptions extends ChartOptions {
  /** Which run of the graph, from 0 (the first, unless told). */
  cell?: number;
  /** Names of the nodes to draw, in order; all unless told. */
  nodes?: readonly string[];
  /** Nodes in a row; as many as fit unless told. */
  columns?: number;
}

/**
 * A small chart for each node of a cell: the shares of its inputs, which add up to 1, against the step. All have the same axes.
 *
 * `width` is that of the whole, `height` that of one node's plot.
 * @param course in the order of the steps.
 * @throws RangeError without weights, for a cell or node that has none, and where a step lacks one.
 */
export function fusionWeightsChart(
  course: readonly FusionWeightsAt[],
  options: FusionWeightsChartOptions = {},
): ChartSpec {
  const { cell = 0, nodes: wanted, columns, width = chartWidth, height = 110, ...rest } = options;
  if (course.length === 0)
    throw new RangeError('fusionWeightsChart: no steps; call fusionWeights in training');
  const first = course[0].weights.filter((weight) => weight.cell === cell);
  if (first.length === 0) {
    const cells = new Set(course[0].weights.map((weight) => weight.cell)).size;
    throw new RangeError(
      `fusionWeightsChart: cell ${cell} has no weights; ` +
        (cells === 0 ? 'sums have none' : `there are cells 0 to ${cells - 1}`),
    );
  }
  const known = [...new Set(first.map(({ node }) => node))];
  const nodes = wanted ?? known;
  const unknown = nodes.find((node) => !known.includes(node));
  if (unknown !== undefined) {
    throw new RangeError(`fusionWeightsChart: no weights of node "${unknown}", only of ${known.join(', ')}`);
  }
  const inRow = Math.min(columns ?? Math.max(1, Math.floor(width / 220)), nodes.length);
  const charts = nodes.map((node) => {
    const inputs = first.filter((weight) => weight.node === node).map(({ input }) => input);
    return lineChart(
      inputs.map((input) => ({
        name: input,
        x: course.map(({ step }) => step),
        y: course.map((at) => shareOf(at, cell, node, input)),
      })),
      // The legend has the width of a panel and some of the room beside it.
      {
        title: node,
        x: 'Step',
        y: 'Share',
        yDomain: [0, 1],
        yZero: true,
        format: '.3f',
        width: width / inRow + 30,
      },
    );
  });
  return panels(charts, { ...rest, columns: inRow, width, height, shared: 'both' });
}

function shareOf({ step, weights }: FusionWeightsAt, cell: number, node: string, input: string): number {
  const found = weights.find(
    (weight) => weight.cell === cell && weight.node === node && weight.input === input,
  );
  if (!found) {
    throw new RangeError(
      `fusionWeightsChart: step ${step} has no weight of "${input}" in node "${node}" of cell ${cell}`,
    );
  }
  return found.share;
}
