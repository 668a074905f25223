/** Convolutions, their gradients and matrix products as sums of products of two matrices, one packed for the innermost loop. */
import { type Kernel, kernel } from './kernel';
import { callTile, tileColumns } from './tile';
import type { Int } from './values';
import { copyRuns, gather, windowFields } from './window';

const panelBytes = 4 * tileColumns;

/** Bytes of a row of the panel that starts at a column: of whole vectors, and of the last panel only as many as are needed. */
const panelRow = (columns: Int, from: Int): Int => columns.sub(from).min(tileColumns).add(3).and(-4).shl(2);

const packPanelsFields = {
  from: 'int',
  to: 'int',
  rows: 'int',
  columns: 'int',
  inner: 'int',
  rowStride: 'int',
  columnStride: 'int',
  tapsX: 'int',
  tapStrideY: 'int',
  tapStrideX: 'int',
} as const;

/**
 * Packs a matrix of `rows` by `columns` into panels of sixteen columns (items), each a matrix of its own; the last is narrower, padded with
 * zeros to whole vectors. Row r lies at `from` + (r / inner) of a list of taps + (r % inner) * rowStride; the taps are those of a
 * window, tapsX in a row, tapStrideY and tapStrideX bytes apart. All strides are bytes.
 */
export const packPanels: Kernel<typeof packPanelsFields> = kernel(
  'packPanels',
  packPanelsFields,
  (f, p, { begin, end }) => {
    f.for(begin, end, 1, (panel) => {
      const first = f.int(panel.mul(tileColumns));
      const columns = f.int(p.columns.sub(first).min(tileColumns));
      const width = f.int(panelRow(p.columns, first));
      const to = f.int(p.to.add(panel.mul(p.rows).mul(panelBytes)));
      f.for(0, p.rows.div(p.inner), 1, (tap) => {
        const from = f.int(
          p.from
            .add(tap.div(p.tapsX).mul(p.tapStrideY))
            .add(tap.mod(p.tapsX).mul(p.tapStrideX))
            .add(first.mul(p.columnStride)),
        );
        f.if(
          p.columnStride.eq(4),
          () => {
            f.if(columns.and(3), () => f.clear(to, p.inner.mul(width)));
            f.call(copyRuns, [to, width, from, p.rowStride, p.inner, columns.shl(2)]);
            to.set(to.add(p.inner.mul(width)));
          },
          () => {
            f.for(0, p.inner, 1, () => {
              const at = f.int(from);
              f.for(0, columns, 1, (column) => {
                f.store(to.add(column.shl(2)), at.float());
                at.set(at.add(p.columnStride));
              });
              f.for(columns, width.div(4), 1, (column) => f.store(to.add(column.shl(2)), at.sub(at)));
              to.set(to.add(width));
              from.set(from.add(p.rowStride));
            });
          },
        );
      });
    });
  },
);

/** Rows of the result that are computed from one gathered piece. */
export const blockRows: number = 64;

/** The longest sum of products that is computed in one go: a panel's factors then stay in the processor's nearest cache. */
export const blockDepth: number = 320;

const convolveFields = {
  panels: 'int',
  y: 'int',
  windows: 'int',
  depth: 'int',
  pieceDepth: 'int',
  columns: 'int',
  groups: 'int',
  groupPanels: 'int',
  direct: 'int',
  imageStride: 'int',
  rowStride: 'int',
  pixelStride: 'int',
  rows: 'int',
} as const;

/**
 * The value of a convolution: y[window] = the windows' pixels times `panels`, a matrix packed by packPanels. An item is `blockRows` windows by
 * `groupPanels` panels; those of the same windows follow each other. `direct` 1: a window is one pixel inside the image, so that
 * nothing has to be gathered. The result for window (image, p, q) lies at `y` + image imageStride + p rowStride + q pixelStride (bytes).
 */
export const convolve: Kernel<typeof windowFields & typeof convolveFields> = kernel(
  'convolve',
  { ...windowFields, ...convolveFields },
  (f, p, { begin, end, scratch, block }) => {
    const addresses = scratch; // of each row: its factors and its results
    const gathered = f.int(scratch.add(8 * blockRows));
    const pixel = f.int(p.inChannels.shl(2));
    f.for(begin, end, 1, (item) => {
      const group = f.int(item.mod(p.groups));
      const from = f.int(item.div(p.groups).mul(p.rows));
      const rows = f.int(p.windows.sub(from).min(p.rows));
      const firstColumn = f.int(group.mul(p.groupPanels).mul(tileColumns));
      const lastColumn = f.int(firstColumn.add(p.groupPanels.mul(tileColumns)).min(p.columns));
      const line = f.int(from.div(p.outWidth));
      const q = f.int(from.sub(line.mul(p.outWidth)));
      const image = f.int(line.div(p.outHeight));
      const row = f.int(line.sub(image.mul(p.outHeight)));
      f.for(0, rows, 1, (r) => {
        const entry = f.int(addresses.add(r.shl(3)));
        const y = p.y.add(image.mul(p.imageStride)).add(row.mul(p.rowStride)).add(q.mul(p.pixelStride));
        f.store(entry, y, 4);
        f.if(
          p.direct,
          () => {
            const at = image.mul(p.inHeight).add(row.mul(p.strideY)).mul(p.inWidth).add(q.mul(p.strideX));
            f.store(entry, p.x.add(at.mul(pixel)));
          },
          () => f.store(entry, gathered.add(r.mul(p.pieceDepth).shl(2))),
        );
        q.set(q.add(1));
        f.if(q.eq(p.outWidth), () => {
          q.set(0);
          row.set(row.add(1));
          f.if(row.eq(p.outHeight), () => {
            row.set(0);
            image.set(image.add(1));
          });
        });
      });
      f.for(0, p.depth, p.pieceDepth, (k) => {
        const count = f.int(p.depth.sub(k).min(p.pieceDepth));
        f.if(p.direct.eq(0), () =>
          f.call(gather, [block, gathered, p.pieceDepth.shl(2), from, from.add(rows), k, k.add(count)]),
        );
        const offset = f.int(p.direct.choose(k.shl(2), 0));
        f.for(firstColumn, lastColumn, tileColumns, (column) => {
          const columns = f.int(lastColumn.sub(column).min(tileColumns));
          const b = f.int(p.panels.add(column.mul(p.depth).shl(2)).add(k.mul(panelRow(p.columns, column))));
          f.for(0, rows, 2, (r) => {
            const [one, other] = [f.int(addresses.add(r.shl(3))), f.int(0)];
            // without a second row the first is computed twice
            other.set(r.add(1).lt(rows).choose(one.add(8), one));
            const to = column.shl(2);
            callTile(f, columns, {
              a0: one.int().add(offset),
              a1: other.int().add(offset),
              b,
              c0: one.int(4).add(to),
              c1: other.int(4).add(to),
              count,
              keep: k.gt(0),
            });
          });
        });
      });
    });
  },
);

/** Rows of the filter's gradient (columns of the gathered matrix) of an item, at most; and windows gathered at a time. */
export const stripColumns: number = 32;
export const stripWindows: number = 128;

const packPiecesFields = {
  from: 'int',
  to: 'int',
  rows: 'int',
  columns: 'int',
} as const;

/**
 * Packs the rows of a matrix for filterGradient: pieces (items) of `stripWindows` rows, each as panels of sixteen columns, the last
 * narrower and padded with zeros to whole vectors.
 */
export const packPieces: Kernel<typeof packPiecesFields> = kernel(
  'packPieces',
  packPiecesFields,
  (f, p, { begin, end }) => {
    f.for(begin, end, 1, (piece) => {
      const first = f.int(piece.mul(stripWindows));
      const rows = f.int(p.rows.sub(first).min(stripWindows));
      const to = f.int(p.to.add(first.mul(p.columns.add(3).and(-4)).shl(2)));
      f.for(0, p.columns, tileColumns, (column) => {
        const columns = f.int(p.columns.sub(column).min(tileColumns));
        const width = f.int(panelRow(p.columns, column));
        const from = p.from.add(first.mul(p.columns).add(column).shl(2));
        f.if(columns.and(3), () => f.clear(to, rows.mul(width)));
        f.call(copyRuns, [to, width, from, p.columns.shl(2), rows, columns.shl(2)]);
        to.set(to.add(rows.mul(width)));
      });
    });
  },
);

const filterGradientFields = {
  dy: 'int',
  dw: 'int',
  windows: 'int',
  depth: 'int',
  columns: 'int',
  packed: 'int',
  groups: 'int',
  groupPanels: 'int',
  strip: 'int',
  direct: 'int',
} as const;

/**
 * The gradient of a convolution's filter: dw = the windows' pixels, transposed, times dy; `packed` 1: dy is packed by packPieces.
 * An item is a strip of `strip` rows of dw by `groupPanels` panels of its columns. `direct` 1: a window is one pixel, and they
 * follow one another.
 */
export const filterGradient: Kernel<typeof windowFields & typeof filterGradientFields> = kernel(
  'filterGradient',
  { ...windowFields, ...filterGradientFields },
  (f, p, { begin, end, scratch, block }) => {
    const gathered = f.int(scratch.add(panelBytes)); // what lies before takes the results that are in excess
    const row = f.int(p.columns.shl(2));
    const paddedColumns = f.int(p.columns.add(3).and(-4));
    f.for(begin, end, 1, (item) => {
      const first = f.int(item.div(p.groups).mul(p.strip));
      const rows = f.int(p.depth.sub(first).min(p.strip));
      const firstColumn = f.int(item.mod(p.groups).mul(p.groupPanels).mul(tileColumns));
      const lastColumn = f.int(firstColumn.add(p.groupPanels.mul(tileColumns)).min(p.columns));
      f.for(0, p.windows, stripWindows, (window) => {
        const count = f.int(p.windows.sub(window).min(stripWindows));
        const [a, aStride] = [f.int(gathered), f.int(4 * stripColumns)];
        f.if(
          p.direct,
          () => {
            aStride.set(p.inChannels.shl(2));
            a.set(p.x.add(window.mul(aStride)).add(first.shl(2)));
          },
          () => f.call(gather, [block, a, aStride, window, window.add(count), first, first.add(rows)]),
        );
        f.for(firstColumn, lastColumn, tileColumns, (column) => {
          const columns = f.int(p.columns.sub(column).min(tileColumns));
          const b = f.int(
            p.packed.choose(
              p.dy.add(window.mul(paddedColumns).add(column.mul(count)).shl(2)),
              p.dy.add(window.mul(row)).add(column.shl(2)),
            ),
          );
          const bStride = f.int(p.packed.choose(panelRow(p.columns, column), row));
          f.for(0, rows, 2, (r) => {
            const a0 = f.int(a.add(r.shl(2)));
            const c0 = f.int(p.dw.add(first.add(r).mul(row)).add(column.shl(2)));
            const second = f.int(r.add(1).lt(rows));
            callTile(
              f,
              columns,
              {
                a0,
                a1: second.choose(a0.add(4), a0),
                b,
                c0,
                c1: second.choose(c0.add(row), scratch),
                count,
                keep: window.gt(0),
              },
              { a: aStride, b: bStride },
            );
          });
        });
      });
    });
  },
);
