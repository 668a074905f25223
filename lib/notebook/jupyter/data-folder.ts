/** Where Jupyter looks for a user's kernels. */
import os from 'node:os';
import path from 'node:path';

/** The user's Jupyter data folder: `JUPYTER_DATA_DIR`, else the platform's place, as jupyter_core has it. Not created. */
export function jupyterDataFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = os.homedir(),
): string {
  if (env.JUPYTER_DATA_DIR) return path.resolve(env.JUPYTER_DATA_DIR);
  if (platform === 'darwin') return path.join(home, 'Library', 'Jupyter');
  if (platform === 'win32') {
    if (env.APPDATA) return path.join(env.APPDATA, 'jupyter');
    return path.join(env.JUPYTER_CONFIG_DIR || path.join(home, '.jupyter'), 'data');
  }
  return path.join(env.XDG_DATA_HOME || path.join(home, '.local', 'share'), 'jupyter');
}

/** The data folder of a Python environment (venv, conda): what `sys.prefix` is there. */
export function prefixDataFolder(prefix: string): string {
  return path.join(path.resolve(prefix), 'share', 'jupyter');
}
