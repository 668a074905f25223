/** BiFPN (Tan et al., CVPR 2020, section 3, figure 2d; the authors' release). */
import { inputName, type NeckGraph, type NeckNode } from '../neck-graph';

/**
 * A path from coarse to fine, then one from fine to coarse. Nodes with one input are left out, so the first path has none at the coarsest
 * level, and at the finest its node is the output; and every output in between takes the cell's input of its level, too. Levels 3 to 7
 * have eight nodes with 19 inputs.
 */
export function biFpn(minLevel: number = 3, maxLevel: number = 7): NeckGraph {
  const nodes: NeckNode[] = [];
  /** The newest map of each level. */
  const newest = new Map<number, string>();
  const at = (level: number): string => newest.get(level) ?? inputName(level);
  const add = (level: number, path: 'td' | 'out', inputs: readonly string[]): void => {
    const name = `${inputName(level)} ${path}`;
    nodes.push({ name, level, inputs });
    newest.set(level, name);
  };
  for (let level = maxLevel - 1; level >= minLevel; level--) {
    add(level, level === minLevel ? 'out' : 'td', [inputName(level), at(level + 1)]);
  }
  for (let level = minLevel + 1; level <= maxLevel; level++) {
    const own = level === maxLevel ? [inputName(level)] : [inputName(level), at(level)];
    add(level, 'out', [...own, at(level - 1)]);
  }
  const outputs = Array.from({ length: maxLevel - minLevel + 1 }, (_, i) => at(minLevel + i));
  return { name: 'BiFPN', minLevel, maxLevel, nodes, outputs };
}
