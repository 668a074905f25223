/** What a tensor shows as a cell's value. */
import type { ShownBundle } from '../../plot/display';
import { escapeHtml, formatCount, formatSize } from '../../plot/format';
import { histogramHtml } from './histogram-html';
import { rangeText, type Statistics, statisticsOf, troubleText } from './statistics';
import { isTensor, scalarText, type TensorLike, tensorTitle, type TensorValues } from './tensor-like';
import { tensorValuesText } from './tensor-text';

/** Reading more than this from a GPU takes its time, and nobody looks at ten million numbers. */
const mostValues = 10_000_000;
const bytesPerValue: Readonly<Record<string, number>> = { bool: 1, int32: 4, float32: 4, complex64: 8 };

/**
 * A tensor's type, shape, size, range and a readable part of its values. The values are read once; no tensor is made, kept or
 * disposed. `undefined` for what is no tensor.
 */
export async function tensorView(value: unknown): Promise<ShownBundle | undefined> {
  if (!isTensor(value)) return undefined;
  const title = facts(value);
  if (value.isDisposed) return textOnly(title);
  if (value.size > mostValues) {
    return textOnly(
      `${title}\n${formatCount(value.size)} values are not read to be shown; look at a part with slice() or gather()`,
    );
  }
  const values = await value.data();
  if (value.shape.length === 0) return textOnly(scalarText(value, values));
  const { dtype, shape } = value;
  const statistics =
    dtype === 'float32' || dtype === 'int32' ? statisticsOf(values as ArrayLike<number>) : undefined;
  const [trouble, range] = summary(values, dtype, statistics);
  const text = tensorValuesText(values, shape, dtype);
  const heading = [escapeHtml(title), trouble && `<b>${trouble}</b>`, range].filter(Boolean).join(' · ');
  const histogram = statistics ? histogramHtml(values as ArrayLike<number>, statistics) : '';
  return {
    bundle: {
      'text/html':
        `<div>${heading}</div>` +
        `<pre style="margin:.4em 0;overflow-x:auto;white-space:pre;line-height:1.35">${escapeHtml(text)}</pre>${histogram}`,
      'text/plain': `${[title, trouble, range].filter(Boolean).join(' · ')}\n${text}`,
    },
    metadata: {},
  };
}

function textOnly(text: string): ShownBundle {
  return { bundle: { 'text/plain': text }, metadata: {} };
}

function facts(tensor: TensorLike): string {
  const bytes = bytesPerValue[tensor.dtype];
  return [
    tensorTitle(tensor),
    bytes === undefined || tensor.shape.length === 0 || tensor.isDisposed
      ? ''
      : formatSize(tensor.size * bytes),
    tensor.trainable === undefined ? '' : tensor.trainable ? 'trained' : 'not trained',
    // TensorFlow.js numbers the variables that got no name.
    tensor.name === undefined || /^\d+$/.test(tensor.name) ? '' : `"${tensor.name}"`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** What is wrong with the values, and what they are on the whole. */
function summary(values: TensorValues, dtype: string, statistics: Statistics | undefined): [string, string] {
  if (statistics) return [troubleText(statistics), rangeText(statistics)];
  if (dtype !== 'bool') return ['', ''];
  const set = Array.from(values as ArrayLike<number>).filter(Boolean).length;
  return ['', `${formatCount(set)} true of ${formatCount(values.length)}`];
}
