/** Where everything in a feature network's drawing stands, in pixels. */
import type { Box } from '../boxes/types';
import type { FusionWeight } from '../models/necks/fusion-weights';
import {
  inputName,
  neckColumns,
  type NeckEdge,
  neckEdges,
  type NeckGraph,
  neckLevels,
  neckMaps,
} from '../models/necks/neck-graph';
import { distanceToBox, type EdgeRoute, type Point, pointOnCurve, routeEdges } from './edge-routes';

/** What an arrow does to its map. */
export type NeckEdgeKind = 'same level' | 'skip' | 'up-sampled' | 'down-sampled';

/** What a map is to its cell. */
export type NeckNodeKind = 'input' | 'node' | 'output';

/** A node: its box and the middle of it. */
export interface DrawnNeckNode {
  readonly name: string;
  /** The name, or what of it fits. */
  readonly label: string;
  readonly kind: NeckNodeKind;
  /** Of its map. */
  readonly size: string;
  /** Of what, and how. */
  readonly made: string;
  readonly x: number;
  readonly y: number;
  readonly x2: number;
  readonly y2: number;
  readonly cx: number;
  readonly cy: number;
}

/** An arrow, as the paths of its line and its head. */
export interface DrawnNeckEdge {
  readonly from: string;
  readonly to: string;
  readonly kind: NeckEdgeKind;
  /** What the map is multiplied by, if told. */
  readonly share?: number;
  readonly path: string;
  readonly head: string;
  /** Of the line. */
  readonly width: number;
}

/** The number at an arrow. */
interface NeckShare {
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

/** The whole drawing. */
export interface NeckLayout {
  readonly width: number;
  readonly height: number;
  readonly rows: readonly { readonly y: number; readonly text: string }[];
  readonly nodes: readonly DrawnNeckNode[];
  readonly edges: readonly DrawnNeckEdge[];
  readonly shares: readonly NeckShare[];
}

/** Room to the left (for the rows' names), to the right and above; between rows; a node's height; between columns. Text is 11 px, a letter of it about 6. */
export const neckSizes = {
  left: 44,
  right: 34,
  top: 18,
  row: 60,
  weightRow: 76,
  crowdedRow: 88,
  nodeHeight: 22,
  letter: 6.1,
  column: 96,
  wideColumn: 170,
} as const;

/** Width that a graph needs, or wants: its columns as far apart as names and arrows need, at least `column`. */
export function neckWidth(graph: NeckGraph, column: number): number {
  const widest = Math.max(...[...neckMaps(graph).keys()].map(pillWidth));
  return neckSizes.left + (columnCount(graph) - 1) * Math.max(column, widest + 46) + widest + neckSizes.right;
}

/**
 * Lays out a graph.
 * @param options `width` of the drawing; `height` unless the rows' usual distance will do; `weights` of this cell, if they are to be drawn.
 */
export function layoutNeck(
  graph: NeckGraph,
  options: { width: number; height?: number; weights?: readonly FusionWeight[] },
): NeckLayout {
  const { weights } = options;
  const width = Math.max(options.width, neckSizes.left + neckSizes.right + 48 * columnCount(graph));
  const edges = neckEdges(graph);
  const rowGap =
    edges.length > 3 * graph.nodes.length
      ? neckSizes.crowdedRow
      : weights
        ? neckSizes.weightRow
        : neckSizes.row;
  const height = options.height ?? (graph.maxLevel - graph.minLevel) * rowGap + 2 * neckSizes.top;
  const boxes = place(graph, width, height);
  const names = [...boxes.keys()];
  const routes = routeEdges(
    [...boxes.values()],
    edges.map(({ from, to }) => [names.indexOf(from), names.indexOf(to)] as const),
    { bounds: [neckSizes.left - 8, 1, width - 1, height - 1] },
  );
  const share = (edge: NeckEdge): number | undefined =>
    weights?.find(({ node, input }) => node === edge.to && input === edge.from)?.share;
  const arrows = edges.map((edge, i) => ({
    from: edge.from,
    to: edge.to,
    kind: edgeKind(graph, edge),
    ...(share(edge) === undefined ? {} : { share: Number(share(edge)!.toFixed(4)) }),
    path: curvePath(routes[i]),
    head: headPath(routes[i]),
    width: weights ? round(0.6 + 5 * (share(edge) ?? 0)) : 1.6,
  }));
  const nodes = names.map((name) => {
    const [x, y, x2, y2] = boxes.get(name)!;
    const node = graph.nodes.find((one) => one.name === name);
    return {
      name,
      label: shortened(name, x2 - x),
      kind: nodeKind(graph, name),
      size: `1/${2 ** neckMaps(graph).get(name)!} of the image`,
      made: node ? `${node.combine ?? 'fusion'} of ${node.inputs.join(', ')}` : 'input of the cell',
      x: round(x),
      y: round(y),
      x2: round(x2),
      y2: round(y2),
      cx: round((x + x2) / 2),
      cy: round((y + y2) / 2),
    };
  });
  const rows = neckLevels(graph).map((level) => {
    const [, y, , y2] = boxes.get(inputName(level))!;
    return { y: round((y + y2) / 2), text: `1/${2 ** level}` };
  });
  const shares = placeShares(edges.map(share), routes, [...boxes.values()], width, height);
  return { width, height, rows, nodes, edges: arrows, shares };
}

function edgeKind(graph: NeckGraph, { from, to, fromLevel, toLevel }: NeckEdge): NeckEdgeKind {
  if (fromLevel > toLevel) return 'up-sampled';
  if (fromLevel < toLevel) return 'down-sampled';
  const columns = neckColumns(graph);
  const passed = graph.nodes.some(
    ({ name, level }) =>
      level === toLevel && columns.get(name)! > columns.get(from)! && columns.get(name)! < columns.get(to)!,
  );
  return passed ? 'skip' : 'same level';
}

function nodeKind(graph: NeckGraph, name: string): NeckNodeKind {
  if (graph.outputs.includes(name)) return 'output';
  return neckLevels(graph).map(inputName).includes(name) ? 'input' : 'node';
}

function columnCount(graph: NeckGraph): number {
  return 1 + Math.max(...neckColumns(graph).values());
}

function pillWidth(name: string): number {
  return Math.max(32, name.length * neckSizes.letter + 14);
}

/** A name that fits into a node. */
function shortened(name: string, width: number): string {
  const letters = Math.floor((width - 12) / neckSizes.letter);
  return name.length <= letters ? name : `${name.slice(0, Math.max(1, letters - 1))}…`;
}

/** The nodes' boxes, pixels. */
function place(graph: NeckGraph, width: number, height: number): Map<string, Box> {
  const columns = neckColumns(graph);
  const maps = neckMaps(graph);
  const count = columnCount(graph);
  const rows = graph.maxLevel - graph.minLevel;
  const widths = [...maps.keys()].map((name) => [columns.get(name)!, pillWidth(name)] as const);
  const columnWidths = Array.from({ length: count }, (_, column) =>
    Math.max(32, ...widths.filter(([at]) => at === column).map(([, wide]) => wide)),
  );
  const total = columnWidths.reduce((sum, wide) => sum + wide, 0);
  const available = width - neckSizes.left - neckSizes.right;
  // Too long names are cut rather than arrows left out.
  const scale = Math.min(1, (available - 16 * (count - 1)) / total);
  const room = count > 1 ? (available - scale * total) / (count - 1) : 0;
  const centre = (column: number): number =>
    neckSizes.left +
    column * room +
    scale * (columnWidths.slice(0, column).reduce((sum, wide) => sum + wide, 0) + columnWidths[column] / 2);
  const rowGap = rows > 0 ? (height - 2 * neckSizes.top) / rows : 0;
  return new Map(
    [...maps].map(([name, level]) => {
      const x = centre(columns.get(name)!);
      const y = neckSizes.top + (graph.maxLevel - level) * rowGap;
      const w = (scale * pillWidth(name)) / 2;
      return [name, [x - w, y - neckSizes.nodeHeight / 2, x + w, y + neckSizes.nodeHeight / 2]];
    }),
  );
}

/** What the maps are multiplied by, at a place of the arrow where there is room. */
function placeShares(
  shares: readonly (number | undefined)[],
  routes: readonly EdgeRoute[],
  boxes: readonly Box[],
  width: number,
  height: number,
): NeckShare[] {
  const half: Point = [13, 7];
  const heads = routes.map(({ head }): Box => {
    const [xs, ys] = [head.map(([x]) => x), head.map(([, y]) => y)];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  });
  const taken = [...boxes, ...heads].map(([x1, y1, x2, y2]): Box => [x1 - 2, y1 - 2, x2 + 2, y2 + 2]);
  return shares.flatMap((share, i) => {
    if (share === undefined) return [];
    let best: { cost: number; at: Point } | undefined;
    for (let t = 0.9; t >= 0.1; t -= 0.04) {
      const at = pointOnCurve(routes[i].curve, t);
      const box: Box = [at[0] - half[0], at[1] - half[1], at[0] + half[0], at[1] + half[1]];
      const covered = taken.filter(
        (other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3],
      );
      const outside = box[0] < neckSizes.left - 8 || box[1] < 0 || box[2] > width || box[3] > height;
      const crossed = routes.filter(
        ({ curve }, j) =>
          j !== i &&
          Array.from({ length: 41 }, (_, k) => pointOnCurve(curve, k / 40)).some(
            (point) => distanceToBox(point, box) === 0,
          ),
      );
      // Near the node that it belongs to, where it can be.
      const cost = 100 * covered.length + (outside ? 100 : 0) + 3 * crossed.length + Math.abs(t - 0.62);
      if (!best || cost < best.cost) best = { cost, at };
    }
    const [x, y] = best!.at;
    taken.push([x - half[0], y - half[1], x + half[0], y + half[1]]);
    return [{ x: round(x), y: round(y), text: share.toFixed(2) }];
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function text([x, y]: Point): string {
  return `${round(x)},${round(y)}`;
}

function curvePath({ curve }: EdgeRoute): string {
  const [a, b, c, d] = curve.map(text);
  return `M${a}C${b} ${c} ${d}`;
}

function headPath({ head }: EdgeRoute): string {
  return `M${head.map(text).join('L')}Z`;
}
