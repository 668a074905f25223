/** `npm run lab`: JupyterLab on this project's notebooks, with this project's kernel. */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { withoutEchoes } from '../../tensor/signals';
import { projectRoot } from '../../tensor/packages';
import { kernelspec } from '../nbformat';
import { runChild } from '../run-child';
import { selectNotebooks, UsageError } from '../runner/select';
import { findLab, type Lab } from './find-lab';
import { kernelspecFolder, writeKernelspec } from './kernelspec';
import { labPlan, projectKey } from './lab-plan';

export const labHelp: string = `Opens JupyterLab on the notebooks, with this project's TypeScript kernel.

  npm run lab                              the folder notebooks
  npm run lab -- 01                        one notebook, by number, name or path
  npm run lab -- --no-browser --port 9000  what begins with - goes to \`jupyter lab\` (npm run lab -- --help-all)

A \`jupyter lab\` on PATH (4 or newer) is used as it is. Without one, a private JupyterLab is prepared once in the cache
folder, which takes Python 3.10 or newer and a minute; your own Jupyter settings are neither read nor changed by it.
The kernel is set for this JupyterLab only; \`npm run kernel:install\` makes it known to other programs.
Ctrl-C stops JupyterLab and its kernels. Exit code: JupyterLab's; 1 where there is none, 2 a mistake in the command.`;

/** Runs JupyterLab until it ends. Returns the exit code. */
export async function labCommand(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.includes('-h')) {
    console.log(labHelp);
    return 0;
  }
  const folder = path.join(projectRoot, 'notebooks');
  const [first, ...rest] = words;
  const named = first !== undefined && !first.startsWith('-');
  const open = named ? whatToOpen(first, folder) : undefined;
  if (!(await prepareBackend())) return 1;
  const lab = await findLab((line) => console.log(line));
  if (!lab.ok) {
    console.error(`There is no JupyterLab on PATH, and none could be prepared: ${lab.reason}. ${lab.remedy}`);
    return 1;
  }
  const home = path.join(cacheDirectory(), 'jupyter');
  const dataFolder = path.join(home, projectKey(projectRoot));
  writeKernelspec(kernelspecFolder(dataFolder));
  const plan = labPlan({
    words: named ? rest : words,
    open,
    folder,
    dataFolder,
    configFolder: lab.private ? path.join(home, 'config') : undefined,
    env: lab.env,
    root: process.getuid?.() === 0,
  });
  announce(lab, plan.words, folder);
  return runLab([...lab.command, ...plan.words], plan.env, folder);
}

/** A path that exists, or the notebook that the word names. */
function whatToOpen(word: string, folder: string): string {
  if (fs.existsSync(word)) return path.resolve(word);
  const [file, another] = selectNotebooks([word], folder);
  if (another !== undefined)
    throw new UsageError(`'${word}' names several notebooks: say which one to open.`);
  return file!;
}

/** Sees to the native backend, as `npm start` does. */
async function prepareBackend(): Promise<boolean> {
  const asked = process.env.DETLAB_BACKEND;
  if (asked && asked !== 'tensorflow') return true;
  const { prepareTensorFlow } = await import('../../tensor/prepare/prepare.js');
  const prepared = await prepareTensorFlow();
  if (prepared.ok) return true;
  const help = `What would help: ${prepared.remedy}`;
  if (asked) {
    console.error(`The backend 'tensorflow' can't be had: ${prepared.reason}. ${help}`);
    return false;
  }
  console.log(
    `TensorFlow can't be used: ${prepared.reason}. Notebooks compute on wasm, which is slower. ${help}`,
  );
  return true;
}

function announce(lab: Lab, words: readonly string[], folder: string): void {
  const which = lab.private ? 'detlab’s own, in the cache folder' : lab.command[0];
  console.log(
    `JupyterLab ${lab.version} (${which}) with the kernel "${kernelspec.display_name}" on ${folder}`,
  );
  if (words.includes('--allow-root')) {
    console.log('You are root, which JupyterLab refuses unless it is told --allow-root: it is told so.');
  }
  console.log('Ctrl-C stops JupyterLab and its kernels; pressed twice, at once.');
}

/**
 * Runs JupyterLab in this terminal. It is the leader of a process group: Ctrl-C reaches this process alone, which then asks
 * JupyterLab to stop, without the question that it would ask otherwise.
 */
function runLab(command: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<number> {
  const [file = '', ...words] = command;
  const detached = process.platform !== 'win32';
  const onSignal = withoutEchoes((times, child: ChildProcess): void => {
    if (times === 1) child.kill('SIGTERM');
    else if (detached && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  });
  return runChild(file, words, { cwd, env, detached, onSignal });
}
