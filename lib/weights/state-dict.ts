/** A network's parameters and buffers by name, as PyTorch names and lays them out. */
import type { Module } from '../nn/module';
import { tf } from '../tensor/tf';
import { sizeOfShape } from './checks';
import type { HostTensor, StateDict } from './host-tensor';
import { fromTorch, type Layout, layoutsOf, torchShape, toTorch } from './layout';
import { describeMismatch } from './mismatch';

/**
 * A copy of every parameter and buffer, in the network's order, under PyTorch's names and in PyTorch's layouts: `writeSafetensors` of
 * it is a file that `load_state_dict` takes. (PyTorch counts batches in `num_batches_tracked`; it does without where that is missing.)
 */
export async function stateDict(module: Module): Promise<StateDict> {
  const layouts = layoutsOf(module);
  const found = new Map<string, HostTensor>();
  for (const { name, variable } of module.namedVariables()) {
    const data = await variable.data();
    const values = variable.dtype === 'float32' ? (data as Float32Array) : Int32Array.from(data);
    found.set(name, toTorch({ shape: variable.shape, values }, layouts.get(variable)));
  }
  return found;
}

/** Options of `loadStateDict`. */
export interface LoadOptions {
  /** Default true: a name that is missing or unexpected is an error. False: what fits is loaded. Shapes must fit either way. */
  readonly strict?: boolean;
  /** The network's name for a name among the weights; `undefined` leaves the tensor out. Default: the same name. */
  readonly rename?: (name: string) => string | undefined;
  /** Names of the network, and what is renamed to them, that stay as they are, whatever the weights have for them. */
  readonly keep?: (name: string) => boolean;
}

/** What was left over by a `loadStateDict` that is not strict. */
export interface LoadReport {
  /** The network's names that the weights don't have: they keep their values. */
  readonly missing: readonly string[];
  /** The weights' names, as they are called there, that were not used. */
  readonly unexpected: readonly string[];
}

/**
 * Gives a network's parameters and buffers the values of `weights`, which have PyTorch's layouts, as `stateDict` and PyTorch's files do.
 * Either everything is loaded or, where something does not fit, nothing.
 *
 * - A `running_var` is copied as it is. PyTorch gathers the unbiased variance and we the biased one, but in inference it is only a number.
 * - `num_batches_tracked`, PyTorch's count of batches, is passed over.
 * - A matrix `[out, in * KH * KW]` also goes into a convolution: a fully connected layer over a whole map, as PyTorch flattens one.
 * @throws one error that lists every name that is missing, unexpected or of another shape, with near names and shapes beside them.
 */
export function loadStateDict(module: Module, weights: StateDict, options: LoadOptions = {}): LoadReport {
  const { strict = true, rename = (name) => name, keep = () => false } = options;
  const layouts = layoutsOf(module);
  const variables = module.namedVariables().filter(({ name }) => !keep(name));
  const given = new Map<string, { tensor: HostTensor; source: string }>();
  for (const [source, tensor] of weights) {
    if (sizeOfShape(tensor.shape) !== tensor.values.length) {
      throw new RangeError(
        `loadStateDict: "${source}" has the shape [${tensor.shape.join(', ')}] and ${tensor.values.length} values`,
      );
    }
    const name = rename(source);
    if (name === undefined || keep(name) || /(^|\.)num_batches_tracked$/.test(name)) continue;
    const twin = given.get(name);
    if (twin) {
      throw new Error(`loadStateDict: both "${twin.source}" and "${source}" are renamed to "${name}"`);
    }
    given.set(name, { tensor, source });
  }

  const names = new Set(variables.map(({ name }) => name));
  const missing = [...names].filter((name) => !given.has(name));
  const unexpected = [...given.keys()].filter((name) => !names.has(name));
  const misshaped = variables.flatMap(({ name, variable }) => {
    const tensor = given.get(name)?.tensor;
    const layout = layouts.get(variable);
    if (!tensor || fits(tensor.shape, variable.shape, layout)) return [];
    return [{ name, network: torchShape(variable.shape, layout), weights: tensor.shape }];
  });
  if (misshaped.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    const mismatch = { missing, unexpected, misshaped };
    throw new Error(
      `loadStateDict: the weights don't fit this ${module.constructor.name}\n${describeMismatch(mismatch)}`,
    );
  }

  for (const { name, variable } of variables) {
    const tensor = given.get(name)?.tensor;
    if (tensor) assign(variable, fromTorch(tensor.values, variable.shape, layouts.get(variable)));
  }
  return { missing, unexpected: unexpected.map((name) => given.get(name)!.source) };
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
