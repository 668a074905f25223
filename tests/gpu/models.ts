/** Two training steps and a detection of small detectors, on whichever backend is in use. */
import {
  AdamW,
  type AnchorSet,
  type Backbone,
  type Batch,
  ConvBlock,
  createRandom,
  createSsdDetector,
  type Detection,
  type ForwardContext,
  gridAnchors,
  type GroundTruth,
  inference,
  type Layer,
  MBConv,
  Module,
  type Optimizer,
  type Random,
  ResNet,
  resNetStems,
  runLayers,
  Sgd,
  ShuffleBlock,
  Ssd,
  type SsdConfig,
  tf,
  trainSsd,
} from '../../lib/index';
import { normals } from './cases';
import type { Values } from './compare';

/** A detector to train. */
export interface ModelCase {
  readonly name: string;
  readonly build: () => { model: Ssd; anchors: AnchorSet };
  /** Default: SGD with momentum and weight decay. */
  readonly optimizer?: (model: Ssd) => Optimizer;
}

/** Everything that came out, by name, to be compared with the same from another backend. */
export interface ModelResult {
  readonly values: Readonly<Record<string, Values>>;
  readonly detections: readonly (readonly Detection[])[];
  /** Tensors and buffers that were left behind. */
  readonly leaked: number;
}

/** Two stages of any blocks, the first at half of the image's size. */
class SmallTrunk extends Module implements Backbone {
  readonly channels: readonly number[] = [8, 16];
  readonly stem: ConvBlock;
  readonly stages: Layer[][];

  constructor(makeStages: (random: Random) => Layer[][], random: Random) {
    super();
    this.stem = new ConvBlock(
      { inChannels: 3, outChannels: 8, kernel: 3, stride: 2, batchNorm: true },
      random,
    );
    this.stages = makeStages(random);
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    return tf.tidy(() => {
      let y = this.stem.forward(x, context);
      return this.stages.map((layers) => (y = runLayers(layers, y, context)));
    });
  }

  mapSizes(inputSize: number): number[] {
    return [inputSize / 2, inputSize / 4];
  }
}

/** A detector of 32 pixels with two maps of the trunk and one more. */
function detector(
  name: string,
  trunk: Pick<SsdConfig, 'backbone' | 'taps'>,
  batchNorm: boolean,
  optimizer?: ModelCase['optimizer'],
): ModelCase {
  const config: SsdConfig = {
    ...trunk,
    inputSize: 32,
    extras: [{ squeeze: 8, channels: 16, stride: 2, padding: 1 }],
    anchorsPerCell: [4, 6, 4],
    classes: 3,
    batchNorm: { backbone: batchNorm, head: batchNorm },
  };
  return {
    name,
    optimizer,
    build: () => {
      const model = new Ssd(config, createRandom('gpu'));
      const anchors = gridAnchors({
        imageWidth: config.inputSize,
        imageHeight: config.inputSize,
        maps: model.mapSizes().map((size) => [size, size]),
        scales: [0.15, 0.9],
        ratios: config.anchorsPerCell.map((count) => (count === 6 ? [2, 3] : [2])),
      });
      return { model, anchors };
    },
  };
}

const vgg = {
  backbone: { stages: [[8], [8, 12], [16]], atrous: { channels: 16, dilation: 2 } },
  taps: [1, 2],
};

function built(make: (random: Random) => Backbone): Pick<SsdConfig, 'backbone' | 'taps'> {
  return { backbone: make, taps: [0, 1] };
}

/** A detector on each kind of trunk. */
export const modelCases: readonly ModelCase[] = [
  detector('VGG without batch norm', vgg, false),
  detector('VGG with batch norm', vgg, true),
  detector(
    'ResNet',
    built((random) => new ResNet({ stem: resNetStems.quarter, widths: [8, 16], blocks: [1, 1] }, random)),
    false,
  ),
  detector(
    'MBConv blocks, by AdamW',
    built((random) => {
      const block = (inChannels: number, outChannels: number, stride: 1 | 2, kernel: number): Layer =>
        new MBConv({ inChannels, outChannels, stride, kernel, expand: 3 }, random);
      return new SmallTrunk(() => [[block(8, 8, 1, 3)], [block(8, 16, 2, 5), block(16, 16, 1, 3)]], random);
    }),
    false,
    // Its epsilon keeps the sign of what is only rounding out of the step.
    (model) => new AdamW(model.parameters(), { epsilon: 0.1 }),
  ),
  detector(
    'shuffle blocks',
    built((random) => {
      const block = (from: number, to: number, stride: 1 | 2, kind: 'shuffle5' | 'xception'): Layer =>
        new ShuffleBlock({ inChannels: from, outChannels: to, stride, kind }, random);
      return new SmallTrunk(
        () => [[block(8, 8, 1, 'shuffle5')], [block(8, 16, 2, 'xception'), block(16, 16, 1, 'xception')]],
        random,
      );
    }),
    false,
  ),
];

/** The same images and objects at every step. */
async function* batches(size: number): AsyncGenerator<Batch> {
  const objects = (shift: number): GroundTruth[] => [
    { label: 0, box: [2 + shift, 3, size / 2 + shift, size / 2] },
    { label: 2, box: [size / 2, size / 2 - shift, size - 2, size - 1 - shift] },
  ];
  for (;;) {
    yield {
      ids: ['a', 'b'],
      images: normals(2 * size * size * 3, 'images'),
      shape: [2, size, size, 3],
      groundTruth: [objects(1), objects(4)],
    } as unknown as Batch;
  }
}

const rate = 0.01;

/** Trains two steps, then detects. Leaves nothing behind. */
export async function runModel(one: ModelCase): Promise<ModelResult> {
  const count = (): number => tf.memory().numTensors + tf.backend().numDataIds();
  const before = count();
  const { model, anchors } = one.build();
  const size = model.config.inputSize;
  const ssd = createSsdDetector(model, anchors);
  const first = new Map<string, ArrayLike<number>>();
  for (const { name, variable } of model.namedVariables()) first.set(name, await variable.data());
  const optimizer = one.optimizer?.(model) ?? new Sgd(model.parameters(), { weightDecay: 5e-4 });
  const { logs } = await trainSsd({
    detector: ssd,
    batches: batches(size),
    steps: 2,
    schedule: () => rate,
    optimizer,
    clipNorm: 5,
  });
  optimizer.dispose();
  const values: Record<string, Values> = {};
  for (const { step, loss, parts, gradientNorm } of logs) {
    values[`step ${step}: losses`] = { shape: '', numbers: [loss, ...Object.values(parts)] };
    values[`step ${step}: norm of the gradient`] = { shape: '', numbers: [gradientNorm] };
  }
  for (const { name, variable } of model.namedVariables()) {
    // The change rather than the value, which hides it; over the rate it is of the gradient's size.
    const changes = (await variable.data()).map((v, i) => (v - first.get(name)![i]) / rate);
    values[`change in two steps: ${name}`] = { shape: `[${variable.shape}]`, numbers: changes };
  }
  const images = tf.tensor4d(normals(2 * size * size * 3, 'others'), [2, size, size, 3]);
  const predictions = model.forward(images, inference);
  for (const [name, tensor] of Object.entries(predictions)) {
    values[`predicted: ${name}`] = { shape: `[${tensor.shape}]`, numbers: await tensor.data() };
  }
  const detections = await ssd.detect(images, { scoreThreshold: 0.05 });
  tf.dispose([images, predictions]);
  model.dispose();
  return { values, detections, leaked: count() - before };
}
