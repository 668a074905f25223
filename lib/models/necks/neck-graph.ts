/**
 * A feature network as data: which maps each node fuses, at which level, in which order. `GraphNeck` runs it, a notebook draws it.
 */

/**
 * How a node makes one map of several:
 * - `fusion` (default): as the network that runs the graph is told, by learned weights or by the plain sum;
 * - `sum`: the plain sum;
 * - `attention` (NAS-FPN's global pooling): the first input, plus the second times the sigmoid of the first's maximum a channel; further
 *   inputs are added.
 */
export type NodeCombination = 'fusion' | 'sum' | 'attention';

/** One node: fuses maps, brought to its level's size, into a new one. */
export interface NeckNode {
  /** Unique among the nodes and the inputs, such as `P4 td`. */
  readonly name: string;
  /** Its map has 1 / 2^level of the image's size. */
  readonly level: number;
  /** Names of the inputs and of earlier nodes. */
  readonly inputs: readonly string[];
  readonly combine?: NodeCombination;
}

/** One cell of a feature network, from a map a level to a map a level; its inputs are called `P3`, `P4` and so on. */
export interface NeckGraph {
  readonly name: string;
  readonly minLevel: number;
  readonly maxLevel: number;
  /** In the order in which they are computed. */
  readonly nodes: readonly NeckNode[];
  /** What leaves the cell: a node's name, or an input's, for each level from fine to coarse. */
  readonly outputs: readonly string[];
}

/** Makes a kind of graph for levels `minLevel` to `maxLevel`. */
export type NeckGraphBuilder = (minLevel: number, maxLevel: number) => NeckGraph;

/** An arrow of a graph's drawing. */
export interface NeckEdge {
  readonly from: string;
  readonly to: string;
  readonly fromLevel: number;
  readonly toLevel: number;
}

/** Levels of a graph, from fine to coarse. */
export function neckLevels({ minLevel, maxLevel }: Pick<NeckGraph, 'minLevel' | 'maxLevel'>): number[] {
  return Array.from({ length: maxLevel - minLevel + 1 }, (_, i) => minLevel + i);
}

/** The name of an input. */
export function inputName(level: number): string {
  return `P${level}`;
}

/** Levels by name, of the inputs first, then of the nodes in their order: a name's place is its number in the released codes. */
export function neckMaps(graph: NeckGraph): Map<string, number> {
  return new Map([
    ...neckLevels(graph).map((level) => [inputName(level), level] as const),
    ...graph.nodes.map(({ name, level }) => [name, level] as const),
  ]);
}

/** Every use of a map by a node, in the nodes' order. */
export function neckEdges(graph: NeckGraph): NeckEdge[] {
  const levels = neckMaps(graph);
  return graph.nodes.flatMap(({ name, level, inputs }) =>
    inputs.map((from) => ({ from, to: name, fromLevel: levels.get(from)!, toLevel: level })),
  );
}

/**
 * Where a drawing of the paper's kind puts the maps: inputs in column 0, outputs in the last one, and the other nodes between them in the
 * order in which each level has them. Rows are the levels.
 */
export function neckColumns(graph: NeckGraph): Map<string, number> {
  const columns = new Map(neckLevels(graph).map((level) => [inputName(level), 0]));
  const inner = graph.nodes.filter(({ name }) => !graph.outputs.includes(name));
  const count = new Map<number, number>();
  for (const { name, level } of inner) {
    count.set(level, (count.get(level) ?? 0) + 1);
    columns.set(name, count.get(level)!);
  }
  const last = 1 + Math.max(0, ...count.values());
  for (const { name } of graph.nodes) if (!columns.has(name)) columns.set(name, last);
  return columns;
}

/** @throws RangeError for a graph that cannot be run, naming the node. */
export function checkNeckGraph(graph: NeckGraph): void {
  const fail = (message: string): never => {
    throw new RangeError(`neck graph "${graph.name}": ${message}`);
  };
  const { minLevel, maxLevel, nodes, outputs } = graph;
  if (!(Number.isInteger(minLevel) && Number.isInteger(maxLevel) && minLevel <= maxLevel)) {
    fail(`levels ${minLevel} to ${maxLevel} are none`);
  }
  const levels = new Map(neckLevels(graph).map((level) => [inputName(level), level]));
  const known = (name: string, by: string): void => {
    if (!levels.has(name)) fail(`${by} is made of "${name}", which is no input and no earlier node`);
  };
  for (const { name, level, inputs, combine } of nodes) {
    if (levels.has(name)) fail(`two maps are called "${name}"`);
    if (level < minLevel || level > maxLevel)
      fail(`node "${name}" is on level ${level}, which it does not have`);
    if (inputs.length === 0) fail(`node "${name}" has no inputs`);
    if (new Set(inputs).size < inputs.length) fail(`node "${name}" has an input twice`);
    if (combine === 'attention' && inputs.length < 2)
      fail(`node "${name}" needs two inputs for its attention`);
    inputs.forEach((input) => known(input, `node "${name}"`));
    levels.set(name, level);
  }
  if (outputs.length !== maxLevel - minLevel + 1) {
    fail(`${outputs.length} outputs for ${maxLevel - minLevel + 1} levels`);
  }
  outputs.forEach((name, i) => {
    known(name, `output ${i}`);
    if (levels.get(name) !== minLevel + i)
      fail(`output ${i} is "${name}", which is not of level ${minLevel + i}`);
  });
}
