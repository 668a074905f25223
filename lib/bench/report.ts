/** What the benchmark says: one table of medians, spreads and ratios, how the cost grows, and JSON. */
import os from 'node:os';
import { table, type TableCell } from '../plot/table';
import type { Comparison, Contestant } from './measure';
import { cocoRivalName } from './rivals';
import { median, ratioSpread, type Spread, spread } from './statistics';
import { caseSize, rivalNames, type StepCase } from './steps';

/** Whom the others are compared with. */
const baselines = [rivalNames.plain, rivalNames.tensorflow, rivalNames.torch, cocoRivalName] as const;

/** One contestant's line, as numbers. */
export interface ReportRow {
  readonly part: string;
  readonly size: string;
  readonly name: string;
  readonly missing?: string;
  /** Milliseconds. */
  readonly time?: Spread;
  readonly imagesPerSecond?: number;
  /** Its time by that of each baseline, round by round; not by itself. */
  readonly ratios: Readonly<Record<string, Spread>>;
  readonly memory?: Contestant['memory'];
  readonly values?: readonly number[];
}

/** A line for every contestant. */
export function reportRows(comparisons: readonly Comparison[]): ReportRow[] {
  return comparisons.flatMap(({ part, size, images, contestants }) =>
    contestants.map((contestant): ReportRow => {
      const { name, rounds, missing, memory, values } = contestant;
      if (missing !== undefined || rounds.length === 0) return { part, size, name, missing, ratios: {} };
      const ratios: Record<string, Spread> = {};
      for (const baseline of baselines) {
        const other = contestants.find((one) => one.name === baseline);
        if (other && other !== contestant && other.rounds.length === rounds.length)
          ratios[baseline] = ratioSpread(rounds, other.rounds);
      }
      const measured = spread(rounds);
      const imagesPerSecond = images === undefined ? undefined : (1000 * images) / measured.median;
      return { part, size, name, time: measured, imagesPerSecond, ratios, memory, values };
    }),
  );
}

/** The table, and below it why something is missing. */
export function reportText(rows: readonly ReportRow[]): string {
  const first = (row: ReportRow, i: number): boolean =>
    i === 0 || rows[i - 1].part !== row.part || rows[i - 1].size !== row.size;
  const shown = rows.map((row, i): Record<string, TableCell> => {
    const { time, ratios, memory, values } = row;
    return {
      part: first(row, i) ? row.part : '',
      case: first(row, i) ? row.size : '',
      by: row.name,
      ms: time ? digits(time.median) : '-',
      'least-most': time ? `${digits(time.min)}-${digits(time.max)}` : '',
      'images/s': row.imagesPerSecond === undefined ? '' : digits(row.imagesPerSecond),
      ...Object.fromEntries(baselines.map((name) => [`of ${name}`, ratioText(ratios[name])])),
      'peak MB': memory ? String(Math.round(memory.peak / 1e6)) : '',
      'first value': values ? values[0].toPrecision(6) : '',
    };
  });
  const left = ['part', 'case', 'by'];
  const keys = Object.keys(shown[0] ?? {});
  const columns = keys.filter((key) => shown.some((row) => row[key] !== ''));
  const align = Object.fromEntries(
    columns.map((key) => [key, left.includes(key) ? 'left' : 'right'] as const),
  );
  const missing = new Set(rows.flatMap(({ name, missing: why }) => (why ? [`${name}: ${why}`] : [])));
  return [table(shown, { columns, align }).text(), ...missing].join('\n');
}

function ratioText(ratio: Spread | undefined): string {
  if (!ratio) return '';
  return `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`;
}

/** Three digits, and whole numbers above. */
function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** How the cost grows from one case to another that differs in one thing. */
export interface Growth {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  /** Times as long, by contestant. */
  readonly times: Readonly<Record<string, number>>;
}

/** Every pair of cases of one network that differ in batch, size or depth alone, neighbours only. */
export function growth(cases: readonly (readonly [StepCase, Comparison])[]): Growth[] {
  const grown: Growth[] = [];
  for (const what of ['batch', 'size', 'depth'] as const) {
    for (const [small, before] of cases) {
      const larger = cases.filter(
        ([one]) =>
          one[what] > small[what] &&
          (['net', 'work', 'batch', 'size', 'depth'] as const).every(
            (key) => key === what || one[key] === small[key],
          ),
      );
      const next = larger.sort(([a], [b]) => a[what] - b[what])[0];
      if (!next) continue;
      const times: Record<string, number> = {};
      for (const { name, rounds } of before.contestants) {
        const after = next[1].contestants.find((one) => one.name === name);
        if (rounds.length > 0 && after && after.rounds.length > 0)
          times[name] = median(after.rounds) / median(rounds);
      }
      grown.push({ what, from: caseSize(small), to: caseSize(next[0]), times });
    }
  }
  return grown;
}

/** The growth as a table. */
export function growthText(grown: readonly Growth[]): string {
  const rows = grown.map(({ what, from, to, times }) => ({
    grows: what,
    from,
    to,
    ...Object.fromEntries(Object.entries(times).map(([name, value]) => [name, `x ${value.toFixed(2)}`])),
  }));
  return table(rows, { caption: 'How the cost grows' }).text();
}

/** What the numbers were measured on. */
export function machine(): Record<string, string | number> {
  const [cpu] = os.cpus();
  return {
    processor: cpu?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGB: Number((os.totalmem() / 1e9).toFixed(1)),
    system: `${os.type()} ${os.arch()}`,
    node: process.version,
  };
}
