/** Batch normalisation in training and its gradient: matrices of `rows` rows of at least four channels. */
import type { FunctionWriter } from './assembler';
import { forChannels } from './channels';
import { type Kernel, kernel } from './kernel';
import { type Int, Vector } from './values';

/** Rows whose sums are taken in one go. */
export const pieceRows: number = 256;

/** Rows that are normalised in one go. */
export const blockRows: number = 64;

const statisticsFields = { x: 'int', partial: 'int', rows: 'int', channels: 'int' } as const;

/**
 * Of a piece of rows (an item) the mean of each channel and the sum of the squares about it: partial[piece] = [means, squares]. The values
 * are taken relative to the piece's first row, so that a mean far from 0 costs no digits.
 */
export const batchStatistics: Kernel<typeof statisticsFields> = kernel(
  'batchStatistics',
  statisticsFields,
  (f, p, { begin, end }) => {
    const rowBytes = f.int(p.channels.shl(2));
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.mul(pieceRows));
      const rows = f.int(p.rows.sub(first).min(pieceRows));
      const x = f.int(p.x.add(first.mul(rowBytes)));
      const to = f.int(p.partial.add(item.mul(rowBytes).shl(1)));
      const count = f.vector(rows.toFloat().splat());
      forChannels(f, p.channels, 2, (offset, vectors) => {
        const at = f.int(x.add(offset));
        const pivots = vectors.map((i) => f.vector(at.vector(16 * i)));
        const [sums, squares] = [vectors.map(() => f.vector(0)), vectors.map(() => f.vector(0))];
        f.for(0, rows, 1, () => {
          for (const i of vectors) {
            const value = f.vector(at.vector(16 * i).sub(pivots[i]));
            sums[i].set(sums[i].add(value));
            squares[i].set(squares[i].add(value.mul(value)));
          }
          at.set(at.add(rowBytes));
        });
        for (const i of vectors) {
          const mean = f.vector(sums[i].div(count));
          f.store(to.add(offset), pivots[i].add(mean), 16 * i);
          f.store(to.add(rowBytes).add(offset), squares[i].sub(sums[i].mul(mean)).max(0), 16 * i);
        }
      });
    });
  },
);

/** Visits pieces' partial results: their address, and how many rows they are of. */
function forPieces(
  f: FunctionWriter,
  partial: Int,
  rows: Int,
  channels: Int,
  body: (at: Int, count: Vector) => void,
): void {
  const at = f.int(partial);
  f.for(0, rows, pieceRows, (first) => {
    body(at, f.vector(rows.sub(first).min(pieceRows).toFloat().splat()));
    at.set(at.add(channels.shl(3)));
  });
}

const combineFields = {
  partial: 'int',
  rows: 'int',
  channels: 'int',
  scale: 'int',
  epsilon: 'float',
  mean: 'int',
  variance: 'int',
  inverse: 'int',
  factor: 'int',
} as const;

/** From the pieces' statistics the batch's, 1 / deviation, and scale / deviation. One item. */
export const combineStatistics: Kernel<typeof combineFields> = kernel(
  'combineStatistics',
  combineFields,
  (f, p) => {
    const total = f.vector(p.rows.toFloat().splat());
    forChannels(f, p.channels, 1, (offset) => {
      const partial = f.int(p.partial.add(offset));
      const pivot = f.vector(partial.vector());
      const sum = f.vector(0);
      forPieces(f, partial, p.rows, p.channels, (at, count) => {
        sum.set(sum.add(at.vector().sub(pivot).mul(count)));
      });
      const mean = f.vector(pivot.add(sum.div(total)));
      const squares = f.vector(0);
      forPieces(f, partial, p.rows, p.channels, (at, count) => {
        const distance = f.vector(at.vector().sub(mean));
        squares.set(squares.add(at.add(p.channels.shl(2)).vector()).add(distance.mul(distance).mul(count)));
      });
      const variance = f.vector(squares.div(total));
      const inverse = f.vector(Vector.of(1).div(variance.add(p.epsilon.splat()).sqrt()));
      f.store(p.mean.add(offset), mean);
      f.store(p.variance.add(offset), variance);
      f.store(p.inverse.add(offset), inverse);
      f.store(p.factor.add(offset), inverse.mul(p.scale.add(offset).vector()));
    });
  },
);

const normalizeFields = {
  x: 'int',
  y: 'int',
  rows: 'int',
  channels: 'int',
  mean: 'int',
  factor: 'int',
  offset: 'int',
} as const;

/** y = (x - mean) factor + offset; an item is `blockRows` rows. */
export const normalize: Kernel<typeof normalizeFields> = kernel(
  'normalize',
  normalizeFields,
  (f, p, { begin, end }) => {
    const rowBytes = f.int(p.channels.shl(2));
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.mul(blockRows));
      const rows = f.int(p.rows.sub(first).min(blockRows));
      forChannels(f, p.channels, 2, (offset, vectors) => {
        const take = (from: Int): Vector[] => vectors.map((i) => f.vector(from.add(offset).vector(16 * i)));
        const [means, factors, offsets] = [p.mean, p.factor, p.offset].map(take);
        const [x, y] = [p.x, p.y].map((from) => f.int(from.add(first.mul(rowBytes)).add(offset)));
        f.for(0, rows, 1, () => {
          for (const i of vectors) {
            f.store(
              y,
              x
                .vector(16 * i)
                .sub(means[i])
                .mul(factors[i])
                .add(offsets[i]),
              16 * i,
            );
          }
          x.set(x.add(rowBytes));
          y.set(y.add(rowBytes));
        });
      });
    });
  },
);

const gradientSumsFields = {
  x: 'int',
  dy: 'int',
  mean: 'int',
  partial: 'int',
  rows: 'int',
  channels: 'int',
} as const;

/** Of a piece of rows (an item) the sums of dy and of dy (x - mean): partial[piece] = [one, the other]. */
export const normGradientSums: Kernel<typeof gradientSumsFields> = kernel(
  'normGradientSums',
  gradientSumsFields,
  (f, p, { begin, end }) => {
    const rowBytes = f.int(p.channels.shl(2));
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.mul(pieceRows));
      const rows = f.int(p.rows.sub(first).min(pieceRows));
      const to = f.int(p.partial.add(item.mul(rowBytes).shl(1)));
      forChannels(f, p.channels, 2, (offset, vectors) => {
        const [x, dy] = [p.x, p.dy].map((from) => f.int(from.add(first.mul(rowBytes)).add(offset)));
        const means = vectors.map((i) => f.vector(p.mean.add(offset).vector(16 * i)));
        const [sums, products] = [vectors.map(() => f.vector(0)), vectors.map(() => f.vector(0))];
        f.for(0, rows, 1, () => {
          for (const i of vectors) {
            const gradient = f.vector(dy.vector(16 * i));
            sums[i].set(sums[i].add(gradient));
            products[i].set(products[i].add(gradient.mul(x.vector(16 * i).sub(means[i]))));
          }
          x.set(x.add(rowBytes));
          dy.set(dy.add(rowBytes));
        });
        for (const i of vectors) {
          f.store(to.add(offset), sums[i], 16 * i);
          f.store(to.add(rowBytes).add(offset), products[i], 16 * i);
        }
      });
    });
  },
);

const combineGradientFields = {
  partial: 'int',
  rows: 'int',
  channels: 'int',
  scale: 'int',
  inverse: 'int',
  dScale: 'int',
  dOffset: 'int',
  factors: 'int',
} as const;

/**
 * From the pieces' sums the gradients of scale and offset, and `factors`: three vectors of channels by which dx is made of dy, of
 * x - mean, and of 1.
 */
export const combineGradient: Kernel<typeof combineGradientFields> = kernel(
  'combineGradient',
  combineGradientFields,
  (f, p) => {
    const rowBytes = f.int(p.channels.shl(2));
    const total = f.vector(p.rows.toFloat().splat());
    forChannels(f, p.channels, 1, (offset) => {
      const [sum, products] = [f.vector(0), f.vector(0)];
      forPieces(f, f.int(p.partial.add(offset)), p.rows, p.channels, (at) => {
        sum.set(sum.add(at.vector()));
        products.set(products.add(at.add(rowBytes).vector()));
      });
      const inverse = f.vector(p.inverse.add(offset).vector());
      const dScale = f.vector(products.mul(inverse));
      const factor = f.vector(inverse.mul(p.scale.add(offset).vector()));
      f.store(p.dOffset.add(offset), sum);
      f.store(p.dScale.add(offset), dScale);
      // dx = factor (dy - mean(dy) - xHat mean(dy xHat)), xHat = inverse (x - mean): section 3 with its sums carried out
      const to = f.int(p.factors.add(offset));
      f.store(to, factor);
      f.store(to.add(rowBytes), factor.mul(inverse).mul(dScale).div(total).neg());
      f.store(to.add(rowBytes.shl(1)), factor.mul(sum).div(total).neg());
    });
  },
);

const normGradientFields = {
  x: 'int',
  dy: 'int',
  dx: 'int',
  mean: 'int',
  factors: 'int',
  rows: 'int',
  channels: 'int',
} as const;

/** dx, of the factors that combineGradient made; an item is `blockRows` rows. */
export const normGradient: Kernel<typeof normGradientFields> = kernel(
  'normGradient',
  normGradientFields,
  (f, p, { begin, end }) => {
    const rowBytes = f.int(p.channels.shl(2));
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.mul(blockRows));
      const rows = f.int(p.rows.sub(first).min(blockRows));
      forChannels(f, p.channels, 2, (offset, vectors) => {
        const take = (from: Int): Vector[] => vectors.map((i) => f.vector(from.add(offset).vector(16 * i)));
        const means = take(p.mean);
        const [ofGradient, ofDistance, ofOne] = [0, 1, 2].map((k) => take(p.factors.add(rowBytes.mul(k))));
        const [x, dy, dx] = [p.x, p.dy, p.dx].map((from) => f.int(from.add(first.mul(rowBytes)).add(offset)));
        f.for(0, rows, 1, () => {
          for (const i of vectors) {
            const distance = x.vector(16 * i).sub(means[i]);
            const sum = dy
              .vector(16 * i)
              .mul(ofGradient[i])
              .add(distance.mul(ofDistance[i]))
              .add(ofOne[i]);
            f.store(dx, sum, 16 * i);
          }
          for (const at of [x, dy, dx]) at.set(at.add(rowBytes));
        });
      });
    });
  },
);
