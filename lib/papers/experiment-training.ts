/** What the papers' experiments let a caller decide of a run's training, beside its recipe and its arm. */
import type { Loader } from '../data/loader';
import type { Detector } from '../models/detector';
import type { TrainOptions } from '../train/train';

/** A detector, what it is trained on, and who is told. */
export interface ExperimentTraining extends Pick<
  TrainOptions<never, never>,
  'onStep' | 'evaluate' | 'onNotice' | 'checkpoint'
> {
  /** Trained in place: the arm's, or one of your own with other parts or another loss. */
  readonly detector: Detector;
  /** The experiment's loader, or other batches of the detector's input size. */
  readonly batches: Loader;
}
