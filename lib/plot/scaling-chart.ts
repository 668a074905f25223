/** EfficientDet's compound scaling as a table and as a chart: costs counted here, accuracies as published. */
import type { PublishedRival } from '../papers/efficientdet/rivals';
import type { EfficientDetScalingRow } from '../papers/efficientdet/scaling-rows';
import { formatPublished, type PublishedNumber } from '../papers/published';
import type { ChartOptions, ChartSpec } from './chart-spec';
import { formatCount } from './format';
import { scatterChart } from './scatter-chart';
import { table, type Table } from './table';

const family = 'EfficientDet';

/** Options of {@link scalingChart}. */
export interface ScalingChartOptions extends ChartOptions {
  /** Other detectors, at their published costs; none unless told. */
  rivals?: readonly PublishedRival[];
}

/**
 * Published AP against multiply-adds on a logarithmic axis: the networks at the costs counted here, rivals at their published ones. Rivals' labels
 * say where their AP is of other images, and which of their numbers are unverified.
 * @throws when there are no rows.
 */
export function scalingChart(
  rows: readonly EfficientDetScalingRow[],
  options: ScalingChartOptions = {},
): ChartSpec {
  const { rivals = [], ...rest } = options;
  return scatterChart(
    [
      ...rows.map(({ network, multiplyAdds, published }) => ({
        x: multiplyAdds / 1e9,
        y: published.ap.value ?? NaN,
        label: network.toUpperCase().replace('X', 'x'),
        group: family,
      })),
      ...rivals.map((rival) => ({
        x: rival.multiplyAdds.value ?? NaN,
        y: rival.ap.value ?? NaN,
        label: rival.name + remarks(rival),
        group: 'others, as published',
      })),
    ],
    {
      subtitle: 'AP as published, one model and one scale',
      height: 400,
      ...rest,
      x: 'Multiply-adds (billions)',
      y: 'AP on COCO test-dev (%)',
      xScale: 'log',
      connect: [family],
    },
  );
}

function remarks({ ap, multiplyAdds, images }: PublishedRival): string {
  const unverified = [
    ...(ap.confidence === 'unverified' ? ['AP unverified'] : []),
    ...(multiplyAdds.confidence === 'unverified' ? ['cost unverified'] : []),
  ];
  const all = [...(images === 'test-dev' ? [] : [images]), ...unverified];
  return all.length > 0 ? ` (${all.join(', ')})` : '';
}

/** Three digits, as the paper has them. */
function decimals({ value }: PublishedNumber): number {
  return value! < 10 ? 2 : value! < 100 ? 1 : 0;
}

/** The same rows with all their numbers: counted to the unit beside the paper's rounded ones. */
export function scalingTable(
  rows: readonly EfficientDetScalingRow[],
  options: { caption?: string } = {},
): Table {
  return table(
    rows.map(({ network, inputSize, parameters, multiplyAdds, anchors, published }) => ({
      network: network.toUpperCase().replace('X', 'x'),
      'input (px)': inputSize,
      parameters: formatCount(parameters),
      'in the paper (M)': formatPublished(published.parameters),
      'multiply-adds (G)': (multiplyAdds / 1e9).toFixed(3),
      'in the paper (G)': formatPublished(published.multiplyAdds, decimals(published.multiplyAdds)),
      anchors: formatCount(anchors),
      'AP test-dev': formatPublished(published.ap),
    })),
    {
      ...options,
      align: Object.fromEntries(
        [
          'input (px)',
          'parameters',
          'in the paper (M)',
          'multiply-adds (G)',
          'in the paper (G)',
          'anchors',
          'AP test-dev',
        ].map((column) => [column, 'right' as const]),
      ),
    },
  );
}
