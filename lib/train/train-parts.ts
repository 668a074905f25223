/** The optimiser and the weight average of a run, from what the user gave. */
import type { Module } from '../nn/module';
import type { RunSettings } from './fingerprint';
import type { Optimizer } from './optimizer';
import { Sgd, type SgdOptions } from './sgd';
import type { UpdateOptions } from './train-options';
import { WeightAverage, type WeightAverageOptions } from './weight-average';

/** The optimizer to use, added to `own` if it is made here. */
export function chooseOptimizer(
  model: Module,
  given: SgdOptions | Optimizer | undefined,
  own: { dispose(): unknown }[],
): Optimizer {
  const parameters = model.parameters();
  if (parameters.length === 0) throw new Error('train: the model has no trainable parameters');
  if (given === undefined || !('step' in given)) {
    const optimizer = new Sgd(parameters, given);
    own.push(optimizer);
    if (optimizer.parameters.length === 0) throw new Error('train: rateFactor freezes every parameter');
    return optimizer;
  }
  const trainable = new Set(parameters.map(({ variable }) => variable));
  const stranger = given.parameters.find(({ variable }) => !trainable.has(variable));
  if (stranger) {
    throw new Error(
      `train: the optimizer holds ${stranger.name}, which is no parameter of this model; make it with model.parameters()`,
    );
  }
  if (given.parameters.length === 0) throw new Error('train: the optimizer has no parameters');
  return given;
}

/** The average to keep, added to `own` if it is made here. */
export function chooseAverage(
  model: Module,
  given: WeightAverageOptions | WeightAverage | undefined,
  own: { dispose(): unknown }[],
): WeightAverage | undefined {
  if (given === undefined || given instanceof WeightAverage) return given;
  const average = new WeightAverage(model, given);
  own.push(average);
  return average;
}

/** What a run's update is, for its settings. */
export function updateSettings(options: {
  readonly optimizer: Optimizer;
  readonly average: WeightAverage | undefined;
  readonly clipNorm?: UpdateOptions['clipNorm'];
  readonly gradientChange?: boolean;
  readonly compile?: boolean;
}): Pick<RunSettings, 'optimizer' | 'clipNorm' | 'gradientChange' | 'compile' | 'average'> {
  const { optimizer, average, clipNorm = Infinity, gradientChange = false, compile = true } = options;
  return {
    optimizer: optimizer.settings ?? { kind: optimizer.constructor.name },
    clipNorm: clipNorm < Infinity ? clipNorm : null,
    gradientChange,
    compile,
    average: average?.settings ?? null,
  };
}
