/**
 * PANet's feature network (Liu et al., CVPR 2018): FPN's path from coarse to fine, then one back. Repeated, it is what EfficientDet's
 * comparison (table 5) calls repeated FPN+PANet.
 *
 * With its ten nodes it costs as much as `topDownFpn` with twice as many cells; table 5 gives both the same cost. Its nodes are those of
 * effdet's `pan` networks, too.
 */
import { inputName, neckLevels, type NeckGraph } from '../neck-graph';

/** Two nodes a level; the first of each path has one input only. */
export function paNet(minLevel: number = 3, maxLevel: number = 7): NeckGraph {
  const td = (level: number): string => `${inputName(level)} td`;
  const out = (level: number): string => `${inputName(level)} out`;
  const levels = neckLevels({ minLevel, maxLevel });
  return {
    name: 'PANet',
    minLevel,
    maxLevel,
    nodes: [
      ...[...levels].reverse().map((level) => ({
        name: td(level),
        level,
        inputs: level === maxLevel ? [inputName(level)] : [inputName(level), td(level + 1)],
      })),
      ...levels.map((level) => ({
        name: out(level),
        level,
        inputs: level === minLevel ? [td(level)] : [td(level), out(level - 1)],
      })),
    ],
    outputs: levels.map(out),
  };
}
