/** The learned weights of a feature network's fusions, for charts (EfficientDet, figure 5). */
import { tf } from '../../tensor/tf';
import { normalizedWeights } from './fusion';
import type { GraphNeck } from './graph-neck';

/** One input of one node. */
export interface FusionWeight {
  /** From 0. */
  readonly cell: number;
  /** The node and its input, as the graph calls them. */
  readonly node: string;
  readonly input: string;
  /** As it is learned, from 1. */
  readonly weight: number;
  /** What the input is multiplied by. */
  readonly share: number;
}

/** The weights at this moment, cell by cell in the graph's order; none for sums. */
export async function fusionWeights(neck: GraphNeck): Promise<FusionWeight[]> {
  const { graph, fusion } = neck;
  const rows: FusionWeight[] = [];
  for (const [cell, { fnode }] of neck.cell.entries()) {
    for (const [place, { combine }] of fnode.entries()) {
      if (!combine.edge_weights || fusion === 'sum') continue;
      const { name, inputs } = graph.nodes[place];
      const normalized = normalizedWeights(combine.edge_weights, fusion);
      const [weights, shares] = await Promise.all([
        combine.edge_weights.data<'float32'>(),
        normalized.data<'float32'>(),
      ]);
      tf.dispose(normalized);
      inputs.forEach((input, i) => {
        rows.push({ cell, node: name, input, weight: weights[i], share: shares[i] });
      });
    }
  }
  return rows;
}
