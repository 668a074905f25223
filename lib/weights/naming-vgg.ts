/** Names of VGG networks, and of SSD on them: numbers in a list of convolutions, batch norms, activations and pools. */
import type { HostTensor, StateDict } from './host-tensor';
import type { WeightNaming } from './naming';

/** torchvision's `vgg11` to `vgg19`, with and without `_bn`. */
export const torchvisionVgg: WeightNaming = {
  name: 'torchvision/vgg',
  recognises: (names) =>
    names.has('features.0.weight') &&
    (names.has('features.2.weight') || names.has('features.1.running_mean')),
  namer: (ours) => {
    const place = placesIn(ours);
    return (name) => {
      const [, layer, field] = /^(hidden\.0\.conv|hidden\.1\.conv|fc)\.(.+)$/.exec(name) ?? [];
      if (layer !== undefined)
        return `classifier.${['hidden.0.conv', 'hidden.1.conv', 'fc'].indexOf(layer) * 3}.${field}`;
      const found = place(name);
      return found && `features.${found.number}.${found.field}`;
    };
  },
  isTrunk: (name) => name.startsWith('features.'),
  adapt: (weights) => withoutBiases(weights, 'features.'),
  restore: (weights) => {
    const flat = [...weights].map(([name, tensor]): [string, HostTensor] =>
      /^classifier\.\d+\.weight$/.test(name) ? [name, asMatrix(tensor)] : [name, tensor],
    );
    return withBiases(new Map(flat), 'features.');
  },
};

/** The trunk that ssd.pytorch starts from (`vgg16_reducedfc.pth`), fc6 and fc7 made convolutions. */
export const reducedVgg: WeightNaming = {
  name: 'ssd.pytorch/vgg16_reducedfc',
  recognises: (names) => names.has('0.weight') && names.has('2.weight'),
  namer(ours) {
    const place = placesIn(ours);
    return (name) => {
      const found = place(name);
      return found && `${found.number}.${found.field}`;
    };
  },
  isTrunk: () => true,
  trunkOnly: () => true,
};

/** SSD300 of ssd.pytorch, for an `Ssd` with `l2Norm`. */
export const originalSsd: WeightNaming = {
  name: 'ssd.pytorch/ssd300',
  recognises: (names) => names.has('vgg.0.weight') && names.has('loc.0.weight'),
  namer(ours) {
    const place = placesIn(ours);
    return (name) => {
      const found = place(name);
      if (found) return `vgg.${found.number}.${found.field}`;
      const [, part, level, layer, field] = ssdPart.exec(name) ?? [];
      if (part === 'l2Norm') return `L2Norm.${field}`;
      if (part === 'extras') return `extras.${2 * Number(level) + Number(layer)}.${field}`;
      return part && `${part === 'head.regression' ? 'loc' : 'conf'}.${level}.${field}`;
    };
  },
  isTrunk: (name) => name.startsWith('vgg.'),
};

/** torchvision's `ssd300_vgg16`, for an `Ssd` with `l2Norm`: its fifth stage, fc6 and fc7 stand apart from the other four. */
export const torchvisionSsd: WeightNaming = {
  name: 'torchvision/ssd300_vgg16',
  recognises: (names) => names.has('backbone.scale_weight') && names.has('backbone.features.0.weight'),
  namer(ours) {
    const place = placesIn(ours);
    return (name) => {
      const found = place(name);
      if (found) {
        const { stage, number, first, field } = found;
        if (stage === 'atrous') return `backbone.extra.0.7.${number - first + 1}.${field}`;
        return stage < 4
          ? `backbone.features.${number}.${field}`
          : `backbone.extra.0.${number - first + 1}.${field}`;
      }
      const [, part, level, layer, field] = ssdPart.exec(name) ?? [];
      if (part === 'l2Norm') return `backbone.scale_${field}`;
      if (part === 'extras') return `backbone.extra.${Number(level) + 1}.${2 * Number(layer)}.${field}`;
      return part && `head.${part.slice('head.'.length)}_head.module_list.${level}.${field}`;
    };
  },
  isTrunk: (name) => /^backbone\.(features|extra\.0)\./.test(name),
};

/** What an SSD has behind its trunk: `l2Norm.weight`, `extras.0.1.conv.weight`, `head.regression.0.conv.bias`. */
const ssdPart =
  /^(l2Norm|extras|head\.classification|head\.regression)(?:\.(\d+)(?:\.(\d+))?\.conv)?\.(\w+)$/;

/** Where a variable of our trunk stands in a list of layers. */
interface Place {
  readonly stage: number | 'atrous';
  /** Its layer's number in the list. */
  readonly number: number;
  /** The number of its stage's first layer. */
  readonly first: number;
  readonly field: string;
}

/**
 * Numbers the layers of a trunk: every convolution, its batch norm if there is any, its ReLU; a pool behind each stage. fc6 and fc7 stand
 * behind the last pool.
 */
function placesIn(ours: ReadonlySet<string>): (name: string) => Place | undefined {
  const step = ours.has('backbone.stages.0.0.bn.weight') ? 3 : 2;
  const firsts: number[] = [0];
  for (let stage = 0; ours.has(`backbone.stages.${stage}.0.conv.weight`); stage++) {
    let count = 0;
    while (ours.has(`backbone.stages.${stage}.${count}.conv.weight`)) count++;
    firsts.push(firsts[stage] + count * step + 1);
  }
  return (name) => {
    const [, place, index, layer, field] =
      /^backbone\.(stages\.\d+|atrous)\.(\d+)\.(conv|bn)\.(\w+)$/.exec(name) ?? [];
    if (place === undefined) return undefined;
    const stage = place === 'atrous' ? place : Number(place.slice('stages.'.length));
    const first = stage === 'atrous' ? firsts[firsts.length - 1] : firsts[stage];
    return { stage, first, field, number: first + Number(index) * step + (layer === 'bn' ? 1 : 0) };
  };
}

/**
 * Takes the biases off convolutions that stand before batch norm, where ours have none. Off the running mean, too, which gives the same
 * values: gamma (x + b - mean) / sigma = gamma (x - (mean - b)) / sigma.
 */
function withoutBiases(weights: StateDict, prefix: string): StateDict {
  const found = new Map(weights);
  for (const [name, bias] of weights) {
    const mean = name.endsWith('.bias') ? meanBehind(weights, name, prefix) : undefined;
    if (mean === undefined) continue;
    const { shape, values } = weights.get(mean)!;
    if (values.length !== bias.values.length) continue;
    found.set(mean, { shape, values: Float32Array.from(values, (value, i) => value - bias.values[i]) });
    found.delete(name);
  }
  return found;
}

/** Gives convolutions before batch norm a bias of zeros. */
function withBiases(weights: StateDict, prefix: string): StateDict {
  const found = new Map<string, HostTensor>();
  for (const [name, tensor] of weights) {
    found.set(name, tensor);
    const bias = name.replace(/weight$/, 'bias');
    if (tensor.shape.length !== 4 || meanBehind(weights, bias, prefix) === undefined) continue;
    const [channels] = tensor.shape;
    found.set(bias, { shape: [channels], values: new Float32Array(channels) });
  }
  return found;
}

/** The running mean that stands behind the convolution of this bias in the list, if there is one. */
function meanBehind(weights: StateDict, bias: string, prefix: string): string | undefined {
  const number = Number(bias.slice(prefix.length, -'.bias'.length));
  const mean = `${prefix}${number + 1}.running_mean`;
  const convolution = weights.get(`${prefix}${number}.weight`)?.shape.length === 4;
  return bias.startsWith(prefix) && convolution && weights.has(mean) ? mean : undefined;
}

function asMatrix({ shape, values }: HostTensor): HostTensor {
  return { shape: [shape[0], shape.slice(1).reduce((product, side) => product * side, 1)], values };
}
