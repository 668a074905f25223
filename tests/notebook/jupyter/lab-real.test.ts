/** `npm run lab` with a real JupyterLab: what it offers, and what is left when it is stopped. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildLibrary, entry, projectRoot } from '../helpers';
import { Desk, pythonTools } from './python-tools';

const patience = { timeout: 120_000, interval: 200 };

/** The command lines of all processes. */
function processes(): string {
  return execFileSync('ps', ['-eo', 'stat=,args='], { encoding: 'utf8', maxBuffer: 2 ** 26 });
}

describe('npm run lab', async () => {
  const tools = await pythonTools();

  describe.skipIf(typeof tools === 'string')('with a real JupyterLab', () => {
    let desk: Desk;
    let lab: ChildProcess;
    let text = '';
    let ended: Promise<number | null>;

    beforeAll(() => {
      if (typeof tools === 'string') return;
      buildLibrary();
      desk = new Desk(tools);
      // Any free port; no kernelspec but the one that the command brings.
      lab = spawn(process.execPath, [entry, 'lab', '01', '--no-browser', '--port=0'], {
        cwd: projectRoot,
        env: { ...desk.env, JUPYTER_PATH: '', DETLAB_CACHE: desk.home },
      });
      ended = new Promise((resolve) => lab.on('close', resolve));
      for (const stream of [lab.stdout!, lab.stderr!]) {
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      }
    });
    afterAll(async () => {
      if (lab?.exitCode === null) lab.kill('SIGTERM');
      await ended;
      desk?.remove();
    });

    it('offers our kernel first, runs it, and takes it along when it is stopped', async () => {
      const address = await vi.waitFor(() => {
        const found = /http:\/\/(?:localhost|127\.0\.0\.1):(\d+)(\/\S*)\?token=(\w+)/.exec(text);
        if (!found) throw new Error(`no address yet:\n${text}`);
        return { base: `http://127.0.0.1:${found[1]}`, page: found[2], token: found[3]! };
      }, patience);
      expect(address.page).toBe('/lab/tree/01-scratchdet.ipynb');
      const ask = async (path: string, init: RequestInit = {}): Promise<unknown> => {
        const headers = { Authorization: `token ${address.token}` };
        const response = await fetch(address.base + path, { ...init, headers });
        expect(response.ok, `${path}: ${response.status}`).toBe(true);
        return response.json();
      };
      expect(await ask('/api/kernelspecs')).toMatchObject({
        default: 'detlab',
        kernelspecs: { detlab: { spec: { display_name: 'TypeScript (detlab)', interrupt_mode: 'message' } } },
      });
      const { content } = (await ask('/api/contents')) as { content: { name: string }[] };
      expect(content.map(({ name }) => name)).toContain('01-scratchdet.ipynb');
      const settings = await ask('/lab/api/settings/@jupyterlab/apputils-extension:notification');
      expect(settings).toMatchObject({
        schema: { properties: { fetchNews: { default: 'false' }, checkForUpdates: { default: false } } },
      });

      const kernel = (await ask('/api/kernels', { method: 'POST' })) as { id: string; name: string };
      expect(kernel.name).toBe('detlab');
      const ours = `kernel-${kernel.id}.json`;
      await vi.waitFor(() => expect(processes()).toContain(ours), patience);

      lab.kill('SIGINT');
      expect(await ended, text).toBe(0);
      await vi.waitFor(() => expect(processes()).not.toContain(ours), patience);
    }, 400_000);
  });
});
