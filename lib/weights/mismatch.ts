/** Saying how a network and the weights for it differ. */
import { nearest } from '../tensor/nearest';
import { printable } from './checks';

/** A tensor's name in the network and where the weights come from; `undefined` where they have no name for it. */
export interface NamePair {
  readonly name: string;
  readonly there: string | undefined;
}

/** What does not fit. */
export interface Mismatch {
  /** Of the network, not among the weights. */
  readonly missing: readonly NamePair[];
  /** Of the weights, not in the network. */
  readonly unexpected: readonly NamePair[];
  /** In both, of different shapes, as PyTorch writes them. */
  readonly misshaped: readonly (NamePair & {
    readonly network: readonly number[];
    readonly weights: readonly number[];
  })[];
  /** How many variables were to be loaded. */
  readonly total: number;
}

/** Names that are compared with others at most: comparing takes the square of it. */
const compared = 200;

/** Names of a file that are listed at most: more than any network has. */
const listed = 10_000;

/** Every difference, a line each, with what could mend it. */
export function describeMismatch({ missing, unexpected, misshaped, total }: Mismatch): string {
  const lines: string[] = [];
  if (missing.length > 0) {
    lines.push(`missing in the weights (${missing.length}):`);
    const candidates = unexpected.slice(0, compared).map(({ name }) => name);
    missing.forEach((pair, index) => {
      const near = index < compared && pair.there !== undefined ? nearest(pair.there, candidates) : undefined;
      lines.push(`  ${both(pair)}${near === undefined ? '' : ` (they have ${near})`}`);
    });
  }
  if (unexpected.length > 0) {
    lines.push(`unexpected in the weights (${unexpected.length}):`);
    lines.push(...unexpected.slice(0, listed).map((pair) => `  ${both(pair)}`));
    if (unexpected.length > listed) lines.push(`  and ${unexpected.length - listed} more`);
  }
  if (misshaped.length > 0) {
    lines.push(`of another shape (${misshaped.length}), in PyTorch's order of dimensions:`);
    for (const { network, weights, ...pair } of misshaped) {
      lines.push(
        `  ${both(pair)}: the network has [${network.join(', ')}], the weights have [${weights.join(', ')}]`,
      );
    }
  }
  lines.push(...advice({ missing, unexpected, misshaped, total }));
  return lines.join('\n');
}

/** `backbone.conv1.weight, there conv1.weight`. */
function both({ name, there }: NamePair): string {
  if (there === undefined) return `${name}, for which they have no name`;
  return printable(there === name ? name : `${name}, there ${there}`);
}

/** How to go on. */
function advice({ missing, unexpected, misshaped, total }: Mismatch): string[] {
  const lines: string[] = [];
  const namesOf = (pairs: readonly NamePair[]): string[] => pairs.map(({ name }) => name);
  const hint = prefixHint(namesOf(missing), namesOf(unexpected));
  if (hint) lines.push(hint);
  if (misshaped.length > 0 && misshaped.length < total) {
    const start = commonStart(namesOf(misshaped));
    lines.push(
      start
        ? `to keep the network's own values there: keep: (name) => name.startsWith('${start}')`
        : `to keep the network's own values there, name them by the option keep`,
    );
  }
  if (missing.length > 0 && missing.length < total && !hint) {
    lines.push('to load what there is and leave the rest as it is: strict: false');
  } else if (missing.length === 0 && unexpected.length > 0) {
    lines.push('everything that the network needs is there; to leave the rest: strict: false');
  }
  return lines;
}

/** The parts of their paths that all names begin with: `head.classification.`. */
function commonStart(names: readonly string[]): string {
  const parts = names.map((name) => name.split('.').slice(0, -1));
  const [first] = parts;
  let length = 0;
  while (length < first.length && parts.every((part) => part[length] === first[length])) length++;
  return first
    .slice(0, length)
    .map((part) => `${part}.`)
    .join('');
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
