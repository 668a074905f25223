/** The pixels that a convolution's windows see, copied out as the rows of a matrix. */
import type { Routine } from './assembler';
import type { Int } from './values';

/**
 * A grid of windows over images [batch, inHeight, inWidth, inChannels]: window (p, q)'s tap (i, j) sees pixel
 * (p strideY + i dilationY - top, q strideX + j dilationX - left). Kernels that gather have these as their first parameters.
 */
export const windowFields = {
  x: 'int',
  inHeight: 'int',
  inWidth: 'int',
  inChannels: 'int',
  outHeight: 'int',
  outWidth: 'int',
  filterWidth: 'int',
  strideY: 'int',
  strideX: 'int',
  dilationY: 'int',
  dilationX: 'int',
  top: 'int',
  left: 'int',
} as const;

/** Values of `windowFields`. */
export type WindowValues = Record<keyof typeof windowFields, number>;

const names = Object.keys(windowFields);

/** Copies `count` runs of `bytes` bytes, a multiple of 4 and not 0, from addresses `fromStride` apart to others `toStride` apart. */
export const copyRuns: Routine = {
  parameters: 6,
  write(f, to, toStride, from, fromStride, count, bytes) {
    const whole = f.int(bytes.and(-16));
    f.for(0, count, 1, () => {
      const at = f.int(0);
      f.loop((leaveIf) => {
        leaveIf(at.eq(whole));
        f.store(to.add(at), from.add(at).vector());
        at.set(at.add(16));
      });
      f.loop((leaveIf) => {
        leaveIf(at.eq(bytes));
        f.store(to.add(at), from.add(at).float());
        at.set(at.add(4));
      });
      to.set(to.add(toStride));
      from.set(from.add(fromStride));
    });
  },
};

/** Sets `count` runs of `bytes` bytes to 0. */
const clearRuns: Routine = {
  parameters: 4,
  write(f, to, toStride, count, bytes) {
    f.for(0, count, 1, () => {
      f.clear(to, bytes);
      to.set(to.add(toStride));
    });
  },
};

/**
 * Columns `from` to `to` of what windows `begin` to `end` see, 0 outside the image: a row of the matrix is a window, its columns are
 * (i, j, channel). `target` gets them row by row, `stride` bytes apart; `block` holds the windowFields.
 */
export const gather: Routine = {
  parameters: 7,
  write(f, block, target, stride, begin, end, from, to) {
    const field = (name: keyof typeof windowFields): Int => f.int(block.int(4 * names.indexOf(name)));
    const [x, height, width, channels] = [
      field('x'),
      field('inHeight'),
      field('inWidth'),
      field('inChannels'),
    ];
    const [outHeight, outWidth, filterWidth] = [field('outHeight'), field('outWidth'), field('filterWidth')];
    const [strideY, strideX] = [field('strideY'), field('strideX')];
    const [dilationY, dilationX, top, left] = [
      field('dilationY'),
      field('dilationX'),
      field('top'),
      field('left'),
    ];
    const pixel = f.int(channels.shl(2));
    f.loop((leaveIf) => {
      leaveIf(from.eq(to));
      // the columns of one tap, as many as are wanted
      const tap = f.int(from.div(channels));
      const channel = f.int(from.sub(tap.mul(channels)));
      const length = f.int(channels.sub(channel).min(to.sub(from)));
      const bytes = f.int(length.shl(2));
      const [i, j] = [f.int(tap.div(filterWidth)), f.int(tap.mod(filterWidth))];
      const row = f.int(begin.div(outWidth));
      const q = f.int(begin.sub(row.mul(outWidth)));
      const image = f.int(row.div(outHeight));
      const p = f.int(row.sub(image.mul(outHeight)));
      const line = f.int(target);
      const remaining = f.int(end.sub(begin));
      f.loop((leaveRowsIf) => {
        leaveRowsIf(remaining.eq(0));
        const run = f.int(outWidth.sub(q).min(remaining));
        const y = f.int(p.mul(strideY).add(i.mul(dilationY)).sub(top));
        const first = f.int(q.mul(strideX).add(j.mul(dilationX)).sub(left));
        // windows `low` to `high` of the run see a pixel of the image
        const [low, high] = [f.int(0), f.int(0)];
        f.if(y.ge(0).and(y.lt(height)).and(first.lt(width)), () => {
          f.if(first.lt(0), () => low.set(strideX.sub(1).sub(first).div(strideX).min(run)));
          high.set(width.sub(first).add(strideX).sub(1).div(strideX).min(run).max(low));
        });
        f.if(low.gt(0), () => f.call(clearRuns, [line, stride, low, bytes]));
        f.if(high.gt(low), () => {
          const at = image.mul(height).add(y).mul(width).add(first).add(low.mul(strideX));
          const source = x.add(at.mul(pixel)).add(channel.shl(2));
          f.call(copyRuns, [
            line.add(low.mul(stride)),
            stride,
            source,
            pixel.mul(strideX),
            high.sub(low),
            bytes,
          ]);
        });
        f.if(run.gt(high), () =>
          f.call(clearRuns, [line.add(high.mul(stride)), stride, run.sub(high), bytes]),
        );
        line.set(line.add(run.mul(stride)));
        remaining.set(remaining.sub(run));
        q.set(0);
        p.set(p.add(1));
        f.if(p.eq(outHeight), () => {
          p.set(0);
          image.set(image.add(1));
        });
      });
      target.set(target.add(bytes));
      from.set(from.add(length));
    });
  },
};
