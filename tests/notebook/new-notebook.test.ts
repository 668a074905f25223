/** A new notebook: its name, what is written and what never is; and the template that it is a copy of. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { lintNotebook, lintOutputs } from '../../lib/notebook/check/structure';
import { checkNotebookTypes, formatProblem } from '../../lib/notebook/check/types';
import { newNotebookCommand, notebookName, templateFile } from '../../lib/notebook/new-notebook';
import {
  type CodeCell,
  formatNotebook,
  notebookTitle,
  readNotebook,
  writeNotebook,
} from '../../lib/notebook/nbformat';
import { runNotebook } from '../../lib/notebook/runner/run-notebook';
import { forSaving } from '../../lib/notebook/runner/saving';
import { UsageError } from '../../lib/notebook/runner/select';
import { buildLibrary, projectRoot, temporaryFolder } from './helpers';

const template = readNotebook(templateFile);
const codeCells = (notebook: typeof template): CodeCell[] =>
  notebook.cells.filter((cell): cell is CodeCell => cell.cell_type === 'code');

let printed: string[] = [];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
});
afterEach(() => vi.restoreAllMocks());

describe('the name', () => {
  const files = ['notebooks/00-tour.ipynb', 'notebooks/01-scratchdet.ipynb', 'notebooks/07-mine.ipynb'];
  const nameOf = (...words: string[]): string => notebookName(words, files);

  test.each([
    ['my-paper', '08-my-paper'],
    ['my-paper.ipynb', '08-my-paper'],
    ['02-my-paper', '02-my-paper'],
    ['360-degree-views', '08-360-degree-views'],
    ['3d', '08-3d'],
  ])('%s makes %s', (word, name) => {
    expect(nameOf(word)).toBe(name);
    expect(name).toMatch(/^\d\d-[a-z0-9-]+$/);
  });

  test('begins at 01', () => {
    expect(notebookName(['first'], [])).toBe('01-first');
    expect(notebookName(['first'], ['Untitled.ipynb'])).toBe('01-first');
  });

  test.each([
    [
      ['My Paper!'],
      "'My Paper!' can't be a notebook's name: it has small letters, digits and single hyphens. Did you mean 'my-paper'?",
    ],
    [['MyPaper'], "Did you mean 'my-paper'?"],
    [['Überblick'], "Did you mean 'uberblick'?"],
    [['my_paper'], "Did you mean 'my-paper'?"],
    [['2-my-paper'], "Did you mean '02-my-paper'?"],
    [['my', 'paper'], "A name is one word; these are 2: my, paper. Did you mean 'my-paper'?"],
    [
      ['notebooks/02-my-paper.ipynb'],
      "Notebooks lie in notebooks/; give a name. Did you mean '02-my-paper'?",
    ],
    [['../x'], "'../x' is a path."],
    [['..\\x'], 'is a path.'],
    [['12'], "'12' has no letters to be called by. Take some, such as my-paper."],
    [['…'], 'has no letters to be called by.'],
    [[], 'How is the notebook to be called?'],
    [['a'.repeat(51)], 'has 51 letters; 50 are the most'],
    [['scratchdet'], "There is already a notebook '01-scratchdet': npm run lab -- 01-scratchdet opens it."],
    [['05-scratchdet'], "There is already a notebook '01-scratchdet'"],
    [
      ['01-other'],
      "Number 01 is that of '01-scratchdet'. The next free number is 08: '08-other', or just 'other'.",
    ],
  ])('%j is refused', (words, message) => {
    expect(() => nameOf(...words)).toThrow(UsageError);
    expect(() => nameOf(...words)).toThrow(message);
  });

  test('does not go beyond two digits', () => {
    expect(() => notebookName(['more'], ['99-last.ipynb'])).toThrow(
      "Number 99 is taken; give a free one yourself: 'NN-more'.",
    );
    expect(notebookName(['98-more'], ['99-last.ipynb'])).toBe('98-more');
  });
});

describe('the command', () => {
  test('copies the template, puts the title in, and tells what comes next', () => {
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, '04-earlier.ipynb'), formatNotebook(template));
    expect(newNotebookCommand(['my-paper'], folder)).toBe(0);
    expect(fs.readdirSync(folder)).toEqual(['04-earlier.ipynb', '05-my-paper.ipynb']);
    const copy = readNotebook(path.join(folder, '05-my-paper.ipynb'));
    expect(notebookTitle(copy)).toBe('My paper');
    expect(formatNotebook(copy)).toContain('npm start -- 05 --profile paper --data FOLDER');
    expect(formatNotebook(copy)).not.toContain('NAME');
    expect(copy.cells.map(({ id }) => id)).toEqual(template.cells.map(({ id }) => id));
    expect(printed.join('\n')).toContain('npm run lab -- 05');
    expect(printed.join('\n')).toContain('npm start -- 05');
  });

  test('takes a title, whatever signs it has', () => {
    const folder = temporaryFolder();
    newNotebookCommand(['x', '--title', ' Why $& and  $1: a claim '], folder);
    expect(notebookTitle(readNotebook(path.join(folder, '01-x.ipynb')))).toBe('Why $& and $1: a claim');
  });

  test('makes the folder, and writes nothing beside its file', () => {
    const folder = temporaryFolder();
    expect(newNotebookCommand(['x'], path.join(folder, 'notebooks'))).toBe(0);
    expect(fs.readdirSync(folder, { recursive: true })).toEqual([
      'notebooks',
      path.join('notebooks', '01-x.ipynb'),
    ]);
  });

  test('overwrites nothing', () => {
    const folder = temporaryFolder();
    newNotebookCommand(['x'], folder);
    const file = path.join(folder, '01-x.ipynb');
    fs.writeFileSync(file, 'mine');
    expect(() => newNotebookCommand(['x'], folder)).toThrow("There is already a notebook '01-x'");
    expect(() => newNotebookCommand(['01-x'], folder)).toThrow("There is already a notebook '01-x'");
    // Made by somebody else between the look and the writing.
    vi.spyOn(fs, 'readdirSync').mockReturnValue([]);
    expect(() => newNotebookCommand(['x'], folder)).toThrow(`There is already ${file}. It was left as it is`);
    expect(fs.readFileSync(file, 'utf8')).toBe('mine');
  });

  test('says what keeps it from writing', () => {
    const file = path.join(temporaryFolder(), 'file');
    fs.writeFileSync(file, '');
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    expect(newNotebookCommand(['x'], path.join(file, 'notebooks'))).toBe(1);
    expect(error.mock.calls.join()).toMatch(/could not be written: .*(ENOTDIR|EEXIST)/);
  });

  test('helps', () => {
    expect(newNotebookCommand(['--help'], '/nowhere')).toBe(0);
    expect(printed.join()).toContain('npm run new-notebook my-paper');
    expect(() => newNotebookCommand(['x', '--titel', 'y'], '/nowhere')).toThrow("Did you mean '--title'?");
  });
});

describe('the template', () => {
  beforeAll(buildLibrary);

  test('keeps to the structure of the notebooks, in their folder, and has no outputs', () => {
    expect(lintNotebook(template, { directory: path.join(projectRoot, 'notebooks') })).toEqual([]);
    for (const { outputs, execution_count } of codeCells(template))
      expect([outputs, execution_count]).toEqual([[], null]);
    expect(fs.readFileSync(templateFile, 'utf8')).toBe(formatNotebook(template));
  });

  test('has well-typed cells', () => {
    const problems = checkNotebookTypes([{ name: '99-template', notebook: template }]);
    expect(problems.map(formatProblem)).toEqual([]);
  });

  test('has formatted cells', async () => {
    const { format } = await import('prettier');
    for (const { source } of codeCells(template)) {
      const formatted = await format(source, { parser: 'typescript', singleQuote: true, printWidth: 90 });
      expect(source).toBe(formatted.trimEnd());
    }
  });

  // Without a native backend, or on a busy machine, it takes a minute or two.
  test('runs at the quick profile', { timeout: 600_000 }, async () => {
    const folder = temporaryFolder();
    newNotebookCommand(['my-paper'], folder);
    const file = path.join(folder, '01-my-paper.ipynb');
    // The exercises once more at the end, answered: in the kernel a name may be declared again.
    const copy = readNotebook(file);
    const anchors = 9 * (64 + 16 + 4 + 1 + 1); // what 64 pixels leave on five levels, nine anchors a cell
    const answered = (id: string, declaration: string, answer: string): void => {
      const cell = codeCells(copy).find((one) => one.id === id)!;
      expect(cell.source).toContain(`${declaration};`);
      const source = cell.source.replace(`${declaration};`, () => `${declaration} = ${answer};`);
      copy.cells.push({ ...cell, id: `${id}-${copy.cells.length}`, source });
    };
    answered('exercise-1', 'let myAnchors: number | undefined', String(anchors / 9));
    answered('exercise-1', 'let myAnchors: number | undefined', String(anchors));
    const focalFactor = 'let focalFactor: ((p: number, gamma: number) => number) | undefined';
    answered('exercise-2-check', focalFactor, '(p, gamma) => p ** gamma');
    answered('exercise-2-check', focalFactor, '(p, gamma) => -((1 - p) ** gamma) * Math.log(p)');
    answered('exercise-2-check', focalFactor, '(p, gamma) => (1 - p) ** gamma');
    writeNotebook(file, copy);
    const result = await runNotebook({ file, env: { DETLAB_PROFILE: 'quick', DETLAB_DATA: undefined } });
    expect(result.failure?.traceback.join('\n')).toBeUndefined();
    expect([result.status, result.title]).toEqual(['ok', 'My paper']);
    expect(lintOutputs(result.notebook).filter((problem) => problem.includes('stderr'))).toEqual([]);
    expect(lintOutputs(forSaving(result.notebook))).toEqual([]);

    const cells = codeCells(result.notebook);
    const text = (cell: CodeCell | undefined): string =>
      cell!.outputs.map((output) => ('data' in output ? String(output.data['text/plain']) : '')).join('\n');
    const shown = (id: string): string => text(cells.find((cell) => cell.id === id));
    expect(shown('network-dummy')).toContain(`1 x ${anchors} x 4`);
    // One seed decides nothing, whatever it gave.
    expect(shown('verdicts')).toMatch(
      /31\.1 → 34\.0 AP .* not shown at this scale +only one seed, 3 are needed/,
    );
    expect(shown('exercise-1')).toBe('○ Exercise 1: no answer yet. Write one and run this cell again.');
    expect(shown('exercise-2-check')).toContain('○ Exercise 2: no answer yet.');
    expect(cells.slice(-5).map(text)).toEqual([
      '✗ Exercise 1: not right yet. These are the cells of all levels. How many anchors has each?',
      '✓ Exercise 1: right.',
      '✗ Exercise 2: not right yet. This turns down the hard examples instead of the easy ones.',
      '✗ Exercise 2: not right yet. Only the factor is asked for, without the logarithm.',
      '✓ Exercise 2: right. Tried on 3 examples.',
    ]);
  });
});
