/** What a network is made of and what it costs: its layers with their variables, and what a real forward pass counts. */
import { tf } from '../tensor/tf';
import { type ForwardContext, inference, type LayerTrace, type Module, type NamedVariable } from './module';

/** One layer of a summary. */
export interface LayerRow {
  /** The layer's name in the network, e.g. `backbone.stages.0.0.conv`. */
  readonly layer: string;
  /** Shapes without the batch: `[H, W, C]`. */
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly parameters: number;
  /** Multiply-adds for one image. */
  readonly multiplyAdds: number;
}

/** A network's layers and totals. */
export interface Summary {
  readonly rows: readonly LayerRow[];
  /** Parameters of the whole network, normalisation included. */
  readonly parameters: number;
  /** Multiply-adds for one image: convolutions and fully connected layers, as papers count them. */
  readonly multiplyAdds: number;
}

/**
 * Runs `forward` once on one image of zeros and lists every layer that reports itself.
 * @param inputShape `[H, W, C]`.
 */
export function summarize(
  model: Module & { forward(x: tf.Tensor4D, context: ForwardContext): unknown },
  inputShape: readonly [number, number, number],
): Summary {
  const names = moduleNames(model);
  const traces: LayerTrace[] = [];
  tf.tidy(() => {
    model.forward(tf.zeros([1, ...inputShape]), { ...inference, trace: (entry) => traces.push(entry) });
  });
  const rows = traces.map((entry): LayerRow => ({
    layer: names.get(entry.module) ?? entry.module.constructor.name,
    input: entry.inputShape.slice(1),
    output: entry.outputShape.slice(1),
    parameters: entry.module.parameterCount(),
    multiplyAdds: entry.multiplyAdds,
  }));
  return {
    rows,
    parameters: model.parameterCount(),
    multiplyAdds: rows.reduce((sum, row) => sum + row.multiplyAdds, 0),
  };
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
