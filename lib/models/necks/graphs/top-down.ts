/** FPN (Lin et al., CVPR 2017) as a cell that can be repeated, as EfficientDet's comparison has it (table 5). */
import { inputName, neckLevels, type NeckGraph } from '../neck-graph';

/** One path from coarse to fine: every level's input and the map above it. The coarsest has its input only. */
export function topDownFpn(minLevel: number = 3, maxLevel: number = 7): NeckGraph {
  const out = (level: number): string => `${inputName(level)} out`;
  const levels = neckLevels({ minLevel, maxLevel });
  return {
    name: 'top-down FPN',
    minLevel,
    maxLevel,
    nodes: [...levels].reverse().map((level) => ({
      name: out(level),
      level,
      inputs: level === maxLevel ? [inputName(level)] : [inputName(level), out(level + 1)],
    })),
    outputs: levels.map(out),
  };
}
