import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  formatNotebook,
  newNotebook,
  notebookTitle,
  parseNotebook,
  readNotebook,
  writeNotebook,
} from '../../lib/notebook/nbformat';
import { temporaryFolder } from './helpers';

describe('a notebook file', () => {
  test('is written as Jupyter writes it', () => {
    const notebook = newNotebook([
      { cell_type: 'markdown', source: '# Title\ntext', id: 'intro' },
      {
        cell_type: 'code',
        id: 'code',
        metadata: { tags: ['x'] },
        source: 'a\n',
        execution_count: 1,
        outputs: [
          { output_type: 'stream', name: 'stdout', text: '1\n2' },
          {
            output_type: 'display_data',
            data: {
              'text/plain': 'p\nq',
              'image/svg+xml': '<svg>\n</svg>',
              'image/png': 'AA==\n',
              'application/json': { b: 1, a: 'x\ny' },
            },
            metadata: {},
          },
        ],
      },
    ]);
    const text = formatNotebook(notebook);
    const [head] = text.split('   "metadata": {\n    "tags"');
    // The layout that nbformat 5 gives the same cells: sorted keys, one space, lists of lines, base64 left whole.
    expect(head).toBe(`{
 "cells": [
  {
   "cell_type": "markdown",
   "id": "intro",
   "metadata": {},
   "source": [
    "# Title\\n",
    "text"
   ]
  },
  {
   "cell_type": "code",
   "execution_count": 1,
   "id": "code",
`);
    expect(text.endsWith(' "nbformat": 4,\n "nbformat_minor": 5\n}\n')).toBe(true);
    const outputs = JSON.parse(text).cells[1].outputs;
    expect(outputs[0].text).toEqual(['1\n', '2']);
    expect(outputs[1].data).toEqual({
      'application/json': { a: 'x\ny', b: 1 },
      'image/png': 'AA==\n',
      'image/svg+xml': ['<svg>\n', '</svg>'],
      'text/plain': ['p\n', 'q'],
    });
    expect(parseNotebook(text, 'x.ipynb')).toEqual(notebook);
    expect(formatNotebook(parseNotebook(text, 'x.ipynb'))).toBe(text);
    expect(notebookTitle(notebook)).toBe('Title');
  });

  test('is replaced whole or not at all', () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'a.ipynb');
    writeNotebook(file, newNotebook([{ cell_type: 'code', source: '1' }]));
    const before = fs.readFileSync(file, 'utf8');
    const circular = newNotebook();
    circular.metadata.self = circular.metadata;
    expect(() => writeNotebook(file, circular)).toThrow();
    expect(fs.readFileSync(file, 'utf8')).toBe(before);
    expect(fs.readdirSync(folder)).toEqual(['a.ipynb']);
    expect(readNotebook(file).cells[0]!.source).toBe('1');
  });

  test('of format 4.2 gets the cell ids it lacks', () => {
    const text = JSON.stringify({
      nbformat: 4,
      nbformat_minor: 2,
      metadata: {},
      cells: [
        { cell_type: 'code', source: ['a\n', 'b'], metadata: {}, outputs: [], execution_count: null },
        { cell_type: 'markdown', source: 'c', metadata: {} },
      ],
    });
    const { cells, nbformat_minor } = parseNotebook(text, 'old.ipynb');
    expect(nbformat_minor).toBe(5);
    expect(cells.map(({ id, source }) => [id, source])).toEqual([
      ['cell-1', 'a\nb'],
      ['cell-2', 'c'],
    ]);
  });

  test.each([
    ['', 'n.ipynb:1:1: not valid JSON: the file ends too early'],
    ['{\n "cells": [}', 'n.ipynb:2:12: not valid JSON: unexpected "}"'],
    ['{\n "cells": [],\n}', 'n.ipynb:3:1: not valid JSON: unexpected "}"'],
    ['{"a" 1}', 'n.ipynb:1:6: not valid JSON: ":" expected before "1"'],
    [
      '{"a": "b\n"}',
      'n.ipynb:1:7: not valid JSON: a string that is not closed on its line, or has a bad escape',
    ],
    ['{"a": 1}\n{', 'n.ipynb:2:1: not valid JSON: text after the end of the JSON value'],
    ['{"cells": [\n<<<<<<< HEAD\n', 'n.ipynb:2:1: not valid JSON: a merge conflict was left in the file'],
    ['{"a": NaN}', 'n.ipynb:1:7: not valid JSON: unexpected "NaN}"'],
    ['[1, 2]', 'n.ipynb: JSON, but not a notebook'],
    ['{"nbformat": 3, "worksheets": []}', 'n.ipynb: notebook format 3; only format 4 can be read'],
    [
      '{"nbformat": 4, "cells": [{"cell_type": "code"}]}',
      'n.ipynb: cell 1: "source" is neither a string nor a list of strings',
    ],
    [
      '{"nbformat": 4, "cells": [{"cell_type": "cod", "source": ""}]}',
      'n.ipynb: cell 1: cell_type "cod" is not',
    ],
    [
      '{"nbformat": 4, "cells": [{"cell_type": "raw", "source": "", "id": "a"}, {"cell_type": "raw", "source": "", "id": "a"}]}',
      'n.ipynb: cell 2: the id "a" is used by an earlier cell',
    ],
    [
      '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "outputs": [{"output_type": "pyout"}]}]}',
      'n.ipynb: cell 1, output 1: not an output of format 4 ("pyout")',
    ],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parseNotebook(text, 'n.ipynb')).toThrow(message);
  });
});
