/** What the training loop needs of whoever does the steps: this thread, or several devices. */
import type { NamedVariable } from '../nn/module';
import type { StepReading } from './step';

/** Which step a batch is for. */
export interface StepPlace {
  /** From 0. */
  readonly step: number;
  readonly learningRate: number;
  /** Whether the update takes no further batch. */
  readonly last: boolean;
}

/** What one batch was like, and what was wrong with it where it was not finite. */
export interface BatchReading extends StepReading {
  /** "the loss is NaN; the first that is not finite: …"; undefined where all was finite. */
  readonly problem?: string;
}

/** Does the steps of a run. */
export interface Stepper<Batch> {
  /** Called once, when model and optimiser have the state that the run begins with. */
  start?(): Promise<void>;
  /** One batch: its gradient, and the update where it is the step's last. */
  run(batch: Batch, place: StepPlace): Promise<BatchReading>;
  /** Brings the state to the model and the optimiser here; left out where it is never elsewhere. */
  gather?(): Promise<void>;
  /** What a checkpoint must hold besides model, optimizer, average and random numbers, by the parameters' names. */
  slots(): NamedVariable[];
  dispose(): void | Promise<void>;
}

/** A step that failed and left everything as it was before it: the run can be saved as it stands. */
export class StepFailure extends Error {}
