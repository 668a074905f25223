/** Evaluation every so many steps of training: the best weights kept, and an end to a run that gets no better. */
import type { EvaluationLog } from './training-log';

/** How a run is evaluated on the way. */
export interface EvaluationOptions {
  /** Evaluates after every so many steps, and after the last one. `loader.batches` makes it once an epoch. */
  readonly everySteps: number;
  /**
   * Measures the model as it is and returns numbers by name, e.g. `async () => ({ ap50: … })`. It may read and even assign the model's
   * variables; it must not draw from the run's random numbers.
   * @param step steps done.
   */
  readonly run: (
    step: number,
  ) => Promise<Readonly<Record<string, number>>> | Readonly<Record<string, number>>;
  /** Which weights are in the model's place meanwhile. Default: the average, where the run keeps one. */
  readonly weights?: 'average' | 'raw';
  /**
   * The metric that counts, by its name in what `run` returns: the weights that were evaluated best are kept as `best.safetensors` in the
   * checkpoints' folder. A name alone means that more is better.
   */
  readonly best?: string | { readonly metric: string; readonly mode: 'max' | 'min' };
  /** Ends the run after so many evaluations in a row that were not better than the best; needs `best`. Default: never. */
  readonly patience?: number;
}

/** The best evaluation of a run. */
export interface BestEvaluation {
  readonly metric: string;
  /** Steps that had been done. */
  readonly step: number;
  readonly value: number;
}

/** Keeps count of what was best. */
export class EvaluationRounds {
  best: BestEvaluation | undefined;
  /** Evaluations since the best one. */
  worse: number = 0;
  private readonly metric: string | undefined;
  private readonly mode: 'max' | 'min';

  /** @throws RangeError for intervals that are no whole numbers above 0, or patience without a metric. */
  constructor(private readonly options: EvaluationOptions) {
    const { everySteps, best, patience } = options;
    checkCount('evaluate.everySteps', everySteps);
    if (patience !== undefined) checkCount('evaluate.patience', patience);
    if (patience !== undefined && best === undefined) {
      throw new RangeError('train: evaluate.patience needs evaluate.best, the metric that has to get better');
    }
    this.metric = typeof best === 'string' ? best : best?.metric;
    this.mode = typeof best === 'object' ? best.mode : 'max';
  }

  /** Takes up the count of an interrupted run; another metric's best does not count. */
  restore(best: BestEvaluation | null, worse: number): void {
    if (best?.metric !== this.metric) return;
    this.best = best ?? undefined;
    this.worse = worse;
  }

  isDue(done: number, steps: number): boolean {
    return done % this.options.everySteps === 0 || done === steps;
  }

  /** Whether patience is at its end. */
  get exhausted(): boolean {
    return this.options.patience !== undefined && this.worse >= this.options.patience;
  }

  /** Evaluates. @throws when the metric that counts is not among the numbers. */
  async run(done: number): Promise<EvaluationLog> {
    const started = performance.now();
    const metrics = await this.options.run(done);
    const seconds = (performance.now() - started) / 1000;
    if (this.metric === undefined) return { step: done, metrics, seconds };
    const value = metrics[this.metric] as number | undefined;
    if (value === undefined) {
      throw new Error(
        `train: evaluate.best is "${this.metric}", but evaluate.run returned ${Object.keys(metrics).join(', ') || 'nothing'}`,
      );
    }
    const sign = this.mode === 'max' ? 1 : -1;
    const best = !Number.isNaN(value) && (!this.best || sign * value > sign * this.best.value);
    if (best) [this.best, this.worse] = [{ metric: this.metric, step: done, value }, 0];
    else this.worse++;
    return { step: done, metrics, seconds, best };
  }
}

/** @throws RangeError unless the value is a whole number above 0. */
export function checkCount(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`train: ${name} must be a whole number above 0, got ${value}`);
  }
}
