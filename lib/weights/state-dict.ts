/** A network's parameters and buffers by name, as PyTorch names and lays them out. */
import type { Module } from '../nn/module';
import { sizeOfShape } from './checks';
import type { HostTensor, StateDict } from './host-tensor';
import { layoutsOf, toTorch } from './layout';
import { loadGiven } from './load-given';

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

  const own = new Set(variables.map(({ name }) => name));
  const unexpected = [...given.keys()].filter((name) => !own.has(name));
  return loadGiven(module, {
    caller: 'loadStateDict',
    variables,
    given,
    unexpected: unexpected.map((name) => ({ name, there: given.get(name)!.source })),
    strict,
  });
}
