/** One line that says where a run stands: rewritten in place in a terminal, now and then a line elsewhere. */
import type { TimeLeft } from './durations';
import type { RunProgress } from './run-notebook';

/** The part of a stream that a status line needs. */
export interface LineTarget {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/** Shows the latest status. Other lines go through `print`, so that the two don't mix. */
export class StatusLine {
  private shown = '';
  private lastWrite = 0;
  private label = '';

  constructor(
    private readonly target: LineTarget = process.stdout,
    private readonly everySeconds: number = 20,
  ) {}

  /** `key`: what is being done; a change is shown at once. */
  update(text: string, key: string): void {
    const now = Date.now();
    if (this.target.isTTY) {
      // Ten a second are enough for an eye.
      if (now - this.lastWrite < 100 && key === this.label) return;
      const line = cut(text, (this.target.columns ?? 80) - 1);
      if (line !== this.shown) this.target.write(`\r${line}\x1b[K`);
      this.shown = line;
    } else {
      // A log gets a line every so often; what starts is told by `print`.
      if (now - this.lastWrite < this.everySeconds * 1000) return;
      if (this.lastWrite > 0) this.target.write(`${text}\n`);
    }
    this.label = key;
    this.lastWrite = now;
  }

  print(text: string): void {
    this.clear();
    this.target.write(`${text}\n`);
    if (!this.target.isTTY) this.lastWrite = Date.now();
  }

  clear(): void {
    if (this.target.isTTY && this.shown !== '') this.target.write('\r\x1b[K');
    this.shown = '';
  }
}

/**
 * `01-scratchdet  cell 5/14  0:42, about 1:10 left  training 120/400  loss 2.31`: what matters most comes first, since a
 * narrow terminal cuts the end.
 */
export function progressText(run: RunProgress, left: TimeLeft | undefined): string {
  const inCell = left?.of === 'cell' ? ' in this cell' : '';
  const time = left
    ? `${clock(run.seconds)}, about ${clock(left.seconds)} left${inCell}`
    : clock(run.seconds);
  const parts = [run.name, run.cell === 0 ? 'starting' : `cell ${run.cell}/${run.cells}`, time];
  const p = run.progress;
  if (p && !p.done) {
    parts.push(p.total > 0 ? `${p.label} ${p.step}/${p.total}` : p.label);
    parts.push(...Object.entries(p.fields ?? {}).map(([name, value]) => `${name} ${value}`));
  }
  return parts.join('  ');
}

/** `0:42`, `12:05`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number): string => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

function cut(text: string, width: number): string {
  const chars = [...text.replace(/[\r\n]+/g, ' ')];
  return chars.length <= width ? chars.join('') : `${chars.slice(0, Math.max(1, width - 1)).join('')}…`;
}
