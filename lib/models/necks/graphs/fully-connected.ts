/**
 * The fully connected FPN of EfficientDet's comparison (table 5; figure 2 of the first version).
 *
 * Not verified: no code of it was released. Built here is PANet with an edge from every input to every output, as the figure's caption is
 * remembered. For EfficientNet-B3, 160 channels and six cells `efficientDetCosts` counts 1.26 and 1.19 times PANet's parameters and
 * multiply-adds, where the table has 1.24 and 1.21.
 */
import { inputName, neckLevels, type NeckGraph } from '../neck-graph';
import { paNet } from './panet';

/** Two nodes a level; the second ones take all inputs besides. */
export function fullyConnectedFpn(minLevel: number = 3, maxLevel: number = 7): NeckGraph {
  const graph = paNet(minLevel, maxLevel);
  const all = neckLevels(graph).map(inputName);
  return {
    ...graph,
    name: 'fully connected FPN',
    nodes: graph.nodes.map((node) =>
      graph.outputs.includes(node.name) ? { ...node, inputs: [...node.inputs, ...all] } : node,
    ),
  };
}
