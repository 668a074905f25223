/** Notices that the process which started the kernel is gone: a kernel that nobody can reach must not stay. */

const intervalMs = 1000;

/**
 * Calls `onGone` once, when the parent process has ended. Jupyter also names itself in JPY_PARENT_PID, since a program in
 * between (a shell, `conda run`) may be the parent. Returns a function that stops watching.
 */
export function watchParent(onGone: () => void, env: NodeJS.ProcessEnv = process.env): () => void {
  const parent = process.ppid;
  const watched = [parent];
  const named = Number(env.JPY_PARENT_PID);
  // On Windows the variable holds a handle, not a number of a process.
  if (process.platform !== 'win32' && Number.isInteger(named) && named > 1 && isAlive(named))
    watched.push(named);
  const timer = setInterval(() => {
    // Whose parent ended gets another; Windows alone keeps the old number.
    if (process.ppid === parent && watched.every(isAlive)) return;
    clearInterval(timer);
    onGone();
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
