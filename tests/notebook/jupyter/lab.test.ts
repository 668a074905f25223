import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { labPlan, projectKey } from '../../../lib/notebook/jupyter/lab-plan';
import { buildLibrary, entry, projectRoot, temporaryFolder } from '../helpers';
import { type FakeTools, makeTools } from './fake-python';

const folder = path.join(projectRoot, 'notebooks');
const base = { words: [], folder, dataFolder: '/cache/jupyter/key', env: {}, root: false };

describe('the plan for jupyter lab', () => {
  it('shows the notebooks, offers our kernel first, and changes nothing else', () => {
    expect(labPlan(base)).toEqual({
      words: [`--ServerApp.root_dir=${folder}`, '--MultiKernelManager.default_kernel_name=detlab'],
      env: { JUPYTER_PATH: '/cache/jupyter/key' },
    });
  });

  it('passes the user’s words on, which win over ours', () => {
    const words = ['--port', '9000', '--notebook-dir=/mine', '--allow-root'];
    const plan = labPlan({ ...base, words, root: true });
    expect(plan.words).toEqual(['--MultiKernelManager.default_kernel_name=detlab', ...words]);
    const kernel = '--MappingKernelManager.default_kernel_name=python3';
    expect(labPlan({ ...base, words: [kernel] }).words.slice(1)).toEqual([kernel]);
  });

  it('tells JupyterLab that root is meant', () => {
    expect(labPlan({ ...base, root: true }).words).toContain('--allow-root');
  });

  it('keeps the user’s kernels, behind ours', () => {
    const plan = labPlan({ ...base, env: { JUPYTER_PATH: '/theirs' } });
    expect(plan.env.JUPYTER_PATH).toBe(['/cache/jupyter/key', '/theirs'].join(path.delimiter));
  });

  it('gives the private JupyterLab settings of its own, unless the user has named some', () => {
    const configFolder = '/cache/jupyter/config';
    expect(labPlan({ ...base, configFolder }).env).toMatchObject({
      JUPYTER_CONFIG_DIR: configFolder,
      JUPYTERLAB_WORKSPACES_DIR: path.join(base.dataFolder, 'workspaces'),
    });
    const env = { JUPYTER_CONFIG_DIR: '/theirs' };
    expect(labPlan({ ...base, configFolder, env }).env.JUPYTER_CONFIG_DIR).toBe('/theirs');
  });

  it('opens a notebook among the others, and what lies elsewhere in its own folder', () => {
    const inside = labPlan({ ...base, open: path.join(folder, '01 a.ipynb') });
    expect(inside.words).toContain(`--ServerApp.root_dir=${folder}`);
    expect(inside.words).toContain('--LabApp.default_url=/lab/tree/01%20a.ipynb');
    const elsewhere = labPlan({ ...base, open: '/home/x.ipynb' });
    expect(elsewhere.words).toEqual(['/home/x.ipynb', '--MultiKernelManager.default_kernel_name=detlab']);
  });

  it('keeps two clones apart', () => {
    expect(projectKey('/a/detlab')).not.toBe(projectKey('/b/detlab'));
    expect(projectKey('/a/detlab')).toMatch(/^detlab-[0-9a-f]+$/);
  });
});

interface Ended {
  code: number | null;
  text: string;
}

// The stand-ins are shell scripts.
describe.skipIf(process.platform === 'win32')('npm run lab', () => {
  beforeAll(buildLibrary);
  let shop: FakeTools;
  beforeEach(() => {
    shop = makeTools(temporaryFolder());
  });
  afterEach(() => fs.rmSync(shop.folder, { recursive: true, force: true }));

  /** Runs the command with the stand-ins alone on PATH, on wasm so that no backend is prepared. */
  function lab(words: string[], onText: (text: string, pid: number) => void = () => {}): Promise<Ended> {
    return new Promise((resolve) => {
      const { JUPYTER_CONFIG_DIR: _config, JUPYTER_PATH: _path, ...rest } = process.env;
      const child = spawn(process.execPath, [entry, 'lab', ...words], {
        cwd: projectRoot,
        env: { ...rest, PATH: shop.tools, DETLAB_CACHE: shop.cache, DETLAB_BACKEND: 'wasm' },
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          onText(text, child.pid!);
        });
      child.on('close', (code) => resolve({ code, text }));
    });
  }
  /** A `jupyter` of that version that tells how it was started and then does as `script` says. */
  const jupyter = (version: string, script: string): void =>
    shop.tool(
      'jupyter',
      `case "$*" in 'lab --version') echo ${version}; exit 0;; esac
echo "started in $PWD"; echo "JUPYTER_PATH=$JUPYTER_PATH"; echo "JUPYTER_CONFIG_DIR=$JUPYTER_CONFIG_DIR"\n${script}\n`,
    );

  it('starts the JupyterLab on PATH with our kernel, the user’s words, and its exit code', async () => {
    jupyter('4.5.0', 'exit 7');
    const { code, text } = await lab(['--no-browser', '--port', '9000']);
    expect(code).toBe(7);
    expect(text).toContain(`started in ${folder}`);
    expect(text).toMatch(/^JUPYTER_CONFIG_DIR=$/m);
    expect(shop.calls().at(-1)).toMatch(/^jupyter lab .*--no-browser --port 9000$/);
    const data = /^JUPYTER_PATH=(.*)$/m.exec(text)![1]!;
    expect(data.startsWith(shop.cache)).toBe(true);
    const spec = fs.readFileSync(path.join(data, 'kernels', 'detlab', 'kernel.json'), 'utf8');
    expect((JSON.parse(spec) as { argv: string[] }).argv[1]).toBe(entry);
  });

  it.runIf(process.getuid?.() === 0)('tells root what it does about --allow-root', async () => {
    jupyter('4.5.0', 'exit 0');
    const { text } = await lab([]);
    expect(text).toMatch(/You are root.*--allow-root/);
    expect(shop.calls().at(-1)).toContain('--allow-root');
  });

  it('stops JupyterLab once when it is stopped itself', async () => {
    const stopped = path.join(shop.folder, 'stopped');
    const program = path.join(shop.folder, 'server.cjs');
    fs.writeFileSync(
      program,
      `process.on('SIGTERM', () => {
        require('node:fs').appendFileSync(${JSON.stringify(stopped)}, 'TERM ');
        setTimeout(() => process.exit(3), 300);
      });
      process.on('SIGINT', () => process.exit(4));
      setInterval(() => {}, 1000);
      console.log('listening');`,
    );
    jupyter('4.5.0', `exec '${process.execPath}' '${program}'`);
    let sent = false;
    const { code } = await lab([], (text, pid) => {
      if (!sent && text.includes('listening')) {
        sent = true;
        // As under npm, where one Ctrl-C arrives twice.
        process.kill(pid, 'SIGINT');
        process.kill(pid, 'SIGINT');
      }
    });
    expect(code).toBe(3);
    expect(fs.readFileSync(stopped, 'utf8')).toBe('TERM ');
  });

  it('prepares a JupyterLab of its own where there is none, or only an old one', async () => {
    jupyter('3.6.8', 'exit 1');
    shop.python({ module: 'echo "config: $JUPYTER_CONFIG_DIR"; exit 5' });
    const { code, text } = await lab(['--no-browser']);
    expect(text).toMatch(/The JupyterLab on PATH is 3\.6\.8/);
    expect(code).toBe(5);
    expect(text).toContain(`config: ${path.join(shop.cache, 'jupyter', 'config')}`);
    const last = shop.calls().at(-1)!;
    expect(last).toMatch(/-m jupyterlab .*--no-browser$/);
    expect(shop.calls().filter((call) => /pip install .*jupyterlab==4\.\d/.test(call))).toHaveLength(1);

    fs.rmSync(path.join(shop.tools, 'jupyter'));
    expect((await lab(['--no-browser'])).code).toBe(5);
    expect(shop.calls().filter((call) => call.includes('pip install'))).toHaveLength(1);
  });

  it('says what to install where neither can be had', async () => {
    const { code, text } = await lab([]);
    expect(code).toBe(1);
    expect(text.trim()).toMatch(
      /^There is no JupyterLab on PATH, and none could be prepared: there is no python3 on PATH\. Install Python 3\.10 or newer.*$/,
    );
  });

  it('explains itself, and names the notebook that was meant', async () => {
    const help = await lab(['--help']);
    expect(help.code).toBe(0);
    expect(help.text).toMatch(/npm run lab -- --no-browser/);
    const { code, text } = await lab(['scratchdat']);
    expect(code).toBe(2);
    expect(text).toMatch(/Did you mean '01-scratchdet'/);
  });
});
