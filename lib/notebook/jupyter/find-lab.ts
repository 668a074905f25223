/** Which JupyterLab `npm run lab` starts: the user's own where it is current, else one in a private environment. */
import { spawnSync } from 'node:child_process';
import { which } from '../../tensor/packages';
import type { Failure } from '../../tensor/prepare/build';
import {
  type EnvironmentOptions,
  type EnvironmentSpec,
  environmentVariables,
  preparePythonEnvironment,
} from './python-environment';

/** A JupyterLab as a command. */
export interface Lab {
  ok: true;
  /** `['/usr/bin/jupyter', 'lab']` */
  command: string[];
  version: string;
  env: NodeJS.ProcessEnv;
  /** It is detlab's own, with settings of its own. */
  private: boolean;
}

const version = '4.6.6';

/** JupyterLab asks at its first start whether it may fetch news, and looks for updates: not in an environment that is ours. */
const settings = {
  '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false },
};

/** The private JupyterLab. */
export const labEnvironment: EnvironmentSpec = {
  name: 'lab',
  title: `JupyterLab ${version}`,
  requirements: [`jupyterlab==${version}`],
  files: { 'share/jupyter/lab/settings/overrides.json': `${JSON.stringify(settings, null, 2)}\n` },
  megabytes: 250,
};

/** The JupyterLab of the user: the version of `jupyter lab` on PATH, or `undefined` where there is none. */
export function labOnPath(
  env: NodeJS.ProcessEnv = process.env,
): { command: string[]; version: string } | undefined {
  for (const words of [['jupyter', 'lab'], ['jupyter-lab']]) {
    const [name = '', ...rest] = words;
    const file = which(name, env);
    if (file === undefined) continue;
    const command = [file, ...rest];
    const run = spawnSync(file, [...rest, '--version'], { encoding: 'utf8', timeout: 60_000, env });
    const found = /^(\d+\.\d+\S*)\s*$/m.exec(run.stdout ?? '');
    if (run.status === 0 && found?.[1]) return { command, version: found[1] };
  }
  return undefined;
}

/** Finds a JupyterLab 4 or newer, or prepares one. `line` is told what the user may want to know about the choice. */
export async function findLab(
  line: (text: string) => void,
  options: EnvironmentOptions = {},
): Promise<Lab | Failure> {
  const own = labOnPath();
  if (own && Number.parseInt(own.version, 10) >= 4)
    return { ok: true, ...own, env: process.env, private: false };
  if (own) line(`The JupyterLab on PATH is ${own.version}, and 4 or newer is needed: using a private one.`);
  const environment = await preparePythonEnvironment(labEnvironment, options);
  if (!environment.ok) return environment;
  return {
    ok: true,
    command: [environment.python, '-m', 'jupyterlab'],
    version,
    env: environmentVariables(environment),
    private: true,
  };
}
