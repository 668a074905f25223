/** What the main thread and the worker threads of a loader tell each other. */
import type { Sample, TransformRecipe } from '../transforms/transform';
import type { ImageProblem, ImageSettings, ImageTask, MadeImage } from './make-image';

/** What a thread is started with. */
export interface ThreadSettings {
  readonly image: ImageSettings;
  readonly recipe?: TransformRecipe;
  /** Shared: how many images all threads have in work. */
  readonly busy: Int32Array;
}

/**
 * A batch to make. Every thread gets it, and they share its images out among themselves: one that is free takes the next, so that
 * the first batch is there as soon as can be, and nobody waits for a slow neighbour.
 */
export interface Job {
  readonly number: number;
  readonly seed: string;
  readonly tasks: readonly ImageTask[];
  /** Whether samples that had to be read are wanted back, in shared memory. */
  readonly keep: boolean;
  /** Shared memory for the batch. Without it the images are only read, and sent back. */
  readonly images?: Float32Array;
  /** Shared: how many images are taken, how many are done, and for each whether it was made. */
  readonly control: Int32Array;
}

/** Where things lie in `Job.control`. */
export const controlWords = { taken: 0, done: 1, made: 2 } as const;

/** One image of a job is done. */
export interface JobMessage {
  readonly number: number;
  readonly place: number;
  /** Samples that were read, with their index. */
  readonly read: readonly (readonly [index: number, sample: Sample])[];
  readonly problems: readonly ImageProblem[];
  readonly made?: MadeImage;
  /** What the augmentation threw. */
  readonly failed?: { readonly error: unknown };
  /** With the last image of a job: the pixels of all that were made. Unshared, and the main thread's to keep. */
  readonly images?: Float32Array;
}

/** What a thread says when it is ready to take jobs. */
export const readyMessage = 'ready';

/** Asks a thread to finish what it has in work, and to end. */
export const endMessage = 'end';
