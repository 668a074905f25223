/**
 * The rival: the same networks in TensorFlow.js as its users write them, with its own layers of operations and its own gradients
 * (`tf.moments` and `tf.batchNorm`, `tf.relu`, `tf.train.momentum`). Only the loss is this library's, for all rivals alike.
 */
import { multiboxLoss, type MultiboxPredictions } from '../losses/multibox';
import { tf } from '../tensor/tf';
import type { Case } from './case-files';
import type { BlockPlan, NetPlan } from './nets';

/** Kernel and step of a convolution. */
interface Window {
  readonly kernel: number;
  readonly stride: number;
}

/** Running statistics that a pass wants updated. */
interface Running {
  readonly name: string;
  readonly momentum: number;
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
}

/** A network of plain TensorFlow.js, its variables named as in the case. */
export class PlainNet {
  /** Parameters and running statistics by their names in the case. */
  readonly variables: Map<string, tf.Variable> = new Map();
  private readonly plan: NetPlan;
  private running: Running[] | undefined;

  constructor({ plan, tensors }: Case) {
    this.plan = plan;
    for (const [key, { shape, values }] of Object.entries(tensors)) {
      if (!key.startsWith('model.')) continue;
      const first = tf.tensor(values, [...shape]);
      const trainable = !/running_(mean|var)$/.test(key);
      this.variables.set(key.slice('model.'.length), tf.variable(first, trainable));
      first.dispose();
    }
  }

  /** Predictions in inference mode; the caller disposes them. */
  predict(images: tf.Tensor4D): MultiboxPredictions {
    return tf.tidy(() => ({ ...this.forward(images) }));
  }

  /** One training step; the loss, which the caller disposes. */
  step(images: tf.Tensor4D, targets: Parameters<typeof multiboxLoss>[1], optimizer: tf.Optimizer): tf.Scalar {
    const running: Running[] = [];
    this.running = running;
    const loss = optimizer.minimize(
      () => multiboxLoss(this.forward(images), targets).total,
      true,
      [...this.variables.values()].filter(({ trainable }) => trainable),
    ) as tf.Scalar;
    this.running = undefined;
    for (const { name, momentum, mean, variance } of running) {
      tf.tidy(() => {
        const blend = (variable: tf.Variable, batch: tf.Tensor): void =>
          variable.assign(variable.mul(momentum).add(batch.mul(1 - momentum)));
        blend(this.get(`${name}.running_mean`), mean);
        blend(this.get(`${name}.running_var`), variance);
      });
      tf.dispose([mean, variance]);
    }
    return loss;
  }

  private get(name: string): tf.Variable {
    const variable = this.variables.get(name);
    if (!variable) throw new Error(`plain tfjs: the case has no ${name}`);
    return variable;
  }

  private forward(images: tf.Tensor4D): MultiboxPredictions {
    const { plan } = this;
    const maps: tf.Tensor4D[] = [];
    const resnet = plan.net === 'resnet';
    const [conv, norm] = resnet ? ['conv1', 'bn1'] : ['stem.0', 'stem.1'];
    let y = this.conv(images, `backbone.${conv}`, { kernel: 3, stride: 2 });
    y = this.activate(this.norm(y, `backbone.${norm}`));
    const stages = plan.stages.map((blocks, stage) => {
      blocks.forEach((block, index) => {
        const name = `backbone.${resnet ? `layer${stage + 1}` : `stages.${stage}`}.${index}`;
        y = this.block(y, name, block);
      });
      return y;
    });
    for (const tap of plan.taps) maps.push(stages[tap]);
    plan.extras.forEach(({ stride }, index) => {
      const name = `extras.${index}`;
      y = tf.relu(this.norm(this.conv(y, `${name}.0.conv`, { kernel: 1, stride: 1 }), `${name}.0.bn`, 1e-5));
      y = tf.relu(this.norm(this.conv(y, `${name}.1.conv`, { kernel: 3, stride }), `${name}.1.bn`, 1e-5));
      maps.push(y);
    });
    const heads = (kind: string, width: number): tf.Tensor3D =>
      tf.concat(
        maps.map((map, level) => {
          const name = `head.${kind}.${level}.conv`;
          const out = this.conv(map, name, { kernel: 3, stride: 1 }).add(this.get(`${name}.bias`));
          return out.reshape([map.shape[0], -1, width]);
        }),
        1,
      ) as tf.Tensor3D;
    return {
      classLogits: heads('classification', plan.classes + 1),
      boxDeltas: heads('regression', 4),
    };
  }

  private block(x: tf.Tensor4D, name: string, plan: BlockPlan): tf.Tensor4D {
    if (this.plan.net === 'resnet') return this.basic(x, name, plan);
    return this.plan.net === 'mbconv' ? this.mbconv(x, name, plan) : this.shuffle(x, name, plan);
  }

  private basic(x: tf.Tensor4D, name: string, { stride, inChannels, outChannels }: BlockPlan): tf.Tensor4D {
    let y = tf.relu(this.norm(this.conv(x, `${name}.conv1`, { kernel: 3, stride }), `${name}.bn1`));
    y = this.norm(this.conv(y, `${name}.conv2`, { kernel: 3, stride: 1 }), `${name}.bn2`);
    let identity = x;
    if (stride !== 1 || inChannels !== outChannels) {
      identity = this.norm(
        this.conv(x, `${name}.downsample.0`, { kernel: 1, stride }),
        `${name}.downsample.1`,
      );
    }
    return tf.relu(tf.add<tf.Tensor4D>(y, identity));
  }

  private mbconv(x: tf.Tensor4D, name: string, plan: BlockPlan): tf.Tensor4D {
    const { kernel, stride, expand, inChannels, outChannels } = plan;
    const pointwise = { kernel: 1, stride: 1 };
    let y = x;
    if (expand !== 1)
      y = this.activate(this.norm(this.conv(y, `${name}.expand_conv`, pointwise), `${name}.bn0`));
    y = this.activate(
      this.norm(this.depthwise(y, `${name}.depthwise_conv`, { kernel, stride }), `${name}.bn1`),
    );
    const mean = tf.mean<tf.Tensor4D>(y, [1, 2], true);
    const reduced = this.activate(
      tf.add(this.conv(mean, `${name}.se_reduce`, pointwise), this.get(`${name}.se_reduce.bias`)),
    );
    const gate = this.conv(reduced, `${name}.se_expand`, pointwise).add(this.get(`${name}.se_expand.bias`));
    y = tf.mul<tf.Tensor4D>(y, tf.sigmoid(gate));
    y = this.norm(this.conv(y, `${name}.project_conv`, pointwise), `${name}.bn2`);
    return stride === 1 && inChannels === outChannels ? tf.add<tf.Tensor4D>(y, x) : y;
  }

  private shuffle(x: tf.Tensor4D, name: string, { stride, choice }: BlockPlan): tf.Tensor4D {
    const kernel = [3, 5, 7, 3][choice];
    const branch = `${name}.branch_main`;
    let [passing, y] = stride === 2 ? [x, x] : split(x);
    if (stride === 2) {
      const projection = `${name}.branch_proj`;
      passing = this.norm(this.depthwise(x, `${projection}.0`, { kernel, stride }), `${projection}.1`);
      passing = this.pointwise(passing, projection, 2);
    }
    // The numbers are those of the layers in their array, activations counted.
    const depthwise = (at: number, step: number): void => {
      y = this.norm(this.depthwise(y, `${branch}.${at}`, { kernel, stride: step }), `${branch}.${at + 1}`);
    };
    if (choice === 3) {
      for (const [index, step] of [stride, 1, 1].entries()) {
        depthwise(5 * index, step);
        y = this.pointwise(y, branch, 5 * index + 2);
      }
    } else {
      y = this.pointwise(y, branch, 0);
      depthwise(3, stride);
      y = this.pointwise(y, branch, 5);
    }
    return tf.concat4d([passing, y], 3);
  }

  private pointwise(x: tf.Tensor4D, branch: string, at: number): tf.Tensor4D {
    const y = this.conv(x, `${branch}.${at}`, { kernel: 1, stride: 1 });
    return tf.relu(this.norm(y, `${branch}.${at + 1}`));
  }

  private activate(x: tf.Tensor4D): tf.Tensor4D {
    return this.plan.net === 'mbconv' ? tf.mul(x, tf.sigmoid(x)) : tf.relu(x);
  }

  private conv(x: tf.Tensor4D, name: string, window: Window): tf.Tensor4D {
    const filter = this.get(`${name}.weight`) as tf.Variable<tf.Rank.R4>;
    const { input, padding } = padded(x, window);
    return tf.conv2d(input, filter as tf.Tensor4D, window.stride, padding);
  }

  private depthwise(x: tf.Tensor4D, name: string, window: Window): tf.Tensor4D {
    const filter = this.get(`${name}.weight`) as tf.Variable<tf.Rank.R4>;
    const { input, padding } = padded(x, window);
    return tf.depthwiseConv2d(input, filter as tf.Tensor4D, window.stride, padding);
  }

  /** Batch normalisation; while a step is under way by the batch's statistics, which are kept for the running ones. */
  private norm(
    x: tf.Tensor4D,
    name: string,
    epsilon: number = this.plan.net === 'mbconv' ? 1e-3 : 1e-5,
  ): tf.Tensor4D {
    const [scale, offset] = [this.get(`${name}.weight`), this.get(`${name}.bias`)] as tf.Tensor1D[];
    if (!this.running) {
      const [mean, variance] = [this.get(`${name}.running_mean`), this.get(`${name}.running_var`)];
      return tf.batchNorm4d(x, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, epsilon);
    }
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    const momentum = epsilon === 1e-3 ? 0.99 : 0.9;
    this.running.push({ name, momentum, mean: tf.keep(mean.clone()), variance: tf.keep(variance.clone()) });
    return tf.batchNorm4d(x, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, epsilon);
  }
}

/** The same padding on every side: TensorFlow.js has it only as `same` (where that is symmetric) or as an operation of its own. */
function padded(
  x: tf.Tensor4D,
  { kernel, stride }: Window,
): { input: tf.Tensor4D; padding: 'same' | 'valid' } {
  const symmetric = stride === 1 || x.shape[1] % stride === 1 || kernel === 1;
  if (symmetric) return { input: x, padding: 'same' };
  const p = (kernel - 1) / 2;
  const input = tf.pad4d(x, [
    [0, 0],
    [p, p],
    [p, p],
    [0, 0],
  ]);
  return { input, padding: 'valid' };
}

function split(x: tf.Tensor4D): [tf.Tensor4D, tf.Tensor4D] {
  const [b, h, w, c] = x.shape;
  const pairs = tf.transpose(x.reshape([(b * h * w * c) / 2, 2]));
  const [even, odd] = tf.split(pairs, 2);
  return [even.reshape([b, h, w, c / 2]), odd.reshape([b, h, w, c / 2])];
}
