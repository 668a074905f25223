/** Feature networks drawn from their own graphs: levels as rows, nodes in the order in which they are computed, an arrow for each use of a map. */
import type { FusionWeight } from '../models/necks/fusion-weights';
import { neckEdges, type NeckGraph } from '../models/necks/neck-graph';
import { type ChartOptions, type ChartSpec, chartTheme, chartWidth, titleOf } from './chart-spec';
import { formatCount } from './format';
import { layoutNeck, type NeckLayout, neckSizes, neckWidth } from './neck-layout';

/** Options of {@link neckChart}. */
export interface NeckChartOptions extends ChartOptions {
  /** Graphs in a row; as many as fit unless told. */
  columns?: number;
  /** What the inputs of the nodes are multiplied by, of one graph: numbers at the arrows, thicker where they are greater. A drawing a cell. */
  weights?: readonly FusionWeight[];
}

/** Colours for every colour vision; skips are dashed, too. */
const edgeKinds = [
  { name: 'same level', color: '#4d4d4d', dash: [1, 0] },
  { name: 'skip', color: '#8b4f7c', dash: [5, 3] },
  { name: 'up-sampled', color: '#d55e00', dash: [1, 0] },
  { name: 'down-sampled', color: '#0072b2', dash: [1, 0] },
] as const;

const nodeKinds = [
  { name: 'input', fill: '#ffffff' },
  { name: 'node', fill: '#dfe3e8' },
  { name: 'output', fill: '#4d4d4d' },
] as const;

const graphSpacing = 26;

interface Drawing {
  graph: NeckGraph;
  title: string;
  weights?: readonly FusionWeight[];
}

/**
 * Draws feature networks, the coarsest level on top. Arrows show what is done to a map on its way: up-sampled from a coarser level,
 * down-sampled from a finer one, taken as it is, or skipping nodes of its level that are drawn in between.
 *
 * Several graphs stand side by side with one legend (`panels` cannot take them in: everything has its place in pixels). `width` is that of the
 * whole, unless told as wide as the graphs need, at most 600; `height` that of one graph.
 * @throws RangeError for no graphs, or for weights that don't belong to the one graph.
 */
export function neckChart(
  graphs: NeckGraph | readonly NeckGraph[],
  options: NeckChartOptions = {},
): ChartSpec {
  const list = isList(graphs) ? graphs : [graphs];
  if (list.length === 0) throw new RangeError('neckChart: no graphs; give at least one, such as biFpn()');
  const drawings: Drawing[] = options.weights
    ? drawingsOfCells(list, options.weights)
    : list.map((graph) => ({ graph, title: graph.name }));
  const needed = Math.max(...list.map((graph) => neckWidth(graph, neckSizes.column)));
  const fitting = Math.max(
    1,
    Math.floor(((options.width ?? chartWidth) + graphSpacing) / (needed + graphSpacing)),
  );
  const columns = Math.min(options.columns ?? fitting, drawings.length);
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`neckChart: columns is a whole number above 0, got ${options.columns}`);
  }
  const share = (total: number): number => Math.floor((total - 20 - (columns - 1) * graphSpacing) / columns);
  const wanted = Math.max(...list.map((graph) => neckWidth(graph, neckSizes.wideColumn)));
  const width = options.width === undefined ? Math.min(wanted, share(chartWidth)) : share(options.width);
  const layouts = drawings.map(({ graph, weights }) =>
    layoutNeck(graph, { width, height: options.height, weights }),
  );
  const alone = drawings.length === 1 && options.title !== undefined;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    description: [options.title, ...drawings.map(describe)].filter(Boolean).join('. ') + '.',
    ...titleOf(options),
    columns,
    spacing: graphSpacing,
    concat: layouts.map((layout, i) => ({
      ...(alone ? {} : { title: { text: drawings[i].title, fontSize: 13, offset: 6 } }),
      width: layout.width,
      height: layout.height,
      layer: [...rowLayers(layout), ...edgeLayers(layout), ...shareLayers(layout), ...nodeLayers(layout)],
    })),
    resolve: { scale: { color: 'shared', fill: 'shared', strokeDash: 'shared' } },
    config: {
      ...chartTheme,
      legend: {
        ...(chartTheme.legend as object),
        layout: { top: { anchor: 'start', direction: 'horizontal', margin: 24 } },
      },
    },
  };
}

function isList(graphs: NeckGraph | readonly NeckGraph[]): graphs is readonly NeckGraph[] {
  return Array.isArray(graphs);
}

/** One drawing a cell, since each has weights of its own. */
function drawingsOfCells(graphs: readonly NeckGraph[], weights: readonly FusionWeight[]): Drawing[] {
  if (graphs.length !== 1) {
    throw new RangeError(`neckChart: weights belong to one graph, got ${graphs.length} graphs`);
  }
  const [graph] = graphs;
  const cells = [...new Set(weights.map(({ cell }) => cell))].sort((a, b) => a - b);
  if (cells.length === 0) {
    throw new RangeError(`neckChart: no weights; "${graph.name}" sums its maps, or was not asked for them`);
  }
  const known = new Set(neckEdges(graph).map(({ from, to }) => JSON.stringify([from, to])));
  const foreign = weights.find(({ input, node }) => !known.has(JSON.stringify([input, node])));
  if (foreign) {
    throw new RangeError(
      `neckChart: "${graph.name}" has no edge from "${foreign.input}" to "${foreign.node}"`,
    );
  }
  return cells.map((cell) => ({
    graph,
    title: `${graph.name}, cell ${cell + 1}`,
    weights: weights.filter((weight) => weight.cell === cell),
  }));
}

function describe({ graph, title, weights }: Drawing): string {
  const nodes = formatCount(graph.nodes.length, 'node');
  const edges = formatCount(neckEdges(graph).length, 'edge');
  const levels = `levels ${graph.minLevel} to ${graph.maxLevel}`;
  const shares = weights?.map(({ input, node, share }) => `${input} to ${node} ${share.toFixed(2)}`);
  return `${title}: ${nodes} and ${edges}, ${levels}${shares ? `; ${shares.join(', ')}` : ''}`;
}

/** A field that holds pixels. */
function pixels(field: string): Record<string, unknown> {
  return { field, type: 'quantitative', scale: null, axis: null };
}

/** A faint line a level, with its size. */
function rowLayers({ rows, width }: NeckLayout): Record<string, unknown>[] {
  const data = { values: rows };
  return [
    {
      data,
      mark: { type: 'rule', color: '#eef0f2', x: neckSizes.left - 8, x2: width },
      encoding: { y: pixels('y') },
    },
    {
      data,
      mark: { type: 'text', align: 'right', x: neckSizes.left - 14, color: '#57606a', fontSize: 11 },
      encoding: { y: pixels('y'), text: { field: 'text' } },
    },
  ];
}

/** The curves, then their heads. */
function edgeLayers({ edges, shares }: NeckLayout): Record<string, unknown>[] {
  const data = { values: edges };
  const domain = edgeKinds.map(({ name }) => name);
  const color = {
    field: 'kind',
    type: 'nominal',
    title: null,
    scale: { domain, range: edgeKinds.map((kind) => kind.color) },
    legend: { orient: 'top', symbolType: 'stroke', symbolOpacity: 1, direction: 'horizontal' },
  };
  const strokeDash = { ...color, scale: { domain, range: edgeKinds.map(({ dash }) => [...dash]) } };
  const tooltip = [
    { field: 'from', type: 'nominal' },
    { field: 'to', type: 'nominal' },
    { field: 'kind', type: 'nominal', title: 'map' },
    ...(shares.length > 0 ? [{ field: 'share', type: 'quantitative', format: '.3f' }] : []),
  ];
  return [
    {
      data,
      // A symbol's path is scaled by half the root of its size.
      mark: { type: 'point', filled: false, size: 4, opacity: 0.9, x: 0, y: 0 },
      encoding: {
        shape: { field: 'path', type: 'nominal', scale: null },
        strokeWidth: { field: 'width', type: 'quantitative', scale: null },
        color,
        strokeDash,
        tooltip,
      },
    },
    {
      data,
      mark: { type: 'point', filled: true, size: 4, opacity: 1, x: 0, y: 0 },
      encoding: { shape: { field: 'head', type: 'nominal', scale: null }, color, tooltip },
    },
  ];
}

/** Numbers on patches of white. */
function shareLayers({ shares }: NeckLayout): Record<string, unknown>[] {
  if (shares.length === 0) return [];
  const data = { values: shares };
  const place = { x: pixels('x'), y: pixels('y') };
  return [
    {
      data,
      mark: {
        type: 'point',
        filled: true,
        shape: 'M-1,-0.5H1V0.5H-1Z',
        size: 676,
        color: '#ffffff',
        opacity: 1,
      },
      encoding: place,
    },
    {
      data,
      mark: { type: 'text', fontSize: 11, fontWeight: 500 },
      encoding: { ...place, text: { field: 'text' } },
    },
  ];
}

function nodeLayers({ nodes }: NeckLayout): Record<string, unknown>[] {
  const data = { values: nodes };
  return [
    {
      data,
      mark: { type: 'rect', cornerRadius: neckSizes.nodeHeight / 2, stroke: '#4d4d4d', strokeWidth: 1.2 },
      encoding: {
        x: pixels('x'),
        x2: { field: 'x2' },
        y: pixels('y'),
        y2: { field: 'y2' },
        fill: {
          field: 'kind',
          type: 'nominal',
          title: null,
          scale: { domain: nodeKinds.map(({ name }) => name), range: nodeKinds.map(({ fill }) => fill) },
          legend: {
            orient: 'top',
            symbolType: 'circle',
            symbolStrokeColor: '#4d4d4d',
            symbolStrokeWidth: 1.2,
          },
        },
        tooltip: [
          { field: 'name', type: 'nominal' },
          { field: 'size', type: 'nominal' },
          { field: 'made', type: 'nominal' },
        ],
      },
    },
    {
      data,
      mark: { type: 'text', fontSize: 11, fontWeight: 500 },
      encoding: {
        x: pixels('cx'),
        y: pixels('cy'),
        text: { field: 'label' },
        color: { condition: { test: "datum.kind === 'output'", value: '#ffffff' }, value: '#1f2328' },
      },
    },
  ];
}
