/** The user's cache directory: what commands prepare once (TensorFlow, rendered data) lives there, shared by all clones. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { makeFolders } from './folders';

/** Where the cache should be, by `DETLAB_CACHE`, then the platform's convention (XDG on Linux). Not created, not checked. */
export function preferredCacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.DETLAB_CACHE) return path.resolve(env.DETLAB_CACHE);
  // The XDG specification: a relative value is invalid and must be ignored.
  if (env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME))
    return path.join(env.XDG_CACHE_HOME, 'detlab');
  if (process.platform === 'darwin') return path.join(os.homedir(), 'Library', 'Caches', 'detlab');
  if (process.platform === 'win32') {
    return path.join(env.LOCALAPPDATA ?? path.join(os.homedir(), 'AppData', 'Local'), 'detlab');
  }
  return path.join(os.homedir(), '.cache', 'detlab');
}

let chosen: { wanted: string; used: string } | undefined;

/**
 * The cache directory, created and writable. Where the preferred one can't be written, a folder of the system's temporary
 * directory serves instead and `warn` is told so, once a process.
 * @throws when neither can be written, naming both and the variable that moves the cache.
 */
export function cacheDirectory(warn: (line: string) => void = (line) => console.error(line)): string {
  const wanted = preferredCacheDirectory();
  if (chosen?.wanted === wanted) return chosen.used;
  const first = tryFolder(wanted);
  if (first === undefined) return remember(wanted, wanted);
  const fallback = path.join(os.tmpdir(), `detlab-${os.userInfo().uid}`);
  const second = tryFolder(fallback) ?? notOurs(fallback);
  if (second !== undefined) {
    throw new Error(
      `No cache folder to write to: ${wanted} (${first}) and ${fallback} (${second}). ` +
        'Set DETLAB_CACHE to a folder that can be written.',
    );
  }
  warn(
    `The cache folder ${wanted} can't be written (${first}); using ${fallback}. DETLAB_CACHE names another.`,
  );
  return remember(wanted, fallback);
}

function remember(wanted: string, used: string): string {
  chosen = { wanted, used };
  return used;
}

/** Native code is loaded from the cache: a folder that another user has put at the expected name must not be used. */
function notOurs(folder: string): string | undefined {
  const stat = fs.lstatSync(folder);
  const uid = process.getuid?.();
  if (!stat.isDirectory()) return 'it is a link';
  if (uid !== undefined && stat.uid !== uid) return 'it belongs to another user';
  if (process.platform !== 'win32') fs.chmodSync(folder, 0o700);
  return undefined;
}

/** Creates the folder and writes into it, since permissions alone don't tell (read-only mounts, full disks). */
function tryFolder(folder: string): string | undefined {
  try {
    makeFolders(folder);
    // Threads of one process may ask at the same time.
    const probe = path.join(folder, `.write-test-${process.pid}-${threadId}`);
    fs.writeFileSync(probe, 'x');
    fs.rmSync(probe);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
