/** Where a result comes from. */
import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import type { BackendInfo } from '../tensor/backend';
import { packageVersion, projectRequire, projectRoot } from '../tensor/packages';

/** What a run was made with, from one start to the next. */
export interface Sitting {
  /** The project's commit; `null` where git can't tell. */
  readonly commit: string | null;
  /** Whether code or data differed from the commit; `null` where git can't tell. */
  readonly dirty: boolean | null;
  /** Name, version and threads, as `useBackend` says it. */
  readonly backend: string;
  readonly device: 'cpu' | 'gpu';
  readonly threads: number;
  readonly processor: string;
  readonly node: string;
  readonly detlab: string;
  readonly tfjs: string;
  /** ISO 8601. */
  readonly started: string;
  /** Wall-clock. */
  readonly seconds: number;
}

/** Of a whole run. */
export interface Provenance extends Sitting {
  /** Those that were broken off; `seconds` is of all together, the rest of the last one. */
  readonly earlier?: readonly Sitting[];
}

/** Now, before the first second. */
export async function beginSitting(backend: BackendInfo): Promise<Sitting> {
  const { version } = projectRequire('./package.json') as { version: string };
  return {
    ...(await gitState(projectRoot)),
    backend: backend.line.replace(/^backend: /, ''),
    device: backend.device,
    threads: backend.threads,
    processor: os.cpus()[0]?.model.trim() || 'unknown',
    node: process.version.replace(/^v/, ''),
    detlab: version,
    tfjs: packageVersion('@tensorflow/tfjs') ?? 'unknown',
    started: new Date().toISOString(),
    seconds: 0,
  };
}

/** Commit of a working tree, and whether what decides a run (code, packages, shipped data) was changed since; results themselves don't count. */
export async function gitState(root: string): Promise<{ commit: string | null; dirty: boolean | null }> {
  // A commit that the user makes meanwhile must not find the index locked.
  const git = async (...words: string[]): Promise<string> =>
    (await promisify(execFile)('git', ['--no-optional-locks', '-C', root, ...words])).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    const parts = ['lib', 'data', 'package.json', 'package-lock.json', ':(exclude)data/results'];
    return { commit, dirty: (await git('status', '--porcelain', '--', ...parts)) !== '' };
  } catch {
    return { commit: null, dirty: null };
  }
}
