/** Brings a data set that is known by name to the disk: downloads, checks, unpacks, and says what is there already. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { nearest } from '../../tensor/nearest';
import { takeLock } from '../../tensor/prepare/lock';
import { checkSpace, freeBytes } from './disk-space';
import { digestOf, downloadFile, type DownloadOptions } from './download-file';
import type { KnownArchive, KnownDataset } from './known-datasets';
import { knownDatasets } from './official';
import { putInPlace } from './put-in-place';
import { unpack } from './unpack';

/** How far an archive is. */
export interface FetchProgress {
  readonly archive: string;
  readonly stage: 'download' | 'check' | 'unpack';
  readonly done: number;
  /** In all, where it is known. */
  readonly total?: number;
}

/** What is about to be done. */
export interface FetchPlan {
  readonly folder: string;
  /** Archives that are missing. */
  readonly archives: readonly string[];
  /** Bytes to download, and bytes of disk that are needed meanwhile. */
  readonly download: number;
  readonly disk: number;
  /** Bytes that are free, where that can be told. */
  readonly free: number | undefined;
}

/** Options of `fetchDataset`. */
export interface FetchDatasetOptions {
  /** Where it goes. Default: `datasets/<name>` in the cache folder. */
  readonly to?: string;
  /** Where the archives are: an address (the files' names are added to it), or a folder. Default: the official addresses. */
  readonly from?: string;
  /** Splits that are wanted. Default: all. */
  readonly splits?: readonly string[];
  /** Keeps downloaded archives after they were unpacked. Default false. */
  readonly keepArchives?: boolean;
  readonly signal?: AbortSignal;
  /** Told once, before anything is downloaded. */
  readonly onPlan?: (plan: FetchPlan) => void;
  readonly onProgress?: (progress: FetchProgress) => void;
  /** Told of every failure that is got over. */
  readonly onRetry?: (reason: string) => void;
  /** Patience with the network. */
  readonly patience?: Pick<DownloadOptions, 'attempts' | 'connectMs' | 'stallMs' | 'pauseMs'>;
  /** Bytes free on the disk of a folder. Default: as the system says. */
  readonly freeBytes?: (folder: string) => Promise<number | undefined>;
}

/** Where a data set is. */
export interface FetchedDataset {
  readonly dataset: KnownDataset;
  /** The folder that `readFolder`, `readVoc` or `readCoco` takes. */
  readonly folder: string;
  /** `checked`: unpacked from archives whose checksums were right. `found`: it was there, put there by somebody else. */
  readonly origin: 'checked' | 'found';
}

/** What was unpacked, in a file of the folder. */
interface FetchRecord {
  readonly archives: Readonly<Record<string, { readonly sha256: string }>>;
}

/**
 * Brings one of `knownDatasets` to the disk, or says where it is. What is interrupted, also by kill -9, goes on in the next call where it
 * stopped; files come to their place when their archive's checksum was right and all of it was unpacked.
 * @throws Error naming the way out: no such name or split, a disk that is too small, an address or an archive that is wrong, another
 *   process that does the same; what aborted the signal.
 */
export async function fetchDataset(
  which: string | KnownDataset,
  options: FetchDatasetOptions = {},
): Promise<FetchedDataset> {
  const dataset = typeof which === 'string' ? findKnown(which) : which;
  const splits = options.splits ?? Object.keys(dataset.splits);
  checkSplits(dataset, splits);
  const to = path.resolve(options.to ?? path.join(cacheDirectory(), 'datasets', dataset.name));
  const folder = path.join(to, dataset.root);
  const wanted = dataset.archives.filter((archive) => splits.some((split) => archive.splits.includes(split)));
  const first = await look(dataset, wanted, to, splits);
  if (first.missing.length === 0) return { dataset, folder, origin: first.origin };
  await fs.mkdir(to, { recursive: true });
  const release = await takeLock(path.join(to, '.lock'), { timeoutMs: 500 });
  if (release === undefined)
    throw new Error(`Another process is at work in ${to}. Wait for it, or choose another folder with --to.`);
  try {
    const { missing } = await look(dataset, wanted, to, splits);
    const places = await Promise.all(missing.map((archive) => placeOf(archive, to, options.from)));
    const plan = await makePlan(missing, places, to, options);
    options.onPlan?.(plan);
    checkSpace(to, plan.disk, plan.free);
    for (const [index, archive] of missing.entries())
      await bring(dataset, archive, places[index], to, splits, options);
    return { dataset, folder, origin: 'checked' };
  } finally {
    release();
  }
}

/** The set of a name. @throws naming the nearest where there is none. */
export function findKnown(name: string, known: readonly KnownDataset[] = knownDatasets): KnownDataset {
  const dataset = known.find((one) => one.name === name.toLowerCase());
  if (dataset) return dataset;
  const names = known.map((one) => one.name);
  const hint = nearest(name, names);
  throw new Error(
    `There is no data set "${name}".${hint ? ` Did you mean "${hint}"?` : ''} There are ${names.join(', ')}.`,
  );
}

function checkSplits({ name, splits }: KnownDataset, wanted: readonly string[]): void {
  const names = Object.keys(splits);
  const wrong = wanted.find((one) => !names.includes(one));
  if (wrong === undefined && wanted.length > 0) return;
  const hint = nearest(wrong ?? '', names);
  throw new Error(
    `${name} has no split "${wrong ?? ''}".${hint ? ` Did you mean "${hint}"?` : ''} It has ${names.join(', ')}.`,
  );
}

/** The marks of an archive that matter for these splits. */
function marksOf(archive: KnownArchive, splits: readonly string[]): string[] {
  const marks = Object.entries(archive.marks);
  const asked = marks.filter(([split]) => splits.includes(split));
  // An archive whose files can't be told apart by split has one mark for all of them.
  return (marks.length > 1 ? asked : marks).map(([, mark]) => mark);
}

/** What is missing, and whether what is there was checked. */
async function look(
  dataset: KnownDataset,
  wanted: readonly KnownArchive[],
  to: string,
  splits: readonly string[],
): Promise<{ missing: KnownArchive[]; origin: FetchedDataset['origin'] }> {
  const record = await readRecord(dataset, to);
  const missing: KnownArchive[] = [];
  let origin: FetchedDataset['origin'] = 'checked';
  for (const archive of wanted) {
    let there = true;
    for (const mark of marksOf(archive, splits)) there &&= await exists(path.join(to, mark));
    if (!there) missing.push(archive);
    else if (record.archives[archive.file]?.sha256 !== archive.sha256) origin = 'found';
  }
  return { missing, origin };
}

/** Where an archive is, or comes from. */
interface ArchivePlace {
  readonly file: string;
  /** Where it is to be downloaded from; left out where it lies in a folder of the user's, which is left as it is. */
  readonly url?: string;
}

async function placeOf(archive: KnownArchive, to: string, from: string | undefined): Promise<ArchivePlace> {
  const file = path.join(to, 'archives', archive.file);
  if (from === undefined) return { file, url: archive.url };
  if (/^[a-z]+:\/\//i.test(from)) return { file, url: `${from.replace(/\/+$/, '')}/${archive.file}` };
  const given = path.resolve(from, archive.file);
  if (await exists(given)) return { file: given };
  throw new Error(
    `${path.resolve(from)} has no ${archive.file}. --from takes an address or a folder of the archives.`,
  );
}

async function makePlan(
  missing: readonly KnownArchive[],
  places: readonly ArchivePlace[],
  folder: string,
  options: FetchDatasetOptions,
): Promise<FetchPlan> {
  let [download, used, disk] = [0, 0, 0];
  for (const [index, archive] of missing.entries()) {
    const { file, url } = places[index];
    const here =
      url === undefined ? archive.size : Math.max(await sizeOf(file), await sizeOf(`${file}.part`));
    const rest = Math.max(0, archive.size - here);
    download += rest;
    used += rest + archive.unpacked;
    disk = Math.max(disk, used);
    if (url !== undefined && !options.keepArchives) used -= archive.size;
  }
  const free = await (options.freeBytes ?? freeBytes)(folder);
  return { folder, archives: missing.map(({ file }) => file), download, disk, free };
}

/** Downloads and checks an archive, unpacks it aside, and puts its files in their place. */
async function bring(
  dataset: KnownDataset,
  archive: KnownArchive,
  { file, url }: ArchivePlace,
  to: string,
  splits: readonly string[],
  { signal, onProgress, onRetry, patience, keepArchives }: FetchDatasetOptions,
): Promise<void> {
  const digest = { algorithm: 'sha256', hex: archive.sha256 } as const;
  const tell = (stage: FetchProgress['stage'], done: number, total?: number): void =>
    onProgress?.({ archive: archive.file, stage, done, total });
  signal?.throwIfAborted();
  if (await exists(file)) await checkArchive(archive, file, url !== undefined, signal, tell);
  if (url !== undefined && !(await exists(file))) {
    await downloadFile({
      ...patience,
      url,
      file,
      size: archive.size,
      digest,
      signal,
      onRetry,
      onProgress: ({ stage, done, total }) => tell(stage, done, total),
    });
  }
  // Nothing that is there bears this name: whatever was unpacked and not put in its place is worth nothing.
  const aside = path.join(to, '.unpacking');
  await fs.rm(aside, { recursive: true, force: true });
  try {
    await unpack(file, aside, {
      mostBytes: 2 * archive.unpacked,
      wanted: (name) => archive.keeps?.(name, splits) ?? true,
      signal,
      onProgress: (done) => tell('unpack', done, archive.unpacked),
    });
    for (const mark of marksOf(archive, splits)) {
      if (!(await exists(path.join(aside, mark))))
        throw new Error(`${file} holds no ${mark}: it is another archive.`);
    }
    // Before the marks, which come last: what has its marks and is not in the record was put there by somebody else.
    const { archives } = await readRecord(dataset, to);
    await writeRecord(dataset, to, { archives: { ...archives, [archive.file]: { sha256: archive.sha256 } } });
    await putInPlace(aside, to);
  } finally {
    await fs.rm(aside, { recursive: true, force: true });
  }
  if (url === undefined || keepArchives) return;
  await fs.rm(file, { force: true });
  await fs.rmdir(path.dirname(file)).catch(() => undefined); // others may lie there
}

/** An archive that lies there: one of ours that is wrong is thrown away, one of the user's is told. */
async function checkArchive(
  archive: KnownArchive,
  file: string,
  ours: boolean,
  signal: AbortSignal | undefined,
  tell: (stage: 'check', done: number, total: number) => void,
): Promise<void> {
  const size = await sizeOf(file);
  let fault = size === archive.size ? undefined : `it has ${size} bytes, the published one ${archive.size}`;
  if (fault === undefined) {
    const hex = await digestOf(file, 'sha256', signal, (done) => tell('check', done, size));
    if (hex !== archive.sha256) fault = `its sha256 is ${hex}, that of the published one ${archive.sha256}`;
  }
  if (fault === undefined) return;
  if (!ours) throw new Error(`${file} is not the published archive: ${fault}.`);
  await fs.rm(file);
}

function recordFile(dataset: KnownDataset, to: string): string {
  return path.join(to, `.${dataset.name}.json`);
}

async function readRecord(dataset: KnownDataset, to: string): Promise<FetchRecord> {
  try {
    const record = JSON.parse(await fs.readFile(recordFile(dataset, to), 'utf8')) as Partial<FetchRecord>;
    return { archives: record.archives ?? {} };
  } catch {
    return { archives: {} };
  }
}

async function writeRecord(dataset: KnownDataset, to: string, record: FetchRecord): Promise<void> {
  const file = recordFile(dataset, to);
  await fs.writeFile(`${file}.new`, `${JSON.stringify(record, undefined, 2)}\n`);
  await fs.rename(`${file}.new`, file);
}

async function exists(file: string): Promise<boolean> {
  return (await fs.stat(file).catch(() => undefined)) !== undefined;
}

async function sizeOf(file: string): Promise<number> {
  return (await fs.stat(file).catch(() => undefined))?.size ?? 0;
}
