/** How JupyterLab is started for this project, as data: its words and its variables. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { kernelspec } from '../nbformat';

/** What the plan is made of; all paths absolute. */
export interface LabInput {
  /** Options for `jupyter lab`, as the user wrote them. */
  words: readonly string[];
  /** A notebook to open, or a folder to show; left out: the folder of notebooks is shown. */
  open?: string;
  /** The folder of notebooks. */
  folder: string;
  /** A Jupyter data folder of this project's own, which holds our kernelspec. */
  dataFolder: string;
  /** Where a private JupyterLab keeps settings; left out: where the user's own does. */
  configFolder?: string;
  env: NodeJS.ProcessEnv;
  /** The user is root. */
  root: boolean;
}

/** The data folder's name in the cache: readable, and another one for each clone. */
export function projectKey(project: string): string {
  const hash = createHash('sha256').update(project).digest('hex').slice(0, 10);
  return `${path.basename(project)}-${hash}`;
}

/** The words for `jupyter lab` and the variables that it runs with. Pure. */
export function labPlan(input: LabInput): { words: string[]; env: NodeJS.ProcessEnv } {
  const { words, folder, open, dataFolder, configFolder, env } = input;
  // The user's own words win: given twice, an option would be a list to Jupyter.
  const given = (pattern: RegExp): boolean => words.some((word) => pattern.test(word.replace(/=.*$/s, '')));
  const ours: string[] = [];
  // A notebook of ours is shown among the others; anything else brings its own folder.
  const inFolder = open !== undefined && path.dirname(open) === folder;
  if (open !== undefined && !inFolder) ours.push(open);
  else if (!given(/(root_dir|notebook_dir|notebook-dir)$/)) {
    ours.push(`--ServerApp.root_dir=${folder}`);
    if (inFolder) ours.push(`--LabApp.default_url=/lab/tree/${encodeURIComponent(path.basename(open))}`);
  }
  if (!given(/default_kernel_name$/))
    ours.push(`--MultiKernelManager.default_kernel_name=${kernelspec.name}`);
  if (input.root && !given(/allow[-_]root$/)) ours.push('--allow-root');
  return {
    words: [...ours, ...words],
    env: {
      ...env,
      JUPYTER_PATH: [dataFolder, env.JUPYTER_PATH].filter(Boolean).join(path.delimiter),
      ...(configFolder && !env.JUPYTER_CONFIG_DIR ? privateFolders(configFolder, dataFolder) : {}),
    },
  };
}

/** Settings are the user's, in whichever clone; which notebooks are open is the clone's. */
function privateFolders(configFolder: string, dataFolder: string): NodeJS.ProcessEnv {
  return {
    JUPYTER_CONFIG_DIR: configFolder,
    JUPYTERLAB_WORKSPACES_DIR: path.join(dataFolder, 'workspaces'),
  };
}
