/** What a network is made of and what it costs: its layers with their variables, and what a real forward pass counts. */
import { tf } from '../tensor/tf';
import { type ForwardContext, inference, type LayerTrace, type Module, type NamedVariable } from './module';

/** One run of a layer. A layer that runs several times, such as a head that all levels share, has a row for each. */
export interface LayerRow {
  /** The layer's name in the network, e.g. `backbone.stages.0.0.conv`. */
  readonly layer: string;
  /** The layer's class, e.g. `Conv2d`. */
  readonly type: string;
  /** Shapes without the batch: `[H, W, C]`. */
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** How many inputs of that shape one image gives: the regions in a second stage; else 1. */
  readonly batch: number;
  /** Numbers that training updates; none where the layer has run before, so that the rows can be added up. */
  readonly parameters: number;
  /** Multiply-adds for one image. */
  readonly multiplyAdds: number;
  /** True where the layer has run before. */
  readonly again: boolean;
}

/** Layers of one class that no row stands for. */
export interface LeftOut {
  /** The layers' class, e.g. `BatchNorm2d`. */
  readonly type: string;
  readonly layers: number;
  readonly parameters: number;
  /**
   * What they are: layers that have parameters, but no multiply-adds by the papers' way of counting (normalisation, learned scales); or
   * convolutions and fully connected layers that did not run.
   */
  readonly reason: 'not counted' | 'not run';
}

/** A network's layers and totals. */
export interface Summary {
  readonly rows: readonly LayerRow[];
  /** What has parameters and no row: with the rows' parameters, theirs make `parameters`. */
  readonly leftOut: readonly LeftOut[];
  /** Parameters of the whole network, normalisation included: numbers that training updates. */
  readonly parameters: number;
  /** Numbers that training does not update: running statistics, and what was frozen. */
  readonly notTrained: number;
  /**
   * Multiply-adds for one image: convolutions and fully connected layers, as papers count them. Biases, normalisation, activations,
   * pooling, resizing, sums and products of maps, RoIAlign and suppression count as none.
   */
  readonly multiplyAdds: number;
}

/** A network that maps images to anything. */
type Runnable = Module & { forward(x: tf.Tensor4D, context: ForwardContext): unknown };

/**
 * Runs a network once on one image of zeros and lists every convolution and fully connected layer that it runs through, and what else
 * has parameters.
 * @param inputShape `[H, W, C]`.
 * @param forward runs the network. Default: `model.forward`; what it returns is disposed.
 * @throws TypeError where the model has no `forward` and none is given; RangeError for an impossible shape.
 */
export function summarize(model: Runnable, inputShape: readonly [number, number, number]): Summary;
export function summarize(
  model: Module,
  inputShape: readonly [number, number, number],
  forward: (x: tf.Tensor4D, context: ForwardContext) => unknown,
): Summary;
export function summarize(
  model: Module & Partial<Runnable>,
  inputShape: readonly [number, number, number],
  forward: ((x: tf.Tensor4D, context: ForwardContext) => unknown) | undefined = model.forward?.bind(model),
): Summary {
  if (!forward) {
    throw new TypeError(
      `summarize: ${model.constructor.name} has no forward; say how it runs: summarize(model, [H, W, C], (x, context) => …)`,
    );
  }
  if (inputShape.length !== 3 || !inputShape.every((side) => Number.isInteger(side) && side > 0)) {
    throw new RangeError(`summarize: [${inputShape.join(', ')}] is no shape of an image; give [H, W, C]`);
  }
  const traces: LayerTrace[] = [];
  tf.tidy(() => {
    forward(tf.zeros([1, ...inputShape]), { ...inference, trace: (entry) => traces.push(entry) });
  });
  const names = moduleNames(model);
  const seen = new Set<tf.Variable>();
  const rows = traces.map(({ module, inputShape: from, outputShape: to, multiplyAdds }): LayerRow => {
    const variables = module.namedVariables().map(({ variable }) => variable);
    const again = variables.length > 0 && variables.every((variable) => seen.has(variable));
    const parameters = trainedNumbers(variables.filter((variable) => !seen.has(variable)));
    variables.forEach((variable) => seen.add(variable));
    return {
      layer: names.get(module) ?? module.constructor.name,
      type: module.constructor.name,
      input: from.slice(1),
      output: to.slice(1),
      batch: to[0],
      parameters,
      multiplyAdds,
      again,
    };
  });
  const all = new Set(model.namedVariables().map(({ variable }) => variable));
  const parameters = trainedNumbers([...all]);
  const ran = new Set(traces.map(({ module }) => module.constructor.name));
  return {
    rows,
    leftOut: leftOutOf(names.keys(), seen, ran),
    parameters,
    notTrained: [...all].reduce((sum, { size }) => sum + size, 0) - parameters,
    multiplyAdds: rows.reduce((sum, row) => sum + row.multiplyAdds, 0),
  };
}

/** Groups, by class, the layers with trained variables of which none is in `seen`. */
function leftOutOf(
  modules: Iterable<Module>,
  seen: ReadonlySet<tf.Variable>,
  ran: ReadonlySet<string>,
): LeftOut[] {
  const done = new Set(seen);
  const groups = new Map<string, { layers: number; parameters: number }>();
  for (const module of modules) {
    const own = Object.entries(module)
      .flatMap(([field, value]) => ownVariables(value, field))
      .filter(({ variable }) => !done.has(variable));
    if (own.length === 0) continue;
    own.forEach(({ variable }) => done.add(variable));
    const type = module.constructor.name;
    const group = groups.get(type) ?? { layers: 0, parameters: 0 };
    group.layers++;
    group.parameters += trainedNumbers(own.map(({ variable }) => variable));
    groups.set(type, group);
  }
  // A class of which one layer reports itself would have reported the others.
  const counts = (type: string): boolean => ran.has(type) || countedTypes.has(type);
  return [...groups].map(([type, group]) => ({
    type,
    ...group,
    reason: counts(type) ? 'not run' : 'not counted',
  }));
}

/** Classes whose layers report their multiply-adds. */
const countedTypes: ReadonlySet<string> = new Set(['Conv2d', 'DepthwiseConv2d', 'Linear']);

function trainedNumbers(variables: readonly tf.Variable[]): number {
  return variables.reduce((sum, { size, trainable }) => sum + (trainable ? size : 0), 0);
}

/** One layer of `listLayers`: a module that holds variables itself. */
export interface LayerVariables {
  /** The layer's name in the network, e.g. `backbone.stages.0.0.conv`; empty for the network itself. */
  readonly layer: string;
  /** The layer's class, e.g. `Conv2d`. */
  readonly type: string;
  readonly variables: readonly {
    /** The field that holds it, e.g. `weight`. */
    readonly name: string;
    readonly shape: readonly number[];
    readonly trainable: boolean;
  }[];
  /** Numbers that training updates. */
  readonly parameters: number;
  /** Numbers that it does not: running statistics, and what was frozen. */
  readonly buffers: number;
}

/** Every layer that holds variables, in the order of the fields. Needs no input and computes nothing. */
export function listLayers(model: Module): LayerVariables[] {
  return [...moduleNames(model)].flatMap(([module, layer]): LayerVariables[] => {
    const own = Object.entries(module).flatMap(([field, value]) => ownVariables(value, field));
    if (own.length === 0) return [];
    const count = (trainable: boolean): number =>
      own.reduce((sum, { variable }) => sum + (variable.trainable === trainable ? variable.size : 0), 0);
    const variables = own.map(({ name, variable: { shape, trainable } }) => ({ name, shape, trainable }));
    return [
      { layer, type: module.constructor.name, variables, parameters: count(true), buffers: count(false) },
    ];
  });
}

function ownVariables(value: unknown, name: string): NamedVariable[] {
  if (value instanceof tf.Variable) return [{ name, variable: value }];
  return Array.isArray(value) ? value.flatMap((item, i) => ownVariables(item, `${name}.${i}`)) : [];
}

/** The name of every module in a network: the path of field names that leads to it. */
export function moduleNames(root: Module): Map<Module, string> {
  const names = new Map<Module, string>();
  const visit = (value: unknown, name: string): void => {
    if (Array.isArray(value)) value.forEach((item, index) => visit(item, `${name}.${index}`));
    else if (isModule(value) && !names.has(value)) {
      names.set(value, name);
      for (const [field, child] of Object.entries(value)) visit(child, name ? `${name}.${field}` : field);
    }
  };
  visit(root, '');
  return names;
}

function isModule(value: unknown): value is Module {
  return typeof value === 'object' && value !== null && 'namedVariables' in value;
}
