/** How far training has moved a network from where it began: the drift that freezing a trunk forbids. */
import type { Module, NamedVariable } from '../nn/module';
import { tf } from '../tensor/tf';

/** The L2 distance between two sets of weights. */
export interface Distance {
  /** The norm of theta - theta0 over all numbers together. */
  readonly distance: number;
  /** The norm of theta0, the remembered ones. */
  readonly norm: number;
  /** `distance / norm`; where `norm` is 0: infinity if weights moved, else NaN. */
  readonly relative: number;
}

/** Distances of parameters and of buffers (running statistics, and what is frozen). */
export interface PartDistance {
  readonly trainable: Distance;
  readonly fixed: Distance;
}

/** Distances of a whole network and of its parts. */
export interface WeightDistance extends PartDistance {
  /** By `part`'s names, in the order of the variables; empty without `part`. */
  readonly parts: ReadonlyMap<string, PartDistance>;
}

/** Options of `RememberedWeights.distance`. */
export interface WeightDistanceOptions {
  /** The network to compare. Default: the remembered one, as it is now. */
  readonly module?: Module;
  /**
   * Which part a variable belongs to; `undefined` for none, which counts in the whole alone. The first field of a name:
   * `(name) => name.split('.')[0]`.
   */
  readonly part?: (name: string) => string | undefined;
}

/** Weights as they were. */
export interface RememberedWeights {
  /**
   * How far the weights are from the remembered ones. What was trainable when they were remembered counts as trainable.
   * @throws Error when the network lacks a remembered variable, has one more, or one of another shape.
   */
  distance(options?: WeightDistanceOptions): Promise<WeightDistance>;
  /** Releases the copies: as many bytes as the network's weights. */
  dispose(): void;
}

/**
 * Copies a network's float variables, to tell later how far they have moved:
 *
 *     const start = rememberWeights(detector.network);
 *     // ... training ...
 *     const { trainable } = await start.distance();
 */
export function rememberWeights(module: Module): RememberedWeights {
  const copies = floatVariables(module).map(({ name, variable }) => ({
    name,
    trainable: variable.trainable,
    // A copy of its own: a clone would share memory that an update may write to.
    value: tf.keep(tf.mul(variable, 1)),
  }));
  let disposed = false;
  return {
    async distance({ module: other = module, part } = {}) {
      if (disposed) throw new Error('rememberWeights: distance was called after dispose');
      const now = paired(copies, floatVariables(other));
      const sums = await squaredSums(copies.map(({ value }, i) => [value, now[i]]));
      const among = (chosen: (index: number) => boolean): PartDistance => {
        const of = (trainable: boolean): Distance => {
          const places = [...copies.keys()].filter((i) => copies[i].trainable === trainable && chosen(i));
          const root = (column: number): number =>
            Math.sqrt(places.reduce((sum, i) => sum + sums[2 * i + column], 0));
          return { distance: root(0), norm: root(1), relative: root(0) / root(1) };
        };
        return { trainable: of(true), fixed: of(false) };
      };
      const names = copies.map(({ name }) => part?.(name));
      const parts = new Set(names.filter((name) => name !== undefined));
      return {
        ...among(() => true),
        parts: new Map([...parts].map((name) => [name, among((i) => names[i] === name)])),
      };
    },
    dispose() {
      disposed = true;
      tf.dispose(copies.map(({ value }) => value));
    },
  };
}

function floatVariables(module: Module): NamedVariable[] {
  return module.namedVariables().filter(({ variable }) => variable.dtype === 'float32');
}

/** The other network's variables in the order of the copies. */
function paired(
  copies: readonly { readonly name: string; readonly value: tf.Tensor }[],
  variables: readonly NamedVariable[],
): tf.Variable[] {
  const byName = new Map(variables.map(({ name, variable }) => [name, variable]));
  const found = copies.map(({ name, value }) => {
    const variable = byName.get(name);
    if (variable === undefined) {
      throw new Error(
        `rememberWeights: the network to compare has no variable ${name}; give one of the same architecture`,
      );
    }
    if (String(variable.shape) !== String(value.shape)) {
      throw new Error(
        `rememberWeights: ${name} is [${variable.shape}], but [${value.shape}] was remembered; give a network of the same sizes`,
      );
    }
    return variable;
  });
  const known = new Set(copies.map(({ name }) => name));
  const extra = variables.find(({ name }) => !known.has(name));
  if (extra) {
    throw new Error(
      `rememberWeights: the network to compare has ${extra.name}, which was not remembered; give one of the same architecture`,
    );
  }
  return found;
}

/** For each pair, the sum of squares of the difference and of the first one, one after the other. */
async function squaredSums(pairs: readonly (readonly [tf.Tensor, tf.Tensor])[]): Promise<ArrayLike<number>> {
  if (pairs.length === 0) return [];
  const sums = tf.tidy(() =>
    tf.stack(
      pairs.flatMap(([before, after]) => [
        tf.sum(tf.square(tf.sub(after, before))),
        tf.sum(tf.square(before)),
      ]),
    ),
  );
  try {
    return await sums.data();
  } finally {
    sums.dispose();
  }
}
