/** EfficientDet's scaling and its fusion weights in training, as charts and as a table. */
import { describe, expect, test } from 'vitest';
import {
  biFpn,
  efficientDetCosts,
  efficientDetPublished,
  efficientDetRivals,
  efficientDets,
  efficientDetScalingRows,
  type FusionWeight,
  type FusionWeightsAt,
  fusionWeightsChart,
  scalingChart,
  scalingTable,
} from 'detlab';
import type { ChartSpec } from '../../lib/plot/chart-spec';
import { chartSvg } from '../../lib/plot/render';
import { scatterChart } from '../../lib/plot/scatter-chart';

async function textsOf(spec: ChartSpec): Promise<string[]> {
  const svg = await chartSvg(spec);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]);
}

const names = ['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd7x'] as const;
const rows = efficientDetScalingRows();

describe('the scaling', () => {
  test('rows are the networks’ costs and the paper’s numbers', () => {
    expect(rows.map(({ network }) => network)).toEqual(names);
    for (const { network, inputSize, parameters, multiplyAdds, anchors, published } of rows) {
      const costs = efficientDetCosts(efficientDets[network]);
      expect({ parameters, multiplyAdds }).toEqual(costs.total);
      expect([inputSize, anchors]).toEqual([efficientDets[network].inputSize, costs.anchors]);
      expect(published).toBe(efficientDetPublished[network]);
    }
    // Fewer classes cost less, in the heads only.
    const few = efficientDetScalingRows(20);
    expect(few[0].parameters).toBe(efficientDetCosts(efficientDets.d0, 20).total.parameters);
    expect(few[0].parameters).toBeLessThan(rows[0].parameters);
  });

  test('table has them to the unit, beside the paper’s three digits', () => {
    const lines = scalingTable(rows, { caption: 'The family' }).markdown().split('\n');
    expect(lines[0]).toBe('The family');
    expect(lines).toHaveLength(4 + names.length);
    const cells = (line: string): string[] =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    expect(cells(lines[4])).toEqual(['D0', '512', '3,880,067', '3.9', '2.492', '2.54', '49,104', '34.6']);
    expect(cells(lines[9])[5]).toBe('130');
    expect(cells(lines[12])).toEqual([
      'D7x',
      '1536',
      '77,147,166',
      '77.0',
      '407.628',
      '410',
      '442,260',
      '55.1',
    ]);
  });

  test('chart puts published accuracies at counted costs, with every name', async () => {
    const spec = scalingChart(rows, { title: 'AP against cost' });
    const { values } = spec.data as { values: { x: number; y: number; label: string; side?: string }[] };
    expect(values.map(({ label }) => label)).toEqual(['D0', 'D1', 'D2', 'D3', 'D4', 'D5', 'D6', 'D7', 'D7x']);
    values.forEach(({ x, y }, i) => {
      expect(x).toBeCloseTo(rows[i].multiplyAdds / 1e9, 2);
      expect(y).toBe(efficientDetPublished[names[i]].ap.value);
    });
    const texts = await textsOf(spec);
    for (const text of ['AP against cost', 'Multiply-adds (billions)', ...values.map(({ label }) => label)])
      expect(texts).toContain(text);
  });

  test('chart says how surely rivals are known, and joins only the family', async () => {
    const spec = scalingChart(rows, { rivals: efficientDetRivals, width: 760 });
    const texts = await textsOf(spec);
    for (const text of [
      'YOLOv3',
      'ResNet-50 + FPN (val2017)',
      'EfficientNet-B3 + FPN (val2017)',
      'AmoebaNet + NAS-FPN (AP unverified)',
      'others, as published',
    ])
      expect(texts).toContain(text);
    const svg = await chartSvg(spec);
    expect(svg.match(/class="mark-line[^"]*"/g)).toHaveLength(1);
    const line = /class="mark-line[\s\S]*?<path[^>]* d="([^"]*)"/.exec(svg)![1];
    expect(line.match(/[ML]/g)).toHaveLength(names.length);
  });

  test('chart escapes what stands in a name', async () => {
    const [rival] = efficientDetRivals;
    const texts = await textsOf(scalingChart(rows, { rivals: [{ ...rival, name: '<b>"R" & D' }] }));
    expect(texts).toContain('&lt;b&gt;"R" &amp; D');
  });

  test('rivals’ costs follow from what the paper says of D0', () => {
    const yolo = efficientDetRivals.find(({ name }) => name === 'YOLOv3')!;
    expect(yolo.multiplyAdds.value! / efficientDetPublished.d0.multiplyAdds.value!).toBeCloseTo(28, 0);
  });
});

test('labels of a scatter chart keep off its lines where there is room', () => {
  const points = [
    { x: 0, y: 0, label: 'first' },
    { x: 10, y: 0, label: 'last' },
  ];
  const sides = (connect: boolean): unknown[] => {
    const { data } = scatterChart(points, { x: 'x', y: 'y', connect });
    return (data as { values: { side: string }[] }).values.map(({ side }) => side);
  };
  expect(sides(false)[0]).toBe('right');
  expect(sides(true)[0]).toBe('above');
});

describe('fusion weights', () => {
  const graph = biFpn();
  /** A course in which the first input of every node gains. */
  const course: FusionWeightsAt[] = [0, 50, 100].map((step, k) => ({
    step,
    weights: [0, 1].flatMap((cell) =>
      graph.nodes.flatMap(({ name, inputs }) =>
        inputs.map((input, i): FusionWeight => {
          const share =
            i === 0 ? 0.5 + 0.1 * k + 0.01 * cell : (0.5 - 0.1 * k - 0.01 * cell) / (inputs.length - 1);
          return { cell, node: name, input, weight: 1, share };
        }),
      ),
    ),
  }));

  const panelsOf = (spec: ChartSpec): { title: { text: string }; data: { values: string } }[] =>
    spec.concat as never;

  test('are drawn node by node, on axes from 0 to 1', async () => {
    const spec = fusionWeightsChart(course, { title: 'Fusion', width: 960 });
    expect(panelsOf(spec).map(({ title }) => title.text)).toEqual(graph.nodes.map(({ name }) => name));
    expect(spec.columns).toBe(4);
    // P4's output: three inputs at three steps, and the header
    expect(panelsOf(spec)[4].data.values.split('\n').slice(1)).toEqual([
      'P4,0,0.5',
      'P4,50,0.6',
      'P4,100,0.7',
      'P4 td,0,0.25',
      'P4 td,50,0.2',
      'P4 td,100,0.15',
      'P3 out,0,0.25',
      'P3 out,50,0.2',
      'P3 out,100,0.15',
    ]);
    const texts = await textsOf(spec);
    for (const text of ['Fusion', 'P6 td', 'P7 out', '0.0', '1.0']) expect(texts).toContain(text);
    expect(texts.filter((text) => text === 'Step')).toHaveLength(8);
  });

  test('are of the cell and the nodes that are asked for', () => {
    const spec = fusionWeightsChart(course, { cell: 1, nodes: ['P3 out', 'P6 td'] });
    expect(panelsOf(spec).map(({ title }) => title.text)).toEqual(['P3 out', 'P6 td']);
    expect(panelsOf(spec)[0].data.values.split('\n')[1]).toBe('P3,0,0.51');
  });

  test('that are missing are named', () => {
    expect(() => fusionWeightsChart([])).toThrow('no steps');
    expect(() => fusionWeightsChart([{ step: 0, weights: [] }])).toThrow(
      'cell 0 has no weights; sums have none',
    );
    expect(() => fusionWeightsChart(course, { cell: 2 })).toThrow(
      'cell 2 has no weights; there are cells 0 to 1',
    );
    expect(() => fusionWeightsChart(course, { nodes: ['P9'] })).toThrow(
      'no weights of node "P9", only of P6 td',
    );
    const torn = [course[0], { step: 7, weights: course[0].weights.slice(1) }];
    expect(() => fusionWeightsChart(torn)).toThrow('step 7 has no weight of "P6" in node "P6 td" of cell 0');
  });
});
