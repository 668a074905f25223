/** What goes through the queue: a job as leader and workers know it, and the names under which Redis keeps things. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { projectRequire, projectRoot } from '../tensor/packages';
import { sortedJson } from '../tensor/plain-json';
import type { JobFailureReason } from './failure';
import type { JobSource } from './source';

/** A file of a source. */
export interface QueuedFile {
  readonly sha256: string;
  readonly bytes: number;
}

/** The code that leader and worker must have alike. */
export interface CodeVersion {
  /** The package's. */
  readonly version: string;
  /** Of the package's compiled code, and of the source's own file. */
  readonly fingerprint: string;
}

/** The source as it travels. */
export interface QueuedSource {
  readonly module: string;
  readonly name: string;
  readonly settings?: unknown;
  readonly backend?: false;
  readonly files: Readonly<Record<string, QueuedFile>>;
  readonly code: CodeVersion;
}

/** One job. */
export interface QueuedJob {
  readonly source: QueuedSource;
  readonly payload: unknown;
  readonly attempts: number;
  /** Where notices to the leader go. */
  readonly group: string;
  /** How often a worker that stopped has given it back: that is no lost try. */
  readonly givenBack?: number;
}

/** What a worker answers. */
export interface QueuedResult {
  readonly result: unknown;
  /** `host:process`. */
  readonly worker: string;
}

/** Before the names of everything in Redis. */
export const bullPrefix: string = 'detlab';

const own: string = 'detlab-jobs';

/** Names in Redis, beside BullMQ's own. */
export const redisNames: {
  readonly cancelled: (queue: string, id: string) => string;
  readonly cancelChannel: (queue: string) => string;
  readonly answers: (queue: string, id: string) => string;
  readonly notices: (queue: string, group: string) => string;
  readonly file: (sha256: string) => string;
} = {
  cancelled: (queue, id) => `${own}:${queue}:cancelled:${id}`,
  cancelChannel: (queue) => `${own}:${queue}:cancel`,
  answers: (queue, id) => `${own}:${queue}:answers:${id}`,
  notices: (queue, group) => `${own}:${queue}:notices:${group}`,
  file: (sha256) => `${own}:file:${sha256}`,
};

/** @throws an Error unless it can name a queue. */
export function checkQueueName(asker: string, name: string): void {
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw new Error(`${asker}: a queue's name is made of letters, digits, '.', '_' and '-', got '${name}'`);
}

/** SHA-256 of a value's JSON, its keys in order. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(sortedJson(value)).digest('hex');
}

/** Begins a path inside the project, which may lie elsewhere on another machine. */
const insideProject = '<detlab>/';

/** A path as another machine can use it. */
export function travellingPath(file: string): string {
  if (!path.isAbsolute(file)) return file; // the name of a package
  const inside = path.relative(projectRoot, file);
  return inside.startsWith('..') || path.isAbsolute(inside)
    ? file
    : insideProject + inside.split(path.sep).join('/');
}

/** The other way round. */
export function arrivedPath(file: string): string {
  return file.startsWith(insideProject) ? path.join(projectRoot, file.slice(insideProject.length)) : file;
}

/** The code that this machine has for a source. */
export function codeVersion(module: string): CodeVersion {
  const { version } = projectRequire('./package.json') as { version: string };
  const hash = createHash('sha256');
  const dist = path.join(projectRoot, 'dist');
  const names = fs
    .readdirSync(dist, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'));
  for (const name of names.sort())
    hash.update(`${name.split(path.sep).join('/')}\n`).update(fs.readFileSync(path.join(dist, name)));
  if (path.isAbsolute(module) && fs.existsSync(module)) hash.update(fs.readFileSync(module));
  return { version, fingerprint: hash.digest('hex').slice(0, 16) };
}

/** A source as it travels. */
export function queuedSource(source: JobSource, files: Readonly<Record<string, QueuedFile>>): QueuedSource {
  const { module, name, settings, backend } = source;
  const code = codeVersion(module);
  return { module: travellingPath(module), name, settings, backend, files, code };
}

/** How a failure's reason reaches the leader: before its words, where people who look at the queue read it, too. */
export function markReason(reason: JobFailureReason | 'cancelled', message: string): string {
  return `${reason}: ${message}`;
}

/** The other way round; what BullMQ itself says of a job is that it was lost. */
export function readReason(text: string): { reason: JobFailureReason | 'cancelled'; message: string } {
  const match = /^(threw|lost|refused|cancelled): (.*)$/s.exec(text);
  if (!match) return { reason: 'lost', message: text };
  return { reason: match[1] as JobFailureReason | 'cancelled', message: match[2] };
}
