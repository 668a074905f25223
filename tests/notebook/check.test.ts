import { describe, expect, test } from 'vitest';
import { lintNotebook } from '../../lib/notebook/check/structure';
import { checkNotebookTypes, formatProblem } from '../../lib/notebook/check/types';
import { type CodeCell, newNotebook, type NotebookDocument } from '../../lib/notebook/nbformat';

function notebook(cells: readonly string[]): NotebookDocument {
  return newNotebook(
    cells.map((source) => ({
      cell_type: source.startsWith('#') ? ('markdown' as const) : ('code' as const),
      source,
    })),
  );
}

describe('types', () => {
  test('are strict, across cells, with the place in the cell', () => {
    const problems = checkNotebookTypes([
      {
        name: 'good',
        notebook: notebook([
          '# Title',
          `import { createRandom, type Random } from 'detlab';\nconst a = await Promise.resolve(1);`,
          // Importing again, wholly or in part, is what readers do who run one cell.
          `import { createRandom } from 'detlab';\nimport { createRandom, display } from 'detlab';\nconst r: Random = createRandom(a);`,
          `(r.next() > 0.5 ? display : console.log)({ 'text/plain': 'x' });`,
        ]),
      },
      {
        name: 'bad',
        notebook: notebook([
          '# Title',
          `import { createRandom } from 'detlab';\nconst n: number = null;`,
          '## Between',
          `const f = (x) => x;\n\n  createRandom(1).nix();`,
          `const n = 2;`,
        ]),
      },
    ]).map(formatProblem);
    expect(problems.filter((p) => p.startsWith('good'))).toEqual([]);
    expect(problems).toContain(
      "bad cell [1], line 2:7: Type 'null' is not assignable to type 'number'. (TS2322)",
    );
    expect(problems).toContain(
      "bad cell [2], line 1:12: Parameter 'x' implicitly has an 'any' type. (TS7006)",
    );
    expect(problems).toContain(
      "bad cell [2], line 3:19: Property 'nix' does not exist on type 'Random'. (TS2339)",
    );
    expect(
      problems.some((p) =>
        p.startsWith("bad cell [3], line 1:7: Cannot redeclare block-scoped variable 'n'"),
      ),
    ).toBe(true);
  });

  test('promises that nothing waits for are found, handled ones are not', () => {
    const problems = checkNotebookTypes([
      {
        name: 'n',
        notebook: notebook([
          `async function job(): Promise<number> {\n  return 1;\n}`,
          `job();\nawait job();\nvoid job();\njob().catch(() => 0);\nlet later = job();\nlater = job();`,
          `[1, 2].map(job);\nfor (const _ of [1]) {\n  job().then(console.log);\n}\nawait Promise.all([1].map(job));`,
        ]),
      },
    ]);
    expect(problems.map(({ cell, line, column }) => [cell, line, column])).toEqual([
      [2, 1, 1],
      [3, 1, 1],
      [3, 3, 3],
    ]);
  });
});

describe('structure', () => {
  const good = (): NotebookDocument =>
    notebook([
      '# Title\n\nText.',
      '## Learning objectives\n\n```ts\n# not a heading\n```',
      '1 + 1',
      '## Exercises',
    ]);
  const code = (document: NotebookDocument): CodeCell => document.cells[2] as CodeCell;

  test('of a good notebook has no problems, with and without outputs', () => {
    expect(lintNotebook(good())).toEqual([]);
    const executed = good();
    Object.assign(code(executed), {
      execution_count: 1,
      outputs: [{ output_type: 'stream', name: 'stdout', text: 'a/b and /3 of https://example.org/home/x' }],
    });
    expect(lintNotebook(executed)).toEqual([]);
  });

  test.each<[string, (document: NotebookDocument) => void, RegExp]>([
    ['another kernel', (n) => (n.metadata.kernelspec!.name = 'tslab'), /^kernelspec is .*"tslab"/],
    [
      'a count out of order',
      (n) => (code(n).execution_count = 3),
      /^execution counts are 3: run all cells in order/,
    ],
    [
      'an error',
      (n) => code(n).outputs.push({ output_type: 'error', ename: 'E', evalue: 'v', traceback: [] }),
      /^cell 3 holds an error: E: v/,
    ],
    [
      'stderr',
      (n) => code(n).outputs.push({ output_type: 'stream', name: 'stderr', text: 'warning\nmore' }),
      /^cell 3 printed to stderr: warning$/,
    ],
    [
      'a path in an output',
      (n) =>
        code(n).outputs.push({ output_type: 'stream', name: 'stdout', text: 'saved to /home/ann/out.png' }),
      /^cell 3 shows a path of one machine: \/home\/ann\/out\.png$/,
    ],
    [
      'a path in a chart',
      (n) =>
        code(n).outputs.push({
          output_type: 'display_data',
          data: { 'application/vnd.vegalite.v5+json': { data: { url: '/tmp/x.csv' } } },
          metadata: {},
        }),
      /^cell 3 shows a path of one machine: \/tmp\/x\.csv$/,
    ],
    ['a path in the source', (n) => (code(n).source = `read('/Users/ann/voc')`), /^cell 3 names a path/],
    ['an empty cell', (n) => (code(n).source = ' \n'), /^cell 3 is empty/],
    ['no exercises', (n) => (n.cells[3]!.source = '## End'), /^no heading announces the exercises/],
    [
      'no objectives',
      (n) => (n.cells[1]!.source = '## Start'),
      /^no heading announces the learning objectives/,
    ],
    [
      'a skipped level',
      (n) => (n.cells[3]!.source = '#### Exercises'),
      /^cell 4: "Exercises" skips a level \(2 to 4\)/,
    ],
    ['two titles', (n) => (n.cells[3]!.source = '# Exercises'), /^cell 4: a second title/],
    ['no title', (n) => (n.cells[0]!.source = 'Text'), /^cell 1 does not begin with a title/],
  ])('with %s is faulted', (_, spoil, message) => {
    const document = good();
    spoil(document);
    const problems = lintNotebook(document);
    expect(problems[0]).toMatch(message);
  });

  test('names the cell that makes a file large, and links to nothing', () => {
    const document = good();
    code(document).outputs.push({
      output_type: 'display_data',
      data: { 'image/png': 'A'.repeat(2000) },
      metadata: {},
    });
    expect(lintNotebook(document, { maxBytes: 2000 })).toEqual([
      expect.stringMatching(/^the file has .*the largest is cell 3/),
    ]);
    document.cells[0]!.source += ' [data](missing.md) [web](https://example.org) [here](#exercises)';
    expect(lintNotebook(document, { directory: __dirname })).toEqual([
      'cell 1 links to missing.md, which does not exist',
    ]);
  });
});
