/** How long each notebook's cells took the last time, so that the next run can say how long is left. */
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';

/** An estimate, and whether it is of the whole notebook or of the running cell alone. */
export interface TimeLeft {
  seconds: number;
  of: 'notebook' | 'cell';
}

type Table = Record<string, { seconds: number; cells: number[] }>;

/** The last durations, kept in the user's cache; a cache that can't be used only costs the estimate. */
export class Durations {
  private constructor(
    private readonly file: string | undefined,
    private readonly table: Table,
  ) {}

  static load(): Durations {
    let file: string | undefined;
    try {
      file = path.join(
        cacheDirectory(() => {}),
        'durations.json',
      );
      const table = JSON.parse(fs.readFileSync(file, 'utf8')) as Table;
      return new Durations(file, typeof table === 'object' && table !== null ? table : {});
    } catch {
      return new Durations(file, {});
    }
  }

  /** Seconds that the whole notebook took, or `undefined`. */
  total(key: string): number | undefined {
    return this.table[key]?.seconds;
  }

  /**
   * What is left, by what cells took before and by what the running one says of itself (`own`); `undefined` where neither
   * tells. `cell` counts from 1; 0 while the kernel starts.
   */
  left(key: string, cell: number, cellSeconds: number, own?: number): TimeLeft | undefined {
    const known = this.table[key]?.cells;
    if (!known) return own === undefined ? undefined : { seconds: own, of: 'cell' };
    let seconds = own ?? Math.max(0, (known[cell - 1] ?? 0) - cellSeconds);
    for (let i = Math.max(0, cell); i < known.length; i++) seconds += known[i]!;
    return { seconds, of: 'notebook' };
  }

  save(key: string, seconds: number, cells: readonly number[]): void {
    if (this.file === undefined) return;
    this.table[key] = { seconds: round(seconds), cells: cells.map(round) };
    try {
      const partial = `${this.file}.${process.pid}.tmp`;
      fs.writeFileSync(partial, JSON.stringify(this.table));
      fs.renameSync(partial, this.file);
    } catch {
      // Only an estimate is lost.
    }
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
