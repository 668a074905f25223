/** Saying how a network and the weights for it differ. */
import { nearest } from '../tensor/nearest';

/** What does not fit. Names are the network's. */
export interface Mismatch {
  /** Of the network, not among the weights. */
  readonly missing: readonly string[];
  /** Of the weights, not in the network. */
  readonly unexpected: readonly string[];
  /** In both, of different shapes, as PyTorch writes them. */
  readonly misshaped: readonly {
    readonly name: string;
    readonly network: readonly number[];
    readonly weights: readonly number[];
  }[];
}

/** Names that are compared with others at most: comparing takes the square of it. */
const compared = 200;

/** Every difference, a line each, with what could mend it. */
export function describeMismatch({ missing, unexpected, misshaped }: Mismatch): string {
  const lines: string[] = [];
  if (missing.length > 0) {
    lines.push(`missing in the weights (${missing.length}):`);
    const candidates = unexpected.slice(0, compared);
    missing.forEach((name, index) => {
      const near = index < compared ? nearest(name, candidates) : undefined;
      lines.push(near === undefined ? `  ${name}` : `  ${name} (they have ${near})`);
    });
  }
  if (unexpected.length > 0) {
    lines.push(`unexpected in the weights (${unexpected.length}):`, ...unexpected.map((name) => `  ${name}`));
  }
  if (misshaped.length > 0) {
    lines.push(`of another shape (${misshaped.length}), in PyTorch's order of dimensions:`);
    for (const { name, network, weights } of misshaped) {
      lines.push(
        `  ${name}: the network has [${network.join(', ')}], the weights have [${weights.join(', ')}]`,
      );
    }
  }
  const hint = prefixHint(missing, unexpected);
  if (hint) lines.push(hint);
  return lines.join('\n');
}

/** Where most names agree but for what stands before them: which `rename` puts it right. */
function prefixHint(missing: readonly string[], unexpected: readonly string[]): string | undefined {
  if (missing.length < 2) return undefined;
  const explains = (longer: readonly string[], shorter: readonly string[]): string | undefined => {
    const wanted = new Set(shorter);
    const counts = new Map<string, number>();
    for (const name of longer) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const prefix = name.slice(0, dot + 1);
        if (wanted.has(name.slice(dot + 1))) counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      }
    }
    const [best] = [...counts].sort(([, a], [, b]) => b - a);
    return best && best[1] * 2 > missing.length ? best[0] : undefined;
  };
  const theirs = explains(unexpected, missing);
  if (theirs) {
    return `their names begin with "${theirs}": try rename: (name) => (name.startsWith('${theirs}') ? name.slice(${theirs.length}) : name)`;
  }
  const ours = explains(missing, unexpected);
  return ours && `the network's names begin with "${ours}": try rename: (name) => '${ours}' + name`;
}
