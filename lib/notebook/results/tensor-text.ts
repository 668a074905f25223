/** The values of a tensor as text: nested brackets, aligned columns, and "…" where there are more than a reader wants. */
import { complexText, type TensorValues } from './tensor-like';

/** Letters in a line: fits JupyterLab's output and a printed page. */
const lineLength = 96;
/** Rows of a matrix, and columns where the line has room. */
const mostRows = 16;
const mostColumns = 24;
/** Rows of each block of a tensor with more axes, and lines at which its blocks are cut. */
const mostBlockRows = 8;
const mostLines = 24;
/** Lines of a vector, and of each of its ends where it is cut. */
const mostVectorLines = 8;
const vectorEndLines = 3;

/** Positions along an axis that are shown; `undefined` stands for those left out. */
type Positions = readonly (number | undefined)[];

/**
 * The values of a tensor of one axis or more.
 * @param values row-major; complex ones as real and imaginary parts in turn
 */
export function tensorValuesText(values: TensorValues, shape: readonly number[], dtype: string): string {
  if (shape.some((length) => length === 0)) return '[]';
  return shape.length === 1 ? vectorText(values, shape[0], dtype) : nestedText(values, shape, dtype);
}

function vectorText(values: TensorValues, length: number, dtype: string): string {
  const most = mostVectorLines * Math.floor(lineLength / 3);
  const candidates = positions(length, most);
  const perLine = columnsThatFit(formatter(values, dtype, candidates).width, 1);
  const whole = length <= mostVectorLines * perLine;
  const shown = whole ? positions(length, length) : positions(length, 2 * vectorEndLines * perLine);
  const { write } = formatter(values, dtype, shown);
  const lines: string[][] = [[]];
  for (const index of shown) {
    if (index === undefined) lines.push(['…'], []);
    else {
      if (lines[lines.length - 1].length === perLine) lines.push([]);
      lines[lines.length - 1].push(write(index));
    }
  }
  return `[${lines.map((line) => line.join(', ')).join(',\n ')}]`;
}

/** Ten or more in a line are a multiple of five: places can be counted. */
function columnsThatFit(width: number, indent: number): number {
  const fit = Math.max(1, Math.floor((lineLength - indent) / (width + 2)));
  return fit > 10 ? fit - (fit % 5) : fit;
}

function nestedText(values: TensorValues, shape: readonly number[], dtype: string): string {
  const rank = shape.length;
  const axes: Positions[] = shape.map(() => []);
  const rows = shape[rank - 2];
  if (rank === 2) axes[0] = positions(rows, rows <= mostRows ? rows : 10);
  else axes[rank - 2] = positions(rows, rows <= mostBlockRows ? rows : 6);
  let lines = axes[rank - 2].length;
  for (let axis = rank - 3; axis >= 0; axis--) {
    const room = Math.floor(mostLines / lines);
    axes[axis] = positions(shape[axis], shape[axis] <= room ? room : Math.max(1, Math.min(room, 2)));
    lines *= axes[axis].filter((position) => position !== undefined).length;
  }
  axes[rank - 1] = positions(shape[rank - 1], mostColumns);
  const fit = Math.floor((lineLength - rank) / (formatter(values, dtype, indices(axes, shape)).width + 2));
  // The "…" takes a place, too.
  if (axes[rank - 1].length > fit) axes[rank - 1] = positions(shape[rank - 1], Math.max(1, fit - 1));
  const { write } = formatter(values, dtype, indices(axes, shape));

  const block = (axis: number, start: number): string => {
    const step = shape.slice(axis + 1).reduce((product, length) => product * length, 1);
    if (axis === rank - 1) {
      return `[${axes[axis].map((i) => (i === undefined ? '…' : write(start + i))).join(', ')}]`;
    }
    const parts = axes[axis].map((i) => (i === undefined ? '…' : block(axis + 1, start + i * step)));
    return `[${parts.join(`,${'\n'.repeat(axis === rank - 2 ? 1 : 2)}${' '.repeat(axis + 1)}`)}]`;
  };
  return block(0, 0);
}

/** The first and last positions of an axis, `most` in all, or every one. */
function positions(length: number, most: number): Positions {
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  if (length <= most) return range(0, length);
  const head = Math.ceil(most / 2);
  return [...range(0, head), undefined, ...range(length - most + head, length)];
}

/** Every index into the values that these positions show. */
function indices(axes: readonly Positions[], shape: readonly number[]): number[] {
  let found = [0];
  axes.forEach((shown, axis) => {
    const places = shown.filter((i): i is number => i !== undefined);
    found = found.flatMap((start) => places.map((i) => start * shape[axis] + i));
  });
  return found;
}

interface Formatter {
  /** Letters of each value. */
  readonly width: number;
  write(index: number): string;
}

/** One way of writing for all values that are shown, so that they can be compared by eye. */
function formatter(values: TensorValues, dtype: string, shown: Positions): Formatter {
  const write = valueWriter(values, dtype, shown);
  let width = 1;
  for (const index of shown) if (index !== undefined) width = Math.max(width, write(index).length);
  return {
    width,
    write: (index) => (dtype === 'string' ? write(index) : write(index).padStart(width)),
  };
}

function valueWriter(values: TensorValues, dtype: string, shown: Positions): (index: number) => string {
  if (dtype === 'string') return (index) => quoted(String(values[index]));
  if (dtype === 'bool') return (index) => (values[index] ? 'true' : 'false');
  const numbers = values as ArrayLike<number>;
  const parts = dtype === 'complex64' ? 2 : 1;
  const write = numberWriter(
    shown.flatMap((index) =>
      index === undefined ? [] : Array.from({ length: parts }, (_, part) => numbers[index * parts + part]),
    ),
  );
  if (parts === 1) return (index) => write(numbers[index]);
  return (index) => complexText(numbers[2 * index], numbers[2 * index + 1], write);
}

/** Whole numbers whole, others with the decimals they need up to four, and powers of ten where that would hide digits. */
function numberWriter(shown: readonly number[]): (value: number) => string {
  const sizes = shown.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0);
  const smallest = sizes.reduce((a, b) => Math.min(a, b), Infinity);
  if (sizes.every(Number.isInteger) && largest < 1e8) return String;
  if (largest >= 1e6 || smallest < 1e-4) {
    return (value) => (Number.isFinite(value) && value !== 0 ? value.toExponential(3) : String(value));
  }
  const decimals = Math.max(...sizes.map((size) => size.toFixed(4).replace(/0+$/, '').split('.')[1].length));
  return (value) => (Number.isFinite(value) ? value.toFixed(decimals) : String(value));
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text);
}
