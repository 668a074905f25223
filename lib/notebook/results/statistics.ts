/** What a reader asks of many numbers at once: their range, their mean, and whether any is NaN. */
import { formatCount } from '../../plot/format';
import { formatNumber } from '../../plot/chart-spec';

/** Least, largest and mean are those of the finite numbers; without any they are NaN. */
export interface Statistics {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly nan: number;
  readonly infinite: number;
}

/** One pass over the numbers. */
export function statisticsOf(values: ArrayLike<number>): Statistics {
  let [min, max, sum, nan, infinite] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isFinite(value)) {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
    } else if (Number.isNaN(value)) nan++;
    else infinite++;
  }
  const finite = values.length - nan - infinite;
  if (finite === 0) [min, max] = [NaN, NaN];
  return { count: values.length, min, max, mean: sum / finite, nan, infinite };
}

/** What is wrong with the numbers, "2 NaN, 1 infinite", or the empty string. */
export function troubleText({ nan, infinite }: Statistics): string {
  return [nan > 0 ? `${formatCount(nan)} NaN` : '', infinite > 0 ? `${formatCount(infinite)} infinite` : '']
    .filter(Boolean)
    .join(', ');
}

/** "min -1 · max 4 · mean 0.5", or the empty string where no number is finite. */
export function rangeText({ count, min, max, mean, nan, infinite }: Statistics): string {
  if (count === nan + infinite) return '';
  const text = `min ${formatNumber(min)} · max ${formatNumber(max)} · mean ${formatNumber(mean)}`;
  return nan + infinite > 0 ? `of the others: ${text}` : text;
}
