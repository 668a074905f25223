/** All tensors that a training run is made of, out of the backend and back into it. */
import type { Module, NamedVariable } from '../nn/module';
import type { RandomStream } from '../tensor/random-stream';
import { tf } from '../tensor/tf';
import type { HostTensor, StateDict } from '../weights/host-tensor';
import { fromTorch, layoutsOf, type Layout, torchShape, toTorch } from '../weights/layout';
import { loadStateDict, stateDict } from '../weights/state-dict';
import { type Checkpoint, networkPart } from './checkpoint';
import type { Optimizer } from './optimizer';
import type { TrainingStep } from './step';
import type { WeightAverage } from './weight-average';

/** What has a state. */
export interface RunParts {
  readonly model: Module;
  readonly optimizer: Optimizer;
  readonly random?: RandomStream;
  readonly average?: WeightAverage;
  readonly step: Pick<TrainingStep<never>, 'slots'>;
}

/** A variable besides the network's own, under its name in a checkpoint. */
interface StateVariable extends NamedVariable {
  /** How the file lays it out. */
  readonly layout: Layout | undefined;
}

/** Copies everything; the run is as it was. */
export async function saveState(parts: RunParts): Promise<StateDict> {
  const tensors = new Map(await stateDict(parts.model));
  for (const { name, variable, layout } of besidesNetwork(parts)) {
    const data = await variable.data();
    const values = variable.dtype === 'float32' ? (data as Float32Array) : Int32Array.from(data);
    tensors.set(name, toTorch({ shape: variable.shape, values }, layout));
  }
  return tensors;
}

/**
 * Gives everything the checkpoint's values.
 * @throws listing what differs in name or shape; then nothing has changed.
 */
export function loadState(parts: RunParts, { file, tensors }: Pick<Checkpoint, 'file' | 'tensors'>): void {
  const wanted = besidesNetwork(parts);
  const names = new Set(wanted.map(({ name }) => name));
  const lines = [...tensors.keys()]
    .filter((name) => name.includes('/') && !names.has(name))
    .map((name) => `  it has ${name}, this run has not`);
  for (const { name, variable, layout } of wanted) {
    const tensor = tensors.get(name);
    const shape = torchShape(variable.shape, layout);
    if (!tensor) lines.push(`  this run has ${name}, it has not`);
    else if (String(tensor.shape) !== String(shape)) {
      lines.push(`  ${name} has the shape [${tensor.shape.join(', ')}] there, [${shape.join(', ')}] here`);
    }
  }
  try {
    // The network first: where it differs, its parameters' slots differ, too, which is no news.
    const network = networkPart(tensors);
    if (lines.length > 0) checkNetwork(parts.model, network);
    else loadStateDict(parts.model, network);
  } catch (error) {
    throw new Error(`train: ${file} is of another network: ${(error as Error).message}`, { cause: error });
  }
  if (lines.length > 0) {
    const shown = lines.length > 20 ? [...lines.slice(0, 20), `  and ${lines.length - 20} more`] : lines;
    throw new Error(`train: ${file} is of another run:\n${shown.join('\n')}`);
  }
  for (const { name, variable, layout } of wanted) {
    const values = fromTorch((tensors.get(name) as HostTensor).values, variable.shape, layout);
    const tensor = tf.tensor(values, variable.shape, variable.dtype);
    variable.assign(tensor);
    tensor.dispose();
  }
}

/** @throws as `loadStateDict` does where the network has other tensors; loads nothing. */
function checkNetwork(model: Module, weights: StateDict): void {
  const layouts = layoutsOf(model);
  const fits = model.namedVariables().every(({ name, variable }) => {
    const tensor = weights.get(name);
    return tensor && String(tensor.shape) === String(torchShape(variable.shape, layouts.get(variable)));
  });
  if (!fits || weights.size !== model.namedVariables().length) loadStateDict(model, weights);
}

function besidesNetwork({ model, optimizer, random, average, step }: RunParts): StateVariable[] {
  const layouts = layoutsOf(model);
  const layoutOf = new Map(model.namedVariables().map(({ name, variable }) => [name, layouts.get(variable)]));
  const asIs = (prefix: string, variables: readonly NamedVariable[]): StateVariable[] =>
    variables.map(({ name, variable }) => ({ name: `${prefix}${name}`, variable, layout: undefined }));
  const averages = (average?.slots() ?? []).map(({ name, variable }): StateVariable => {
    const source = name.replace(/^average\./, '');
    return layoutOf.has(source)
      ? { name: `average/${source}`, variable, layout: layoutOf.get(source) }
      : { name: `run/${name}`, variable, layout: undefined };
  });
  return [
    ...asIs('optimizer/', optimizer.slots()),
    ...asIs('gradient/', step.slots()),
    ...averages,
    ...asIs('run/', random ? [{ name: 'random', variable: random.state }] : []),
  ];
}
