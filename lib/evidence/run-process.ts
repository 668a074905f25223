/** The process of one run: the runner starts one for each, so that runs side by side have threads of their own and a crash ends only one. */
import { backendInfo, useBackend } from '../tensor/backend';
import type { Profile } from '../papers/profile';
import { onInterrupts } from '../tensor/signals';
import { FolderTakenError } from '../train/run-lock';
import { checkStudy, fingerprintOf, runSettings } from './check-study';
import { beginSitting } from './provenance';
import { armOf, evidenceRun, readRun, type RunKey, writeRun } from './store';
import type { StudyProgress } from './study';
import { loadStudy } from './studies';
import { openWorkFolder, type WorkFolder } from './work-folder';

/** What the process is started with, as JSON. */
export interface RunOrder {
  /** Name or file. */
  readonly study: string;
  /** Images to run it on instead of its own. */
  readonly data?: string;
  readonly profile: Profile;
  readonly arm: string;
  readonly seed: number;
  /** The settings that the runner saw. */
  readonly fingerprint: string;
  readonly out: string;
  readonly work: string;
  readonly backend?: string;
}

/** What it says to the runner. */
export type RunMessage =
  | { readonly type: 'started'; readonly backend: string; readonly resumed: boolean }
  | ({ readonly type: 'progress' } & StudyProgress)
  | { readonly type: 'notice'; readonly line: string }
  | { readonly type: 'done' }
  | { readonly type: 'stopped' }
  /** With the stack. */
  | { readonly type: 'failed'; readonly message: string };

/** How long a run waits for a process that is just about to leave its folder. */
const lockPatienceSeconds = 20;
/** How long an interrupted run may take to save, once nobody waits for it. */
const orphanSeconds = 30;

async function run(order: RunOrder, signal: AbortSignal): Promise<'done' | 'stopped'> {
  const { profile, seed } = order;
  const study = await loadStudy(order.study, order.data);
  checkStudy(study, profile);
  const arm = armOf(study, profile, order.arm);
  const fingerprint = fingerprintOf(runSettings(study, profile, arm));
  if (fingerprint !== order.fingerprint)
    throw new Error('the settings of the study have changed since the command was given; give it again');
  const backend = await useBackend({ backend: order.backend });
  const key: RunKey = { study: study.name, profile, arm: arm.name, seed };
  const sitting = await beginSitting(backend);
  const work = await taken(() => openWorkFolder(order.work, key, fingerprint, sitting), signal);
  try {
    say({ type: 'started', backend: backend.line, resumed: work.resumed });
    // Another runner may have finished it while this one waited for the folder.
    if ((await readRun(order.out, study, key)).state !== 'good') {
      signal.throwIfAborted();
      const result = await study.run(arm, {
        seed,
        profile,
        folder: work.folder,
        signal,
        onProgress({ step, steps, note }) {
          work.tick();
          say({ type: 'progress', step, steps, note });
        },
        onNotice: (line) => say({ type: 'notice', line }),
      });
      // The study may have changed the backend; what was said is then no longer true.
      if (backendInfo()?.line !== backend.line)
        throw new Error(`the run changed the backend from '${backend.line}' to '${backendInfo()?.line}'`);
      await writeRun(order.out, evidenceRun(study, key, result, work.provenance()));
    }
  } catch (error) {
    await work.release();
    if (signal.aborted) return 'stopped';
    throw error;
  }
  await work.remove();
  return 'done';
}

async function taken(open: () => Promise<WorkFolder>, signal: AbortSignal): Promise<WorkFolder> {
  for (const start = performance.now(); ;) {
    try {
      return await open();
    } catch (error) {
      const waited = (performance.now() - start) / 1000;
      if (!(error instanceof FolderTakenError) || waited > lockPatienceSeconds) throw error;
    }
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function say(message: RunMessage): void {
  // The runner may be dead: that is told by 'disconnect'.
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
}

function sayLast(message: RunMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

async function main(): Promise<void> {
  const stop = new AbortController();
  // What `train` and the loader listen to: they save and throw.
  Object.assign(globalThis, { [Symbol.for('detlab.abort')]: stop.signal });
  const interrupt = (): void => stop.abort(new Error('interrupted'));
  onInterrupts(interrupt);
  process.on('disconnect', () => {
    interrupt();
    setTimeout(() => process.exit(1), orphanSeconds * 1000).unref();
  });
  try {
    const order = JSON.parse(process.argv[2]) as RunOrder;
    await sayLast({ type: await run(order, stop.signal) });
    process.exit(0);
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    await sayLast(stop.signal.aborted ? { type: 'stopped' } : { type: 'failed', message });
    process.exit(1);
  }
}

void main();
