/** Copies of blocks whose elements lie at regular distances: slices, joins, transposes. */
import { type Kernel, kernel } from './kernel';
import { copyRuns } from './window';

const copyFields = {
  from: 'int',
  to: 'int',
  rows: 'int',
  columns: 'int',
  run: 'int',
  fromOuter: 'int',
  fromRow: 'int',
  fromColumn: 'int',
  fromElement: 'int',
  toOuter: 'int',
  toRow: 'int',
  toColumn: 'int',
  toElement: 'int',
} as const;

/**
 * Copies elements [outer, rows, columns, run] of four bytes each; an item is one row of one outer index. Distances in bytes.
 * Where elements follow each other on both sides, whole runs are copied.
 */
export const copyElements: Kernel<typeof copyFields> = kernel(
  'copyElements',
  copyFields,
  (f, p, { begin, end }) => {
    const whole = f.int(p.fromElement.eq(4).and(p.toElement.eq(4)));
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.rows));
      const row = f.int(item.sub(outer.mul(p.rows)));
      const from = f.int(p.from.add(outer.mul(p.fromOuter)).add(row.mul(p.fromRow)));
      const to = f.int(p.to.add(outer.mul(p.toOuter)).add(row.mul(p.toRow)));
      f.if(
        whole,
        () => f.call(copyRuns, [to, p.toColumn, from, p.fromColumn, p.columns, p.run.shl(2)]),
        () =>
          f.for(0, p.columns, 1, () => {
            const [source, target] = [f.int(from), f.int(to)];
            f.for(0, p.run, 1, () => {
              f.store(target, source.int());
              source.set(source.add(p.fromElement));
              target.set(target.add(p.toElement));
            });
            from.set(from.add(p.fromColumn));
            to.set(to.add(p.toColumn));
          }),
      );
    });
  },
);
