/** The gradient of max pooling. */
import type { Variable } from './assembler';
import { type Kernel, kernel } from './kernel';
import { type Int, Vector } from './values';

const maxPoolFields = {
  x: 'int',
  y: 'int',
  dy: 'int',
  dx: 'int',
  inHeight: 'int',
  inWidth: 'int',
  channels: 'int',
  outHeight: 'int',
  outWidth: 'int',
  filterHeight: 'int',
  filterWidth: 'int',
  strideY: 'int',
  strideX: 'int',
  top: 'int',
  left: 'int',
} as const;

/** Each dy goes to the first pixel of its window, in reading order, that holds the window's maximum y. An item is an image. */
export const maxPoolGradient: Kernel<typeof maxPoolFields> = kernel(
  'maxPoolGradient',
  maxPoolFields,
  (f, p, { begin, end }) => {
    const pixelBytes = f.int(p.channels.shl(2));
    const whole = f.int(pixelBytes.and(-16));
    const imageBytes = f.int(p.inHeight.mul(p.inWidth).mul(pixelBytes));
    f.for(begin, end, 1, (image) => {
      const [x, dx] = [p.x, p.dx].map((from) => f.int(from.add(image.mul(imageBytes))));
      f.clear(dx, imageBytes);
      f.for(0, p.outHeight, 1, (row) => {
        const y0 = f.int(row.mul(p.strideY).sub(p.top));
        const [firstRow, rowEnd] = [f.int(y0.max(0)), f.int(y0.add(p.filterHeight).min(p.inHeight))];
        f.for(0, p.outWidth, 1, (column) => {
          const x0 = f.int(column.mul(p.strideX).sub(p.left));
          const [firstColumn, columnEnd] = [f.int(x0.max(0)), f.int(x0.add(p.filterWidth).min(p.inWidth))];
          const out = f.int(image.mul(p.outHeight).add(row).mul(p.outWidth).add(column).mul(pixelBytes));
          /** Visits the window's pixels: the offset of a channel in x. */
          const forWindow = (channel: Int, visit: (at: Variable<Int>) => void): void =>
            f.for(firstRow, rowEnd, 1, (r) => {
              const at = f.int(r.mul(p.inWidth).add(firstColumn).mul(pixelBytes).add(channel));
              f.for(firstColumn, columnEnd, 1, () => {
                visit(at);
                at.set(at.add(pixelBytes));
              });
            });
          f.for(0, whole, 16, (channel) => {
            const maximum = f.vector(p.y.add(out).add(channel).vector());
            // what is still to be given away
            const gradient = f.vector(p.dy.add(out).add(channel).vector());
            forWindow(channel, (at) => {
              const target = f.int(dx.add(at));
              const here = f.vector(x.add(at).vector().eq(maximum));
              f.store(target, target.vector().add(gradient.and(here)));
              gradient.set(here.choose(Vector.of(0), gradient));
            });
          });
          f.for(whole, pixelBytes, 4, (channel) => {
            const maximum = f.float(p.y.add(out).add(channel).float());
            const gradient = f.float(p.dy.add(out).add(channel).float());
            forWindow(channel, (at) =>
              f.if(x.add(at).float().eq(maximum), () => {
                const target = f.int(dx.add(at));
                f.store(target, target.float().add(gradient));
                gradient.set(0);
              }),
            );
          });
        });
      });
    });
  },
);
