/** Measuring and its table, for every benchmark. */
import { performance } from 'node:perf_hooks';
import { table } from '../plot/table';

/** What was measured of one part. */
export interface Measurement {
  part: string;
  size: string;
  /** Milliseconds of each round. */
  rounds: number[];
  /** Images of one round, where that is meaningful. */
  images?: number;
}

/** Times `work` after one warm-up run. */
export async function time(rounds: number, work: () => unknown): Promise<number[]> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return times;
}

/** Prints the least and the median of each part's rounds. */
export function printMeasurements(measured: readonly Measurement[]): void {
  const rows = measured.map(({ part, size, rounds, images }) => {
    const sorted = [...rounds].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    return {
      part,
      size,
      'least (ms)': sorted[0].toFixed(1),
      'median (ms)': median.toFixed(1),
      ...(images ? { 'images/s': Math.round((1000 * images) / median) } : {}),
    };
  });
  console.log(table(rows).text());
}
