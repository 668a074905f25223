/** How a tensor's values are distributed, drawn small. `histogram` of lib/plot makes the chart for a notebook's text. */
import { formatNumber } from '../../plot/chart-spec';
import { formatCount } from '../../plot/format';
import type { Statistics } from './statistics';

const width = 420;
const height = 110;
const mostBins = 42;
/** Of fewer numbers a histogram says less than the numbers. */
const fewestValues = 20;

/**
 * A histogram that opens on a click, as HTML without scripts, in the colour of the text around it. The empty string where a
 * histogram says nothing: of few numbers, or of equal ones.
 */
export function histogramHtml(values: ArrayLike<number>, statistics: Statistics): string {
  const { count, min, max, nan, infinite } = statistics;
  const finite = count - nan - infinite;
  if (finite < fewestValues || !(max > min) || !Number.isFinite(max - min)) return '';
  const { counts, low, high } = countBins(
    values,
    min,
    max,
    Math.min(mostBins, Math.ceil(1.5 * Math.sqrt(finite))),
  );
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  const bin = width / counts.length;
  const place = (value: number): string => String(Number(value.toFixed(1)));
  const bars = counts
    .map((n, i) => {
      if (n === 0) return '';
      const tall = Math.max(1, ((height - 2) * n) / most); // a bin of one in a million is still seen
      return `M${place(i * bin + 0.5)} ${height}v${place(-tall)}h${place(bin - 1)}v${place(tall)}z`;
    })
    .join('');
  // Numbers stand outside of the drawing: a viewer that drops SVG from HTML it does not trust drops nothing else.
  const step = 10 ** Math.floor(Math.log10((max - min) / 100));
  const middle = Math.round((min + max) / 2 / step) * step;
  const ends = [min, middle, max].map((value) => `<span>${formatNumber(value)}</span>`).join('');
  const zero = place((width * (0 - low)) / (high - low));
  const zeroLine =
    min < 0 && max > 0
      ? `<path d="M${zero} 0v${height}" stroke="currentColor" stroke-opacity=".7" stroke-dasharray="2 3"/>`
      : '';
  // Under the bars of the least and the greatest value, which are inside of the bins of whole numbers.
  const inset = (value: number): string => place(Math.max(0, (width * value) / (high - low) - 4));
  const padding = `0 ${inset(high - max)}px 0 ${inset(min - low)}px`;
  return (
    `<details style="margin:.4em 0"><summary style="cursor:pointer">histogram</summary>` +
    `<div style="width:${width}px;max-width:100%;font-size:smaller">` +
    `<div style="opacity:.75">${counts.length} bins; the tallest holds ${formatCount(most)} of ${formatCount(finite)}</div>` +
    `<svg viewBox="0 0 ${width} ${height + 1}" width="${width}" height="${height + 1}" style="display:block;max-width:100%" role="img" aria-label="Histogram">` +
    `<path d="${bars}" fill="currentColor" fill-opacity=".55"/>${zeroLine}` +
    `<path d="M0 ${height + 0.5}h${width}" stroke="currentColor"/></svg>` +
    `<div style="display:flex;justify-content:space-between;padding:${padding}">${ends}</div></div></details>`
  );
}

/** Bins of equal width, `most` of them; of whole numbers each bin holds as many: a few have one each. */
function countBins(
  values: ArrayLike<number>,
  min: number,
  max: number,
  most: number,
): { counts: number[]; low: number; high: number } {
  let [bins, low, high] = [most, min, max];
  if (areWhole(values)) {
    const span = max - min + 1;
    const each = span <= mostBins ? 1 : Math.ceil(span / most);
    bins = Math.ceil(span / each);
    [low, high] = [min - 0.5, min - 0.5 + bins * each];
  }
  const counts = new Array<number>(bins).fill(0);
  const scale = bins / (high - low);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isFinite(value)) counts[Math.min(bins - 1, Math.floor((value - low) * scale))]++;
  }
  return { counts, low, high };
}

function areWhole(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i]) && !Number.isInteger(values[i])) return false;
  }
  return true;
}
