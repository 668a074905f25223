/** `npm start`: runs notebooks and leaves them, with their outputs, as .ipynb files and as pages. */
import path from 'node:path';
import { parseBackendName } from '../../tensor/ladder';
import type { Profile } from '../../papers/profile';
import { parseDataFolder, parseProfile, profiles } from '../environment';
import { projectRoot } from '../../tensor/packages';
import { onInterrupts } from '../../tensor/signals';
import { NotebookFormatError, notebookTitle, readNotebook, writeNotebook } from '../nbformat';
import type { PageNotebook } from '../page/notebook-page';
import { checkedOption, type ParsedArguments, parseArguments } from './arguments';
import { Durations } from './durations';
import { describeWriteError, prepareOutFolder } from './out-folder';
import { type RunFailure, runNotebook, type RunProgress, type RunResult } from './run-notebook';
import { forSaving } from './saving';
import { listNotebooks, selectNotebooks, UsageError } from './select';
import { shortPath } from './short-path';
import { clock, progressText, StatusLine } from './status-line';

export const startHelp: string = `Runs notebooks without a browser and writes what they show.

  npm start                       every notebook at the quick profile
  npm start -- 01                 one, by number or name
  npm start -- 01 --profile default

  --profile quick|default|paper   how much is computed (quick; minutes, not hours)
  --backend NAME                  tensorflow, webgpu, wasm or cpu (the fastest there is)
  --data FOLDER                   your own images, in any layout that npm run data knows
  --out DIR                       where results go (out)
  --timeout SECONDS               end a cell that runs longer (quick: 1800; else none)
  --keep-going                    go on with the next notebook after one has failed
  --save                          also store the outputs in the notebooks themselves
  --list                          the notebooks, their titles, how long they took last
  --help                          this text

Results: DIR/<name>.ipynb and DIR/index.html. Ctrl-C ends a run; what was done so far is kept.
Exit code: 0 all ran, 1 one failed, 2 a mistake in the command, 130 interrupted.`;

const options = {
  profile: { value: 'quick|default|paper' },
  backend: { value: 'NAME' },
  data: { value: 'FOLDER' },
  out: { value: 'DIR' },
  timeout: { value: 'SECONDS' },
  'keep-going': 'flag',
  save: 'flag',
  list: 'flag',
  help: 'flag',
} as const;

interface Plan {
  files: string[];
  profile: Profile;
  backend?: string;
  data?: string;
  out: string;
  timeoutSeconds?: number;
  keepGoing: boolean;
  save: boolean;
}

/** Runs what `words` ask for. Returns the exit code. */
export async function startCommand(words: readonly string[]): Promise<number> {
  const parsed = parseArguments(words, options);
  if (parsed.flags.has('help')) {
    console.log(startHelp);
    return 0;
  }
  const folder = path.join(projectRoot, 'notebooks');
  if (parsed.flags.has('list')) return list(folder, parsed.names);
  const plan = makePlan(parsed, folder);
  prepareOutFolder(plan.out);
  if (!(await prepareBackend(plan))) return 1;
  return finish(await runAll(plan), plan, words.length === 0);
}

function makePlan(parsed: ParsedArguments, folder: string): Plan {
  const value = (name: string): string | undefined => parsed.values.get(name);
  const profile = checkedOption(() => parseProfile(value('profile') ?? profiles[0]!, '--profile'));
  const backend = value('backend') ?? process.env.DETLAB_BACKEND;
  const data = value('data') ?? process.env.DETLAB_DATA;
  const timeout = value('timeout');
  if (timeout !== undefined && !(Number(timeout) > 0)) {
    throw new UsageError(`--timeout takes a number of seconds above 0; got '${timeout}'.`);
  }
  return {
    files: selectNotebooks(parsed.names, folder),
    profile,
    backend: backend
      ? checkedOption(() => parseBackendName(backend, value('backend') ? '--backend' : 'DETLAB_BACKEND'))
      : undefined,
    data: data
      ? checkedOption(() => parseDataFolder(data, value('data') ? '--data' : 'DETLAB_DATA'))
      : undefined,
    out: path.resolve(value('out') ?? 'out'),
    timeoutSeconds: timeout ? Number(timeout) : profile === 'quick' ? 1800 : undefined,
    keepGoing: parsed.flags.has('keep-going'),
    save: parsed.flags.has('save'),
  };
}

function list(folder: string, names: readonly string[]): number {
  const durations = Durations.load();
  const files = names.length > 0 ? selectNotebooks(names, folder) : listNotebooks(folder);
  for (const file of files) {
    const name = path.basename(file, '.ipynb');
    let title: string;
    try {
      title = notebookTitle(readNotebook(file)) ?? '(no title)';
    } catch (error) {
      title = `can't be read: ${(error as Error).message}`;
    }
    const times = profiles.map((profile) => ({
      profile,
      seconds: durations.total(durationKey(name, { profile })),
    }));
    const known = times
      .filter((t) => t.seconds !== undefined)
      .map((t) => `${t.profile} ${clock(t.seconds!)}`);
    console.log(`${name.padEnd(22)} ${title}${known.length > 0 ? `  (last: ${known.join(', ')})` : ''}`);
  }
  if (files.length === 0) console.log(`No notebooks in ${folder}.`);
  return 0;
}

/** Sees to the native backend. Where it can't be had everything runs on what npm alone brings, unless it was asked for. */
async function prepareBackend(plan: Plan): Promise<boolean> {
  if (plan.backend !== undefined && plan.backend !== 'tensorflow') return true;
  const { prepareTensorFlow } = await import('../../tensor/prepare/prepare.js');
  const prepared = await prepareTensorFlow();
  if (prepared.ok) return true;
  const help = `What would help: ${prepared.remedy}`;
  if (plan.backend === 'tensorflow') {
    console.error(`The backend 'tensorflow' can't be had: ${prepared.reason}. ${help}`);
    return false;
  }
  console.log(`TensorFlow can't be used: ${prepared.reason}. Running on wasm, which is slower. ${help}`);
  return true;
}

/** A notebook that was run, or why it could not be. */
interface Entry {
  file: string;
  result?: RunResult;
  /** It could not be read, or its results not be written. */
  problem?: string;
}

async function runAll(plan: Plan): Promise<Entry[]> {
  const line = new StatusLine();
  const durations = Durations.load();
  const stop = new AbortController();
  const deafen = onInterrupts(() => stop.abort());
  const entries: Entry[] = [];
  try {
    for (const file of plan.files) {
      const entry = await runOne(file, plan, stop.signal, line, durations);
      entries.push(entry);
      if (entry.result?.status === 'interrupted') break;
      if ((entry.problem !== undefined || entry.result?.status === 'failed') && !plan.keepGoing) break;
    }
  } finally {
    line.clear();
    deafen();
  }
  return entries;
}

async function runOne(
  file: string,
  plan: Plan,
  signal: AbortSignal,
  line: StatusLine,
  durations: Durations,
): Promise<Entry> {
  const name = path.basename(file, '.ipynb');
  const key = durationKey(name, plan);
  const before = durations.total(key);
  line.print(
    `${name}: ${plan.profile} profile${before === undefined ? '' : `, took ${clock(before)} last time`}`,
  );
  const onProgress = (run: RunProgress): void => {
    const own = run.progress?.done ? undefined : run.progress?.secondsLeft;
    const left = durations.left(key, run.cell, run.cellSeconds, own);
    line.update(progressText(run, left), `${name} ${run.cell}`);
  };
  const env = {
    DETLAB_PROFILE: plan.profile,
    DETLAB_DATA: plan.data,
    DETLAB_BACKEND: plan.backend,
  };
  let result: RunResult;
  try {
    result = await runNotebook({ file, env, timeoutSeconds: plan.timeoutSeconds, signal, onProgress });
  } catch (error) {
    const problem =
      error instanceof NotebookFormatError ? error.message : `${file}: ${(error as Error).message}`;
    line.print(problem);
    return { file, problem };
  }
  line.print(outcomeText(result));
  if (result.status === 'ok') durations.save(key, result.seconds, result.cellSeconds);
  const target = path.join(plan.out, `${name}.ipynb`);
  let writing = target;
  try {
    writeNotebook(target, result.notebook);
    writing = file;
    if (plan.save && result.status === 'ok') writeNotebook(file, forSaving(result.notebook));
  } catch (error) {
    const problem = describeWriteError(writing, error);
    line.print(problem);
    return { file, result, problem };
  }
  return { file, result };
}

/** `01-scratchdet: ok, 1:12`, or what failed and where, with the traceback. */
function outcomeText(result: RunResult): string {
  const { failure } = result;
  if (result.status === 'ok') return `${result.name}: ok, ${clock(result.seconds)}`;
  if (result.status === 'interrupted') return `${result.name}: interrupted in cell [${failure?.cell ?? 0}]`;
  return [
    `${result.name}: failed in ${failureText(failure!)}`,
    ...failure!.traceback.slice(0, 40).map((l) => `  ${l}`),
  ].join('\n');
}

function failureText(failure: RunFailure): string {
  const place = failure.cell === 0 ? 'the kernel' : `cell [${failure.cell}]`;
  const line = failure.line === undefined ? '' : `, line ${failure.line}`;
  const source = failure.sourceLine ? ` at \`${failure.sourceLine}\`` : '';
  return `${place}${line}: ${failure.ename}: ${failure.evalue.split('\n')[0]}${source}`;
}

/** Writes the page, says how it went and what one could do next. Returns the exit code. */
async function finish(entries: readonly Entry[], plan: Plan, plain: boolean): Promise<number> {
  const ran = entries.filter((e): e is Entry & { result: RunResult } => e.result !== undefined);
  const page = path.join(plan.out, 'index.html');
  let pageWritten = false;
  if (ran.length > 0) {
    try {
      const { writePage } = await import('../page/page.js');
      await writePage(
        ran.map((entry) => pageNotebook(entry, plan)),
        page,
      );
      pageWritten = true;
    } catch (error) {
      console.error(`The page could not be written. ${describeWriteError(page, error)}`);
    }
  }
  const bad = entries.filter((e) => e.problem !== undefined || e.result?.status === 'failed');
  if (plan.files.length > 1) {
    console.log('');
    for (const { file, result, problem } of entries) {
      const name = path.basename(file, '.ipynb');
      const state =
        problem ?? (result!.failure ? `${result!.status}: ${failureText(result!.failure)}` : 'ok');
      console.log(`${name.padEnd(22)} ${result ? clock(result.seconds).padStart(7) : '      -'}  ${state}`);
    }
    for (const file of plan.files.slice(entries.length))
      console.log(`${path.basename(file, '.ipynb').padEnd(22)}       -  not run`);
  }
  if (pageWritten)
    console.log(
      `\nOpen ${shortPath(page)} to read the results; the notebooks with outputs are in ${shortPath(plan.out)}.`,
    );
  if (plain && bad.length === 0) {
    console.log(
      `This was the quick profile: a check that everything works. \`npm start -- 01 --profile default\` runs one notebook at\n` +
        'the size its text is about; `npm start -- --help` tells the rest.',
    );
  }
  if (ran.some(({ result }) => result.status === 'interrupted')) return 130;
  return bad.length > 0 || (ran.length > 0 && !pageWritten) ? 1 : 0;
}

function pageNotebook({ file, result }: { file: string; result: RunResult }, plan: Plan): PageNotebook {
  const { name, title, notebook, status, seconds, failure } = result;
  const codeCells = notebook.cells.flatMap((cell, i) => (cell.cell_type === 'code' ? [i + 1] : []));
  const data = plan.data ? ` --data ${path.basename(plan.data)}` : '';
  return {
    name,
    title,
    notebook,
    status,
    seconds,
    directory: path.dirname(file),
    info: {
      profile: plan.profile,
      ...(plan.data ? { data: path.basename(plan.data) } : {}),
      ...result.info,
      node: process.version,
      date: new Date().toISOString().slice(0, 10),
      command: `npm start -- ${name} --profile ${plan.profile}${data}`,
    },
    // The page counts all cells, as a reader of it does.
    ...(failure ? { failure: { ...failure, cell: codeCells[failure.cell - 1] ?? 1 } } : {}),
  };
}

function durationKey(
  name: string,
  { profile, backend, data }: Pick<Plan, 'profile' | 'backend' | 'data'>,
): string {
  return [name, profile, backend ?? 'auto', ...(data ? [path.basename(data)] : [])].join('|');
}
