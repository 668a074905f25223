/** A run that takes no time: a linear model on seeded data, for what is around the arithmetic. */
import { Module, parameter } from '../../lib/nn/module';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';
import type { Epochs } from '../../lib/train/endlessly';
import type { TrainOptions } from '../../lib/train/train';

export class Line extends Module {
  readonly weight: tf.Variable<tf.Rank.R2> = parameter(tf.tensor2d([[0.5], [-1], [2]]));
  readonly bias: tf.Variable<tf.Rank.R1> = parameter(tf.tensor1d([0.25]));

  values(): number[] {
    return [...this.weight.dataSync(), ...this.bias.dataSync()];
  }
}

export interface Rows {
  readonly ids: readonly string[];
  readonly x: readonly (readonly number[])[];
}

/** Ten rows in another order each epoch, `size` to a batch. */
export function rows(size: number, seed: number = 0): Epochs<Rows> {
  const random = createRandom(`rows ${seed}`);
  const all = Array.from({ length: 10 }, () => Array.from({ length: 4 }, () => random.normal()));
  return {
    batches: Math.ceil(10 / size),
    async *epoch(epoch: number, from: number = 0): AsyncGenerator<Rows, void, undefined> {
      const order = createRandom(`order ${seed} ${epoch}`).shuffle(all.map((_, i) => i));
      for (let i = from * size; i < 10; i += size) {
        const chosen = order.slice(i, i + size);
        yield { ids: chosen.map((j) => `row ${j}`), x: chosen.map((j) => all[j]) };
      }
    },
  };
}

type Options = TrainOptions<Rows, { x: tf.Tensor2D }>;

/** The mean of the squared errors, by SGD with momentum. */
export function lineRun(model: Line, more: Partial<Options> = {}): Options {
  return {
    model,
    batches: rows(2),
    steps: 8,
    schedule: (step) => 0.05 / (1 + step),
    prepare: ({ x }) => ({ x: tf.tensor2d(x.map((row) => [...row])) }),
    loss: ({ x }) => {
      const error = x
        .slice([0, 0], [-1, 3])
        .matMul(model.weight)
        .add(model.bias)
        .sub(x.slice([0, 3], [-1, 1]));
      return { total: error.square().mean(), parts: { worst: error.abs().max() } };
    },
    onNotice: () => undefined,
    ...more,
  };
}
