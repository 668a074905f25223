/** A worker as the runner holds it: started, asked to run cells, ended with everything that it started. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import { projectRoot } from '../engine/typescript';
import type { WorkerReport, WorkerRequest } from '../worker';

export interface KernelOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  onReport: (report: WorkerReport) => void;
  /** The process ended; `reason` says how in words, `lastLines` what it printed last. */
  onEnd: (reason: string, lastLines: string[]) => void;
}

const keptOutput = 16_384;

/** A kernel in a process of its own. */
export class KernelProcess {
  private readonly child: ChildProcess;
  private output = '';
  private exitCalled: number | undefined;
  private ended = false;

  constructor(options: KernelOptions) {
    this.child = fork(path.join(projectRoot, 'dist', 'notebook', 'worker.js'), [], {
      cwd: options.cwd,
      env: options.env,
      // The leader of a process group, so that what cells start can be ended with it.
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString('utf8')).slice(-keptOutput);
    };
    this.child.stdout!.on('data', keep);
    this.child.stderr!.on('data', keep);
    this.child.on('message', (report: WorkerReport) => {
      if (report.type === 'exit-called') this.exitCalled = report.code;
      else options.onReport(report);
    });
    this.child.on('error', (error) => this.end(options, `it could not be started: ${error.message}`));
    // `close` comes after the last of its output, `exit` may come before; a grandchild that keeps the pipes open must not
    // make a dead kernel look alive.
    this.child.on('exit', (code, signal) => {
      const told = (): void => this.end(options, this.describeExit(code, signal));
      this.child.on('close', told);
      setTimeout(told, 500).unref();
    });
  }

  send(request: WorkerRequest): void {
    if (this.child.connected) this.child.send(request, () => {});
  }

  /** Ends the process and what it started. */
  kill(): void {
    this.ended = true;
    const { pid } = this.child;
    try {
      if (pid !== undefined && process.platform !== 'win32') process.kill(-pid, 'SIGKILL');
      else this.child.kill('SIGKILL');
    } catch {
      // Already gone.
    }
  }

  /** What it printed last, outside of cells' own outputs: TensorFlow's and Node's complaints. */
  lastLines(count: number = 15): string[] {
    // V8's own stack of addresses tells a notebook's author nothing.
    const lines = this.output
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^\s*\d+: 0x[0-9a-f]+/.test(line));
    return lines.slice(-count);
  }

  private end(options: KernelOptions, reason: string): void {
    if (this.ended) return;
    this.kill();
    options.onEnd(reason, this.lastLines());
  }

  private describeExit(code: number | null, signal: NodeJS.Signals | null): string {
    if (/heap out of memory|Allocation failed/.test(this.output)) {
      return 'it ran out of memory (NODE_OPTIONS=--max-old-space-size=8192 gives it more)';
    }
    if (this.exitCalled !== undefined)
      return `it left with code ${this.exitCalled}: something called process.exit`;
    if (signal === 'SIGKILL')
      return 'it was killed (SIGKILL), as happens when the machine runs out of memory';
    if (signal) return `it crashed (${signal}), which points at native code`;
    return `it left with code ${code}`;
  }
}
