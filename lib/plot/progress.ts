/** Live progress: one output that updates in place in a notebook, one line in a terminal. */
import { formatNumber } from './chart-spec';
import { chartColors } from './colors';
import { display, displaySink } from './display';
import { escapeHtml, formatDuration } from './format';

/** Named values beside the bar, such as `{ loss: 0.42, 'images/s': 310 }`. */
export type ProgressFields = Readonly<Record<string, number | string>>;

/** What the runner and other programs read: the MIME type is {@link progressMimeType}. */
export interface ProgressState {
  label: string;
  step: number;
  /** `null` where the end is not known. */
  total: number | null;
  secondsLeft: number | null;
  done: boolean;
  fields: ProgressFields;
}

/** MIME type of {@link ProgressState} in a progress output. */
export const progressMimeType: string = 'application/vnd.detlab.progress+json';

/** Where a terminal's progress goes: the part of `process.stdout` that is used. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Options of {@link createProgress}. */
export interface ProgressOptions {
  /** What is going on: "Training with batch norm". */
  label: string;
  /** Steps until the end; left out, there is a count but no bar and no time left. */
  total?: number;
  /** What is counted ("steps" unless told). */
  unit?: string;
  /** Least time between two updates in milliseconds (250 unless told). */
  interval?: number;
  /** Milliseconds, from any origin (`performance.now` unless told). */
  clock?: () => number;
  /** Where progress goes outside a notebook (standard output unless told). */
  stream?: ProgressStream;
}

/** A progress display. */
export interface Progress {
  /** Says how far it is. Cheap to call at each step: most calls show nothing. */
  update(state: { step: number } & ProgressFields): void;
  /** Ends it: the bar becomes one short line. Later calls do nothing. */
  done(fields?: ProgressFields): void;
}

let count = 0;
/** Lines in a log that is not a terminal are this many milliseconds apart. */
const logInterval = 10_000;
/** The estimate of the time left follows changes of speed within about this many milliseconds. */
const memory = 10_000;

/**
 * Starts a progress display. In a notebook it is one output that updates in place; in a terminal one line, rewritten; in a
 * log a line every 10 seconds. It sets no timer and holds nothing: a loop that stops leaves the last state.
 */
export function createProgress(options: ProgressOptions): Progress {
  const { label, unit = 'steps', interval = 250 } = options;
  const total = options.total ?? null;
  if (total !== null && !(total > 0 && Number.isFinite(total))) {
    throw new RangeError(`progress "${label}": total is a positive number of ${unit}, got ${total}`);
  }
  const clock = options.clock ?? ((): number => performance.now());
  const stream = options.stream ?? process.stdout;
  const displayId = `detlab-progress-${++count}`;
  const start = clock();
  const speed = createSpeed(start);
  let shownAt = -Infinity;
  let shownOnce = false;
  let ended = false;
  let last: { step: number; fields: ProgressFields } | undefined;

  const show = (last: { step: number; fields: ProgressFields }, done: boolean, now: number): void => {
    const left = done ? 0 : total === null ? null : speed.timeFor(total - last.step);
    const secondsLeft = left === null ? null : Math.round(left / 100) / 10;
    const state: ProgressState = { label, step: last.step, total, secondsLeft, done, fields: last.fields };
    const line = toLine(state, unit, (now - start) / 1000);
    if (displaySink()) {
      const bundle = { [progressMimeType]: state, 'text/html': toHtml(state, line), 'text/plain': line.all };
      display(bundle, { displayId, update: shownOnce });
    } else if (stream.isTTY) {
      stream.write(
        `\r${line.all.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}\x1b[K${done ? '\n' : ''}`,
      );
    } else stream.write(`${line.all}\n`);
    shownOnce = true;
    shownAt = now;
  };

  return {
    update({ step, ...fields }) {
      if (ended) return;
      if (!Number.isFinite(step)) throw new RangeError(`progress "${label}": step is a number, got ${step}`);
      const now = clock();
      speed.see(step, now);
      last = { step, fields };
      const least = displaySink() || stream.isTTY ? interval : logInterval;
      // A log's first line comes after 10 seconds: short work need not announce itself.
      if (now - (shownOnce || least === interval ? shownAt : start) >= least) show(last, false, now);
    },
    done(fields) {
      if (ended) return;
      ended = true;
      // Work that found nothing to do (everything in the cache, say) leaves no trace.
      if (last) show({ step: last.step, fields: fields ?? last.fields }, true, clock());
    },
  };
}

/** Time per step as an exponential average over time, so that uneven steps do not make the estimate jump. */
function createSpeed(start: number): {
  see(step: number, now: number): void;
  timeFor(steps: number): number | null;
} {
  let lastStep = 0;
  let lastTime = start;
  let time = 0;
  let steps = 0;
  return {
    see(step, now) {
      const elapsed = now - lastTime;
      if (step <= lastStep || elapsed <= 0) return;
      const keep = Math.exp(-elapsed / memory);
      time = time * keep + elapsed;
      steps = steps * keep + (step - lastStep);
      [lastStep, lastTime] = [step, now];
    },
    timeFor: (more) => (steps > 0 ? Math.max(0, more) * (time / steps) : null),
  };
}

interface Line {
  title: string;
  count: string;
  details: string;
  all: string;
}

function toLine(state: ProgressState, unit: string, elapsed: number): Line {
  const { step, total, fields, done, secondsLeft } = state;
  const values = Object.entries(fields).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? formatNumber(value) : value}`,
  );
  const title = done ? `✓ ${state.label}` : state.label;
  if (done) {
    const early = total !== null && step < total ? ` of ${total}` : '';
    const took = `${step}${early} ${unit} in ${formatDuration(elapsed)}`;
    const details = values.join(' · ');
    return { title, count: took, details, all: [`${title}: ${took}`, ...values].join(' · ') };
  }
  const percent = total === null ? '' : ` (${Math.floor((100 * Math.min(step, total)) / total)}%)`;
  const steps = total === null ? `${step} ${unit}` : `${step}/${total}${percent}`;
  const left = secondsLeft === null ? [] : [`${formatDuration(secondsLeft)} left`];
  const details = [...values, ...left].join(' · ');
  return { title, count: steps, details, all: [`${title}: ${steps}`, ...values, ...left].join(' · ') };
}

function toHtml(state: ProgressState, line: Line): string {
  const soft = 'opacity:0.75';
  const font = 'font-size:13px;line-height:1.5;font-variant-numeric:tabular-nums;max-width:600px';
  const details = line.details ? ` <span style="${soft}">· ${escapeHtml(line.details)}</span>` : '';
  const text = `<strong>${escapeHtml(line.title)}</strong> ${escapeHtml(line.count)}${details}`;
  if (state.done) return `<div style="${font}">${text}</div>`;
  const share = state.total === null ? 0 : Math.min(100, Math.max(0, (100 * state.step) / state.total));
  // The track is a transparent grey: it is seen on light and on dark pages.
  const bar =
    state.total === null
      ? ''
      : '<div style="height:6px;margin-top:4px;border-radius:3px;background:rgba(128,128,128,0.25)">' +
        `<div style="height:6px;border-radius:3px;width:${share.toFixed(1)}%;background:${chartColors[0]}"></div></div>`;
  return `<div style="${font}">${text}${bar}</div>`;
}
