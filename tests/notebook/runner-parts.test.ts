import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { notebookEnvironment } from '../../lib/notebook/environment';
import { newNotebook, type Output } from '../../lib/notebook/nbformat';
import { OutputCollector } from '../../lib/notebook/outputs';
import { checkedOption, parseArguments, wholeNumber } from '../../lib/notebook/runner/arguments';
import { Durations } from '../../lib/notebook/runner/durations';
import { describeWriteError } from '../../lib/notebook/runner/out-folder';
import type { RunProgress } from '../../lib/notebook/runner/run-notebook';
import { forSaving } from '../../lib/notebook/runner/saving';
import { selectNotebooks, UsageError } from '../../lib/notebook/runner/select';
import { shortPath } from '../../lib/notebook/runner/short-path';
import { clock, progressText, StatusLine } from '../../lib/notebook/runner/status-line';
import { projectRoot, temporaryFolder } from './helpers';

describe('names of notebooks', () => {
  const folder = temporaryFolder();
  for (const name of ['00-tour', '01-scratchdet', '02-efficientdet', '10-more']) {
    fs.writeFileSync(path.join(folder, `${name}.ipynb`), '{}');
  }
  fs.writeFileSync(path.join(folder, 'notes.txt'), '');
  const select = (...words: string[]): string[] =>
    selectNotebooks(words, folder).map((file) => path.basename(file, '.ipynb'));

  test('match by number, start, part and path; none means all', () => {
    expect(select()).toEqual(['00-tour', '01-scratchdet', '02-efficientdet', '10-more']);
    expect(select('1')).toEqual(['01-scratchdet']);
    expect(select('02', '01')).toEqual(['02-efficientdet', '01-scratchdet']);
    expect(select('scratch', '01-scratchdet.ipynb')).toEqual(['01-scratchdet']);
    expect(select('det')).toEqual(['01-scratchdet', '02-efficientdet']);
    expect(select(path.join(folder, '10-more.ipynb'))).toEqual(['10-more']);
  });

  test('that fit none are refused with the nearest', () => {
    expect(() => select('scratchdte')).toThrow(
      "There is no notebook 'scratchdte'. Did you mean '01-scratchdet'?",
    );
    expect(() => select('7')).toThrow("There is no notebook '7'. There are: 00-tour, ");
    expect(() => select('gone/x.ipynb')).toThrow('There is no file ');
    expect(() => selectNotebooks([], temporaryFolder())).toThrow('There are no notebooks in');
  });
});

test('arguments are sorted into options and names', () => {
  const specs = { out: { value: 'DIR' }, help: 'flag' } as const;
  const { flags, values, names } = parseArguments(['01', '--out', 'x', '-h', '02', '--out=y z'], specs);
  expect([[...flags], [...values], names]).toEqual([['help'], [['out', 'y z']], ['01', '02']]);
  expect(() => parseArguments(['--out', '--help'], specs)).toThrow('--out needs a value: --out DIR');
  expect(() => parseArguments(['--help=yes'], specs)).toThrow('--help takes no value.');
  expect(() => parseArguments(['-out', 'x'], specs)).toThrow(
    "There is no option '-out'. Did you mean '--out'?",
  );
  expect(() => parseArguments(['--toString'], specs)).toThrow("There is no option '--toString'.");
});

test('numbers among the options are whole, and mistakes in them the user’s', () => {
  const { values } = parseArguments(['--jobs', '12', '--seeds=2.5', '--steps', 'all', '--size', '0'], {
    jobs: { value: '2' },
    seeds: { value: '3' },
    steps: { value: '9' },
    size: { value: '9' },
  });
  expect([wholeNumber(values, 'jobs'), wholeNumber(values, 'rounds')]).toEqual([12, undefined]);
  for (const [name, text] of [...values].slice(1)) {
    expect(() => wholeNumber(values, name)).toThrow(UsageError);
    expect(() => wholeNumber(values, name)).toThrow(`--${name} is a whole number from 1, got ${text}`);
  }
  expect(checkedOption(() => 3)).toBe(3);
  const wrong = (): never =>
    checkedOption(() => {
      throw new RangeError('--backend: there is none');
    });
  expect(wrong).toThrow(UsageError);
  expect(wrong).toThrow('--backend: there is none');
});

test('a path is short where the file lies below the current folder', () => {
  expect(shortPath(path.resolve('out', 'index.html'))).toBe(path.join('out', 'index.html'));
  expect(shortPath(path.resolve('.'))).toBe('.');
  const above = path.resolve('..', 'x');
  expect(shortPath(above)).toBe(above);
});

test('the environment of a notebook is checked', () => {
  const folder = temporaryFolder();
  expect(notebookEnvironment({})).toEqual({ profile: 'default', headless: false });
  expect(notebookEnvironment({ DETLAB_PROFILE: 'Quick', DETLAB_HEADLESS: '1', DETLAB_DATA: folder })).toEqual(
    {
      profile: 'quick',
      headless: true,
      data: folder,
    },
  );
  expect(() => notebookEnvironment({ DETLAB_PROFILE: 'papre' })).toThrow(
    "DETLAB_PROFILE: there is no profile 'papre'. Valid: quick, default, paper. Did you mean 'paper'?",
  );
  expect(() => notebookEnvironment({ DETLAB_DATA: path.join(folder, 'none') })).toThrow(
    /none can't be used as data: it does not exist/,
  );
  fs.writeFileSync(path.join(folder, 'file'), '');
  expect(() => notebookEnvironment({ DETLAB_DATA: path.join(folder, 'file') })).toThrow('it is not a folder');
});

describe('outputs', () => {
  test('join streams, keep what overwrote a line, and clear', () => {
    const collector = new OutputCollector();
    const outputs: Output[] = [];
    const print = (text: string, name: 'stdout' | 'stderr' = 'stdout'): unknown =>
      collector.add(outputs, { type: 'stream', name, text });
    print('a');
    print('b\n');
    print('50%\r');
    print('100%\n');
    print('windows\r\n');
    expect(outputs).toEqual([{ output_type: 'stream', name: 'stdout', text: 'ab\n100%\nwindows\n' }]);
    collector.add(outputs, { type: 'clear_output', wait: true });
    expect(outputs).toHaveLength(1);
    print('new', 'stderr');
    expect(outputs).toEqual([{ output_type: 'stream', name: 'stderr', text: 'new' }]);
    collector.add(outputs, { type: 'clear_output', wait: false });
    expect(outputs).toEqual([]);
  });

  test('update every display of an id, in whichever cell; progress alone leaves nothing', () => {
    const collector = new OutputCollector();
    const [a, b]: [Output[], Output[]] = [[], []];
    const show = (
      to: Output[],
      type: 'display_data' | 'update_display_data',
      data: Record<string, unknown>,
    ): unknown => collector.add(to, { type, data, metadata: {}, displayId: 'x' });
    show(a, 'display_data', { 'text/plain': '1' });
    show(b, 'display_data', { 'text/plain': '2' });
    show(b, 'update_display_data', { 'text/plain': '3' });
    const three = { output_type: 'display_data', data: { 'text/plain': '3' }, metadata: {} };
    expect([a, b]).toEqual([[three], [three]]);

    const progress = { label: 'Training', step: 1, total: 2 };
    const cell: Output[] = [];
    const data = { 'application/vnd.detlab.progress+json': progress };
    expect(collector.add(cell, { type: 'display_data', data, metadata: {} })).toEqual(progress);
    expect(cell).toEqual([]);
  });
});

describe('time left', () => {
  const before = process.env.DETLAB_CACHE;
  beforeEach(() => (process.env.DETLAB_CACHE = temporaryFolder()));
  afterEach(() => {
    if (before === undefined) delete process.env.DETLAB_CACHE;
    else process.env.DETLAB_CACHE = before;
  });

  test('is what the cells took last time, or what the running one says of itself', () => {
    const first = Durations.load();
    expect(first.left('k', 1, 0)).toBeUndefined();
    expect(first.left('k', 1, 0, 7)).toEqual({ seconds: 7, of: 'cell' });
    first.save('k', 61, [10, 20, 30.004]);
    const second = Durations.load();
    expect(second.total('k')).toBe(61);
    expect(second.left('k', 0, 0)).toEqual({ seconds: 60, of: 'notebook' });
    expect(second.left('k', 2, 5)).toEqual({ seconds: 45, of: 'notebook' });
    expect(second.left('k', 2, 50)).toEqual({ seconds: 30, of: 'notebook' });
    expect(second.left('k', 2, 5, 100)).toEqual({ seconds: 130, of: 'notebook' });
    fs.writeFileSync(path.join(process.env.DETLAB_CACHE!, 'durations.json'), 'damaged');
    expect(Durations.load().total('k')).toBeUndefined();
  });
});

describe('the status line', () => {
  const run: RunProgress = {
    name: '01-x',
    cell: 2,
    cells: 9,
    cellSeconds: 3,
    seconds: 65,
    progress: { label: 'Training', step: 12, total: 40, fields: { loss: '2.31' } },
  };

  test('has the time before the details', () => {
    expect(progressText(run, { seconds: 70, of: 'notebook' })).toBe(
      '01-x  cell 2/9  1:05, about 1:10 left  Training 12/40  loss 2.31',
    );
    expect(progressText(run, { seconds: 7, of: 'cell' })).toContain('about 0:07 left in this cell');
    expect(progressText({ ...run, cell: 0, progress: undefined }, undefined)).toBe('01-x  starting  1:05');
    expect(progressText({ ...run, progress: { ...run.progress!, done: true } }, undefined)).toBe(
      '01-x  cell 2/9  1:05',
    );
    expect([0, 59.6, 3723].map(clock)).toEqual(['0:00', '1:00', '1:02:03']);
  });

  test('is rewritten in a terminal, cut to its width, and makes way for other lines', () => {
    let text = '';
    const line = new StatusLine({ isTTY: true, columns: 10, write: (chunk: string) => (text += chunk) });
    line.update('working on it', 'a');
    line.update('again', 'a');
    line.print('done');
    expect(text).toBe('\rworking \u2026\x1b[K\r\x1b[Kdone\n');
  });

  test('writes no control characters elsewhere, and seldom', () => {
    let text = '';
    const line = new StatusLine({ write: (chunk: string) => (text += chunk) }, 1000);
    line.print('start');
    for (let i = 0; i < 50; i++) line.update(`step ${i}`, 'a');
    line.clear();
    expect(text).toBe('start\n');
  });
});

test('what is saved has no folder of this machine and no stderr', () => {
  const notebook = newNotebook([
    {
      cell_type: 'code',
      id: 'a',
      metadata: {},
      source: '',
      execution_count: 1,
      outputs: [
        { output_type: 'stream', name: 'stderr', text: 'warning' },
        { output_type: 'stream', name: 'stdout', text: `read ${path.join(projectRoot, 'data', 'x')}` },
        {
          output_type: 'display_data',
          data: { 'text/html': path.join(projectRoot, 'out'), 'image/png': 'AA' },
          metadata: {},
        },
      ],
    },
  ]);
  const [cell] = forSaving(notebook).cells;
  expect(cell).toMatchObject({
    execution_count: 1,
    outputs: [
      { output_type: 'stream', name: 'stdout', text: `read ${path.join('data', 'x')}` },
      { data: { 'text/html': 'out', 'image/png': 'AA' } },
    ],
  });
  expect((notebook.cells[0] as { outputs: Output[] }).outputs).toHaveLength(3);
});

test.each([
  ['ENOSPC', "x can't be written: the disk is full. Make room, or name another folder with --out."],
  ['EROFS', "x can't be written: the file system is read-only. Name another folder with --out."],
])('%s is explained', (code, message) => {
  expect(describeWriteError('x', Object.assign(new Error('?'), { code }))).toBe(message);
});
