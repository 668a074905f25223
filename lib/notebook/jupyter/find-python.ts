/** Finds a Python that can make an environment of its own (venv with pip). */
import { spawnSync } from 'node:child_process';
import { which } from '../../tensor/packages';
import { failure, type Failure } from '../../tensor/prepare/build';

/** A Python on PATH. */
export interface FoundPython {
  file: string;
  /** `3.11`. */
  version: string;
}

/** The oldest that current Jupyter packages are made for. */
const oldestMinor = 10;
const names = ['python3', 'python', 'python3.13', 'python3.12', 'python3.11', 'python3.10'];
const question =
  'import sys\n' +
  'print("%d.%d" % sys.version_info[:2])\n' +
  'import venv, ensurepip\n' + // Debian has both in a package of their own
  'print("venv")\n';

/** The first Python 3.10 or newer on PATH that has venv; else what is missing, and the command that brings it. */
export function findPython(env: NodeJS.ProcessEnv = process.env): FoundPython | Failure {
  let tooOld: string | undefined;
  let bare: string | undefined;
  const candidates = process.platform === 'win32' ? ['python', 'python3'] : names;
  for (const name of candidates) {
    const file = which(name, env);
    if (file === undefined) continue;
    const run = spawnSync(file, ['-I', '-c', question], { encoding: 'utf8', timeout: 30_000, env });
    const [version, venv] = (run.stdout ?? '').trim().split(/\s+/);
    const [major, minor] = (version ?? '').split('.').map(Number);
    if (major === undefined || minor === undefined) continue;
    if (major < 3 || (major === 3 && minor < oldestMinor)) tooOld ??= `${file} is Python ${version}`;
    else if (venv !== 'venv') bare ??= `${file} (Python ${version}) has no venv`;
    else return { file, version: `${major}.${minor}` };
  }
  if (bare !== undefined)
    return failure(bare, 'Debian, Ubuntu: sudo apt-get install python3-venv; then try again.');
  const wanted = `Install Python 3.${oldestMinor} or newer (python.org; Debian, Ubuntu: sudo apt-get install python3-venv).`;
  return failure(tooOld ?? 'there is no python3 on PATH', wanted);
}
