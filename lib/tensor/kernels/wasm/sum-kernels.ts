/** Sums along one axis of a tensor [outer, count, inner], in two steps: pieces of rows, then the pieces' sums. */
import { forChannels } from './channels';
import { type Kernel, kernel } from './kernel';
import type { Vector } from './values';
import type { Variable } from './assembler';

/** Rows that are added up in one go. Short sums keep float32's rounding small. */
export const pieceRows: number = 256;

/** Numbers that are added up in one go where they lie behind each other. */
export const pieceNumbers: number = 4096;

const sumRowsFields = {
  x: 'int',
  y: 'int',
  count: 'int',
  inner: 'int',
  pieces: 'int',
  piece: 'int',
  factor: 'float',
} as const;

/**
 * y[outer, piece] = factor times the sum of the piece's rows, `piece` of the `count` rows of `inner` numbers (at least four); an item is one
 * piece of one outer index.
 */
export const sumRows: Kernel<typeof sumRowsFields> = kernel(
  'sumRows',
  sumRowsFields,
  (f, p, { begin, end }) => {
    const rowBytes = f.int(p.inner.shl(2));
    const factor = f.vector(p.factor.splat());
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.pieces));
      const first = f.int(item.sub(outer.mul(p.pieces)).mul(p.piece));
      const rows = f.int(p.count.sub(first).min(p.piece));
      const x = f.int(p.x.add(outer.mul(p.count).add(first).mul(rowBytes)));
      const y = f.int(p.y.add(item.mul(rowBytes)));
      forChannels(f, p.inner, 4, (offset, vectors) => {
        const sums = vectors.map(() => f.vector(0));
        const at = f.int(x.add(offset));
        f.for(0, rows, 1, () => {
          sums.forEach((sum, i) => sum.set(sum.add(at.vector(16 * i))));
          at.set(at.add(rowBytes));
        });
        sums.forEach((sum, i) => f.store(y.add(offset), sum.mul(factor), 16 * i));
      });
    });
  },
);

const sumNumbersFields = {
  x: 'int',
  y: 'int',
  count: 'int',
  pieces: 'int',
  piece: 'int',
  factor: 'float',
} as const;

/** y[outer, piece] = factor times the sum of `piece` of the `count` numbers; an item is one piece of one outer index. */
export const sumNumbers: Kernel<typeof sumNumbersFields> = kernel(
  'sumNumbers',
  sumNumbersFields,
  (f, p, { begin, end }) => {
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.pieces));
      const first = f.int(item.sub(outer.mul(p.pieces)).mul(p.piece));
      const count = f.int(p.count.sub(first).min(p.piece));
      const at = f.int(p.x.add(outer.mul(p.count).add(first).shl(2)));
      const sums: Variable<Vector>[] = [0, 1, 2, 3].map(() => f.vector(0));
      f.for(0, count.and(-16), 16, () => {
        sums.forEach((sum, i) => sum.set(sum.add(at.vector(16 * i))));
        at.set(at.add(64));
      });
      const total = f.float(sums[0].add(sums[1]).add(sums[2].add(sums[3])).total());
      f.for(0, count.and(15), 1, () => {
        total.set(total.add(at.float()));
        at.set(at.add(4));
      });
      f.store(p.y.add(item.shl(2)), total.mul(p.factor));
    });
  },
);
