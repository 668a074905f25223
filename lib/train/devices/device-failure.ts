/** How a run on several devices is told which of them failed. */
import { StepFailure } from '../stepper';

/** A device that died, hangs, failed, or has other parameters than the rest. The state of the others, of before the step, can still be had. */
export class DeviceFailure extends StepFailure {
  constructor(
    /** Which one; several where it can't be told, or where several failed. */
    readonly ranks: readonly number[],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
