/** `npm run lab` on a folder of notebooks, as a process that a test starts and ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { entry, projectRoot } from '../helpers';
import type { Desk } from '../jupyter/python-tools';

const address = /http:\/\/127\.0\.0\.1:\d+\/lab\?token=\w+/;
const startMs = 120_000;
const stopMs = 60_000;

/** A JupyterLab that answers. */
export class LabServer {
  private stopping = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<number | null>,
    private readonly url: URL,
  ) {}

  /** Starts it on the desk's folder, at a port that is free. */
  static start(desk: Desk): Promise<LabServer> {
    // The command sees to the kernelspec; the desk's own must not stand in for it.
    const { JUPYTER_PATH: _path, ...env } = desk.env;
    const words = ['lab', '--no-browser', '--port', '0', `--ServerApp.root_dir=${desk.folder}`];
    const child = spawn(process.execPath, [entry, ...words], {
      cwd: projectRoot,
      // What a notebook computes when nobody says how much is meant for readers.
      env: { ...env, DETLAB_PROFILE: 'quick' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Where the tests are stopped half-way.
    const stop = (): void => void child.kill();
    process.once('exit', stop);
    return new Promise((resolve, reject) => {
      let text = '';
      const fail = (what: string): void => reject(new Error(`npm run lab ${what}:\n${text}`));
      const timer = setTimeout(() => {
        fail(`gave no address in ${startMs / 1000} s`);
        stop();
      }, startMs);
      const ended = new Promise<number | null>((settle) => {
        child.on('close', (code) => {
          clearTimeout(timer);
          process.off('exit', stop);
          fail(`ended with code ${code}`);
          settle(code);
        });
      });
      child.on('error', reject);
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          const found = address.exec(text);
          if (!found) return;
          clearTimeout(timer);
          resolve(new LabServer(child, ended, new URL(found[0])));
        });
    });
  }

  /** Where a browser finds a notebook of the folder, in a window without anything else. */
  address(notebook: string): string {
    return `${this.url.origin}/lab/tree/${encodeURIComponent(notebook)}${this.url.search}&reset`;
  }

  /** Ends all kernels, as the running sessions' panel does. */
  async shutDownKernels(): Promise<void> {
    if (this.stopping) return;
    const kernels = (await (await this.ask('GET', 'api/kernels')).json()) as { id: string }[];
    await Promise.all(kernels.map(({ id }) => this.ask('DELETE', `api/kernels/${id}`)));
  }

  /** Presses Ctrl-C in its terminal. Returns the exit code; a server that does not end is ended. */
  async stop(): Promise<number | null> {
    this.stopping = true;
    this.child.kill('SIGINT');
    const patience = new AbortController();
    const late = delay(stopMs, undefined, { signal: patience.signal }).then(
      () => this.child.kill('SIGINT'),
      () => {},
    );
    const code = await this.ended;
    patience.abort();
    await late;
    return code;
  }

  private ask(method: string, path: string): Promise<Response> {
    const token = this.url.searchParams.get('token');
    return fetch(`${this.url.origin}/${path}`, { method, headers: { Authorization: `token ${token}` } });
  }
}
