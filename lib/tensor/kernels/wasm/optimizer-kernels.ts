/** Updates of parameters and of running averages, each in one pass. The operations are those of the composed forms, in the same order. */
import { type Kernel, kernel } from './kernel';
import { blockElements, forBlocks } from './map-kernels';

const momentumFields = {
  weight: 'int',
  velocity: 'int',
  gradient: 'int',
  newWeight: 'int',
  newVelocity: 'int',
  count: 'int',
  rate: 'float',
  momentum: 'float',
  decay: 'float',
  kept: 'float',
  nesterov: 'int',
} as const;

/** See `momentumStep`; an item is `blockElements` elements. */
export const momentum: Kernel<typeof momentumFields> = kernel('momentum', momentumFields, (f, p, task) => {
  const [rate, share, decay, kept] = [p.rate, p.momentum, p.decay, p.kept].map((v) => f.vector(v.splat()));
  forBlocks(f, p.count, task, (at, store) => {
    const weight = f.vector(p.weight.add(at).vector());
    const gradient = f.vector(p.gradient.add(at).vector().add(weight.mul(decay)));
    const velocity = f.vector(p.velocity.add(at).vector().mul(share).add(gradient));
    const direction = f.vector(velocity);
    f.if(p.nesterov, () => direction.set(gradient.add(velocity.mul(share))));
    store(p.newVelocity, velocity);
    store(p.newWeight, weight.mul(kept).sub(direction.mul(rate)));
  });
});

const adamFields = {
  weight: 'int',
  first: 'int',
  second: 'int',
  gradient: 'int',
  newWeight: 'int',
  newFirst: 'int',
  newSecond: 'int',
  count: 'int',
  rate: 'float',
  share1: 'float',
  share2: 'float',
  rootCorrection: 'float',
  epsilon: 'float',
  decay: 'float',
  kept: 'float',
} as const;

/** See `adamStep`; an item is `blockElements` elements. */
export const adam: Kernel<typeof adamFields> = kernel('adam', adamFields, (f, p, task) => {
  forBlocks(f, p.count, task, (at, store) => {
    const weight = f.vector(p.weight.add(at).vector());
    const gradient = f.vector(p.gradient.add(at).vector().add(weight.mul(p.decay.splat())));
    const [first, second] = [f.vector(p.first.add(at).vector()), f.vector(p.second.add(at).vector())];
    first.set(first.add(gradient.sub(first).mul(p.share1.splat())));
    second.set(second.add(gradient.mul(gradient).sub(second).mul(p.share2.splat())));
    const root = second.sqrt().div(p.rootCorrection.splat()).add(p.epsilon.splat());
    store(p.newFirst, first);
    store(p.newSecond, second);
    store(p.newWeight, weight.mul(p.kept.splat()).sub(first.div(root).mul(p.rate.splat())));
  });
});

const blendFields = { a: 'int', b: 'int', y: 'int', count: 'int', share: 'float', rest: 'float' } as const;

/** y = share a + rest b; an item is `blockElements` elements. */
export const blend: Kernel<typeof blendFields> = kernel('blend', blendFields, (f, p, task) => {
  forBlocks(f, p.count, task, (at, store) => {
    const kept = p.a.add(at).vector().mul(p.share.splat());
    store(p.y, kept.add(p.b.add(at).vector().mul(p.rest.splat())));
  });
});

const squaresFields = { x: 'int', y: 'int', count: 'int' } as const;

/** y[item] = the sum of the squares of `blockElements` numbers. */
export const squares: Kernel<typeof squaresFields> = kernel(
  'squares',
  squaresFields,
  (f, p, { begin, end }) => {
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.mul(blockElements));
      const count = f.int(p.count.sub(first).min(blockElements));
      const at = f.int(p.x.add(first.shl(2)));
      const sums = [0, 1].map(() => f.vector(0));
      f.for(0, count.and(-8), 8, () => {
        sums.forEach((sum, i) => {
          const value = f.vector(at.vector(16 * i));
          sum.set(sum.add(value.mul(value)));
        });
        at.set(at.add(32));
      });
      const total = f.float(sums[0].add(sums[1]).total());
      f.for(0, count.and(7), 1, () => {
        total.set(total.add(at.float().mul(at.float())));
        at.set(at.add(4));
      });
      f.store(p.y.add(item.shl(2)), total);
    });
  },
);
