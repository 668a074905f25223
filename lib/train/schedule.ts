/** Learning-rate schedules: functions from the step (from 0) to the rate. */

/** The learning rate at a step, counted from 0. */
export type Schedule = (step: number) => number;

/** A linear climb at the start of a schedule. */
export interface WarmupOptions {
  /** Steps over which the rate climbs linearly to what it would be without. Default 0. */
  readonly warmupSteps?: number;
  /** Where the climb starts, as a share. Default 1/3, as mmdetection and Detectron use. */
  readonly warmupFrom?: number;
}

/** Options of `stepSchedule`. */
export interface StepScheduleOptions extends WarmupOptions {
  readonly base: number;
  /** Steps at which the rate is multiplied by `factor`, ascending. */
  readonly milestones?: readonly number[];
  /** One for all milestones, or one each. Default 0.1. */
  readonly factor?: number | readonly number[];
}

/**
 * A constant rate that drops by a factor at given steps, with a linear warm-up.
 * @throws RangeError for a rate that is not positive, milestones that do not ascend, factors that are not one a milestone.
 */
export function stepSchedule(options: StepScheduleOptions): Schedule {
  const { base, milestones = [], factor = 0.1 } = options;
  checkRate('stepSchedule', 'the base learning rate', base);
  if (milestones.some((milestone, i) => i > 0 && milestone <= milestones[i - 1])) {
    throw new RangeError(`stepSchedule: milestones must ascend, got [${milestones.join(', ')}]`);
  }
  const factors = typeof factor === 'number' ? milestones.map(() => factor) : factor;
  if (factors.length !== milestones.length) {
    throw new RangeError(
      `stepSchedule: ${factors.length} factors for ${milestones.length} milestones; give one each, or one for all`,
    );
  }
  const climb = warmup('stepSchedule', options);
  return (step) => {
    // A power rather than a product: a rate after two drops is to be base / 100, not that and a rounding.
    if (typeof factor === 'number') {
      return base * factor ** milestones.filter((milestone) => step >= milestone).length * climb(step);
    }
    return (
      milestones.reduce((rate, milestone, i) => (step >= milestone ? rate * factors[i] : rate), base) *
      climb(step)
    );
  };
}

/** Options of `cosineSchedule`. */
export interface CosineScheduleOptions extends WarmupOptions {
  readonly base: number;
  /** Length of the whole run, warm-up included. */
  readonly steps: number;
  /** The rate that the last step comes close to. Default 0. */
  readonly final?: number;
  /**
   * Whether the cosine starts after the warm-up (the default), or is counted from step 0 and only hidden by the warm-up, as in EfficientDet's
   * released code: it then ends before its lowest point, at `steps - warmupSteps`, and rises again.
   */
  readonly cosineFrom?: 'warmup' | 'start';
}

/**
 * Half a cosine from `base` down to `final` (Loshchilov and Hutter, arXiv 1608.03983, equation 5 without restarts), after a linear warm-up.
 * @throws RangeError for a rate that is not positive, or a warm-up that leaves no step.
 */
export function cosineSchedule(options: CosineScheduleOptions): Schedule {
  const { base, steps, final = 0, warmupSteps = 0, cosineFrom = 'warmup' } = options;
  checkRate('cosineSchedule', 'the base learning rate', base);
  if (!(steps > warmupSteps)) {
    throw new RangeError(`cosineSchedule: ${steps} steps leave none after a warm-up of ${warmupSteps}`);
  }
  const climb = warmup('cosineSchedule', options);
  return (step) => {
    if (step < warmupSteps) return base * climb(step);
    const done = (cosineFrom === 'warmup' ? step - warmupSteps : step) / (steps - warmupSteps);
    return final + (base - final) * 0.5 * (1 + Math.cos(Math.PI * done));
  };
}

/** Options of `efficientDetSchedule`. */
export interface EfficientDetScheduleOptions {
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** 300 for D0 to D6, 600 for D7 and D7x. */
  readonly epochs: number;
  /** Learning rate of 64 images. Default 0.08. */
  readonly ratePer64?: number;
  /** Default 1. */
  readonly warmupEpochs?: number;
  /** Learning rate of 64 images at step 0. Default 0.008. */
  readonly warmupRatePer64?: number;
  /** As in the released code (see `CosineScheduleOptions`). Default 'start'. */
  readonly cosineFrom?: 'warmup' | 'start';
}

/** EfficientDet's (arXiv 1911.09070, section 5.1, and the released `det_model_fn.py`): 0.16 at 128 images, one epoch of warm-up, then a cosine. */
export function efficientDetSchedule(options: EfficientDetScheduleOptions): Schedule {
  const { batchSize, stepsPerEpoch, epochs, ratePer64 = 0.08, warmupEpochs = 1 } = options;
  const { warmupRatePer64 = 0.008, cosineFrom = 'start' } = options;
  return cosineSchedule({
    base: linearScaling({ rate: ratePer64, batchSize: 64 }, batchSize),
    steps: epochs * stepsPerEpoch,
    warmupSteps: warmupEpochs * stepsPerEpoch,
    warmupFrom: warmupRatePer64 / ratePer64,
    cosineFrom,
  });
}

/** Options of `megDetSchedule`. */
export interface MegDetScheduleOptions {
  readonly batchSize: number;
  /** Learning rate of 16 images. Default 0.02. */
  readonly ratePer16?: number;
  /** Steps of the climb from the rate of 16 images to that of the batch. */
  readonly warmupSteps: number;
  /** The three steps at which the rate is divided by 10, by 10 and by 2. */
  readonly milestones: readonly [number, number, number];
}

/** MegDet's (arXiv 1711.07240): the linear scaling rule, a warm-up by iteration, then three drops. */
export function megDetSchedule(options: MegDetScheduleOptions): Schedule {
  const { batchSize, ratePer16 = 0.02, warmupSteps, milestones } = options;
  const base = linearScaling({ rate: ratePer16, batchSize: 16 }, batchSize);
  return stepSchedule({
    base,
    milestones,
    factor: [0.1, 0.1, 0.5],
    warmupSteps,
    warmupFrom: ratePer16 / base,
  });
}

/** The linear scaling rule (Goyal et al., arXiv 1706.02677, section 2.1): k times the batch, k times the rate. */
export function linearScaling(reference: { rate: number; batchSize: number }, batchSize: number): number {
  checkRate('linearScaling', 'the reference rate', reference.rate);
  checkRate('linearScaling', 'a batch size', reference.batchSize);
  checkRate('linearScaling', 'a batch size', batchSize);
  return (reference.rate * batchSize) / reference.batchSize;
}

function warmup(
  where: string,
  { warmupSteps = 0, warmupFrom = 1 / 3 }: WarmupOptions,
): (step: number) => number {
  if (!(warmupSteps >= 0))
    throw new RangeError(`${where}: warmupSteps must be 0 or more, got ${warmupSteps}`);
  if (!(warmupFrom >= 0)) throw new RangeError(`${where}: warmupFrom must be 0 or more, got ${warmupFrom}`);
  return (step) => (step < warmupSteps ? warmupFrom + (1 - warmupFrom) * (step / warmupSteps) : 1);
}

function checkRate(where: string, what: string, value: number): void {
  if (value > 0 && Number.isFinite(value)) return;
  throw new RangeError(`${where}: ${what} must be a positive number, got ${value}`);
}
