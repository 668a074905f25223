/** Weights of other projects, by their names: read into our networks, and ours written for theirs. */
import type { Module } from '../nn/module';
import { nearest } from '../tensor/nearest';
import type { HostTensor, StateDict } from './host-tensor';
import { loadGiven } from './load-given';
import type { NamePair } from './mismatch';
import type { WeightNaming } from './naming';
import {
  effdetEfficientNet,
  numberedEfficientNet,
  timmEfficientNet,
  torchvisionEfficientNet,
} from './naming-efficientnet';
import {
  megviiShuffleNet,
  torchvisionDetectorResNet,
  torchvisionResNet,
  torchvisionShuffleNet,
} from './naming-resnet';
import { originalSsd, reducedVgg, torchvisionSsd, torchvisionVgg } from './naming-vgg';
import { readWeights } from './read-weights';
import { someNames } from './reading';
import { type LoadOptions, loadStateDict, stateDict } from './state-dict';

/** Every naming that `importWeights` knows. The first that recognises the names is taken. */
export const weightNamings: readonly WeightNaming[] = [
  torchvisionResNet,
  torchvisionDetectorResNet,
  torchvisionShuffleNet,
  megviiShuffleNet,
  torchvisionSsd,
  originalSsd,
  torchvisionEfficientNet,
  timmEfficientNet,
  effdetEfficientNet,
  numberedEfficientNet,
  torchvisionVgg,
  reducedVgg,
];

/** What `importWeights` did. */
export interface ImportReport {
  /** Whose names they were: one of `weightNamings`, or `detlab`. */
  readonly naming: string;
  /** How many tensors were loaded. */
  readonly loaded: number;
  /** Their names of tensors that are no part of this network: a trunk takes neither the classifier nor the heads. */
  readonly leftOut: readonly string[];
  /** Names of the network that the weights don't have, and their names that the network does not; none where loading is strict. */
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/**
 * Loads weights that torchvision, timm, effdet, efficientnet_pytorch, ssd.pytorch, Megvii or this project has named: ResNet, VGG,
 * SSD300-VGG16, EfficientNet, EfficientDet, ShuffleNetV2. Their names are recognised, whatever wrapper (`module.`, `model.`) stands before them.
 *
 * Into a whole network (`Classifier`, `Ssd`, `EfficientDet`) everything is loaded, into a trunk (`ResNet`, or a detector's `backbone`) what
 * belongs to the trunk. What was trained for other classes is kept as it is by `keep: (name) => name.startsWith('fc.')`, for SSD `'head.'`.
 *
 * Names don't tell how a network pads or what its batch norms add to the variance: build it by `buildTorchClassifier`, an
 * EfficientDet by `efficientDets` or `effdetPlan`, or give an `EfficientNet` the options `padding` and `norm`.
 * @param weights a file (safetensors or PyTorch's), or the tensors by their names there.
 * @param options `strict`, default true: a name that is missing or unexpected is an error; false: what there is is loaded. `keep`: names of
 *   the network that stay as they are.
 * @throws for names that are nobody's; one error that lists every name that is missing, unexpected or of another shape, in the network's
 *   words and in theirs; as `openWeights` for a file. The network is then as it was.
 */
export async function importWeights(
  module: Module,
  weights: string | StateDict,
  options: Pick<LoadOptions, 'strict' | 'keep'> = {},
): Promise<ImportReport> {
  const given = withTodaysNames(
    withoutWrapper(typeof weights === 'string' ? await readWeights(weights) : weights),
  );
  const { strict = true, keep = () => false } = options;
  const own = ownNames(module);
  const names = new Set([...given.keys()].filter((name) => !isBatchCount(name)));
  const naming = weightNamings.find((candidate) => candidate.recognises(names));
  const familiar = [...names].filter((name) => own.all.has(name)).length;
  // Our two-stage detectors and RetinaNet have torchvision's names.
  const alike = own.whole && naming?.recognises(own.all) === true;
  if (alike || (familiar > 0 && (!naming || familiar === names.size))) {
    const { missing, unexpected } = loadStateDict(module, given, options);
    const loaded =
      own.variables.length - missing.length - own.variables.filter(({ name }) => keep(name)).length;
    return { naming: 'detlab', loaded, leftOut: [], missing, unexpected };
  }
  if (!naming) {
    throw new Error(
      `importWeights: nobody's names: ${someNames([...names])}. Known are ${listed()}, and this ` +
        `${module.constructor.name}'s own: ${someNames([...own.all])}. Load others by loadStateDict with the option rename`,
    );
  }

  const adapted = naming.adapt?.(given) ?? given;
  const theirs = own.namedAs(naming);
  const found = new Map<string, { tensor: HostTensor; source: string }>();
  const used = new Set<string>();
  for (const { name } of own.variables) {
    const source = theirs(name);
    if (source === undefined) continue;
    used.add(source);
    const tensor = adapted.get(source);
    if (tensor) found.set(name, { tensor, source });
  }
  const over = [...adapted.keys()].filter((name) => !used.has(name) && !isBatchCount(name));
  const trunkOnly = !own.whole || naming.trunkOnly?.(own.all) === true;
  const leftOut = over.filter((name) => trunkOnly && !naming.isTrunk(name));
  const unexpected = over
    .filter((name) => !trunkOnly || naming.isTrunk(name))
    .map((name): NamePair => ({ name, there: name }));
  const report = loadGiven(module, {
    caller: 'importWeights',
    about: `by their names, they are ${naming.name}'s`,
    advice: own.whole ? 'for the trunk alone: importWeights(network.backbone, …)' : undefined,
    variables: own.variables.filter(({ name }) => !keep(name)),
    given: found,
    unexpected,
    strict,
    theirs,
  });
  const loaded = [...found.keys()].filter((name) => !keep(name)).length;
  return { naming: naming.name, loaded, leftOut, ...report };
}

/**
 * A network's parameters and buffers by the names and shapes that another project has for them: saved by `writeSafetensors`, PyTorch's
 * `load_state_dict` takes them. A trunk gives the trunk's part. (`num_batches_tracked` is not among them; PyTorch does without.)
 * @param naming one of `weightNamings` by its name, such as `torchvision/resnet`.
 * @throws for a naming that there is not, with the nearest; for a network that has what they have not, naming it.
 */
export async function exportWeights(module: Module, naming: string): Promise<StateDict> {
  const chosen = weightNamings.find(({ name }) => name === naming);
  if (!chosen) {
    const near = nearest(naming, weightNamings.map(({ name }) => name)); // prettier-ignore
    throw new RangeError(
      `exportWeights: there is no naming "${naming}"` +
        (near ? `; did you mean "${near}"?` : `; there are ${listed()}`),
    );
  }
  const theirs = ownNames(module).namedAs(chosen);
  const found = new Map<string, HostTensor>();
  const nameless: string[] = [];
  for (const [name, tensor] of await stateDict(module)) {
    const there = theirs(name);
    if (there === undefined) nameless.push(name);
    else found.set(there, tensor);
  }
  if (nameless.length > 0) {
    throw new RangeError(
      `exportWeights: ${naming} has no names for ${someNames(nameless)} of this ${module.constructor.name}; ` +
        `export a part that they have, such as its backbone`,
    );
  }
  try {
    return chosen.restore?.(found) ?? found;
  } catch (error) {
    throw new Error(`exportWeights: ${naming}: ${(error as Error).message}`, { cause: error });
  }
}

/** A network's variables, and the way from their names, through those of a whole network, to somebody's. */
function ownNames(module: Module): {
  variables: ReturnType<Module['namedVariables']>;
  all: ReadonlySet<string>;
  whole: boolean;
  namedAs(naming: WeightNaming): (name: string) => string | undefined;
} {
  const variables = module.namedVariables();
  const all = new Set(variables.map(({ name }) => name));
  const whole = [...all].some((name) => name.startsWith('backbone.'));
  const asWhole = (name: string): string => (whole ? name : `backbone.${name}`);
  return {
    variables,
    all,
    whole,
    namedAs(naming) {
      const theirs = naming.namer(new Set([...all].map(asWhole)));
      return (name) => theirs(asWhole(name));
    },
  };
}

function isBatchCount(name: string): boolean {
  return /(^|\.)num_batches_tracked$/.test(name);
}

function listed(): string {
  return weightNamings.map(({ name }) => name).join(', ');
}

/** `DataParallel`, Lightning and `torch.compile` put `module.`, `model.` and `_orig_mod.` before every name. */
function withoutWrapper(weights: StateDict): StateDict {
  const wrapper = ['module.', 'model.', '_orig_mod.'].find(
    (prefix) => weights.size > 0 && [...weights.keys()].every((name) => name.startsWith(prefix)),
  );
  return wrapper === undefined
    ? weights
    : withoutWrapper(new Map([...weights].map(([name, tensor]) => [name.slice(wrapper.length), tensor])));
}

/** Files that torchvision published before its version 0.13 have other names in pyramids and heads; its detectors translate them, too. */
function withTodaysNames(weights: StateDict): StateDict {
  if (!weights.has('backbone.body.conv1.weight')) return weights;
  const today = (name: string): string =>
    name
      .replace(/^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$/, '$1.0.$2')
      .replace(/^rpn\.head\.conv\.(weight|bias)$/, 'rpn.head.conv.0.0.$1')
      .replace(
        /^(head\.(?:classification|regression)_head\.conv)\.(\d+)\.(weight|bias)$/,
        (_, head: string, number: string, field: string) => `${head}.${Number(number) / 2}.0.${field}`,
      );
  return new Map([...weights].map(([name, tensor]) => [today(name), tensor]));
}
