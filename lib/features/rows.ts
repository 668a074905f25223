/** The checks that everything on rows of features begins with. */

/** Vectors of one length, one after another: `[N, D]` row by row. */
export type FeatureRows = Float32Array | Float64Array;

/** @throws RangeError unless there are `count` rows of `dimensions` finite numbers. */
export function checkRows(where: string, rows: FeatureRows, count: number, dimensions: number): void {
  if (!(Number.isInteger(dimensions) && dimensions > 0)) {
    throw new RangeError(`${where}: dimensions is ${dimensions}; it must be a whole number above 0`);
  }
  if (rows.length !== count * dimensions) {
    throw new RangeError(
      `${where}: ${rows.length} values are not ${count} rows of ${dimensions}; wanted ${count * dimensions}`,
    );
  }
  const wrong = rows.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw new RangeError(
      `${where}: row ${Math.floor(wrong / dimensions)} has ${rows[wrong]} at place ${wrong % dimensions}; features must be ` +
        'finite. Did the network diverge?',
    );
  }
}
