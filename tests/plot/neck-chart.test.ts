/** Drawings of feature networks: everything of the graph is in them, no arrow runs through a node, no two texts meet. */
import { describe, expect, test } from 'vitest';
import { biFpn, type FusionWeight, type NeckGraph, neckEdges, neckGraphs, neckMaps } from 'detlab';
import type { Box } from '../../lib/boxes/types';
import type { ChartSpec } from '../../lib/plot/chart-spec';
import { pointOnCurve, routeEdges } from '../../lib/plot/edge-routes';
import { neckChart } from '../../lib/plot/neck-chart';
import { layoutNeck, neckSizes, neckWidth } from '../../lib/plot/neck-layout';
import { chartSvg } from '../../lib/plot/render';

const graphs: NeckGraph[] = [
  ...Object.values(neckGraphs).map((make) => make(3, 7)),
  biFpn(3, 8),
  biFpn(4, 5),
];

/** Shares as they could be after training: all different. */
function weightsOf(graph: NeckGraph, cells: number): FusionWeight[] {
  return Array.from({ length: cells }, (_, cell) =>
    neckEdges(graph).map(({ from, to }, i) => ({
      cell,
      node: to,
      input: from,
      weight: 1 + i,
      share: (i + 1 + cell) / 40,
    })),
  ).flat();
}

async function textsOf(spec: ChartSpec): Promise<string[]> {
  const vegaLite = await import('vega-lite');
  const warnings: string[] = [];
  const logger = {
    level: () => logger,
    error: (...args: readonly unknown[]) => (warnings.push(args.join(' ')), logger),
    warn: (...args: readonly unknown[]) => (warnings.push(args.join(' ')), logger),
    info: () => logger,
    debug: () => logger,
  };
  vegaLite.compile(spec as never, { logger: logger as never });
  expect(warnings).toEqual([]);
  const svg = await chartSvg(spec);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]);
}

/** Points along a drawn arrow, its head included. */
function pointsOf({ path, head }: { path: string; head: string }): [number, number][] {
  const numbers = (text: string): number[] => [...text.matchAll(/-?[\d.]+/g)].map(Number);
  const [a, b, c, d, e, f, g, h] = numbers(path);
  const curve = [
    [a, b],
    [c, d],
    [e, f],
    [g, h],
  ] as const;
  const corners = numbers(head);
  return [
    ...Array.from({ length: 101 }, (_, i) => pointOnCurve(curve, i / 100)),
    [corners[0], corners[1]] as const,
    [corners[2], corners[3]] as const,
    [corners[4], corners[5]] as const,
  ].map(([x, y]) => [x, y]);
}

const within = ([x, y]: readonly [number, number], [x1, y1, x2, y2]: Box): boolean =>
  x > x1 && x < x2 && y > y1 && y < y2;
const meet = (a: Box, b: Box): boolean => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

describe.each(
  graphs.map((graph) => [`${graph.name}, P${graph.minLevel} to P${graph.maxLevel}`, graph] as const),
)('%s', (_, graph) => {
  test('has its nodes, its arrows and its names in the picture', async () => {
    const texts = await textsOf(neckChart(graph));
    for (const name of neckMaps(graph).keys()) expect(texts.filter((text) => text === name)).toHaveLength(1);
    for (let level = graph.minLevel; level <= graph.maxLevel; level++)
      expect(texts).toContain(`1/${2 ** level}`);
    expect(texts).toContain(graph.name);
    const { nodes, edges } = layoutNeck(graph, { width: 500 });
    expect(nodes.filter(({ kind }) => kind === 'output').map(({ name }) => name)).toEqual(
      [...neckMaps(graph).keys()].filter((name) => graph.outputs.includes(name)),
    );
    expect(edges.map(({ from, to }) => [from, to])).toEqual(
      neckEdges(graph).map(({ from, to }) => [from, to]),
    );
  });

  test.each([neckSizes.column, neckSizes.wideColumn])(
    'no arrow runs through a node or out of the picture, with columns of %d pixels',
    (column) => {
      const layout = layoutNeck(graph, { width: neckWidth(graph, column) });
      for (const edge of layout.edges) {
        for (const { name, x, y, x2, y2 } of layout.nodes) {
          const hit = pointsOf(edge).filter((point) => within(point, [x, y, x2, y2]));
          expect({ edge: `${edge.from} to ${edge.to}`, through: hit.length > 0 ? name : undefined }).toEqual({
            edge: `${edge.from} to ${edge.to}`,
            through: undefined,
          });
        }
        expect(pointsOf(edge).every((point) => within(point, [0, -3, layout.width, layout.height + 3]))).toBe(
          true,
        );
      }
      const ends = layout.edges.map(({ head }) => head);
      expect(new Set(ends).size).toBe(ends.length);
    },
  );
});

describe('arrows', () => {
  test('tell what is done to their maps', () => {
    const kinds = layoutNeck(biFpn(), { width: 500 }).edges.map(
      ({ from, to, kind }) => `${from} > ${to}: ${kind}`,
    );
    expect(kinds).toContain('P7 > P6 td: up-sampled');
    expect(kinds).toContain('P5 out > P6 out: down-sampled');
    expect(kinds).toContain('P4 > P4 td: same level');
    expect(kinds.filter((text) => text.endsWith('skip'))).toEqual([
      'P4 > P4 out: skip',
      'P5 > P5 out: skip',
      'P6 > P6 out: skip',
    ]);
    // Nothing is between these two.
    expect(kinds).toContain('P7 > P7 out: same level');
  });

  test('are as wide as their shares, with numbers that cover neither one another nor a node nor an arrow’s head', async () => {
    const graph = biFpn();
    const weights = weightsOf(graph, 1);
    const { edges, shares, nodes } = layoutNeck(graph, { width: 330, weights });
    expect(edges.map(({ share }) => share)).toEqual(weights.map(({ share }) => share));
    const widths = edges.map(({ width }) => width);
    expect(widths).toEqual([...widths].sort((a, b) => a - b));
    expect(widths.at(-1)!).toBeGreaterThan(2 * widths[0]);
    expect(shares.map(({ text }) => text)).toEqual(weights.map(({ share }) => share.toFixed(2)));
    const boxes = shares.map(({ x, y }): Box => [x - 12, y - 6, x + 12, y + 6]);
    boxes.forEach((box, i) => {
      expect(boxes.filter((other, j) => j !== i && meet(box, other))).toEqual([]);
      expect(nodes.filter(({ x, y, x2, y2 }) => meet(box, [x, y, x2, y2]))).toEqual([]);
      const tips = edges.map((edge) => pointsOf(edge).slice(-3)).flat();
      expect(tips.filter((tip) => within(tip, box))).toEqual([]);
    });
    const texts = await textsOf(
      neckChart(graph, { weights: weightsOf(graph, 2), title: 'Learned', width: 900 }),
    );
    for (const text of ['Learned', 'BiFPN, cell 1', 'BiFPN, cell 2', '0.03', '0.47', 'skip', 'output']) {
      expect(texts).toContain(text);
    }
  });
});

test('routes run around what is in the way, and straight where nothing is', () => {
  const boxes: Box[] = [
    [0, 40, 20, 60],
    [90, 40, 110, 60],
    [180, 40, 200, 60],
  ];
  const [free, past] = routeEdges(
    boxes,
    [
      [0, 1],
      [0, 2],
    ],
    { bounds: [0, 0, 200, 100] },
  );
  expect(free.curve.map(([, y]) => y)).toEqual([50, 50, 50, 50]);
  expect(free.head[0][0]).toBeCloseTo(88, 0);
  const middle = pointOnCurve(past.curve, 0.5);
  expect(Math.abs(middle[1] - 50)).toBeGreaterThan(15);
});

describe('a chart', () => {
  test('of several graphs has one legend', async () => {
    const spec = neckChart(graphs.slice(0, 3), { columns: 3, width: 1000, title: 'Three' });
    const texts = await textsOf(spec);
    expect(texts.filter((text) => text === 'up-sampled')).toHaveLength(1);
    for (const { name } of graphs.slice(0, 3)) expect(texts).toContain(name);
    expect(spec.description).toBe(
      'Three. top-down FPN: 5 nodes and 9 edges, levels 3 to 7. PANet: 10 nodes and 18 edges, levels 3 to 7. ' +
        'NAS-FPN: 7 nodes and 16 edges, levels 3 to 7.',
    );
  });

  test('writes any name as it is, as far as it fits', async () => {
    const name = 'a <b> & "c"';
    const graph: NeckGraph = {
      name: '<svg>',
      minLevel: 3,
      maxLevel: 3,
      nodes: [
        { name, level: 3, inputs: ['P3'] },
        { name: `${name}, again and again`.repeat(3), level: 3, inputs: [name] },
      ],
      outputs: [`${name}, again and again`.repeat(3)],
    };
    const texts = await textsOf(neckChart(graph, { width: 420 }));
    expect(texts).toContain('&lt;svg&gt;');
    expect(texts.filter((text) => text.startsWith('a &lt;b&gt;') && text.endsWith('…'))).not.toEqual([]);
    const wide = await textsOf(neckChart({ ...graph, nodes: graph.nodes.slice(0, 1), outputs: [name] }));
    expect(wide).toContain('a &lt;b&gt; &amp; "c"');
  });

  test('says what is wrong', () => {
    expect(() => neckChart([])).toThrow('no graphs');
    expect(() => neckChart(biFpn(), { columns: 0 })).toThrow('columns is a whole number above 0, got 0');
    expect(() => neckChart(graphs, { weights: weightsOf(biFpn(), 1) })).toThrow(
      'weights belong to one graph, got 7',
    );
    expect(() => neckChart(biFpn(), { weights: [] })).toThrow('sums its maps');
    expect(() => neckChart(graphs[0], { weights: weightsOf(biFpn(), 1) })).toThrow(
      '"top-down FPN" has no edge from "P6" to "P6 td"',
    );
  });
});
