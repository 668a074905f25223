/** One case as TensorFlow.js runs it: in plain tfjs, in this library step by step, in this library as one graph. */
import { multiboxLoss, type MultiboxPredictions } from '../losses/multibox';
import type { MultiboxTargets } from '../losses/multibox-targets';
import type { Ssd } from '../models/ssd';
import { applyStatistics, type BatchStatistics, inference } from '../nn/module';
import { compile } from '../tensor/compile/compile';
import { tf } from '../tensor/tf';
import { Sgd } from '../train/sgd';
import type { Case } from './case-files';
import { buildNet } from './nets';
import { PlainNet } from './plain-tfjs';

/** How TensorFlow.js runs a case. */
export type Kind = 'plain' | 'eager' | 'compiled';

/** Runs the case once more; gives the loss of a training step, or for inference the sum of all predictions. */
export type Workload = () => Promise<number>;

/** Makes a workload on the backend in use. What it holds is released with its process. */
export function createWorkload(kind: Kind, one: Case): Workload {
  const inputs = tensorsOf(one);
  return kind === 'plain' ? plain(one, inputs) : ours(kind, one, inputs);
}

// A type, since compiled steps take such an index of tensors.
type Inputs = MultiboxTargets & { readonly images: tf.Tensor4D };

function tensorsOf({ tensors }: Case): Inputs {
  const get = (name: string, type: 'float32' | 'int32'): tf.Tensor => {
    const { shape, values } = tensors[name];
    return tf.tensor(values, [...shape], type);
  };
  return {
    images: get('images', 'float32') as tf.Tensor4D,
    classTargets: get('classTargets', 'int32') as tf.Tensor2D,
    boxTargets: get('boxTargets', 'float32') as tf.Tensor3D,
  };
}

function plain(one: Case, inputs: Inputs): Workload {
  const net = new PlainNet(one);
  if (one.work === 'inference') return () => valueOf(tf.tidy(() => sumOf(net.predict(inputs.images))));
  const optimizer = tf.train.momentum(one.rate, one.momentum);
  return () => valueOf(net.step(inputs.images, inputs, optimizer));
}

function ours(kind: 'eager' | 'compiled', one: Case, inputs: Inputs): Workload {
  const model = loadedNet(one);
  if (one.work === 'inference') {
    const predict = ({ images }: { images: tf.Tensor4D }): { sum: tf.Scalar } => ({
      sum: tf.tidy(() => sumOf(model.forward(images, inference))),
    });
    // The checks that a compiled step makes of itself come ever more rarely; here they would fall into a few rounds.
    const run = kind === 'compiled' ? compile(predict, { check: false }) : predict;
    return () => valueOf(run({ images: inputs.images }).sum);
  }
  const { step } = createTrainingStep(model, { momentum: one.momentum, compiled: kind === 'compiled' });
  return () => valueOf(step({ ...inputs, rate: one.rate }).loss);
}

/** A training step of this library. */
export interface TrainingStep {
  /** One update in place. The caller disposes inputs and loss. */
  step(inputs: Inputs & { readonly rate: number }): { loss: tf.Scalar };
  dispose(): void;
}

/** The step that `trainSsd` takes, less its log, eager or as one graph. */
export function createTrainingStep(
  model: Ssd,
  { momentum, compiled }: { momentum: number; compiled: boolean },
): TrainingStep {
  const parameters = model.parameters();
  const variables = parameters.map(({ variable }) => variable);
  const optimizer = new Sgd(parameters, { momentum });
  const update = ({
    images,
    classTargets,
    boxTargets,
    rate,
  }: Inputs & { rate: tf.Scalar }): { loss: tf.Scalar } => {
    const statistics: BatchStatistics[] = [];
    const { value, grads } = tf.variableGrads(
      () =>
        multiboxLoss(model.forward(images, { training: true, statistics }), { classTargets, boxTargets })
          .total,
      variables,
    );
    optimizer.step(
      variables.map(({ name }) => grads[name]),
      rate,
    );
    applyStatistics(statistics);
    tf.dispose(grads);
    return { loss: value };
  };
  if (compiled) {
    const graph = compile(update, { check: false });
    return {
      step: graph,
      dispose() {
        graph.dispose();
        optimizer.dispose();
      },
    };
  }
  return {
    step(inputs) {
      const rate = tf.scalar(inputs.rate);
      const result = update({ ...inputs, rate });
      rate.dispose();
      return result;
    },
    dispose: () => optimizer.dispose(),
  };
}

/** This library's network with the case's weights. */
export function loadedNet({ plan, tensors }: Case): Ssd {
  const model = buildNet(plan);
  for (const { name, variable } of model.namedVariables()) {
    const { shape, values } = tensors[`model.${name}`];
    const first = tf.tensor(values, [...shape]);
    variable.assign(first);
    first.dispose();
  }
  return model;
}

function sumOf({ classLogits, boxDeltas }: MultiboxPredictions): tf.Scalar {
  return tf.add(tf.sum(classLogits), tf.sum(boxDeltas));
}

async function valueOf(scalar: tf.Scalar): Promise<number> {
  const [value] = await scalar.data();
  scalar.dispose();
  return value;
}
