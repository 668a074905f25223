/** Makes a notebook with outputs fit to be committed: the same wherever it was run. */
import os from 'node:os';
import path from 'node:path';
import { projectRoot } from '../../tensor/packages';
import type { NotebookDocument, Output } from '../nbformat';

/**
 * A copy without what belongs to one machine: its folders in texts, and what was printed to stderr. Execution counts and
 * outputs stay.
 */
export function forSaving(notebook: NotebookDocument): NotebookDocument {
  const copy = structuredClone(notebook);
  for (const cell of copy.cells) {
    if (cell.cell_type !== 'code') continue;
    cell.outputs = cell.outputs.filter(
      (output) => !(output.output_type === 'stream' && output.name === 'stderr'),
    );
    cell.outputs.forEach(neutralise);
  }
  return copy;
}

function neutralise(output: Output): void {
  if (output.output_type === 'stream') output.text = withoutFolders(output.text);
  else if (output.output_type === 'error') output.traceback = output.traceback.map(withoutFolders);
  else {
    for (const [mime, value] of Object.entries(output.data)) {
      if (typeof value === 'string' && mime.startsWith('text/')) output.data[mime] = withoutFolders(value);
    }
  }
}

// The longest folder first: the project may lie in the home folder.
const folders: readonly [string, string][] = [
  [projectRoot + path.sep, ''],
  [os.homedir() + path.sep, `~${path.sep}`],
  [os.tmpdir() + path.sep, `<tmp>${path.sep}`],
];

function withoutFolders(text: string): string {
  return folders.reduce((result, [folder, short]) => result.replaceAll(folder, short), text);
}
