/** Exponential moving average of a model's weights, as EfficientDet evaluates (arXiv 1911.09070, section 5.1). */
import { type Module, type NamedVariable, parameter } from '../nn/module';
import { tf } from '../tensor/tf';
import { checkOption } from './checks';

/** Options of `WeightAverage`. */
export interface WeightAverageOptions {
  /** Share of the old average that a step keeps. Default 0.9998, EfficientDet's. */
  readonly decay?: number;
  /**
   * Keep less at first: min(decay, (1 + t) / (10 + t)) at step t from 0, as TensorFlow's `ExponentialMovingAverage` does with a step count, so that a short
   * run's average is not mostly its first weights. Default true.
   */
  readonly dynamic?: boolean;
}

/** average <- decay * average + (1 - decay) * weights, of parameters and running statistics alike. */
export class WeightAverage {
  private readonly source: readonly NamedVariable[];
  private readonly averages: tf.Variable[];
  /** t: a tensor, so that a compiled step counts too. */
  private readonly taken: tf.Variable;
  private readonly decay: number;
  private readonly dynamic: boolean;
  /** The options as plain values; a run that is resumed with others is refused. */
  readonly settings: Readonly<Record<string, unknown>>;

  /** @throws RangeError for a decay outside 0 to 1. */
  constructor(model: Module, options: WeightAverageOptions = {}) {
    const { decay = 0.9998, dynamic = true } = options;
    checkOption('WeightAverage', 'decay', decay, 0, 1);
    this.decay = decay;
    this.dynamic = dynamic;
    this.settings = { decay, dynamic };
    this.source = model.namedVariables().filter(({ variable }) => variable.dtype === 'float32');
    this.averages = this.source.map(({ variable }) =>
      parameter(
        tf.tidy(() => variable.mul(1)),
        false,
      ),
    );
    this.taken = parameter(tf.scalar(0), false);
  }

  /** One step of averaging; may be part of a compiled step. */
  update(): void {
    tf.tidy(() => {
      const early = tf.div(tf.add(this.taken, 1), tf.add(this.taken, 10));
      const decay = this.dynamic ? tf.minimum(this.decay, early) : tf.scalar(this.decay);
      this.taken.assign(this.taken.add(1));
      const share = tf.sub(1, decay);
      this.averages.forEach((average, i) => {
        average.assign(average.add(tf.mul(tf.sub(this.source[i].variable, average), share)));
      });
    });
  }

  /** Runs `body` with the averages in the model's place, then puts the weights back, also when it throws. */
  async withAverages<T>(body: () => T | Promise<T>): Promise<T> {
    const weights = this.source.map(({ variable }) => tf.keep(variable.clone()));
    try {
      this.source.forEach(({ variable }, i) => variable.assign(this.averages[i]));
      return await body();
    } finally {
      this.source.forEach(({ variable }, i) => variable.assign(weights[i]));
      tf.dispose(weights);
    }
  }

  /** Puts the averages in the model's place for good. */
  apply(): void {
    this.source.forEach(({ variable }, i) => variable.assign(this.averages[i]));
  }

  /** The state, named for a checkpoint: `average.<name>` and `average.step`. */
  slots(): NamedVariable[] {
    const slots = this.source.map(({ name }, i) => ({ name: `average.${name}`, variable: this.averages[i] }));
    return [...slots, { name: 'average.step', variable: this.taken }];
  }

  /** Releases the averages. */
  dispose(): void {
    tf.dispose([...this.averages, this.taken]);
  }
}
