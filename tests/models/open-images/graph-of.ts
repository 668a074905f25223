/** Draws the graph of a TFLite file as a converter would for a `MobileNetSsd`: the inverse of finding the weights in it. */
import {
  Conv2d,
  DepthwiseConv2d,
  InvertedResidual,
  type MobileNetSsd,
  Relu6,
  type TfliteGraph,
  type TfliteOperator,
  type TfliteTensor,
} from 'detlab';

export type Graph = TfliteGraph;

/** @param network without batch norm. Its weights are constants of the graph, in TFLite's layouts. */
export async function graphOf(network: MobileNetSsd): Promise<Graph> {
  const tensors: TfliteTensor[] = [];
  const operators: TfliteOperator[] = [];
  const constants = new Map<number, Float32Array>();
  const tensor = (shape: readonly number[], values?: Float32Array): number => {
    const index = tensors.length;
    tensors.push({ index, name: `t${index}`, shape, dtype: 'F32', constant: values !== undefined });
    if (values) constants.set(index, values);
    return index;
  };
  const operate = (
    type: string,
    inputs: number[],
    shape: readonly number[],
    options: TfliteOperator['options'] = {},
  ): number => {
    const output = tensor(shape);
    operators.push({ index: operators.length, type, inputs, outputs: [output], options });
    return output;
  };

  const convolve = async (at: number, layer: unknown, relu6: boolean): Promise<number> => {
    if (!(layer instanceof Conv2d || layer instanceof DepthwiseConv2d)) throw new Error('no convolution');
    const [kh, kw, a, b] = layer.weight.shape;
    const values = (await layer.weight.data()) as Float32Array;
    const depthwise = layer instanceof DepthwiseConv2d;
    let filter: number;
    if (depthwise) filter = tensor([1, kh, kw, a], values);
    else {
      const turned = new Float32Array(values.length); // [KH, KW, in, out] -> [out, KH, KW, in]
      for (let i = 0; i < kh * kw * a; i++)
        for (let o = 0; o < b; o++) turned[o * kh * kw * a + i] = values[i * b + o];
      filter = tensor([b, kh, kw, a], turned);
    }
    const bias = tensor([depthwise ? a : b], (await layer.bias!.data()) as Float32Array);
    const [batch, height, width] = tensors[at].shape;
    const stride = layer.stride;
    const shape = [batch, Math.ceil(height / stride), Math.ceil(width / stride), depthwise ? a : b];
    return operate(depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D', [at, filter, bias], shape, {
      padding: 'same',
      stride: [stride, stride],
      dilation: [1, 1],
      activation: relu6 ? 'relu6' : 'none',
    });
  };
  const chain = async (at: number, layers: readonly unknown[]): Promise<number> => {
    for (const [index, layer] of layers.entries())
      if (!(layer instanceof Relu6)) at = await convolve(at, layer, layers[index + 1] instanceof Relu6);
    return at;
  };

  const input = tensor([1, 300, 300, 3]);
  let at = input;
  const maps: number[] = [];
  for (const feature of network.backbone.features) {
    if (!(feature instanceof InvertedResidual)) {
      at = await chain(at, feature);
      continue;
    }
    const before = at;
    for (const [index, layer] of feature.conv.entries()) {
      at = await chain(at, Array.isArray(layer) ? layer : [layer]);
      if (index === 0 && feature.width === 576 && tensors[at].shape[1] === 19) maps[0] = at;
    }
    if (feature.residual) at = operate('ADD', [at, before], tensors[at].shape, { activation: 'none' });
  }
  maps.push(at);
  for (const layers of network.extras) {
    for (const layer of layers) at = await chain(at, layer);
    maps.push(at);
  }
  const predict = async (layers: readonly Conv2d[], columns: number): Promise<number> => {
    const parts: number[] = [];
    for (const [level, layer] of layers.entries()) {
      const y = await convolve(maps[level], layer, false);
      const [, height, width, channels] = tensors[y].shape;
      parts.push(operate('RESHAPE', [y], [1, (height * width * channels) / columns, columns]));
    }
    const anchors = parts.reduce((sum, part) => sum + tensors[part].shape[1], 0);
    return operate('CONCATENATION', parts, [1, anchors, columns], { axis: 1, activation: 'none' });
  };
  const outputs = [
    await predict(network.regression, 4),
    await predict(network.classification, network.config.classes + 1),
  ];
  return {
    name: 'drawn',
    tensors,
    operators,
    inputs: [input],
    outputs,
    values: (index) => ({ shape: tensors[index].shape, values: constants.get(index)! }),
  };
}
