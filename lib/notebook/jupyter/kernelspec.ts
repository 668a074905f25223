/** The kernelspec: the folder that tells Jupyter what our kernel is called, how it looks and how it is started. */
import fs from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../tensor/folders';
import { projectRoot } from '../../tensor/packages';
import { kernelspec } from '../nbformat';

/** What `kernel.json` holds. */
export interface KernelJson {
  argv: string[];
  display_name: string;
  language: string;
  interrupt_mode: 'message';
  metadata: Record<string, unknown>;
}

/** What a kernelspec folder holds: nothing yet, our kernel of some clone, or something that is not ours. */
export type FoundKernelspec =
  { kind: 'none' } | { kind: 'ours'; root: string; node: string } | { kind: 'foreign'; what: string };

const logoFolder = path.join(projectRoot, 'lib', 'notebook', 'jupyter', 'logo');
const logos = ['logo-32x32.png', 'logo-64x64.png', 'logo-svg.svg'];
const description = 'kernel.json';

/** How Jupyter starts the kernel of this project with this Node. */
export function kernelJson(): KernelJson {
  return {
    argv: [process.execPath, path.join(projectRoot, 'lib', 'detlab.mjs'), 'kernel', '{connection_file}'],
    display_name: kernelspec.display_name,
    language: kernelspec.language,
    // Signals don't exist on Windows, and a signal can't tell the kernel from the cell that it runs.
    interrupt_mode: 'message',
    metadata: { debugger: false },
  };
}

/** The kernelspec's folder in a Jupyter data folder. */
export function kernelspecFolder(dataFolder: string): string {
  return path.join(dataFolder, 'kernels', kernelspec.name);
}

/** Looks at what a kernelspec folder holds. Never throws for content; a folder that must not be read is `foreign`. */
export function findKernelspec(folder: string): FoundKernelspec {
  const file = path.join(folder, description);
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // ENOTDIR: a part of the path is a file. Writing there says so.
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'none' };
    return { kind: 'foreign', what: `${file} can't be read (${message})` };
  }
  let argv: unknown;
  try {
    argv = (JSON.parse(text) as { argv?: unknown } | null)?.argv;
  } catch {
    return { kind: 'foreign', what: `${file} is not valid JSON` };
  }
  const words = Array.isArray(argv) ? argv.map(String) : [];
  const [node = '', script = '', command] = words;
  if (command === 'kernel' && /[\\/]lib[\\/]detlab\.mjs$/.test(script)) {
    return { kind: 'ours', node, root: path.dirname(path.dirname(script)) };
  }
  return { kind: 'foreign', what: `${file} starts \`${words.join(' ') || 'nothing'}\`` };
}

/** Writes the kernelspec into a folder, each file whole or not at all. @throws the file system's errors. */
export function writeKernelspec(folder: string): void {
  makeFolders(folder);
  for (const name of logos) writeWhole(path.join(folder, name), fs.readFileSync(path.join(logoFolder, name)));
  // Last: with it the kernel is there.
  writeWhole(path.join(folder, description), `${JSON.stringify(kernelJson(), null, 2)}\n`);
}

/** Takes away what `writeKernelspec` wrote. Returns the names of other files, which stay, and with them the folder. */
export function removeKernelspec(folder: string): string[] {
  for (const name of [description, ...logos]) fs.rmSync(path.join(folder, name), { force: true });
  const others = fs.readdirSync(folder);
  if (others.length === 0) fs.rmdirSync(folder);
  return others;
}

function writeWhole(file: string, content: string | Buffer): void {
  const partial = `${file}.${process.pid}.tmp`;
  try {
    fs.writeFileSync(partial, content);
    fs.renameSync(partial, file);
  } catch (error) {
    fs.rmSync(partial, { force: true });
    throw error;
  }
}
