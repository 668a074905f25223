/** The last step of loading: tensors that are known by the network's names, checked and given to its variables. */
import type { Module, NamedVariable } from '../nn/module';
import { tf } from '../tensor/tf';
import type { HostTensor } from './host-tensor';
import { fromTorch, type Layout, layoutsOf, torchShape } from './layout';
import { describeMismatch, type NamePair } from './mismatch';

/** What is to be loaded. */
export interface Given {
  /** The function that the user called, for errors. */
  readonly caller: string;
  /** The network's variables that are to be loaded. */
  readonly variables: readonly NamedVariable[];
  /** Tensors by the network's names, and what they are called where they come from. */
  readonly given: ReadonlyMap<string, { readonly tensor: HostTensor; readonly source: string }>;
  /** What the network has no place for. */
  readonly unexpected: readonly NamePair[];
  readonly strict: boolean;
  /** What a name of the network is called where the weights come from; default: the same. */
  readonly theirs?: (name: string) => string | undefined;
  /** What is said of the weights before what is wrong with them. */
  readonly about?: string;
  /** What to do, beyond what the names tell. */
  readonly advice?: string;
}

/**
 * Gives the variables their values: all of them or, where something does not fit, none.
 * @throws one error that lists every name that is missing, unexpected or of another shape.
 */
export function loadGiven(
  module: Module,
  { caller, variables, given, unexpected, strict, theirs = (name) => name, about, advice }: Given,
): { missing: string[]; unexpected: string[] } {
  const layouts = layoutsOf(module);
  const missing = variables.map(({ name }) => name).filter((name) => !given.has(name));
  const misshaped = variables.flatMap(({ name, variable }) => {
    const found = given.get(name);
    const layout = layouts.get(variable);
    if (!found || fits(found.tensor.shape, variable.shape, layout)) return [];
    return [
      { name, there: found.source, network: torchShape(variable.shape, layout), weights: found.tensor.shape },
    ];
  });
  if (misshaped.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    const differences = describeMismatch({
      missing: missing.map((name) => ({ name, there: theirs(name) })),
      unexpected,
      misshaped,
      total: variables.length,
    });
    const start = `${caller}: the weights don't fit this ${module.constructor.name}`;
    throw new Error([about ? `${start}; ${about}` : start, differences, advice].filter(Boolean).join('\n'));
  }
  for (const { name, variable } of variables) {
    const tensor = given.get(name)?.tensor;
    if (tensor) assign(variable, fromTorch(tensor.values, variable.shape, layouts.get(variable)));
  }
  return { missing, unexpected: unexpected.map(({ name, there }) => there ?? name) };
}

function fits(given: readonly number[], shape: readonly number[], layout: Layout | undefined): boolean {
  const wanted = torchShape(shape, layout);
  const same = (a: readonly number[], b: readonly number[]): boolean =>
    a.length === b.length && a.every((side, i) => side === b[i]);
  if (same(given, wanted)) return true;
  const [out, ...inside] = wanted;
  return layout === 'convolution' && same(given, [out, inside.reduce((product, side) => product * side, 1)]);
}

function assign(variable: tf.Variable, values: HostTensor['values']): void {
  const float = variable.dtype === 'float32';
  const same = values instanceof (float ? Float32Array : Int32Array);
  const converted = same ? values : float ? new Float32Array(values) : new Int32Array(values);
  const value = tf.tensor(converted, variable.shape, variable.dtype);
  variable.assign(value);
  value.dispose();
}
