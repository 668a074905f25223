/** One training step, again and again: to be timed. */
import { RandomStream } from '../tensor/random-stream';
import type { tf } from '../tensor/tf';
import { createLocalStepper } from './local-stepper';
import { Sgd } from './sgd';
import type { TrainOptions } from './train-options';

const rate = 1e-3;

/** A step that can be repeated. Release it with `dispose`. */
export interface RepeatedStep {
  /** Takes the step: the weights change. The first call records it, the second builds its graph, the third compares the two. */
  run(): Promise<unknown>;
  /** Releases the optimiser; the model stays. */
  dispose(): void;
}

/** The compiled step that `train` takes, with SGD, on one batch. */
export function repeatedStep<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(
  { model, prepare, loss }: Pick<TrainOptions<Batch, Inputs>, 'model' | 'prepare' | 'loss'>,
  batch: Batch,
): RepeatedStep {
  const optimizer = new Sgd(model.parameters());
  const random = new RandomStream(1);
  const stepper = createLocalStepper({
    ...{ model, prepare, loss, optimizer },
    context: { random },
    clipNorm: Infinity,
    change: false,
    compiled: true,
  });
  return {
    run: () => stepper.run(batch, { step: 0, learningRate: rate, last: true }),
    dispose() {
      void stepper.dispose();
      optimizer.dispose();
      random.dispose();
    },
  };
}
