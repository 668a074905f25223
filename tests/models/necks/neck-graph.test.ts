/** Feature networks as data: BiFPN by the paper's equations and the release's numbers, and what can't be a graph. */
import { describe, expect, test } from 'vitest';
import {
  biFpn,
  checkNeckGraph,
  type NeckGraph,
  neckColumns,
  neckEdges,
  neckGraphs,
  neckMaps,
  nasFpn,
} from 'detlab';

/** The nodes as the released codes list them: level, numbers of the inputs. */
function released(graph: NeckGraph): [level: number, inputs: number[]][] {
  const names = [...neckMaps(graph).keys()];
  return graph.nodes.map(({ level, inputs }) => [level, inputs.map((name) => names.indexOf(name))]);
}

describe('BiFPN', () => {
  test('has the eight nodes of the release, in its order', () => {
    expect(released(biFpn())).toEqual([
      [6, [3, 4]],
      [5, [2, 5]],
      [4, [1, 6]],
      [3, [0, 7]],
      [4, [1, 7, 8]],
      [5, [2, 6, 9]],
      [6, [3, 5, 10]],
      [7, [4, 11]],
    ]);
    expect(neckEdges(biFpn())).toHaveLength(19);
    // P6 of equation (6): its intermediate and its output
    const [td, out] = ['P6 td', 'P6 out'].map((name) => biFpn().nodes.find((node) => node.name === name)!);
    expect(td.inputs).toEqual(['P6', 'P7']);
    expect(out.inputs).toEqual(['P6', 'P6 td', 'P5 out']);
  });

  test('goes to P8, and down to two levels', () => {
    const graph = biFpn(3, 8);
    expect(graph.nodes.map(({ level }) => level)).toEqual([7, 6, 5, 4, 3, 4, 5, 6, 7, 8]);
    expect(graph.nodes.at(-1)).toEqual({ name: 'P8 out', level: 8, inputs: ['P8', 'P7 out'] });
    expect(biFpn(4, 5).nodes).toEqual([
      { name: 'P4 out', level: 4, inputs: ['P4', 'P5'] },
      { name: 'P5 out', level: 5, inputs: ['P5', 'P4 out'] },
    ]);
  });
});

describe('the others', () => {
  test('FPN+PANet has twice FPN’s nodes on every level, the fully connected one all inputs at every output', () => {
    const count = (graph: NeckGraph): number[] =>
      [3, 4, 5, 6, 7].map((at) => graph.nodes.filter(({ level }) => level === at).length);
    expect(count(neckGraphs['top-down-fpn'](3, 7))).toEqual([1, 1, 1, 1, 1]);
    expect(count(neckGraphs.panet(3, 7))).toEqual([2, 2, 2, 2, 2]);
    expect(count(neckGraphs['fully-connected-fpn'](3, 7))).toEqual([2, 2, 2, 2, 2]);
    const full = neckGraphs['fully-connected-fpn'](3, 7);
    const last = full.nodes.find(({ name }) => name === 'P5 out')!;
    expect(last.inputs).toEqual(['P5 td', 'P4 out', 'P3', 'P4', 'P5', 'P6', 'P7']);
  });

  // (level, combination, inputs, output?) of the release's table; the order of two inputs is that of its attention, the coarser first,
  // and P5 and P7, which nothing else uses, are added to the outputs of their levels.
  test('NAS-FPN is the released one', () => {
    const specs: [number, string, [number, number]][] = [
      [4, 'attention', [1, 3]],
      [4, 'sum', [1, 5]],
      [3, 'sum', [0, 6]],
      [4, 'sum', [6, 7]],
      [5, 'attention', [7, 8]],
      [7, 'attention', [6, 9]],
      [6, 'attention', [9, 10]],
    ];
    const graph = nasFpn();
    const levels = [...neckMaps(graph).values()];
    const used = new Set<number>();
    const wanted = specs.map(([level, combine, pair], i) => {
      pair.forEach((input) => used.add(input));
      // the last five are outputs
      const unused = levels
        .slice(0, 5 + i)
        .flatMap((own, number) => (i >= 2 && own === level && !used.has(number) ? [number] : []));
      unused.forEach((number) => used.add(number));
      const coarserFirst = combine === 'attention' && levels[pair[0]] < levels[pair[1]];
      return [level, combine, [...(coarserFirst ? [...pair].reverse() : pair), ...unused]];
    });
    const found = released(graph).map(([level, inputs], i) => [level, graph.nodes[i].combine, inputs]);
    expect(found).toEqual(wanted);
    expect(() => nasFpn(3, 8)).toThrow('levels 3 to 8');
  });

  test.each(Object.entries(neckGraphs))('%s is a graph that can be run, and plain data', (_, build) => {
    const graph = build(3, 7);
    expect(() => checkNeckGraph(graph)).not.toThrow();
    expect(JSON.parse(JSON.stringify(graph))).toEqual(graph);
    for (const { from, to, fromLevel, toLevel } of neckEdges(graph)) {
      expect([neckMaps(graph).get(from), neckMaps(graph).get(to)]).toEqual([fromLevel, toLevel]);
    }
  });
});

test('a drawing has inputs first and outputs last', () => {
  const columns = (graph: NeckGraph): Record<string, number> => Object.fromEntries(neckColumns(graph));
  expect(columns(biFpn(3, 5))).toEqual({
    ...{ P3: 0, P4: 0, P5: 0 },
    ...{ 'P4 td': 1, 'P3 out': 2, 'P4 out': 2, 'P5 out': 2 },
  });
  expect(columns(neckGraphs['top-down-fpn'](3, 7))['P3 out']).toBe(1);
  expect(columns(nasFpn())).toMatchObject({ P7: 0, 'P4 a': 1, 'P4 b': 2, 'P7 out': 3 });
});

describe('checkNeckGraph', () => {
  const graph = biFpn(3, 4);
  const broken: [string, Partial<NeckGraph>, string][] = [
    ['an unknown input', { nodes: [{ name: 'a', level: 3, inputs: ['P9'] }] }, '"a" is made of "P9"'],
    ['a later node', { nodes: [...graph.nodes].reverse() }, '"P4 out" is made of "P3 out"'],
    ['a name twice', { nodes: [graph.nodes[0], graph.nodes[0]] }, 'two maps are called "P3 out"'],
    ['a level that is not there', { nodes: [{ name: 'a', level: 5, inputs: ['P3'] }] }, '"a" is on level 5'],
    ['no inputs', { nodes: [{ name: 'a', level: 3, inputs: [] }] }, '"a" has no inputs'],
    ['an input twice', { nodes: [{ name: 'a', level: 3, inputs: ['P3', 'P3'] }] }, '"a" has an input twice'],
    [
      'attention to nothing',
      { nodes: [{ name: 'a', level: 3, inputs: ['P3'], combine: 'attention' }] },
      '"a" needs two inputs',
    ],
    ['too few outputs', { outputs: ['P3 out'] }, '1 outputs for 2 levels'],
    [
      'outputs out of order',
      { outputs: ['P4 out', 'P3 out'] },
      'output 0 is "P4 out", which is not of level 3',
    ],
    ['no levels', { minLevel: 5 }, 'levels 5 to 4 are none'],
  ];
  test.each(broken)('refuses %s', (_, change, message) => {
    expect(() => checkNeckGraph({ ...graph, ...change })).toThrow(message);
  });
});
