/** The studies that `npm run evidence` and `loadEvidence` know by name. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../notebook/runner/select';
import { nearest } from '../tensor/nearest';
import { isRecord } from '../tensor/plain-json';
import type { Study } from './study';

/** A study is loaded when it is asked for: it brings its networks and data along. */
const known: Readonly<Record<string, () => Promise<Study>>> = {
  detnas: async () => (await import('../papers/detnas/study.js')).detNasStudy as Study,
  efficientdet: async () => (await import('../papers/efficientdet/study.js')).efficientDetStudy as Study,
  'frozen-backbones': async () => (await import('../papers/frozen-backbones/study.js')).frozenStudy as Study,
  megdet: async () => (await import('../papers/megdet/study.js')).megDetStudy as Study,
  scratchdet: async () => (await import('../papers/scratchdet/study.js')).scratchDetStudy as Study,
};

/** Names of the studies that come with the project. */
export const studyNames: readonly string[] = Object.keys(known);

/**
 * The study of that name, or the one that a JavaScript file exports as `study`.
 * @param data a folder of images: the study on them instead of its own
 * @throws UsageError where there is none, naming the nearest; or where it takes no data.
 */
export async function loadStudy(nameOrFile: string, data?: string): Promise<Study> {
  const study = await find(nameOrFile);
  if (data === undefined) return study;
  if (study.onData) return study.onData(data);
  throw new UsageError(`--data: ${study.name} runs on its own data only; it has no \`onData\`.`);
}

async function find(nameOrFile: string): Promise<Study> {
  if (/\.[cm]?js$/.test(nameOrFile)) return loadFile(nameOrFile);
  if (Object.hasOwn(known, nameOrFile)) return known[nameOrFile]();
  const near = nearest(nameOrFile, studyNames);
  throw new UsageError(
    `There is no study '${nameOrFile}'.${near ? ` Did you mean '${near}'?` : ''} There are: ` +
      `${studyNames.join(', ')}; a .js or .mjs file that exports \`study\` will do, too.`,
  );
}

async function loadFile(name: string): Promise<Study> {
  const file = path.resolve(name);
  if (!fs.existsSync(file)) throw new UsageError(`There is no file ${file}.`);
  const module = (await import(file)) as {
    study?: unknown;
    default?: { study?: unknown };
  };
  const study = module.study ?? module.default?.study;
  const functions = ['arms', 'settings', 'claims', 'run'];
  const complete =
    isRecord(study) &&
    typeof study.name === 'string' &&
    typeof study.title === 'string' &&
    Array.isArray(study.profiles) &&
    isRecord(study.metrics) &&
    functions.every((one) => typeof study[one] === 'function');
  if (!complete)
    throw new UsageError(
      `${file} must export \`study\`, an object with name, title, profiles, metrics, ${functions.join(', ')}.`,
    );
  return study as unknown as Study;
}
