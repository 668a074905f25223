/** How other projects call the parameters of networks that are built here, too. */
import type { StateDict } from './host-tensor';

/**
 * A project's names for a kind of network. Ours are those of a whole network: a classifier's (`backbone.…`, `conv`, `bn`, `hidden`, `fc`)
 * or a detector's (`backbone.…`, and its own).
 */
export interface WeightNaming {
  /** The project and its network, such as `torchvision/resnet`. */
  readonly name: string;
  /** Whether these are their names. */
  recognises(names: ReadonlySet<string>): boolean;
  /**
   * Gives their name for a name of ours, or `undefined` where they have no such tensor.
   * @param ours all names of the network of ours, which tell its depth and where it has batch norm.
   */
  namer(ours: ReadonlySet<string>): (name: string) => string | undefined;
  /** Whether a tensor, by its name there, belongs to the trunk. */
  isTrunk(name: string): boolean;
  /**
   * Whether only the trunk is the same network as ours, so that all else is left out. Default: it is not.
   * @param ours as for `namer`.
   */
  trunkOnly?(ours: ReadonlySet<string>): boolean;
  /** Their tensors, made such as ours are, still by their names. */
  adapt?(weights: StateDict): StateDict;
  /** Our tensors by their names, completed to what they have. */
  restore?(weights: StateDict): StateDict;
}

/** A rule of renaming, as `String.replace` does it. */
export type RenameRule = readonly [pattern: RegExp, replacement: string];

/** Renames by the first rule that matches; what no rule matches has no name there. */
export function byRules(rules: readonly RenameRule[]): (name: string) => string | undefined {
  return (name) => {
    const rule = rules.find(([pattern]) => pattern.test(name));
    return rule && name.replace(rule[0], rule[1]);
  };
}
