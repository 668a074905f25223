/** The detectors that a classifier's trunk is put into, small, and what their tests share. */
import {
  batchNormLayers,
  biFpn,
  createEfficientDetDetector,
  createRandom,
  type Detector,
  EfficientDet,
  EfficientNet,
  freezeBatchNorm,
  type ForwardContext,
  type GroundTruth,
  type Module,
  type NamedVariable,
  RandomStream,
  smallDetector,
  type SmallDetectorName,
  smallDetectorNames,
  tf,
} from 'detlab';

export type ReusableName = SmallDetectorName | 'efficientdet';

export const reusableNames: readonly ReusableName[] = [...smallDetectorNames, 'efficientdet'];

export const inputSize = { width: 64, height: 64 };

/** Every call makes the same network. */
export function reusable(name: ReusableName): Detector {
  if (name !== 'efficientdet') return smallDetector(name, { classes: 2, inputSize, seed: 1 });
  const model = new EfficientDet(
    {
      backbone: (random) => new EfficientNet({ width: 0.25, depth: 0.3 }, random),
      graph: biFpn(3, 5),
      channels: 24,
      cells: 1,
      headDepth: 1,
      classes: 2,
      redundantBias: false,
    },
    createRandom(1),
  );
  return createEfficientDetDetector(model, { inputSize, anchorScale: 2 });
}

/** Stands for what a classifier has learnt: no variable stays as it begins, and the running statistics are no longer 0 and 1. */
export function learn(trunk: Module): void {
  const random = createRandom('learnt');
  for (const { name, variable } of trunk.namedVariables()) {
    const values = variable.dataSync<'float32'>();
    if (variable.rank > 1) {
      assign(
        variable,
        values.map((value) => 1.1 * value),
      );
      continue;
    }
    const offset = /running_mean|bias/.test(name) ? 0.2 : 0;
    assign(
      variable,
      values.map((value) => value * Math.exp(0.2 * random.normal()) + offset * random.normal()),
    );
  }
}

export function assign(variable: tf.Variable, values: Float32Array): void {
  const tensor = tf.tensor(values, variable.shape);
  variable.assign(tensor);
  tensor.dispose();
}

/** The trunk's batch norm as in inference, all else trained: what a frozen trunk is held to. Returns what undoes it. */
export function freezeStatistics(trunk: Module): () => void {
  freezeBatchNorm(trunk, { affine: false });
  return () => batchNormLayers(trunk).forEach((layer) => (layer.frozen = false));
}

export const objects: readonly (readonly GroundTruth[])[] = [
  [
    { box: [4, 6, 30, 40], label: 1 },
    { box: [33, 2, 60, 20], label: 0 },
  ],
  [{ box: [10, 22, 28, 44], label: 0 }],
];

/** Two of them, `[2, 64, 64, 3]`. */
export function pictures(): tf.Tensor4D {
  return tf.randomUniform<tf.Rank.R4>([2, inputSize.height, inputSize.width, 3], -2, 2, 'float32', 5);
}

export interface LossGradients {
  readonly loss: number;
  /** By the parameters' names. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** One training pass over `pictures`; the random numbers are the same in each. */
export function lossGradients(
  detector: Detector,
  parameters: readonly NamedVariable[] = detector.model.parameters(),
  context: Partial<ForwardContext> = {},
  images?: tf.Tensor4D,
): LossGradients {
  const random = new RandomStream(3);
  let found: LossGradients | undefined;
  tf.tidy(() => {
    const x = images ?? pictures();
    const targets = detector.targets(objects);
    const { value, grads } = tf.variableGrads(
      () => detector.loss(x, targets, { ...context, training: true, random }).total,
      parameters.map(({ variable }) => variable),
    );
    const gradients = parameters.map(
      ({ name, variable }) => [name, grads[variable.name].dataSync<'float32'>().slice()] as const,
    );
    found = { loss: value.dataSync()[0], gradients: new Map(gradients) };
  });
  random.dispose();
  return found!;
}

/** Values of all variables, by name. */
export function snapshot(module: Module): Map<string, Float32Array> {
  return new Map(
    module
      .namedVariables()
      .map(({ name, variable }) => [name, variable.dataSync<'float32'>().slice()] as const),
  );
}

/** Puts values that `snapshot` took back. */
export function restore(module: Module, values: ReadonlyMap<string, Float32Array>): void {
  for (const { name, variable } of module.namedVariables()) assign(variable, values.get(name)!);
}

/** The largest distance of two lists, by the largest value. */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [worst, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]));
    worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  }
  return worst === 0 ? 0 : worst / scale;
}
