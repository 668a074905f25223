/** A training step as a contestant. */
import { RandomStream } from '../tensor/random-stream';
import type { tf } from '../tensor/tf';
import { createLocalStepper } from '../train/local-stepper';
import { Sgd } from '../train/sgd';
import type { TrainOptions } from '../train/train-options';
import type { Way } from './measure';

const rate = 1e-3;

/** A way that must be released. */
export type StepWay = Way & { dispose(): void };

/** The compiled step that `train` takes, again and again on one batch. Releases the model with itself. */
export function stepWay<
  Batch extends { readonly ids: readonly string[] },
  Inputs extends Record<string, tf.Tensor>,
>(
  name: string,
  { model, prepare, loss }: Pick<TrainOptions<Batch, Inputs>, 'model' | 'prepare' | 'loss'>,
  batch: Batch,
): StepWay {
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
    name,
    run: () => stepper.run(batch, { step: 0, learningRate: rate, last: true }),
    dispose() {
      void stepper.dispose();
      optimizer.dispose();
      random.dispose();
      model.dispose();
    },
  };
}
