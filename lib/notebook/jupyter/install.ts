/** `npm run kernel:install`: makes our kernel known to the Jupyter programs of this user, VS Code among them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { officialBinding } from '../../tensor/ladder';
import { projectRoot, which } from '../../tensor/packages';
import { findPrepared } from '../../tensor/prepared';
import { kernelspec } from '../nbformat';
import { parseArguments } from '../runner/arguments';
import { UsageError } from '../runner/select';
import { jupyterDataFolder, prefixDataFolder } from './data-folder';
import {
  findKernelspec,
  type FoundKernelspec,
  kernelspecFolder,
  removeKernelspec,
  writeKernelspec,
} from './kernelspec';

export const installHelp: string = `Makes the kernel "${kernelspec.display_name}" known to Jupyter and to VS Code. Needs no Python.

  npm run kernel:install                    for this user
  npm run kernel:install -- --prefix DIR    for one Python environment (the folder of a venv or of a conda environment)
  npm run kernel:install -- --remove        takes it away again (with --prefix DIR: from there)

The kernel runs from this project's folder with the Node that runs this command. After moving either, run it again.
Exit code: 0 done, 1 failed, 2 a mistake in the command.`;

/** Installs or removes the kernelspec as `words` ask for. Returns the exit code. */
export function installCommand(words: readonly string[]): number {
  const { flags, values, names } = parseArguments(words, {
    prefix: { value: 'DIR' },
    remove: 'flag',
    help: 'flag',
  });
  if (flags.has('help')) {
    console.log(installHelp);
    return 0;
  }
  if (names.length > 0) {
    throw new UsageError(`'${names[0]}' is not understood. To name an environment: --prefix ${names[0]}`);
  }
  const prefix = values.get('prefix');
  if (prefix !== undefined) checkPrefix(prefix);
  const dataFolder = prefix === undefined ? jupyterDataFolder() : prefixDataFolder(prefix);
  const folder = kernelspecFolder(dataFolder);
  const found = findKernelspec(folder);
  if (found.kind === 'foreign') {
    console.error(
      `${folder} holds a kernel that is not detlab's: ${found.what}. ` +
        'It is left as it is; to use its name, move or delete that folder first.',
    );
    return 1;
  }
  return flags.has('remove') ? remove(folder, found) : install(folder, found, prefix);
}

function checkPrefix(prefix: string): void {
  if (fs.statSync(prefix, { throwIfNoEntry: false })?.isDirectory()) return;
  const problem = fs.existsSync(prefix) ? 'is not a folder' : 'does not exist';
  throw new UsageError(
    `--prefix: ${path.resolve(prefix)} ${problem}. Give the folder of a Python environment: ` +
      'what `python -c "import sys; print(sys.prefix)"` prints in it.',
  );
}

function install(folder: string, found: FoundKernelspec, prefix: string | undefined): number {
  try {
    writeKernelspec(folder);
  } catch (error) {
    console.error(`The kernel could not be installed: ${writeProblem(folder, error)}`);
    return 1;
  }
  const { display_name: name } = kernelspec;
  if (found.kind === 'ours' && found.root !== projectRoot) {
    console.log(`The kernel "${name}" was that of ${found.root}; now it is that of ${projectRoot}.`);
  } else console.log(`The kernel "${name}" is installed. It starts ${projectRoot} with ${process.execPath}.`);
  console.log(`Written: ${folder}`);
  console.log(seenByJupyter(folder, prefix));
  console.log(
    `VS Code (with its Jupyter extension): reload the window, open a notebook, and choose\n` +
      `Select Kernel > Jupyter Kernel > ${name}.`,
  );
  const papermill = papermillAdvice(prefix);
  if (papermill !== undefined) console.log(papermill);
  if (!hasTensorFlow()) {
    console.log(
      'TensorFlow is not prepared yet, so notebooks compute on wasm, which is slower: npm run prepare-backend',
    );
  }
  return 0;
}

function remove(folder: string, found: FoundKernelspec): number {
  if (found.kind !== 'ours') {
    console.log(`There is no kernel to remove: ${folder} does not hold one.`);
    return 0;
  }
  let others: string[];
  try {
    others = removeKernelspec(folder);
  } catch (error) {
    console.error(`The kernel could not be removed: ${writeProblem(folder, error)}`);
    return 1;
  }
  const whose = found.root === projectRoot ? '' : `, which started ${found.root}`;
  console.log(`The kernel "${kernelspec.display_name}"${whose} is removed from ${folder}.`);
  if (others.length > 0) console.log(`What is not detlab's stays there: ${others.join(', ')}`);
  return 0;
}

function hasTensorFlow(): boolean {
  return (
    officialBinding() !== undefined ||
    !('problem' in findPrepared('cpu')) ||
    !('problem' in findPrepared('cuda'))
  );
}

/** The programs of the environment that is meant: those on PATH, or those of the prefix. */
function programs(prefix: string | undefined): NodeJS.ProcessEnv {
  if (prefix === undefined) return process.env;
  return { PATH: path.join(path.resolve(prefix), process.platform === 'win32' ? 'Scripts' : 'bin') };
}

/** papermill can't write parameters in TypeScript by itself: how to teach it, where it is there. */
function papermillAdvice(prefix: string | undefined): string | undefined {
  const papermill = which('papermill', programs(prefix));
  if (papermill === undefined) return undefined;
  const plugin = path.join(projectRoot, 'lib', 'notebook', 'jupyter', 'papermill');
  const python = path.join(path.dirname(papermill), 'python');
  return `papermill: to pass parameters to TypeScript notebooks, once: ${python} -m pip install "${plugin}"`;
}

/** What the `jupyter` on PATH (or of the environment) says about it, in words. */
function seenByJupyter(folder: string, prefix: string | undefined): string {
  const env = programs(prefix);
  const jupyter = which('jupyter', env);
  if (jupyter === undefined) {
    const where = prefix === undefined ? 'on PATH' : `in ${env.PATH}`;
    return `There is no \`jupyter\` ${where} to ask; VS Code needs none, and \`npm run lab\` brings a JupyterLab.`;
  }
  const run = spawnSync(jupyter, ['kernelspec', 'list', '--json'], { encoding: 'utf8', timeout: 60_000 });
  let listed: string | undefined;
  try {
    const json = JSON.parse(run.stdout) as {
      kernelspecs: Record<string, { resource_dir: string } | undefined>;
    };
    listed = json.kernelspecs[kernelspec.name]?.resource_dir;
  } catch {
    return `${jupyter} could not be asked whether it sees the kernel: \`jupyter kernelspec list\` failed.`;
  }
  if (listed === undefined) {
    return (
      `But ${jupyter} does not list it: it looks elsewhere (\`jupyter --paths\`). ` +
      'For one Python environment: npm run kernel:install -- --prefix DIR'
    );
  }
  if (fs.realpathSync(listed) === fs.realpathSync(folder))
    return `\`jupyter kernelspec list\` shows it as '${kernelspec.name}'.`;
  const other = findKernelspec(listed);
  const whose = other.kind === 'ours' ? `the kernel of ${other.root}` : 'another kernel of that name';
  return `But ${jupyter} takes ${whose} first: ${listed}. Remove that one, or install this one there too (--prefix).`;
}

/** Why a folder can't be written, with what would help. */
function writeProblem(folder: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const elsewhere = 'JUPYTER_DATA_DIR or --prefix names another place';
  const reasons: Record<string, string> = {
    EACCES: `writing there is not allowed; ${elsewhere}`,
    EPERM: `writing there is not allowed; ${elsewhere}`,
    EROFS: `the file system is read-only; ${elsewhere}`,
    ENOTDIR: `a part of that path is a file; move it, or: ${elsewhere}`,
    EEXIST: `there is a file of that name; move it, or: ${elsewhere}`,
    ENOENT: `folders can not be made there; ${elsewhere}`,
    ENOSPC: 'the disk is full',
    EDQUOT: 'your disk quota is used up',
  };
  return `${folder}: ${reasons[code ?? ''] ?? message}.`;
}
