/** A lock file: one preparation at a time in a cache folder, also between processes and after one was killed. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Who holds the lock. */
export interface LockHolder {
  pid: number;
  /** When the process started, by the kernel's count: a process id alone may be another process by now. */
  started: string;
  host: string;
  since: string;
}

/** A holder on another machine shows life by touching the file; silent for so long, it is taken for dead. */
const heartbeatMs = 5_000;
const silentMs = 120_000;

/** When the process started (`/proc`, Linux), or '' where that can't be told. */
export function processStart(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may hold spaces: count after it. starttime is field 22.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the lock file's holder is gone. A file that can't be read as a lock (a crash while writing) is stale after a moment. */
function isStale(file: string): boolean {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return false;
  const age = Date.now() - stat.mtimeMs;
  const holder = readHolder(file);
  if (!holder) return age > 5_000;
  if (holder.host !== os.hostname()) return age > silentMs;
  if (!isAlive(holder.pid)) return true;
  const started = processStart(holder.pid);
  return started !== '' && holder.started !== '' && started !== holder.started;
}

/** The lock's holder, or `undefined` where there is none. */
export function readHolder(file: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(fs.readFileSync(file, 'utf8')) as LockHolder;
    return typeof holder.pid === 'number' ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the file away if its holder is gone. A second file keeps two waiters from doing so at once, one hitting the other's new lock. */
function breakStale(file: string): void {
  if (!isStale(file)) return;
  const guard = `${file}.break`;
  try {
    fs.closeSync(fs.openSync(guard, 'wx'));
  } catch {
    const age = Date.now() - (fs.statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 10_000) fs.rmSync(guard, { force: true });
    return;
  }
  try {
    if (isStale(file)) fs.rmSync(file, { force: true });
  } finally {
    fs.rmSync(guard, { force: true });
  }
}

/**
 * Waits for the lock and takes it.
 * @param onWait told who holds it, about once a second while waiting.
 * @returns a function that gives the lock back, or `undefined` when `timeoutMs` passed.
 */
export async function takeLock(
  file: string,
  {
    timeoutMs,
    onWait,
  }: { timeoutMs: number; onWait?: (holder: LockHolder | undefined, seconds: number) => void },
): Promise<(() => void) | undefined> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const start = Date.now();
  let told = 0;
  for (;;) {
    try {
      const descriptor = fs.openSync(file, 'wx');
      const since = new Date().toISOString();
      const holder: LockHolder = {
        pid: process.pid,
        started: processStart(process.pid),
        host: os.hostname(),
        since,
      };
      fs.writeSync(descriptor, JSON.stringify(holder));
      fs.closeSync(descriptor);
      return hold(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    breakStale(file);
    const waited = Date.now() - start;
    if (waited > timeoutMs) return undefined;
    if (fs.existsSync(file) && waited - told >= 1000) {
      told = waited;
      onWait?.(readHolder(file), waited / 1000);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function hold(file: string): () => void {
  const timer = setInterval(() => {
    try {
      fs.utimesSync(file, new Date(), new Date());
    } catch {
      // taken away by hand: the work goes on, and its result is moved into place as a whole
    }
  }, heartbeatMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    if (readHolder(file)?.pid === process.pid) fs.rmSync(file, { force: true });
  };
}
