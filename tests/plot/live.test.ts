import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DisplayOptions, type MimeBundle, setDisplaySink } from '../../lib/plot/display';
import { formatDuration } from '../../lib/plot/format';
import { lineChart } from '../../lib/plot/line-chart';
import { createLiveChart } from '../../lib/plot/live-chart';
import { createProgress, progressMimeType, type ProgressState } from '../../lib/plot/progress';
import { show } from '../../lib/plot/show';
import { table } from '../../lib/plot/table';

let shown: { bundle: MimeBundle; options: DisplayOptions }[] = [];
let now = 0;
const clock = (): number => now;

beforeEach(() => {
  shown = [];
  now = 5000;
  setDisplaySink({
    display: (bundle, options) => void shown.push({ bundle, options }),
    clear: () => undefined,
  });
});
afterEach(() => setDisplaySink(undefined));

const state = (i: number): ProgressState => shown[i].bundle[progressMimeType] as ProgressState;

describe('createProgress in a notebook', () => {
  it('updates one output, at most every 250 ms', () => {
    const progress = createProgress({ label: 'Training', total: 100, clock });
    for (let step = 1; step <= 100; step++) {
      now += 50;
      progress.update({ step, loss: 1 / step });
    }
    progress.done();
    expect(shown).toHaveLength(1 + 19 + 1); // the first, each fifth after it, the end
    expect(shown[0].options.update).toBe(false);
    expect(new Set(shown.map((one) => one.options.displayId)).size).toBe(1);
    expect(shown.slice(1).every((one) => one.options.update === true)).toBe(true);
  });

  it('tells the time left, following changes of speed', () => {
    const progress = createProgress({ label: 'Training', total: 1000, clock });
    for (let step = 1; step <= 100; step++) {
      now += 250;
      progress.update({ step });
    }
    expect(state(shown.length - 1).secondsLeft).toBeCloseTo(900 * 0.25, 0);
    for (let step = 101; step <= 200; step++) {
      now += 500;
      progress.update({ step });
    }
    expect(state(shown.length - 1).secondsLeft).toBeGreaterThan(800 * 0.5 * 0.95);
    expect(state(shown.length - 1).secondsLeft).toBeLessThanOrEqual(800 * 0.5 * 1.001);
  });

  it('says the same in all its forms', () => {
    const progress = createProgress({ label: 'Training <1>', total: 200, clock });
    now += 1000;
    progress.update({ step: 50, loss: 0.421234, 'images/s': 310 });
    expect(shown[0].bundle['text/plain']).toBe(
      'Training <1>: 50/200 (25%) · loss 0.4212 · images/s 310 · 3.0 s left',
    );
    expect(shown[0].bundle['text/html']).toContain('Training &lt;1&gt;');
    expect(shown[0].bundle['text/html']).toContain('width:25.0%');
    expect(state(0)).toEqual({
      label: 'Training <1>',
      step: 50,
      total: 200,
      secondsLeft: 3,
      done: false,
      fields: { loss: 0.421234, 'images/s': 310 },
    });
  });

  it('ends as one short line and then stays silent', () => {
    const progress = createProgress({ label: 'Training', total: 2, unit: 'epochs', clock });
    progress.update({ step: 1, loss: 3 });
    now += 12_000;
    progress.update({ step: 2, loss: 2 });
    progress.done({ mAP: 0.5 });
    progress.update({ step: 3 });
    progress.done();
    const last = shown[shown.length - 1];
    expect(last.bundle['text/plain']).toBe('✓ Training: 2 epochs in 12 s · mAP 0.5');
    expect(last.bundle['text/html']).not.toContain('height:6px');
    expect(state(shown.length - 1)).toMatchObject({ done: true, secondsLeft: 0, step: 2 });
  });

  it('counts where the end is unknown, and says when it ended early', () => {
    const open = createProgress({ label: 'Reading', clock, unit: 'files' });
    open.update({ step: 7 });
    expect(shown[0].bundle['text/plain']).toBe('Reading: 7 files');
    expect(state(0)).toMatchObject({ total: null, secondsLeft: null });
    const early = createProgress({ label: 'Search', total: 10, clock });
    early.update({ step: 4 });
    early.done();
    expect(shown[shown.length - 1].bundle['text/plain']).toBe('✓ Search: 4 of 10 steps in 0.0 s');
    expect(() => createProgress({ label: 'a', total: 0 })).toThrow(/"a".*0/);
    expect(() => createProgress({ label: 'a', clock }).update({ step: NaN })).toThrow(/"a".*NaN/);
  });
});

describe('createProgress outside a notebook', () => {
  beforeEach(() => setDisplaySink(undefined));

  it('rewrites one line of a terminal, and never more than its width', () => {
    const written: string[] = [];
    const stream = { isTTY: true, columns: 30, write: (text: string) => written.push(text) };
    const progress = createProgress({ label: 'Training a detector', total: 10, clock, stream });
    now += 300;
    progress.update({ step: 1, loss: 1.25, rate: 0.125 });
    now += 100;
    progress.update({ step: 2, loss: 1 });
    progress.done();
    expect(written).toHaveLength(2);
    expect(written[0]).toBe('\rTraining a detector: 1/10 (10\x1b[K');
    expect(written[1].endsWith('\x1b[K\n')).toBe(true);
  });

  it('writes a line each 10 seconds into a log', () => {
    const written: string[] = [];
    const progress = createProgress({
      label: 'Training',
      total: 100,
      clock,
      stream: { write: (t) => written.push(t) },
    });
    for (let step = 1; step <= 25; step++) {
      now += 1000;
      progress.update({ step });
    }
    progress.done();
    expect(written).toEqual([
      'Training: 10/100 (10%) · 1 min 30 s left\n',
      'Training: 20/100 (20%) · 1 min 20 s left\n',
      '✓ Training: 25 of 100 steps in 25 s\n',
    ]);
  });
});

describe('createLiveChart', () => {
  it('updates at most each second, without pictures, and ends with one', async () => {
    const chart = createLiveChart({
      title: 'Loss',
      series: ['BN', 'no BN'],
      x: 'Step',
      y: 'Loss (nats)',
      clock,
    });
    for (let step = 0; step < 2000; step++) {
      now += 10;
      chart.push(step, { 'no BN': Math.cos(step / 100) });
    }
    expect(shown).toHaveLength(20);
    expect(Object.keys(shown[19].bundle)).toEqual(['application/vnd.vegalite.v5+json', 'text/plain']);
    expect(JSON.stringify(shown[19].bundle).length).toBeLessThan(9000);
    await chart.done();
    const spec = chart.spec();
    expect(shown[20].options).toMatchObject({ displayId: shown[0].options.displayId, update: true });
    expect(shown[20].bundle['image/png']).toMatch(/^iVBOR/);
    expect(shown[20].bundle['text/plain']).toBe(spec.description);
    // A series that starts late keeps the colour of its place.
    expect(JSON.stringify(spec)).toContain('"range":["#d55e00"]');
  });

  it('marks a run that diverges while it is drawn', () => {
    const chart = createLiveChart({ series: ['a'], x: 'Step', y: 'Loss', clock });
    chart.push(0, { a: 1 });
    chart.push(1, { a: 2 });
    chart.push(2, { a: NaN });
    expect(chart.spec().description).toContain('diverged at 2');
  });

  it('names a series it does not know', () => {
    const chart = createLiveChart({ series: ['a'], x: 'Step', y: 'Loss', clock });
    expect(() => chart.push(0, { b: 1 })).toThrow(/"b".*made with a/);
    expect(() => chart.spec()).toThrow(/no values/);
    expect(() => createLiveChart({ series: [], x: 'Step', y: 'Loss' })).toThrow(/at least one/);
  });
});

describe('show', () => {
  const chart = lineChart([{ name: 'a', y: [1, 2] }], { title: 'T', x: 'Step', y: 'Loss' });

  it('shows a chart as one bundle: interactive, picture, text', async () => {
    await show(chart);
    expect(shown).toHaveLength(1);
    expect(Object.keys(shown[0].bundle)).toEqual([
      'application/vnd.vegalite.v5+json',
      'image/png',
      'text/plain',
    ]);
    expect(shown[0].bundle['text/plain']).toBe('T. Line chart of Loss against Step. a: 1 to 2.');
    expect(shown[0].options.metadata).toEqual({ 'image/png': { width: 600, height: 320 } });
  });

  it('gives SVG for print, passes options on, and shows what shows itself', async () => {
    await show(chart, { still: 'svg', displayId: 'x', update: true });
    expect(Object.keys(shown[0].bundle)[1]).toBe('image/svg+xml');
    expect(shown[0].options).toMatchObject({ displayId: 'x', update: true });
    await show(table([{ a: 1 }]));
    expect(shown[1].bundle['text/plain']).toBe('a\n─\n1');
  });

  it('prints the text where there is no notebook', async () => {
    setDisplaySink(undefined);
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    await show(chart);
    expect(log.mock.calls).toEqual([['T. Line chart of Loss against Step. a: 1 to 2.']]);
    log.mockRestore();
  });

  it('says what it can show', async () => {
    await expect(show(Promise.resolve(chart) as never)).rejects.toThrow(/an object.*await missing/);
    await expect(show([1] as never)).rejects.toThrow(/an array/);
  });
});

it('writes durations as people read them', () => {
  expect([0.42, 9.99, 59.6, 200, 3599.9, 3900, NaN, -1].map(formatDuration)).toEqual([
    '0.4 s',
    '10 s',
    '1 min 00 s',
    '3 min 20 s',
    '1 h 00 min',
    '1 h 05 min',
    'unknown',
    'unknown',
  ]);
});
