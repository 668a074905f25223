/** Learning-rate schedules: functions from the step (from 0) to the rate. */

/** The learning rate at a step, counted from 0. */
export type Schedule = (step: number) => number;

/** Options of `stepSchedule`. */
export interface StepScheduleOptions {
  readonly base: number;
  /** Steps at which the rate is multiplied by `factor`, ascending. */
  readonly milestones?: readonly number[];
  /** Default 0.1. */
  readonly factor?: number;
  /** Steps over which the rate climbs linearly from `warmupFrom * base` to `base`. Default 0. */
  readonly warmupSteps?: number;
  /** Default 1/3, as mmdetection and Detectron use. */
  readonly warmupFrom?: number;
}

/** A constant rate that drops by a factor at given steps, with a linear warm-up. */
export function stepSchedule(options: StepScheduleOptions): Schedule {
  const { base, milestones = [], factor = 0.1, warmupSteps = 0, warmupFrom = 1 / 3 } = options;
  if (!(base > 0) || !Number.isFinite(base)) {
    throw new RangeError(`stepSchedule: the base learning rate must be a positive number, got ${base}`);
  }
  if (milestones.some((milestone, i) => i > 0 && milestone <= milestones[i - 1])) {
    throw new RangeError(`stepSchedule: milestones must ascend, got [${milestones.join(', ')}]`);
  }
  return (step) => {
    const drops = milestones.filter((milestone) => step >= milestone).length;
    const warm = step < warmupSteps ? warmupFrom + (1 - warmupFrom) * (step / warmupSteps) : 1;
    return base * factor ** drops * warm;
  };
}
