/** Depthwise convolutions with one filter a channel, and the gradient of that filter. Channels are taken four at a time. */
import type { FunctionWriter, Variable } from './assembler';
import { type Kernel, kernel } from './kernel';
import type { Int, Vector } from './values';
import { windowFields } from './window';

/** Runs the body for four channels at a time; the last four may overlap those before them, so the body must not add to memory. */
function forChannels(f: FunctionWriter, channels: Int, body: (offset: Variable<Int>) => void): void {
  const last = f.int(channels.sub(4));
  f.for(0, channels, 4, (channel) => body(f.int(channel.min(last).shl(2))));
}

/** How many of `count` windows, from the first one on, begin before the image does. */
const before = (first: Int, stride: Int, count: Int): Int =>
  first.lt(0).choose(stride.sub(1).sub(first).div(stride).min(count), 0);

/** How many of `count` windows, whose first pixels are `first`, `first` + stride, ..., begin before pixel `limit`. */
const beginBefore = (first: Int, stride: Int, limit: Int, count: Int): Int =>
  limit.gt(first).choose(limit.sub(first).add(stride).sub(1).div(stride).min(count), 0);

const depthwiseFields = {
  filterHeight: 'int',
  w: 'int',
  wStrideY: 'int',
  wStrideX: 'int',
  y: 'int',
  imageStride: 'int',
  rowStride: 'int',
  pixelStride: 'int',
} as const;

/**
 * The value of a depthwise convolution; an item is a row of windows. Tap (i, j) of the filter lies at `w` + i wStrideY + j wStrideX,
 * the result for window (image, p, q) at `y` + image imageStride + p rowStride + q pixelStride (bytes). At least four channels.
 * @param taps how many columns the filter has, and `stride` how far windows are apart, for code without loops over
 *   them; undefined: any.
 * @param pixels how many windows are computed at a time.
 */
function depthwiseKernel(
  name: string,
  pixels: number,
  shape?: { taps: number; stride: number },
): Kernel<typeof windowFields & typeof depthwiseFields> {
  return kernel(name, { ...windowFields, ...depthwiseFields }, (f, p, { begin, end }) => {
    const pixelBytes = f.int(p.inChannels.shl(2));
    const tapBytes = f.int(pixelBytes.mul(p.dilationX));
    const stepBytes = f.int(pixelBytes.mul(p.strideX));
    const reach = f.int(p.filterWidth.sub(1).mul(p.dilationX));
    f.for(begin, end, 1, (item) => {
      const image = f.int(item.div(p.outHeight));
      const row = f.int(item.sub(image.mul(p.outHeight)));
      const top = f.int(row.mul(p.strideY).sub(p.top));
      // the filter's rows that lie in the image
      const firstTap = f.int(before(top, p.dilationY, p.filterHeight));
      const lastTap = f.int(beginBefore(top, p.dilationY, p.inHeight, p.filterHeight));
      const left = f.int(p.left.mul(-1));
      const [whole, wholeEnd] = [
        f.int(before(left, p.strideX, p.outWidth)),
        f.int(beginBefore(left, p.strideX, p.inWidth.sub(reach), p.outWidth)),
      ];
      const lineY = f.int(p.y.add(image.mul(p.imageStride)).add(row.mul(p.rowStride)));
      const line = image.mul(p.inHeight).add(top).add(firstTap.mul(p.dilationY)).mul(p.inWidth);
      const lineX = f.int(p.x.add(line.sub(p.left).mul(pixelBytes)));
      const rowBytes = f.int(p.inWidth.mul(p.dilationY).mul(pixelBytes));
      const lineW = f.int(p.w.add(firstTap.mul(p.wStrideY)));

      /** The results of `count` windows from q on, `each` adding a row of the filter's taps to them. */
      const block = (
        q: Int,
        count: number,
        each: (sums: Variable<Vector>[], x: Variable<Int>, w: Variable<Int>) => void,
      ) => {
        const blockX = f.int(lineX.add(q.mul(stepBytes)));
        const blockY = f.int(lineY.add(q.mul(p.pixelStride)));
        forChannels(f, p.inChannels, (offset) => {
          const sums = Array.from({ length: count }, () => f.vector(0));
          const [x, w] = [f.int(blockX.add(offset)), f.int(lineW.add(offset))];
          f.for(firstTap, lastTap, 1, () => {
            each(sums, f.int(x), f.int(w));
            x.set(x.add(rowBytes));
            w.set(w.add(p.wStrideY));
          });
          const y = f.int(blockY.add(offset));
          sums.forEach((sum, i) => {
            if (i > 0) y.set(y.add(p.pixelStride));
            f.store(y, sum);
          });
        });
      };

      /** All taps of windows that lie in the image. */
      const inside = (sums: Variable<Vector>[], x: Variable<Int>, w: Variable<Int>): void => {
        if (shape) {
          const { taps, stride } = shape;
          const factors = Array.from({ length: taps }, (_, j) => {
            if (j > 0) w.set(w.add(p.wStrideX));
            return f.vector(w.vector());
          });
          for (let column = 0; column < (sums.length - 1) * stride + taps; column++) {
            if (column > 0) x.set(x.add(pixelBytes));
            const seen = sums.map((_, i) => column - i * stride).map((j) => (j >= 0 && j < taps ? j : -1));
            if (seen.every((j) => j < 0)) continue;
            const value = f.vector(x.vector());
            seen.forEach((j, i) => {
              if (j >= 0) sums[i].set(sums[i].add(value.mul(factors[j])));
            });
          }
          return;
        }
        f.for(0, p.filterWidth, 1, () => {
          const factor = f.vector(w.vector());
          const at = f.int(x);
          sums.forEach((sum, i) => {
            if (i > 0) at.set(at.add(stepBytes));
            sum.set(sum.add(at.vector().mul(factor)));
          });
          x.set(x.add(tapBytes));
          w.set(w.add(p.wStrideX));
        });
      };

      /** One window that may hang over an edge. */
      const alone = (q: Int): void => {
        const first = f.int(q.mul(p.strideX).sub(p.left));
        const from = f.int(before(first, p.dilationX, p.filterWidth));
        const to = f.int(beginBefore(first, p.dilationX, p.inWidth, p.filterWidth));
        block(q, 1, ([sum], x, w) => {
          x.set(x.add(from.mul(tapBytes)));
          w.set(w.add(from.mul(p.wStrideX)));
          f.for(from, to, 1, () => {
            sum.set(sum.add(x.vector().mul(w.vector())));
            x.set(x.add(tapBytes));
            w.set(w.add(p.wStrideX));
          });
        });
      };

      const q = f.int(0);
      f.loop((leaveIf) => {
        leaveIf(q.eq(p.outWidth));
        f.if(
          q.ge(whole).and(q.add(pixels).le(wholeEnd)),
          () => {
            block(q, pixels, inside);
            q.set(q.add(pixels));
          },
          () => {
            alone(q);
            q.set(q.add(1));
          },
        );
      });
    });
  });
}

/** Depthwise convolutions by the filter's columns and the stride; the last is for all others. As many sums as the registers hold. */
export const depthwise: readonly {
  readonly taps?: number;
  readonly stride?: number;
  readonly kernel: Kernel<typeof windowFields & typeof depthwiseFields>;
}[] = [
  ...[
    { taps: 2, stride: 1, pixels: 4 },
    { taps: 3, stride: 1, pixels: 4 },
    { taps: 3, stride: 2, pixels: 3 },
    { taps: 5, stride: 1, pixels: 2 },
    { taps: 5, stride: 2, pixels: 2 },
  ].map(({ taps, stride, pixels }) => ({
    taps,
    stride,
    kernel: depthwiseKernel(`depthwise${taps}x${stride}`, pixels, { taps, stride }),
  })),
  { kernel: depthwiseKernel('depthwise', 4) },
];

const filterGradientFields = {
  filterHeight: 'int',
  dy: 'int',
  dw: 'int',
  lines: 'int',
  pieceLines: 'int',
} as const;

/**
 * The gradient of a depthwise filter, as partial sums: item k writes those of `pieceLines` of the `lines` rows of windows to the k-th
 * filter at `dw`. At least four channels.
 * @param taps how many columns of the filter are summed up at a time; it has a multiple of that.
 */
function filterGradientKernel(
  name: string,
  taps: number,
): Kernel<typeof windowFields & typeof filterGradientFields> {
  return kernel(name, { ...windowFields, ...filterGradientFields }, (f, p, { begin, end }) => {
    const pixelBytes = f.int(p.inChannels.shl(2));
    const tapBytes = f.int(pixelBytes.mul(p.dilationX));
    const stepBytes = f.int(pixelBytes.mul(p.strideX));
    const filterBytes = f.int(p.filterHeight.mul(p.filterWidth).mul(pixelBytes));
    const columns = Array.from({ length: taps }, (_, j) => j);
    f.for(begin, end, 1, (item) => {
      const target = f.int(p.dw.add(item.mul(filterBytes)));
      f.clear(target, filterBytes);
      const firstLine = f.int(item.mul(p.pieceLines));
      f.for(firstLine, firstLine.add(p.pieceLines).min(p.lines), 1, (line) => {
        const image = f.int(line.div(p.outHeight));
        const top = f.int(line.sub(image.mul(p.outHeight)).mul(p.strideY).sub(p.top));
        const firstTap = f.int(before(top, p.dilationY, p.filterHeight));
        const lastTap = f.int(beginBefore(top, p.dilationY, p.inHeight, p.filterHeight));
        const lineY = f.int(p.dy.add(line.mul(p.outWidth).mul(pixelBytes)));
        f.for(firstTap, lastTap, 1, (i) => {
          const row = image.mul(p.inHeight).add(top).add(i.mul(p.dilationY)).mul(p.inWidth);
          const lineX = f.int(p.x.add(row.sub(p.left).mul(pixelBytes)));
          f.for(0, p.filterWidth, taps, (j) => {
            const left = f.int(j.mul(p.dilationX).sub(p.left));
            const tapX = f.int(lineX.add(j.mul(tapBytes)));
            const tapW = f.int(target.add(i.mul(p.filterWidth).add(j).mul(pixelBytes)));
            // windows `whole` to `wholeEnd` have all these taps in the image, those around them some
            const reach = p.dilationX.mul(taps - 1);
            const whole = f.int(before(left, p.strideX, p.outWidth));
            const wholeEnd = f.int(beginBefore(left, p.strideX, p.inWidth.sub(reach), p.outWidth).max(whole));
            // the last four channels may overlap those before them, which then must not be added twice
            const done = f.int(0);
            const last = f.int(pixelBytes.sub(16));
            f.loop((leaveIf) => {
              leaveIf(done.eq(pixelBytes));
              const offset = f.int(done.min(last));
              const sums = columns.map(() => f.vector(0));
              const [x, y] = [f.int(0), f.int(0)];
              const place = (q: Int): void => {
                x.set(tapX.add(q.mul(stepBytes)).add(offset));
                y.set(lineY.add(q.mul(pixelBytes)).add(offset));
              };
              const edge = (from: Int, to: Int): void => {
                f.for(from, to, 1, (q) => {
                  place(q);
                  const gradient = f.vector(y.vector());
                  const column = f.int(left.add(q.mul(p.strideX)));
                  sums.forEach((sum) => {
                    f.if(column.ge(0).and(column.lt(p.inWidth)), () =>
                      sum.set(sum.add(x.vector().mul(gradient))),
                    );
                    column.set(column.add(p.dilationX));
                    x.set(x.add(tapBytes));
                  });
                });
              };
              edge(f.int(0), whole);
              place(whole);
              f.for(whole, wholeEnd, 1, () => {
                const gradient = f.vector(y.vector());
                const at = f.int(x);
                sums.forEach((sum, index) => {
                  if (index > 0) at.set(at.add(tapBytes));
                  sum.set(sum.add(at.vector().mul(gradient)));
                });
                x.set(x.add(stepBytes));
                y.set(y.add(pixelBytes));
              });
              edge(wholeEnd, p.outWidth);
              const w = f.int(tapW.add(offset));
              sums.forEach((sum, index) => {
                if (index > 0) w.set(w.add(pixelBytes));
                f.if(
                  offset.eq(done),
                  () => f.store(w, w.vector().add(sum)),
                  () => storeRest(f, w, sum, done.sub(offset)),
                );
              });
              done.set(offset.add(16));
            });
          });
        });
      });
    });
  });
}

/** Adds the floats of a vector that come after its first `skipped` bytes (4, 8 or 12). */
function storeRest(f: FunctionWriter, to: Int, value: Vector, skipped: Int): void {
  f.store(to, to.float(12).add(value.lane(3)), 12);
  f.if(skipped.lt(12), () => f.store(to, to.float(8).add(value.lane(2)), 8));
  f.if(skipped.lt(8), () => f.store(to, to.float(4).add(value.lane(1)), 4));
}

/** Depthwise filter gradients by the filter's columns; the last is for all others. */
export const depthwiseFilterGradient: readonly {
  readonly taps: number;
  readonly kernel: Kernel<typeof windowFields & typeof filterGradientFields>;
}[] = [7, 5, 3, 1].map((taps) => ({
  taps,
  kernel: filterGradientKernel(`depthwiseFilterGradient${taps}`, taps),
}));

const sumPiecesFields = { from: 'int', to: 'int', count: 'int', pieces: 'int' } as const;

/** to[i] = the sum of from[piece][i] over the pieces of `count` floats each, at least four; an item is four floats. */
export const sumPieces: Kernel<typeof sumPiecesFields> = kernel(
  'sumPieces',
  sumPiecesFields,
  (f, p, { begin, end }) => {
    const bytes = f.int(p.count.shl(2));
    f.for(begin, end, 1, (item) => {
      const offset = f.int(item.shl(4).min(bytes.sub(16)));
      const sum = f.vector(0);
      const at = f.int(p.from.add(offset));
      f.for(0, p.pieces, 1, () => {
        sum.set(sum.add(at.vector()));
        at.set(at.add(bytes));
      });
      f.store(p.to.add(offset), sum);
    });
  },
);
