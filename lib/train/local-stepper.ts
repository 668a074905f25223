/** Steps on this thread. */
import type { ForwardContext, Module } from '../nn/module';
import { tf } from '../tensor/tf';
import { firstNonFinite } from './diagnosis';
import { createTrainingStep, type TrainingStepOptions } from './step';
import type { Stepper } from './stepper';

/** What a local stepper is made of. */
export interface LocalStepperOptions<Batch, Inputs extends Record<string, tf.Tensor>> extends Omit<
  TrainingStepOptions<Inputs>,
  'context'
> {
  readonly model: Module;
  readonly prepare: (batch: Batch) => Inputs;
  readonly context: Omit<ForwardContext, 'training' | 'statistics'>;
}

/** Makes a batch's tensors, runs the step, and says where NaN came from. */
export function createLocalStepper<Batch, Inputs extends Record<string, tf.Tensor>>(
  options: LocalStepperOptions<Batch, Inputs>,
): Stepper<Batch> {
  const { model, prepare, loss, optimizer, context } = options;
  const trainingStep = createTrainingStep(options);
  return {
    async run(batch, { learningRate, last }) {
      const inputs = tf.tidy(() => prepare(batch));
      try {
        const reading = await trainingStep.run(inputs, learningRate, last);
        if (reading.finite) return reading;
        const first = await firstNonFinite(model, optimizer.parameters, inputs, loss, context);
        return { ...reading, problem: nonFiniteProblem(reading, first) };
      } finally {
        tf.dispose(inputs);
      }
    },
    slots: () => trainingStep.slots(),
    dispose: () => trainingStep.dispose(),
  };
}

/** @param first what `firstNonFinite` found. */
export function nonFiniteProblem(
  { loss, gradientNorm }: { readonly loss: number; readonly gradientNorm: number },
  first: string,
): string {
  const [what, value] = Number.isFinite(loss) ? ['gradient', gradientNorm] : ['loss', loss];
  return `the ${what} is ${value}; the first that is not finite: ${first}`;
}
