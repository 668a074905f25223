/** From the graph of a TFLite file to the weights of a `MobileNetSsd`: found by following the graph, whatever its tensors are called. */
import { Conv2d } from '../../nn/conv';
import { DepthwiseConv2d } from '../../nn/depthwise-conv';
import { InvertedResidual } from '../../nn/inverted-residual';
import type { Module } from '../../nn/module';
import { type Layer, Relu6 } from '../../nn/sequential';
import type { HostTensor, StateDict } from '../../weights/host-tensor';
import type { TfliteGraph, TfliteOperator } from '../../weights/tflite/tflite';
import { TfliteWalk } from '../../weights/tflite/walk';
import type { MobileNetSsd } from './network';

/** A prediction layer in the file, and the tensor it looks at. */
interface Predictor {
  readonly operator: TfliteOperator;
  readonly input: number;
}

/** Number of classes without the background that a file's graph predicts. @throws RangeError where its outputs are no SSD's. */
export function predictedClasses(graph: TfliteGraph): number {
  return columnsOf(graph, outputsOf(graph).classes) - 1;
}

/**
 * The weights under the network's names, laid out as PyTorch does (for `loadStateDict` and `writeSafetensors`). From the graph's input on,
 * each of the network's convolutions must find exactly one operator that does the same to the same tensor; from its outputs backwards, the
 * predictors.
 * @param network without batch norm; its values are not touched.
 * @throws RangeError naming the layer and what the graph has in its place.
 */
export function mobileNetSsdWeights(graph: TfliteGraph, network: MobileNetSsd): StateDict {
  if (network.config.batchNorm !== false) {
    throw new RangeError(
      'mobileNetSsdWeights: batch norm is folded into the weights of such a file; build the network with batchNorm: false',
    );
  }
  const walk = new TfliteWalk(graph);
  const { boxes, classes } = outputsOf(graph);
  const regression = predictorsOf(walk, boxes);
  const classification = predictorsOf(walk, classes);
  const predictors = new Set([...regression, ...classification].map(({ operator }) => operator));
  const found = new Map<string, HostTensor>();

  /** The operator that is `layer` with `activation` behind it, of those that use tensor `at`. Returns what it makes. */
  const follow = (at: number, name: string, layer: Module, activation: 'relu6' | 'none'): number => {
    if (!(layer instanceof Conv2d || layer instanceof DepthwiseConv2d))
      throw new RangeError(`${name} is no convolution`);
    const depthwise = layer instanceof DepthwiseConv2d;
    const type = depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D';
    const [kh, kw, a, b] = layer.weight.shape;
    const wanted = depthwise ? [1, kh, kw, a * b] : [b, kh, kw, a];
    const matches = walk.usersOf(at).filter((operator) => {
      const { options, inputs } = operator;
      return (
        operator.type === type &&
        !predictors.has(operator) &&
        inputs[0] === at &&
        String(graph.tensors[inputs[1]]?.shape) === String(wanted) &&
        options.activation === activation &&
        String(options.stride) === String([layer.stride, layer.stride]) &&
        String(options.dilation) === String([1, 1]) &&
        (options.padding === 'same' || (kh === 1 && kw === 1 && layer.stride === 1))
      );
    });
    if (matches.length !== 1) {
      const there = walk.usersOf(at).map((operator) => describe(walk, operator));
      throw new RangeError(
        `${name}: wanted one ${type} [${wanted.join(', ')}] of stride ${layer.stride}, SAME padding and activation ${activation} behind ` +
          `${walk.describe(at)}; there ${matches.length === 0 ? 'is none' : `are ${matches.length}`} among: ${there.join('; ') || 'nothing'}`,
      );
    }
    take(name, matches[0]);
    return matches[0].outputs[0];
  };

  const take = (name: string, { inputs, type }: TfliteOperator): void => {
    found.set(`${name}.weight`, torchWeight(walk.constant(inputs[1]), type));
    found.set(`${name}.bias`, walk.constant(inputs[2]));
  };

  const chain = (at: number, name: string, layers: readonly Layer[]): number =>
    layers.reduce((tensor, layer, index) => {
      if (layer instanceof Relu6) return tensor; // within the operator before
      const next = layers[index + 1];
      return follow(tensor, `${name}.${index}`, layer, next instanceof Relu6 ? 'relu6' : 'none');
    }, at);

  let at = graph.inputs[0];
  const maps: number[] = [];
  network.backbone.features.forEach((feature, index) => {
    const name = `backbone.features.${index}`;
    if (!(feature instanceof InvertedResidual)) {
      at = chain(at, name, feature);
      return;
    }
    const before = at;
    feature.conv.forEach((layer, i) => {
      at = chain(
        at,
        Array.isArray(layer) ? `${name}.conv.${i}` : `${name}.conv`,
        Array.isArray(layer) ? layer : indexed(i, layer),
      );
      // An expansion may be a detection map.
      if (regression.some(({ input }) => input === at) && i === 0) maps.push(at);
    });
    if (feature.residual) at = added(walk, before, at, name);
  });
  maps.push(at);
  network.extras.forEach((layers, extra) => {
    layers.forEach((layer, i) => (at = chain(at, `extras.${extra}.${i}`, layer)));
    maps.push(at);
  });

  for (const [name, list] of [
    ['classification', classification],
    ['regression', regression],
  ] as const) {
    if (String(list.map(({ input }) => input)) !== String(maps)) {
      throw new RangeError(
        `${name}: the graph predicts from tensors ${list.map(({ input }) => input).join(', ')}; the network's detection maps are ` +
          `tensors ${maps.join(', ')}`,
      );
    }
    list.forEach(({ operator }, level) => take(`${name}.${level}`, operator));
  }
  return found;
}

/** A layer that stands alone at place `index` of an array, as `chain` counts. */
function indexed(index: number, layer: Layer): Layer[] {
  const layers: Layer[] = [];
  layers[index] = layer;
  return layers;
}

/** The sum of two tensors. */
function added(walk: TfliteWalk, a: number, b: number, name: string): number {
  const sums = walk
    .usersOf(b)
    .filter(
      ({ type, inputs, options }) =>
        type === 'ADD' && inputs.includes(a) && (options.activation ?? 'none') === 'none',
    );
  if (sums.length !== 1) {
    throw new RangeError(
      `${name}: the graph does not add its input, ${walk.describe(a)}, to its output, ${walk.describe(b)}`,
    );
  }
  return sums[0].outputs[0];
}

/** Which output is which: boxes have four columns. */
function outputsOf(graph: TfliteGraph): { boxes: number; classes: number } {
  const [boxes] = graph.outputs.filter((index) => columnsOf(graph, index) === 4);
  const [classes] = graph.outputs.filter((index) => index !== boxes);
  if (graph.outputs.length !== 2 || boxes === undefined) {
    const shapes = graph.outputs.map((index) => `[${graph.tensors[index].shape.join(', ')}]`).join(', ');
    throw new RangeError(
      `the graph gives ${shapes || 'nothing'}; an SSD gives [1, anchors, 4] and [1, anchors, classes + 1]`,
    );
  }
  return { boxes, classes };
}

function columnsOf(graph: TfliteGraph, index: number): number {
  return graph.tensors[index].shape.at(-1) ?? 0;
}

/** Backwards from an output, through its concatenation, to the convolutions that predict it, finest map first. */
function predictorsOf(walk: TfliteWalk, output: number): Predictor[] {
  const behindReshapes = (tensor: number): TfliteOperator | undefined => {
    const maker = walk.maker(tensor);
    return maker?.type === 'RESHAPE' ? behindReshapes(maker.inputs[0]) : maker;
  };
  const joint = behindReshapes(output);
  if (joint?.type !== 'CONCATENATION' || joint.options.axis !== 1) {
    throw new RangeError(
      `${walk.describe(output)} is no concatenation of anchors, but ${joint?.type ?? 'an input'}`,
    );
  }
  return joint.inputs.map((part) => {
    const operator = behindReshapes(part);
    const { activation, stride } = operator?.options ?? {};
    if (operator?.type !== 'CONV_2D' || activation !== 'none' || String(stride) !== '1,1') {
      throw new RangeError(
        `${walk.describe(part)} is not predicted by a plain convolution, but by ${operator?.type ?? 'an input'}`,
      );
    }
    return { operator, input: operator.inputs[0] };
  });
}

/** TFLite's `[out, KH, KW, in]`, of depthwise ones `[1, KH, KW, C]`, as PyTorch's `[out, in, KH, KW]` and `[C, 1, KH, KW]`. */
function torchWeight({ shape, values }: HostTensor, type: string): HostTensor {
  const [out, kh, kw, inside] = shape;
  const turned = new Float32Array(values.length);
  for (let o = 0, at = 0; o < out; o++) {
    for (let k = 0; k < kh * kw; k++) {
      for (let i = 0; i < inside; i++) turned[(o * inside + i) * kh * kw + k] = values[at++];
    }
  }
  // A depthwise filter has one "out" and its channels inside.
  return {
    shape: type === 'DEPTHWISE_CONV_2D' ? [inside, 1, kh, kw] : [out, inside, kh, kw],
    values: turned,
  };
}

function describe(walk: TfliteWalk, { type, inputs, options }: TfliteOperator): string {
  const shape = walk.graph.tensors[inputs[1]]?.shape ?? [];
  return `${type} [${shape.join(', ')}] ${JSON.stringify(options)}`;
}
