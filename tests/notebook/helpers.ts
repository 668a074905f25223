/** Notebooks made on the spot, and a build of lib for the processes that run them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type CodeCell, newNotebook, type Output, writeNotebook } from '../../lib/notebook/nbformat';
import { runNotebook, type RunOptions, type RunResult } from '../../lib/notebook/runner/run-notebook';

export const projectRoot: string = path.resolve(__dirname, '..', '..');
export const entry: string = path.join(projectRoot, 'lib', 'detlab.mjs');

/** The kernel's processes run dist; tests must not run against yesterday's. */
export function buildLibrary(): void {
  execFileSync(process.execPath, [entry, 'build'], { stdio: 'pipe' });
}

/** A folder of its own outside the project, as a user's would be. */
export function temporaryFolder(): string {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'detlab-test-'));
}

/** Writes a notebook whose code cells have these sources; a cell that is meant to fail is given as `{ fails: source }`. */
export function writeCells(
  folder: string,
  name: string,
  cells: readonly (string | { fails: string })[],
): string {
  const file = path.join(folder, `${name}.ipynb`);
  const title = { cell_type: 'markdown' as const, source: `# Title of ${name}` };
  const code = cells.map((cell) =>
    typeof cell === 'string'
      ? { cell_type: 'code' as const, source: cell }
      : { cell_type: 'code' as const, source: cell.fails, metadata: { tags: ['raises-exception'] } },
  );
  writeNotebook(file, newNotebook([title, ...code]));
  return file;
}

/** Runs cells in one kernel, in a folder outside the project. */
export async function runCells(
  cells: readonly (string | { fails: string })[],
  options: Partial<RunOptions> = {},
  files: Record<string, string> = {},
): Promise<RunResult & { outputs: Output[][]; folder: string }> {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  const result = await runNotebook({
    file: writeCells(folder, 'cells', cells),
    timeoutSeconds: 120,
    ...options,
  });
  const code = result.notebook.cells.filter((cell): cell is CodeCell => cell.cell_type === 'code');
  return { ...result, outputs: code.map((cell) => cell.outputs), folder };
}

export function textOf(outputs: readonly Output[]): string {
  return outputs.map((o) => (o.output_type === 'stream' ? o.text : '')).join('');
}

export function errorOf(outputs: readonly Output[]): { ename: string; evalue: string; traceback: string } {
  const error = outputs.find((o) => o.output_type === 'error');
  if (error?.output_type !== 'error') throw new Error(`no error among ${JSON.stringify(outputs)}`);
  return { ename: error.ename, evalue: error.evalue, traceback: error.traceback.join('\n') };
}

export function resultOf(outputs: readonly Output[]): Record<string, unknown> | undefined {
  const result = outputs.find((o) => o.output_type === 'execute_result');
  return result?.output_type === 'execute_result' ? result.data : undefined;
}
