/** The project's own notebooks: well formed, well typed, and running from start to end at the quick profile. */
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { lintNotebook, lintOutputs } from '../../lib/notebook/check/structure';
import { checkNotebookTypes, formatProblem } from '../../lib/notebook/check/types';
import { type NotebookDocument, readNotebook } from '../../lib/notebook/nbformat';
import { runNotebook } from '../../lib/notebook/runner/run-notebook';
import { forSaving } from '../../lib/notebook/runner/saving';
import { listNotebooks } from '../../lib/notebook/runner/select';
import { buildLibrary, projectRoot } from './helpers';
import { metricChecks } from './metrics';

const directory = path.join(projectRoot, 'notebooks');
const notebooks = listNotebooks(directory).map((file) => ({ file, name: path.basename(file, '.ipynb') }));
const read = (name: string): NotebookDocument => readNotebook(path.join(directory, `${name}.ipynb`));

test('notebooks are numbered, each number once', () => {
  expect(notebooks.length).toBeGreaterThan(0);
  for (const { name } of notebooks) expect(name).toMatch(/^\d\d-[a-z0-9-]+$/);
  const numbers = notebooks.map(({ name }) => name.slice(0, 2));
  expect(new Set(numbers).size).toBe(numbers.length);
});

test('every cell is well typed, and no promise floats', () => {
  const problems = checkNotebookTypes(notebooks.map(({ name }) => ({ name, notebook: read(name) })));
  expect(problems.map(formatProblem)).toEqual([]);
});

describe.each(notebooks)('$name', ({ file, name }) => {
  beforeAll(buildLibrary);

  test('keeps to the structure of the others', () => {
    expect(lintNotebook(read(name), { directory })).toEqual([]);
  });

  // Without a native backend a notebook may take several minutes.
  test('runs at the quick profile', { timeout: 900_000 }, async () => {
    const result = await runNotebook({ file, env: { DETLAB_PROFILE: 'quick', DETLAB_DATA: undefined } });
    expect(result.failure?.traceback.join('\n')).toBeUndefined();
    expect(result.status).toBe('ok');
    // As it would be saved, but with what it complained about.
    expect(lintOutputs(result.notebook).filter((problem) => problem.includes('stderr'))).toEqual([]);
    expect(lintOutputs(forSaving(result.notebook))).toEqual([]);
    metricChecks[name]?.(result.notebook);
  });
});
