/** What defines a training run, so that it is not resumed as another one. */
import { createHash } from 'node:crypto';
import type { Schedule } from './schedule';

/** Everything besides the weights' names and shapes that must be the same when a run is resumed; plain values. */
export interface RunSettings {
  /** Kind, options, names of the parameters that it updates. */
  readonly optimizer: Readonly<Record<string, unknown>>;
  readonly rates: RateSummary;
  /** Of the `RandomStream`; null without one. */
  readonly seed: number | null;
  readonly accumulate: number;
  readonly clipNorm: number | null;
  readonly gradientChange: boolean;
  readonly nonFinite: 'stop' | 'skip';
  readonly compile: boolean;
  /** Left out where batch normalisation normalises over the whole batch. */
  readonly batchNorm?: 'given';
  /** Left out where a step must run through every parameter. */
  readonly partial?: boolean;
  /** Left out where this thread does the steps. */
  readonly devices?: Readonly<Record<string, unknown>>;
  /** Of the weight average; null without one. */
  readonly average: Readonly<Record<string, unknown>> | null;
  /** The user's own. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A schedule's values over a run: a hash of all of them, and some to look at. */
export interface RateSummary {
  readonly steps: number;
  readonly sha256: string;
  /** Pairs of step and rate. */
  readonly samples: readonly (readonly [step: number, rate: number])[];
}

/** The rates of steps 0 to `steps` - 1. */
export function summarizeRates(schedule: Schedule, steps: number): RateSummary {
  const rates = Float64Array.from({ length: steps }, (_, step) => schedule(step));
  const sha256 = createHash('sha256').update(new Uint8Array(rates.buffer)).digest('hex');
  const count = Math.min(steps, 32);
  const samples = Array.from({ length: count }, (_, i): [number, number] => {
    const step = count === 1 ? 0 : Math.round((i * (steps - 1)) / (count - 1));
    return [step, rates[step]];
  });
  return { steps, sha256, samples };
}

/**
 * How a run's settings differ from those that it was begun with, a line each; empty where they agree. More steps are no difference, if the
 * schedule gives the steps that were planned the same rates.
 */
export function settingsDifferences(
  begun: RunSettings,
  now: Omit<RunSettings, 'rates'>,
  schedule: Schedule,
): string[] {
  const lines: string[] = [];
  const { rates, ...others } = begun;
  const { rates: _, ...rest } = now as RunSettings;
  compare('', others, plain(rest), lines);
  if (summarizeRates(schedule, rates.steps).sha256 !== rates.sha256) {
    const sample = rates.samples.find(([step, rate]) => schedule(step) !== rate);
    lines.push(
      sample
        ? `schedule: at step ${sample[0]} the rate was ${sample[1]}, now it is ${schedule(sample[0])}`
        : `schedule: some rates of steps 0 to ${rates.steps - 1} are not what they were`,
    );
  }
  return lines;
}

/** As it comes back from JSON. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

function compare(where: string, before: unknown, now: unknown, lines: string[]): void {
  if (JSON.stringify(before) === JSON.stringify(now)) return;
  if (isRecord(before) && isRecord(now)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      compare(where === '' ? key : `${where}.${key}`, before[key], now[key], lines);
    }
    return;
  }
  if (Array.isArray(before) && Array.isArray(now)) {
    const [gone, added] = [before.filter((x) => !now.includes(x)), now.filter((x) => !before.includes(x))];
    if (gone.length > 0)
      lines.push(`${where}: had ${some(gone)}, which ${gone.length > 1 ? 'are' : 'is'} not there now`);
    if (added.length > 0)
      lines.push(`${where}: now has ${some(added)}, which ${added.length > 1 ? 'were' : 'was'} not there`);
    if (gone.length + added.length > 0) return;
  }
  lines.push(`${where}: was ${some([before])}, now it is ${some([now])}`);
}

function some(values: readonly unknown[]): string {
  const words = values.slice(0, 3).map((value) => JSON.stringify(value) ?? 'missing');
  return values.length > 3 ? `${words.join(', ')} and ${values.length - 3} more` : words.join(', ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
