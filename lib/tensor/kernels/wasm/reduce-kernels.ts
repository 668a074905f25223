/** Sums and maxima along one axis of a tensor [outer, count, inner], in two steps: of pieces of rows, then of the pieces. */
import type { Variable } from './assembler';
import { forChannels } from './channels';
import { type Kernel, kernel } from './kernel';
import type { Vector } from './values';

/** Rows that are taken together in one go. Short sums keep float32's rounding small. */
export const pieceRows: number = 256;

/** Numbers that are taken together in one go where they lie behind each other. */
export const pieceNumbers: number = 4096;

/** What is made of the numbers: where it starts, and how it goes on. */
interface Reduction {
  readonly name: 'sum' | 'max';
  readonly start: number;
  readonly join: (a: Vector, b: Vector) => Vector;
}

const reductions: readonly Reduction[] = [
  { name: 'sum', start: 0, join: (a, b) => a.add(b) },
  { name: 'max', start: -Infinity, join: (a, b) => a.max(b) },
];

const rowFields = {
  x: 'int',
  y: 'int',
  count: 'int',
  inner: 'int',
  pieces: 'int',
  piece: 'int',
  factor: 'float',
} as const;

/**
 * y[outer, piece] = factor times what is made of the piece's rows: `piece` of the `count` rows of `inner` numbers (at least
 * four). An item is one piece of one outer index.
 */
function rowsKernel({ name, start, join }: Reduction): Kernel<typeof rowFields> {
  return kernel(`${name}Rows`, rowFields, (f, p, { begin, end }) => {
    const rowBytes = f.int(p.inner.shl(2));
    const factor = f.vector(p.factor.splat());
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.pieces));
      const first = f.int(item.sub(outer.mul(p.pieces)).mul(p.piece));
      const rows = f.int(p.count.sub(first).min(p.piece));
      const x = f.int(p.x.add(outer.mul(p.count).add(first).mul(rowBytes)));
      const y = f.int(p.y.add(item.mul(rowBytes)));
      forChannels(f, p.inner, 4, (offset, vectors) => {
        const results = vectors.map(() => f.vector(start));
        const at = f.int(x.add(offset));
        f.for(0, rows, 1, () => {
          results.forEach((result, i) => result.set(join(result, at.vector(16 * i))));
          at.set(at.add(rowBytes));
        });
        results.forEach((result, i) => f.store(y.add(offset), result.mul(factor), 16 * i));
      });
    });
  });
}

const numberFields = {
  x: 'int',
  y: 'int',
  count: 'int',
  pieces: 'int',
  piece: 'int',
  factor: 'float',
} as const;

/** y[outer, piece] = factor times what is made of `piece` of the `count` numbers; an item is one piece of one outer index. */
function numbersKernel({ name, start, join }: Reduction): Kernel<typeof numberFields> {
  return kernel(`${name}Numbers`, numberFields, (f, p, { begin, end }) => {
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.pieces));
      const first = f.int(item.sub(outer.mul(p.pieces)).mul(p.piece));
      const count = f.int(p.count.sub(first).min(p.piece));
      const at = f.int(p.x.add(outer.mul(p.count).add(first).shl(2)));
      const results: Variable<Vector>[] = [0, 1, 2, 3].map(() => f.vector(start));
      f.for(0, count.and(-16), 16, () => {
        results.forEach((result, i) => result.set(join(result, at.vector(16 * i))));
        at.set(at.add(64));
      });
      // the others one by one, four times each: only the first counts
      const rest = f.vector(start);
      f.for(0, count.and(15), 1, () => {
        rest.set(join(rest, at.splat()));
        at.set(at.add(4));
      });
      const four = f.vector(join(join(results[0], results[1]), join(results[2], results[3])));
      const [a, b, c, d] = [0, 1, 2, 3].map((lane) => four.lane(lane).splat());
      const result = f.vector(join(join(join(a, b), join(c, d)), rest));
      f.store(p.y.add(item.shl(2)), result.lane(0).mul(p.factor));
    });
  });
}

/** By name: over rows, and over numbers that lie behind each other. */
export const reducers: Readonly<
  Record<'sum' | 'max', { rows: Kernel<typeof rowFields>; numbers: Kernel<typeof numberFields> }>
> = Object.fromEntries(
  reductions.map((r) => [r.name, { rows: rowsKernel(r), numbers: numbersKernel(r) }]),
) as typeof reducers;
