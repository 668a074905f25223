/** The command `npm run data`: brings a known data set to the disk, and says of any set what it holds and what is wrong with it. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { formatSize } from '../../plot/format';
import { createProgress, type Progress } from '../../plot/progress';
import { preferredCacheDirectory } from '../../tensor/cache';
import { onInterrupts, withoutEchoes } from '../../tensor/signals';
import { nearest } from '../../tensor/nearest';
import type { FolderFormat } from '../folder';
import { formatAllProblems, formatFolderReport, type FolderReport, inspectFolder } from '../inspect';
import type { InvalidData } from '../problems';
import { fetchDataset, type FetchDatasetOptions, type FetchPlan, type FetchProgress } from './fetch-dataset';
import type { KnownDataset } from './known-datasets';
import { knownDatasets } from './official';

const policies: Readonly<Record<string, InvalidData>> = { stop: 'throw', drop: 'drop', mend: 'mend' };

function helpText(known: readonly KnownDataset[]): string {
  const size = (set: KnownDataset): string =>
    formatSize(set.archives.reduce((sum, archive) => sum + archive.size, 0));
  const names = known.map(
    (set) =>
      `  ${set.name.padEnd(12)} ${set.title}, ${size(set)} to download; splits ${Object.keys(set.splits).join(', ')}`,
  );
  return `npm run data -- NAME | FOLDER [options]

Downloads a data set, or uses what is on the disk, and says what it holds and what is wrong with it.

${names.join('\n')}
  FOLDER       a folder (or file) of your own, in Pascal VOC's layout, COCO's, YOLO's, a table, ...;
               write ./voc2007 for a folder that is called like a set

  --to FOLDER           where a set goes (default: datasets/NAME in ${preferredCacheDirectory()})
  --from PLACE          where its archives are: an address, or a folder; or a folder that holds the set
                        already, which is used where it is (default: the official addresses)
  --splits A,B          only these; of a known set no more is downloaded than they need
  --classes A,B         counts these classes only
  --on-problem WHAT     annotations that are wrong: stop (default) lists all of them and fails, drop leaves
                        them out, mend cuts boxes to the image and leaves out what can't be mended
  --format NAME         takes the folder for voc, coco, yolo, csv, json, loose-xml or loose-json
  --keep-archives       keeps what was downloaded after it was unpacked
  --help                this text

Ctrl-C stops; the same command goes on where it stopped. Exit code: 0 done, 1 failed or something is wrong
with the data, 2 a mistake in the command, 130 stopped.
`;
}

/** What a test sets. */
export interface DataCommandOptions {
  readonly known?: readonly KnownDataset[];
  readonly fetch?: Pick<FetchDatasetOptions, 'patience' | 'freeBytes'>;
  /** Lines of the command's own output. Default: standard output and error. */
  readonly print?: (line: string) => void;
  readonly complain?: (line: string) => void;
}

/** A mistake in the command itself. */
class MistakeError extends Error {}

/** Runs the command. Returns the exit code; what went wrong is on standard error. */
export async function dataCommand(args: string[], options: DataCommandOptions = {}): Promise<number> {
  const { complain = (line: string): void => console.error(line) } = options;
  const stop = new AbortController();
  try {
    return await run(args, options, stop);
  } catch (error) {
    if (stop.signal.aborted) {
      complain('data: stopped. The same command goes on where it stopped.');
      return 130;
    }
    complain(`data: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof MistakeError ? 2 : 1;
  }
}

interface Words {
  readonly target: string;
  readonly to?: string;
  readonly from?: string;
  readonly splits?: readonly string[];
  readonly classes?: readonly string[];
  readonly invalid: InvalidData;
  readonly format?: FolderFormat;
  readonly keepArchives: boolean;
}

async function run(args: string[], options: DataCommandOptions, stop: AbortController): Promise<number> {
  const { known = knownDatasets, print = (line: string): void => console.log(line) } = options;
  const words = parse(args);
  if (words === undefined) {
    print(helpText(known).trimEnd());
    return 0;
  }
  const dataset = known.find((set) => set.name === words.target.toLowerCase());
  if (dataset) return knownSet(dataset, words, options, stop, print);
  for (const option of ['to', 'from', 'keepArchives'] as const) {
    if (words[option])
      throw new MistakeError(
        `--${option === 'keepArchives' ? 'keep-archives' : option} is for sets that have a name.`,
      );
  }
  const folder = path.resolve(expandHome(words.target));
  if (!(await exists(folder))) {
    const names = known.map((set) => set.name);
    const hint = nearest(words.target, names);
    throw new MistakeError(
      `${words.target} is neither a folder nor one of ${names.join(', ')}.${hint ? ` Did you mean ${hint}?` : ''}`,
    );
  }
  const report = await inspectFolder(folder, {
    splits: words.splits,
    only: words.classes,
    invalid: words.invalid,
    format: words.format,
  });
  return tell(report, folder, words.invalid, print);
}

function parse(args: string[]): Words | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const specs = {
    to: text,
    from: text,
    splits: text,
    classes: text,
    'on-problem': text,
    format: text,
    'keep-archives': flag,
    help: { ...flag, short: 'h' },
  };
  let parsed;
  try {
    parsed = parseArgs({ args, options: specs, allowPositionals: true });
  } catch (error) {
    const word = /'--([^']*)'/.exec((error as Error).message)?.[1];
    const hint = word === undefined ? undefined : nearest(word, Object.keys(specs));
    const unknown = (error as NodeJS.ErrnoException).code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION';
    throw new MistakeError(
      unknown
        ? `There is no option --${word}.${hint ? ` Did you mean --${hint}?` : ''} --help lists them.`
        : (error as Error).message,
    );
  }
  const { values, positionals } = parsed;
  if (values.help) return undefined;
  if (positionals.length !== 1)
    throw new MistakeError(
      `Name one data set or folder${positionals.length > 1 ? `, not ${positionals.join(' and ')}` : ''}: npm run data -- voc2007. --help lists them.`,
    );
  const policy = values['on-problem'] ?? 'stop';
  if (!Object.hasOwn(policies, policy))
    throw new MistakeError(`--on-problem is "${policy}"; it must be ${Object.keys(policies).join(', ')}.`);
  const list = (option: 'splits' | 'classes'): string[] | undefined => {
    const names = values[option]?.split(',').map((name) => name.trim());
    if (names?.some((name) => name === ''))
      throw new MistakeError(`--${option} is "${values[option]}"; it must be names with commas between.`);
    return names;
  };
  return {
    target: positionals[0],
    to: values.to === undefined ? undefined : expandHome(values.to),
    from: values.from === undefined ? undefined : expandHome(values.from),
    splits: list('splits'),
    classes: list('classes'),
    invalid: policies[policy],
    format: values.format as FolderFormat | undefined,
    keepArchives: values['keep-archives'] ?? false,
  };
}

async function knownSet(
  dataset: KnownDataset,
  words: Words,
  { fetch }: DataCommandOptions,
  stop: AbortController,
  print: (line: string) => void,
): Promise<number> {
  const { from, to, splits } = words;
  print(`${dataset.title} (${dataset.page}): ${dataset.terms}`);
  const inPlace = from === undefined ? undefined : await unpackedIn(dataset, from);
  const origin =
    inPlace !== undefined
      ? { folder: inPlace, origin: 'found' as const }
      : await withInterrupt(stop, async () => {
          const lines = new ProgressLines();
          let finished = false;
          try {
            const fetched = await fetchDataset(dataset, {
              ...fetch,
              from,
              to,
              splits,
              keepArchives: words.keepArchives,
              signal: stop.signal,
              onPlan: (plan) => print(planLine(plan)),
              onProgress: (progress) => lines.tell(progress),
              onRetry: (reason) => {
                lines.clear();
                print(`  ${reason}: trying again`);
              },
            });
            finished = true;
            return fetched;
          } finally {
            lines.end(finished);
          }
        });
  const { folder } = origin;
  print(
    origin.origin === 'checked'
      ? `${folder}: there, its archives had the right checksums`
      : `${folder}: was there already`,
  );
  const report = await inspectFolder(folder, {
    splits,
    only: words.classes,
    classes: dataset.classes,
    // The sets as published have a few boxes that are wrong, which nobody can correct.
    invalid: words.invalid === 'throw' ? 'drop' : words.invalid,
    checkImages: origin.origin === 'checked' ? 'none' : 'ends',
  });
  const code = tell(report, folder, 'drop', print);
  return Math.max(code, compare(dataset, report, print));
}

/** Says where the counts are not those that were published. Objects that were left out are told as problems. */
function compare(dataset: KnownDataset, { parts }: FolderReport, print: (line: string) => void): number {
  const wrong = parts.flatMap(({ split, summary }) => {
    const published = split === undefined ? undefined : dataset.splits[split];
    return published === undefined || published.images === summary.images
      ? []
      : [`${split} has ${summary.images} images, ${published.images} were published`];
  });
  if (wrong.length > 0) {
    print(
      `This is not all of ${dataset.title}: ${wrong.join('; ')}. Remove the folder and run the command again.`,
    );
    return 1;
  }
  const counted = parts.filter(({ split }) => split !== undefined && Object.hasOwn(dataset.splits, split));
  if (counted.length > 0)
    print(`As many images in ${counted.map(({ split }) => split).join(', ')} as were published.`);
  return 0;
}

/** The set within a folder that holds it unpacked, if it does. */
async function unpackedIn({ root, archives }: KnownDataset, from: string): Promise<string | undefined> {
  if (/^[a-z]+:\/\//i.test(from)) return undefined;
  if (!(await exists(from))) throw new MistakeError(`--from: there is no folder ${from}.`);
  for (const archive of archives) if (await exists(path.join(from, archive.file))) return undefined;
  // The folder above VOCdevkit, VOCdevkit itself, or VOC2007 within it.
  const parts = root.split('/').filter((part) => part !== '.');
  for (let skip = 0; skip <= parts.length; skip++) {
    const folder = path.resolve(from, ...parts.slice(skip));
    const first = Object.values(archives[0].marks)[0].split('/').slice(parts.length)[0];
    if ((await exists(folder)) && (await exists(path.join(folder, first)))) return folder;
  }
  return undefined;
}

/** Prints the report. @returns the exit code. */
function tell(
  report: FolderReport,
  folder: string,
  invalid: InvalidData,
  print: (line: string) => void,
): number {
  print('');
  print(formatFolderReport(report));
  if (report.problems.length > 0) {
    print('');
    print(formatAllProblems(report.problems, folder));
  } else {
    print('');
    print('no problems');
  }
  if (invalid !== 'throw' || report.wrong === 0) return 0;
  print('');
  print(
    `The readers refuse this because of ${report.wrong === 1 ? '1 problem' : `${report.wrong} problems`}. Correct the files, or read on with invalid: 'drop' (here --on-problem drop) or 'mend'.`,
  );
  return 1;
}

function planLine({ archives, download, disk, free, folder }: FetchPlan): string {
  const count = archives.length === 1 ? '1 archive' : `${archives.length} archives`;
  const room = free === undefined ? '' : `, ${formatSize(free)} free`;
  return `${count} into ${folder}: ${formatSize(download)} to download, ${formatSize(disk)} of disk needed${room}`;
}

/** One line for each archive and stage. */
class ProgressLines {
  private key = '';
  private progress: Progress | undefined;
  private base = 0;
  private last = 0;
  private rest: number | undefined;

  tell({ archive, stage, done, total }: FetchProgress): void {
    const key = `${archive}/${stage}`;
    const again = key === this.key && done < this.last;
    if (key !== this.key || again) {
      this.end(!again);
      this.key = key;
      // The time left hangs on what is loaded now, not on what was there.
      this.base = stage === 'download' && !again ? done : 0;
      const verb = { download: 'downloading', check: 'checking', unpack: 'unpacking' }[stage];
      const from = this.base > 5e6 ? ` (from ${formatSize(this.base)} on)` : '';
      this.rest = total === undefined ? undefined : Math.max(0.1, megabytes(total - this.base));
      this.progress = createProgress({ label: `${verb} ${archive}${from}`, total: this.rest, unit: 'MB' });
    }
    this.last = done;
    this.progress?.update({ step: megabytes(done - this.base) });
  }

  /** Room for another line. */
  clear(): void {
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  }

  end(finished: boolean): void {
    if (finished) {
      // How much there is to unpack is known roughly: what is done is not to look half done.
      if (this.rest !== undefined) this.progress?.update({ step: this.rest });
      this.progress?.done();
    } else if (this.progress) this.clear();
    this.progress = undefined;
    this.key = '';
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

/** Ctrl-C ends the work in good order; a second one ends the process. */
async function withInterrupt<T>(stop: AbortController, work: () => Promise<T>): Promise<T> {
  const interrupt = withoutEchoes((times, signal: NodeJS.Signals) => {
    if (times > 1) process.exit(128 + os.constants.signals[signal]);
    stop.abort(new Error('stopped'));
  });
  const deafen = onInterrupts(interrupt);
  try {
    return await work();
  } finally {
    deafen();
  }
}

function expandHome(text: string): string {
  return text === '~' || text.startsWith('~/') ? path.join(os.homedir(), text.slice(1)) : text;
}

async function exists(file: string): Promise<boolean> {
  return (await fs.stat(file).catch(() => undefined)) !== undefined;
}
