/** The tiny two-stage networks that tests/reference/two_stage.py computed, with its weights and images. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  type Backbone,
  type CascadeOptions,
  Conv2d,
  createFasterRcnnDetector,
  FasterRcnn,
  type FasterRcnnDetector,
  type FasterRcnnDetectorOptions,
  type ForwardContext,
  type GroundTruth,
  loadStateDict,
  Module,
  type Random,
  stateDict,
  tf,
} from 'detlab';
import { relu } from '../../../lib/tensor/kernels/activations';
import { zeroRandom } from '../../../lib/tensor/random';

interface Found {
  readonly boxes: readonly [number, number, number, number][];
  readonly labels: readonly number[];
  readonly scores: readonly number[];
}

interface Fixture {
  readonly targets: readonly { boxes: [number, number, number, number][]; labels: number[] }[];
  readonly faster: {
    readonly proposals: readonly number[][][];
    readonly detections: readonly Found[];
    readonly losses: Record<string, number>;
    readonly gradients: Record<string, [sum: number, norm: number]>;
  };
  /** torchvision's `fasterrcnn_resnet50_fpn`. */
  readonly published: { readonly parameters: number; readonly shapes: Record<string, number[]> };
  readonly cascade: {
    readonly own: readonly Found[];
    readonly last: readonly Found[];
    readonly losses: Record<string, number>;
    readonly gradients: Record<string, [sum: number, norm: number]>;
  };
}

export const fixture = JSON.parse(
  readFileSync(path.join(__dirname, '..', 'fixtures', 'two-stage.json'), 'utf8'),
) as Fixture;

export const inputSize = { width: 96, height: 64 };

/** Three convolutions of stride 2. */
class Trunk extends Module implements Backbone {
  readonly channels = [6, 8, 12];
  readonly layers: Conv2d[];

  constructor(random: Random) {
    super();
    this.layers = this.channels.map(
      (outChannels, i) => new Conv2d({ inChannels: [3, 6, 8][i], outChannels, kernel: 3, stride: 2 }, random),
    );
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D[] {
    const maps: tf.Tensor4D[] = [];
    this.layers.reduce((y, layer) => maps[maps.push(relu(layer.forward(y, context))) - 1], x);
    return maps;
  }

  mapSizes(size: number): number[] {
    return this.channels.map((_, i) => Math.ceil(size / 2 ** (i + 1)));
  }
}

/** A network of the fixture's architecture. */
export function tinyNetwork(random: Random = zeroRandom, cascade?: CascadeOptions): FasterRcnn {
  return new FasterRcnn(
    {
      backbone: (r) => new Trunk(r),
      taps: [1, 2],
      outChannels: 8,
      classes: 3,
      anchorSizes: [[8], [16], [32]],
      features: 16,
      pooling: { outputSize: 3, canonicalSize: 32 },
      proposals: {
        training: { preNmsTop: 60, postNmsTop: 40 },
        inference: { preNmsTop: 50, postNmsTop: 30 },
      },
      cascade,
    },
    random,
  );
}

/** A detector with the fixture's weights, whose samples take every candidate. */
export async function referenceDetector(
  cascade?: CascadeOptions,
  options: Partial<FasterRcnnDetectorOptions> = {},
): Promise<FasterRcnnDetector> {
  const model = tinyNetwork(zeroRandom, cascade);
  const weights = [...(await stateDict(model))].sort(([a], [b]) => (a < b ? -1 : 1));
  loadStateDict(
    model,
    new Map(
      weights.map(([name, { shape, values }], j) => {
        const gain = /bbox_pred|cls_score/.test(name) ? 6 : 3;
        const spread = shape.length === 1 ? 0.2 : gain * Math.sqrt(3 / (values.length / shape[0]));
        const filled = Float32Array.from(
          values,
          (_, k) => (((k * 7919 + 104729 * j) % 1009) / 1009 - 0.5) * spread,
        );
        return [name, { shape, values: filled }];
      }),
    ),
  );
  return createFasterRcnnDetector(model, {
    inputSize,
    maxObjects: 4,
    rpnLoss: { sample: { size: 100000, positiveFraction: 0.5 } },
    regionLoss: { sample: { size: 10000, positiveFraction: 0.25 } },
    ...options,
  });
}

/** The fixture's two images, `[2, 64, 96, 3]`. */
export function referenceImages(): tf.Tensor4D {
  const { width, height } = inputSize;
  const values = Float32Array.from({ length: 2 * height * width * 3 }, (_, i) => {
    const [c, x] = [i % 3, Math.floor(i / 3) % width];
    const [y, b] = [Math.floor(i / 3 / width) % height, Math.floor(i / 3 / width / height)];
    const mixed = Math.floor(x / 12) * 31 + Math.floor(y / 8) * 57 + x * y * 2 + c * 37 + b * 101;
    return (mixed % 255) / 255 - 0.5;
  });
  return tf.tensor4d(values, [2, height, width, 3]);
}

/** What is in them. */
export const referenceObjects: readonly (readonly GroundTruth[])[] = fixture.targets.map(
  ({ boxes, labels }) => boxes.map((box, i) => ({ box, label: labels[i] })),
);
