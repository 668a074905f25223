/**
 * The innermost loop of every convolution and matrix product: two rows of the result by up to sixteen columns, whose sums stay in
 * registers. V8 moves the loads of a basic block to its start, so more rows or columns would not fit the sixteen registers; a
 * branch after each step of the sum keeps it from moving the loads of several steps together.
 */
import type { FunctionWriter, Routine, Variable } from './assembler';
import { type Int, type Vector } from './values';

/** Columns of a full tile: four vectors. */
export const tileColumns: number = 16;

/** Steps of the sum in a row before the pointers move on. */
const unrolled = 4;

/**
 * The parameters of a tile's routine, in their order: `a0`, `a1` the addresses of the two rows' first factors; `b` the columns'; `c0`, `c1`
 * where the sums go; `count` how many products a sum has, 1 or more; `keep` 1 where they are added to what is there; `tail`
 * how many columns of the last vector exist, 1 to 4; `aStride` and `bStride`, of the tiles across only, the distance in bytes to the next factors.
 */
function writeTile(
  f: FunctionWriter,
  vectors: number,
  across: boolean,
  [a0, a1, b, c0, c1, count, keep, tail, aStride, bStride]: Variable<Int>[],
): void {
  const columns = Array.from({ length: vectors }, (_, j) => j);
  const rows = [c0, c1].map((c) => ({ c, sums: columns.map(() => f.vector()) }));
  f.if(keep, () => {
    for (const { c, sums } of rows) sums.forEach((sum, j) => sum.set(c.vector(16 * j)));
  });
  const row = 16 * vectors;
  const end = f.int(b.add(count.mul(across ? bStride : row)));
  const last = Array.from({ length: unrolled }, (_, step) =>
    across ? end : f.int(end.sub(row * (step + 1))),
  );
  const [left, right] = [f.vector(), f.vector()];
  const factors = columns.map(() => f.vector());
  f.loop((leaveIf) => {
    last.forEach((final, step) => {
      factors.forEach((factor, j) => factor.set(b.vector((across ? 0 : row * step) + 16 * j)));
      left.set(a0.splat(across ? 0 : 4 * step));
      right.set(across ? a1.splat() : a1.splat(4 * step));
      rows.forEach(({ sums }, i) =>
        sums.forEach((sum, j) => sum.set(sum.add((i === 0 ? left : right).mul(factors[j])))),
      );
      if (across) {
        for (const a of [a0, a1]) a.set(a.add(aStride));
        b.set(b.add(bStride));
      }
      leaveIf(b.eq(final));
    });
    if (!across) {
      b.set(b.add(row * unrolled));
      for (const a of [a0, a1]) a.set(a.add(4 * unrolled));
    }
  });
  for (const { c, sums } of rows) {
    sums.slice(0, -1).forEach((sum, j) => f.store(c, sum, 16 * j));
    storePart(f, c, sums[vectors - 1], tail, row - 16);
  }
}

/** Stores the first `count` floats of a vector, 1 to 4. */
export function storePart(f: FunctionWriter, to: Int, value: Vector, count: Int, offset: number = 0): void {
  f.if(
    count.eq(4),
    () => f.store(to, value, offset),
    () => {
      f.store(to, value.lane(0), offset);
      f.if(count.gt(1), () => f.store(to, value.lane(1), offset + 4));
      f.if(count.gt(2), () => f.store(to, value.lane(2), offset + 8));
    },
  );
}

const tile = (vectors: number, across: boolean): Routine => ({
  parameters: across ? 10 : 8,
  write: (f, ...parameters) => writeTile(f, vectors, across, parameters),
});

const widths = [1, 2, 3, 4];
/** Tiles of 1 to 4 vectors. A row's factors lie one behind the other. */
const tiles: readonly Routine[] = widths.map((vectors) => tile(vectors, false));
/** The factors of the two rows lie side by side, those of the next step `stride` further. */
const tilesAcross: readonly Routine[] = widths.map((vectors) => tile(vectors, true));

/** Calls the tile of as many vectors as `columns` (1 or more) take, 4 at most. `strides`: of the tiles across. */
export function callTile(
  f: FunctionWriter,
  columns: Int,
  args: { a0: Int; a1: Int; b: Int; c0: Int; c1: Int; count: Int; keep: Int },
  strides?: { a: Int; b: Int },
): void {
  const { a0, a1, b, c0, c1, count, keep } = args;
  const routines = strides ? tilesAcross : tiles;
  const call = (vectors: number): void => {
    const tail = columns.sub(4 * (vectors - 1)).min(4);
    const rest = strides ? [strides.a, strides.b] : [];
    f.call(routines[vectors - 1], [a0, a1, b, c0, c1, count, keep, tail, ...rest]);
  };
  const choose = (vectors: number): void => {
    if (vectors === 1) return call(1);
    f.if(
      columns.gt(4 * (vectors - 1)),
      () => call(vectors),
      () => choose(vectors - 1),
    );
  };
  choose(4);
}
