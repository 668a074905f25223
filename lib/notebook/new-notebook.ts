/** `npm run new-notebook NAME`: a notebook to begin with, a copy of the template under the next number. */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../tensor/packages';
import { formatNotebook, type NotebookDocument, readNotebook } from './nbformat';
import { parseArguments } from './runner/arguments';
import { listNotebooks, UsageError } from './runner/select';
import { shortPath } from './runner/short-path';

const newNotebookHelp = `Starts a notebook: copies the template to notebooks/NN-NAME.ipynb, NN being the next free number.

  npm run new-notebook my-paper                       notebooks/02-my-paper.ipynb, say
  npm run new-notebook 07-my-paper                    under this number
  npm run new-notebook my-paper -- --title "My paper: a claim"

  --title TEXT   the notebook's heading (made of the name unless told)
  --help         this text

The template runs as it is; "Write your own notebook" in README.md says what each of its sections is for.
Nothing that exists is overwritten. Exit code: 0 done, 1 failed, 2 a mistake in the command.`;

/** The notebook that is copied. It has no outputs; its cells may say `npm start -- NAME` where the copy's number belongs. */
export const templateFile: string = path.join(projectRoot, 'lib', 'notebook', 'template', 'template.ipynb');

const longestName = 50;

/** Makes the notebook that `words` ask for in a folder, the project's unless told. Returns the exit code. */
export function newNotebookCommand(
  words: readonly string[],
  folder: string = path.join(projectRoot, 'notebooks'),
): number {
  const { flags, values, names } = parseArguments(words, { title: { value: 'TEXT' }, help: 'flag' });
  if (flags.has('help')) {
    console.log(newNotebookHelp);
    return 0;
  }
  const name = notebookName(names, fs.existsSync(folder) ? listNotebooks(folder) : []);
  const number = name.slice(0, 2);
  const title = oneLine(values.get('title')) ?? titleOf(name);
  const file = path.join(folder, `${name}.ipynb`);
  try {
    fs.mkdirSync(folder, { recursive: true });
    writeNew(file, formatNotebook(fillTemplate(readNotebook(templateFile), title, number)));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new UsageError(`There is already ${file}. It was left as it is; choose another name.`);
    console.error(`The notebook could not be written: ${message}`);
    return 1;
  }
  console.log(`Written: ${shortPath(file)}, "${title}". It runs as it is; now make it yours, section by section:

  npm run lab -- ${number}       open it in JupyterLab
  npm start -- ${number}         run it at the quick profile, and write out/index.html
  npm start -- ${number} --profile default --save
                          run it at a reader's size, and keep the outputs in the notebook
  npm test -- tests/notebook/notebooks.test.ts -t ${name}
                          check its structure, and run it as the tests do

README.md says what each section is for ("Write your own notebook").`);
  return 0;
}

/**
 * The notebook's name with its number, such as `02-my-paper`.
 * @throws UsageError for a name that can't be one or is taken, with what would do.
 */
export function notebookName(names: readonly string[], files: readonly string[]): string {
  if (names.length === 0) throw new UsageError(`How is the notebook to be called?\n\n${newNotebookHelp}`);
  const wanted = names.join(' ').replace(/\.ipynb$/i, '');
  const slug = slugOf(wanted);
  const instead = slug === undefined ? 'Take some, such as my-paper.' : `Did you mean '${slug}'?`;
  if (names.length > 1)
    throw new UsageError(`A name is one word; these are ${names.length}: ${names.join(', ')}. ${instead}`);
  if (/[\\/]/.test(wanted))
    throw new UsageError(`'${names[0]}' is a path. Notebooks lie in notebooks/; give a name. ${instead}`);
  if (slug === undefined) throw new UsageError(`'${names[0]}' has no letters to be called by. ${instead}`);
  if (!/^(?!\d-)(\d\d-)?[a-z0-9]+(-[a-z0-9]+)*$/.test(wanted))
    throw new UsageError(
      `'${names[0]}' can't be a notebook's name: it has small letters, digits and single hyphens. ${instead}`,
    );
  if (wanted.length > longestName)
    throw new UsageError(
      `'${wanted}' has ${wanted.length} letters; ${longestName} are the most. Take a shorter name.`,
    );

  const taken = files.map((file) => path.basename(file, '.ipynb'));
  const bare = withoutNumber(wanted);
  const same = taken.find((name) => withoutNumber(name).toLowerCase() === bare);
  if (same !== undefined)
    throw new UsageError(
      `There is already a notebook '${same}': npm run lab -- ${same} opens it. Choose another name.`,
    );
  const numbers = taken.flatMap((name) => /^\d+(?=-)/.exec(name)?.map(Number) ?? []);
  const next = Math.max(0, ...numbers) + 1;
  if (wanted !== bare) {
    const number = Number(wanted.slice(0, 2));
    if (!numbers.includes(number)) return wanted;
    const other = taken.find((name) => Number.parseInt(name, 10) === number);
    const free =
      next > 99
        ? ''
        : ` The next free number is ${padded(next)}: '${padded(next)}-${bare}', or just '${bare}'.`;
    throw new UsageError(`Number ${padded(number)} is that of '${other}'.${free}`);
  }
  if (next > 99) throw new UsageError(`Number 99 is taken; give a free one yourself: 'NN-${bare}'.`);
  return `${padded(next)}-${bare}`;
}

/** The template with a title, and its number where it speaks of itself. */
export function fillTemplate(template: NotebookDocument, title: string, number: string): NotebookDocument {
  const cells = template.cells.map((cell, i) => {
    const source = cell.source.replaceAll('npm start -- NAME', `npm start -- ${number}`);
    return { ...cell, source: i === 0 ? source.replace(/^# .*$/m, () => `# ${title}`) : source };
  });
  return { ...template, cells };
}

/** Whole, and only where nothing is. @throws with code EEXIST where something is. */
function writeNew(file: string, text: string): void {
  const handle = fs.openSync(file, 'wx');
  try {
    fs.writeFileSync(handle, text);
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    fs.closeSync(handle);
  }
}

/** `My Paper!` as `my-paper`; `undefined` where no letter is left. */
function slugOf(text: string): string | undefined {
  const plain = path.posix.basename(text.replaceAll('\\', '/')).normalize('NFKD').replace(/\p{M}/gu, '');
  const slug = plain
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .replace(/^(\d)-/, '0$1-');
  return /[a-z]/.test(slug) ? slug.slice(0, longestName).replace(/-$/, '') : undefined;
}

function withoutNumber(name: string): string {
  return name.replace(/^\d\d-/, '');
}

function titleOf(name: string): string {
  const words = withoutNumber(name).replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function oneLine(title: string | undefined): string | undefined {
  return title?.replace(/\s+/g, ' ').trim() || undefined;
}

function padded(number: number): string {
  return String(number).padStart(2, '0');
}
