/** One run at a time in a folder. */
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Who holds a lock. */
interface Holder {
  readonly token: string;
  readonly pid: number;
  /** When the process started, so that another one that was given the same number is not taken for it; empty where the system does not tell. */
  readonly started: string;
  /** Tells machines apart without naming them. */
  readonly machine: string;
  /** Of the machine's start: process numbers mean nothing beyond it. Empty where the system does not tell. */
  readonly boot: string;
}

/** Another run has the folder. */
export class FolderTakenError extends Error {
  override readonly name: string = 'FolderTakenError';
}

/** A folder that is this run's alone until `release`. */
export interface RunLock {
  /** Says that the run lives, to other machines that share the folder; call it now and then. Does next to nothing most of the time. */
  touch(): Promise<void>;
  release(): Promise<void>;
}

const lockName = 'run.lock';
/** A holder on another machine that has not touched its lock for so long counts as dead. */
const deadAfterSeconds = 900;
const touchEverySeconds = 60;

/**
 * Takes a folder for a run. The lock of a process that is no more, on this machine, is taken over at once, that of another machine when it
 * has not been touched for fifteen minutes.
 * @throws FolderTakenError when another run, of this or another process, has the folder.
 */
export async function lockFolder(folder: string): Promise<RunLock> {
  const file = path.join(folder, lockName);
  const own: Holder = {
    token: randomUUID(),
    pid: process.pid,
    started: await startOf(process.pid),
    machine: createHash('sha256').update(os.hostname()).digest('hex').slice(0, 16),
    boot: (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim(),
  };
  // Written aside and linked, so that nobody ever reads half a lock.
  const aside = path.join(folder, `.${lockName}.${own.token}`);
  await fs.writeFile(aside, JSON.stringify(own));
  try {
    while (!(await linked(aside, file))) await removeIfDead(folder, file, own);
  } finally {
    await fs.rm(aside, { force: true });
  }
  let touched = performance.now();
  return {
    async touch() {
      if (performance.now() - touched < touchEverySeconds * 1000) return;
      touched = performance.now();
      const now = new Date();
      // A lock that can't be touched still is one for all processes of this machine.
      await fs.utimes(file, now, now).catch(() => undefined);
    },
    async release() {
      const text = await fs.readFile(file, 'utf8').catch(() => '');
      if (holderIn(text)?.token === own.token) await fs.rm(file, { force: true });
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await fs.link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  // A file system without links.
  try {
    await fs.copyFile(from, to, fs.constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeIfDead(folder: string, file: string, own: Holder): Promise<void> {
  let text: string;
  let idle: number;
  try {
    text = await fs.readFile(file, 'utf8');
    // Both times are the file system's.
    const [lock, aside] = [
      await fs.stat(file),
      await fs.stat(path.join(folder, `.${lockName}.${own.token}`)),
    ];
    idle = (aside.mtimeMs - lock.mtimeMs) / 1000;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const holder = holderIn(text);
  if (holder && (await lives(holder, own, idle))) {
    const who =
      holder.machine !== own.machine
        ? `a run on another machine (process ${holder.pid} there)`
        : holder.pid === process.pid
          ? 'another run of this very process'
          : `the run of process ${holder.pid}`;
    throw new FolderTakenError(
      `${folder} belongs to ${who}. Wait for it, stop it, or give this run a folder of its own; if it is surely dead, delete ${lockName}`,
    );
  }
  // Moved, then looked at: another process may have taken the folder since.
  const moved = path.join(folder, `.${lockName}.dead-${own.token}`);
  try {
    await fs.rename(file, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await fs.readFile(moved, 'utf8')) !== text) await linked(moved, file);
  await fs.rm(moved, { force: true });
}

async function lives(holder: Holder, own: Holder, idleSeconds: number): Promise<boolean> {
  if (holder.machine !== own.machine) return idleSeconds < deadAfterSeconds;
  if (holder.boot !== own.boot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return holder.started === (await startOf(holder.pid));
}

function holderIn(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    const { token, pid, started, machine, boot } = holder;
    const texts = [token, started, machine, boot].every((field) => typeof field === 'string');
    return texts && Number.isInteger(pid) && pid > 0 ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** When a process started, in the kernel's ticks since it was booted (Linux); `dead` for one that only waits to be buried. */
async function startOf(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name, in parentheses, and may hold anything; the state follows, and the start is the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 'dead' : (fields[19] ?? '');
}
