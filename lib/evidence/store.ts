/** Results of runs: one JSON file each, in `STUDY/PROFILE/ARM-seedN.json`. */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Profile } from '../papers/profile';
import { makeFolders } from '../tensor/folders';
import { projectRoot } from '../tensor/packages';
import { isRecord } from '../tensor/plain-json';
import { writeAtomically } from '../weights/atomic-file';
import { fingerprintOf, runSettings, settingsChanges } from './check-study';
import { jsonText } from './json-text';
import type { Provenance } from './provenance';
import {
  type Study,
  type StudyArm,
  type StudyPoint,
  type StudyResult,
  type StudyRow,
  thinnedCurve,
} from './study';

/** Where results are kept unless told. */
export const resultsFolder: string = path.join(projectRoot, 'data', 'results');

/** The result of one run, as it is kept. */
export interface EvidenceRun {
  readonly study: string;
  readonly profile: Profile;
  readonly arm: string;
  readonly seed: number;
  /** Of `settings`: a run with another one is stale. */
  readonly fingerprint: string;
  /** The study's and the arm's. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly provenance: Provenance;
  readonly diverged: boolean;
  /** To six digits, whole numbers in full; `null`: not finite. */
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly curves: Readonly<Record<string, readonly StudyPoint[]>>;
  readonly tables: Readonly<Record<string, readonly StudyRow[]>>;
}

/** Names a run. */
export interface RunKey {
  readonly study: string;
  readonly profile: Profile;
  readonly arm: string;
  readonly seed: number;
}

/** `ARM-seedN.json`. */
function runFileName(arm: string, seed: number): string {
  return `${arm}-seed${seed}.json`;
}

/** The folder of a study's results at a profile. */
export function studyFolder(root: string, study: string, profile: Profile): string {
  return path.join(root, study, profile);
}

/** Makes what is kept of what a study's `run` returned. @throws where it is not what `StudyResult` says, naming the part. */
export function evidenceRun(
  study: Study,
  { profile, arm, seed }: Omit<RunKey, 'study'>,
  result: StudyResult,
  provenance: Provenance,
): EvidenceRun {
  const one = armOf(study, profile, arm);
  const settings = runSettings(study, profile, one);
  const where = `study '${study.name}': the run of '${arm}'`;
  if (!isRecord(result) || !isRecord(result.metrics) || typeof result.diverged !== 'boolean')
    throw new Error(`${where} must return { metrics, diverged }, and returned ${JSON.stringify(result)}`);
  for (const name of Object.keys(study.metrics))
    if (!(name in result.metrics))
      throw new Error(
        `${where} gave no '${name}' among its metrics (${Object.keys(result.metrics).join(', ')}); null says: no value`,
      );
  for (const [name, value] of Object.entries<unknown>(result.metrics))
    if (typeof value !== 'number' && value !== null)
      throw new Error(
        `${where} gave ${JSON.stringify(value)} for '${name}'; a metric is a number, or null: no value`,
      );
  return {
    study: study.name,
    profile,
    arm,
    seed,
    fingerprint: fingerprintOf(settings),
    settings,
    provenance: { ...provenance, seconds: rounded(provenance.seconds, 4) ?? 0 },
    diverged: result.diverged,
    metrics: mapValues(result.metrics, (value) => rounded(value, 6)),
    curves: mapValues(result.curves ?? {}, (points) =>
      thinnedCurve(points).map(({ step, value }) => ({ step, value: rounded(value, 4) })),
    ),
    tables: mapValues(result.tables ?? {}, (rows) =>
      rows.map((row) => mapValues(row, (cell) => (typeof cell === 'number' ? rounded(cell, 6) : cell))),
    ),
  };
}

/** The arm of that name. @throws where the study has none. */
export function armOf(study: Study, profile: Profile, name: string): StudyArm {
  const arm = study.arms(profile).find((one) => one.name === name);
  if (!arm) throw new Error(`study '${study.name}' has no arm '${name}' at the ${profile} profile`);
  return arm;
}

function rounded(value: number | null, digits: number): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  return Number.isInteger(value) ? value : Number(value.toPrecision(digits));
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** A run as its file has it: curves as two rows of numbers. */
export function runText(run: EvidenceRun): string {
  const curves = mapValues(run.curves, (points) => ({
    step: points.map(({ step }) => step),
    value: points.map(({ value }) => value),
  }));
  return jsonText({ ...run, curves });
}

/** Writes a run's file, whole or not at all. Returns its path. */
export async function writeRun(root: string, run: EvidenceRun): Promise<string> {
  const folder = studyFolder(root, run.study, run.profile);
  makeFolders(folder);
  const file = path.join(folder, runFileName(run.arm, run.seed));
  await writeAtomically(file, (handle) => handle.writeFile(runText(run)));
  return file;
}

/** What a run's file holds, or why it must not be used. */
export type FileState =
  | { readonly state: 'good'; readonly run: EvidenceRun }
  | { readonly state: 'missing' }
  | { readonly state: 'broken' | 'stale'; readonly problem: string };

/** Reads the file of a run and checks that it is this very run's. */
export async function readRun(root: string, study: Study, key: Omit<RunKey, 'study'>): Promise<FileState> {
  const file = path.join(studyFolder(root, study.name, key.profile), runFileName(key.arm, key.seed));
  const name = `${study.name}/${key.profile}/${runFileName(key.arm, key.seed)}`;
  let text: string;
  try {
    text = await fs.readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'missing' };
    return { state: 'broken', problem: `${name} can't be read: ${(error as NodeJS.ErrnoException).code}` };
  }
  let run: EvidenceRun;
  try {
    run = parseRun(text);
  } catch (error) {
    return { state: 'broken', problem: `${name} is damaged: ${(error as Error).message}` };
  }
  const expected: RunKey = { study: study.name, ...key };
  for (const field of ['study', 'profile', 'arm', 'seed'] as const) {
    if (run[field] === expected[field]) continue;
    const problem = `${name} holds another run: its ${field} is ${run[field]}, by its name it should be ${expected[field]}`;
    return { state: 'broken', problem };
  }
  const settings = runSettings(study, key.profile, armOf(study, key.profile, key.arm));
  if (run.fingerprint !== fingerprintOf(run.settings))
    return {
      state: 'broken',
      problem: `${name} was changed by hand: its settings don't have its fingerprint`,
    };
  if (run.fingerprint !== fingerprintOf(settings)) {
    const changes = settingsChanges(run.settings, settings);
    const more = changes.length > 3 ? `; and ${changes.length - 3} more` : '';
    const problem = `${name} is of other settings: ${changes.slice(0, 3).join('; ')}${more}`;
    return { state: 'stale', problem };
  }
  const metric = Object.keys(study.metrics).find((one) => !(one in run.metrics));
  if (metric !== undefined)
    return { state: 'stale', problem: `${name} has no '${metric}', which the study measures` };
  return { state: 'good', run };
}

/** All runs of a study at a profile, whatever their seeds, by arm and seed, and a line for each file that is not used. */
export async function readRuns(
  root: string,
  study: Study,
  profile: Profile,
): Promise<{ runs: EvidenceRun[]; problems: string[] }> {
  const folder = studyFolder(root, study.name, profile);
  const files = (await fs.readdir(folder).catch(() => [])).filter(
    (name) => name.endsWith('.json') && !name.startsWith('.'),
  );
  const runs: EvidenceRun[] = [];
  const problems: string[] = [];
  const known = new Set<string>();
  for (const { name: arm } of study.arms(profile)) {
    const seeds = files.flatMap((name) => {
      const match = /^(.+)-seed(0|[1-9]\d*)\.json$/.exec(name);
      return match?.[1] === arm ? [Number(match[2])] : [];
    });
    for (const seed of seeds.sort((a, b) => a - b)) {
      known.add(runFileName(arm, seed));
      const found = await readRun(root, study, { profile, arm, seed });
      if (found.state === 'good') runs.push(found.run);
      else if (found.state !== 'missing') problems.push(found.problem);
    }
  }
  for (const name of files.sort())
    if (!known.has(name)) problems.push(`${study.name}/${profile}/${name} belongs to no arm of the study`);
  return { runs, problems };
}

/** @throws naming what is wrong. */
function parseRun(text: string): EvidenceRun {
  const value = JSON.parse(text) as unknown;
  const need = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(what);
  };
  if (!isRecord(value)) throw new Error('it is no JSON object');
  const { metrics, curves, tables, provenance } = value;
  for (const field of ['study', 'profile', 'arm', 'fingerprint'])
    need(typeof value[field] === 'string', `'${field}' is no text`);
  need(Number.isInteger(value.seed), `'seed' is no whole number`);
  need(typeof value.diverged === 'boolean', `'diverged' is neither true nor false`);
  need(isRecord(value.settings), `'settings' is no object`);
  const complete =
    isRecord(provenance) &&
    isNumber(provenance.seconds) &&
    typeof provenance.backend === 'string' &&
    typeof provenance.started === 'string' &&
    (provenance.commit === null || typeof provenance.commit === 'string');
  need(complete, `'provenance' is no object with 'backend', 'commit', 'started' and 'seconds'`);
  if (!isRecord(metrics) || !isRecord(curves) || !isRecord(tables))
    throw new Error(`'metrics', 'curves' or 'tables' is no object`);
  for (const [name, metric] of Object.entries(metrics))
    need(metric === null || isNumber(metric), `metric '${name}' is no number`);
  for (const [name, rows] of Object.entries(tables))
    need(Array.isArray(rows) && rows.every(isRecord), `table '${name}' is no list of rows`);
  return {
    ...(value as unknown as EvidenceRun),
    curves: Object.fromEntries(
      Object.entries(curves).map(([name, curve]) => {
        const { step, value: values } = isRecord(curve) ? curve : {};
        if (
          !Array.isArray(step) ||
          !Array.isArray(values) ||
          step.length !== values.length ||
          !step.every(isNumber) ||
          !values.every((one) => one === null || isNumber(one))
        )
          throw new Error(`curve '${name}' is not two lists of numbers of one length`);
        return [name, step.map((at, i): StudyPoint => ({ step: at, value: values[i] as number | null }))];
      }),
    ),
  };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
