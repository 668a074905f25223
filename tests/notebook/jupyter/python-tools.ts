/** The real Jupyter programs, in a private Python environment that is prepared once in the cache folder. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { labEnvironment } from '../../../lib/notebook/jupyter/find-lab';
import { kernelspecFolder, writeKernelspec } from '../../../lib/notebook/jupyter/kernelspec';
import {
  type EnvironmentSpec,
  environmentVariables,
  preparePythonEnvironment,
  type PythonEnvironment,
} from '../../../lib/notebook/jupyter/python-environment';
import { temporaryFolder } from '../helpers';

const spec: EnvironmentSpec = {
  name: 'jupyter-tests',
  title: 'Jupyter for the tests',
  requirements: [
    ...labEnvironment.requirements,
    'jupyter_kernel_test==0.7.0',
    'nbclient==0.11.0',
    'nbconvert==7.17.2',
    'nbmake==1.5.5',
    'nbval==0.11.0',
    'papermill==2.7.0',
    'pytest==9.2.0',
    // Builds the papermill plugin's wheel without a network.
    'flit_core==4.2.0',
  ],
  files: labEnvironment.files,
  megabytes: 260,
};

/**
 * The environment, or why there is none, in one line. `DETLAB_TEST_JUPYTER` says how much it is wanted: `0` not at all,
 * `1` also where it takes long, `require` or fail; unset: where it can be had within three minutes.
 */
export async function pythonTools(): Promise<PythonEnvironment | string> {
  const wanted = process.env.DETLAB_TEST_JUPYTER ?? '';
  if (!['', '0', '1', 'require'].includes(wanted)) {
    throw new Error(`DETLAB_TEST_JUPYTER is '${wanted}'; it may be 0, 1 or require`);
  }
  if (wanted === '0') return 'DETLAB_TEST_JUPYTER is 0';
  if (process.platform === 'win32') return 'these tests are for Linux and macOS';
  const made = await preparePythonEnvironment(spec, {
    log: (line) => console.warn(line),
    timeoutSeconds: wanted === '' ? 180 : undefined,
    // The next test file need not wait for what has just failed.
    trustFailure: wanted !== 'require',
  });
  if (made.ok) return made;
  const reason = `no Jupyter: ${made.reason}. ${made.remedy}`;
  if (wanted === 'require') throw new Error(reason);
  console.warn(`The tests with real Jupyter programs are skipped: ${reason}`);
  return reason;
}

export interface Ended {
  code: number | null;
  /** stdout and stderr, without colours. */
  text: string;
}

const portTaken = /^Port \d+ on \S+ \(\w+\) is in use/m;

/** A place where Jupyter programs run: a folder of notebooks, and another one in which they find our kernel and keep things. */
export class Desk {
  readonly folder: string = temporaryFolder();
  readonly home: string = temporaryFolder();
  readonly env: NodeJS.ProcessEnv;
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly tools: PythonEnvironment) {
    const data = path.join(this.home, 'jupyter');
    writeKernelspec(kernelspecFolder(data));
    this.env = {
      ...environmentVariables(tools),
      JUPYTER_PATH: data,
      JUPYTER_DATA_DIR: path.join(this.home, 'data'),
      JUPYTER_CONFIG_DIR: path.join(this.home, 'config'),
      JUPYTER_PLATFORM_DIRS: '1',
      IPYTHONDIR: path.join(this.home, 'ipython'),
      PYTHONDONTWRITEBYTECODE: '1',
      // Nothing here computes with tensors.
      DETLAB_BACKEND: 'wasm',
    };
  }

  /**
   * Runs the environment's Python in the folder, two at a time. Its whole process group ends after five minutes. Once more where another
   * program took a port between Jupyter's choice and the kernel's start, which the kernel can only report.
   */
  async python(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    if (this.running >= 2) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      const ended = await this.runPython(words, { ...this.env, ...env });
      if (ended.code === 0 || !portTaken.test(ended.text)) return ended;
      console.warn('A port that Jupyter had chosen was taken before the kernel began: once more.');
      return await this.runPython(words, { ...this.env, ...env });
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  private runPython(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.tools.python, words, {
        cwd: this.folder,
        env,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      }
      const timer = setTimeout(() => {
        text += '\nended by the test: it took longer than 5 minutes';
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      }, 300_000);
      child.on('error', reject);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ code, text: text.replace(/\x1b\[[0-9;]*m/g, '') });
      });
    });
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  remove(): void {
    for (const folder of [this.folder, this.home]) {
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }
}
