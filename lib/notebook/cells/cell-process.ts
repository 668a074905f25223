/** The process that runs cells, as its parent holds it: started, asked, interrupted, ended with everything that it started. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { Writable } from 'node:stream';
import type { MimeBundle } from '../../plot/display';
import { projectRoot } from '../../tensor/packages';
import type { CellMessage, Completion, ExecuteOptions, ExecuteOutcome } from '../session';
import { lifelineFd } from './lifeline';
import type { CellCall, CellCalls, CellReport, CellRequest } from './messages';

export interface CellProcessOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Text that native code (TensorFlow) or a child wrote to the process's own stdout or stderr, past the session. */
  onNativeOutput?: (name: 'stdout' | 'stderr', text: string) => void;
  /** The process ended by itself; `reason` says how in words, `lastLines` what it printed last. Pending calls reject. */
  onEnd: (reason: string, lastLines: string[]) => void;
}

/** Why a call got no answer. */
export class CellProcessEnded extends Error {
  override readonly name: string = 'CellProcessEnded';
}

interface Pending {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

const keptOutput = 16_384;
const keptListeners = 500;

/** A process that runs the cells of one notebook. */
export class CellProcess {
  /** Settles when the first cell can be run; rejects with `CellProcessEnded` where the process ended before. */
  readonly ready: Promise<void>;

  private readonly child: ChildProcess;
  private readonly pending: Map<number, Pending> = new Map();
  // Work that a cell left running still has its say after the answer.
  private readonly listeners: Map<number, (message: CellMessage) => void> = new Map();
  // Those that have not been answered.
  private readonly executions: Set<number> = new Set();
  private lastId = 0;
  private output = '';
  private ended = false;
  private becomeReady!: () => void;
  private failReady!: (error: Error) => void;

  constructor(private readonly options: CellProcessOptions) {
    this.ready = new Promise((resolve, reject) => {
      this.becomeReady = resolve;
      this.failReady = reject;
    });
    this.ready.catch(() => {});
    this.child = fork(path.join(projectRoot, 'dist', 'notebook', 'cells', 'worker.js'), [], {
      cwd: options.cwd,
      env: options.env,
      // The leader of a process group, so that what cells start can be ended with it, and a terminal's Ctrl-C does not reach it.
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
      execArgv: [],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-keptOutput);
        if (!this.ended) options.onNativeOutput?.(name, text);
      });
    }
    this.lifeline?.on('error', () => {});
    this.child.on('message', (report: CellReport) => this.receive(report));
    this.child.on('error', (error) => this.end(`it could not be started: ${error.message}`));
    // `close` comes after the last of its output, `exit` may come before; a grandchild that keeps the pipes open must not
    // make a dead process look alive.
    this.child.on('exit', (code, signal) => {
      const told = (): void => this.end(this.describeExit(code, signal));
      this.child.on('close', told);
      setTimeout(told, 500).unref();
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Runs a cell. `onMessage` may be called after the promise settled, by work that the cell left running. */
  execute(
    code: string,
    options: ExecuteOptions,
    onMessage: (message: CellMessage) => void,
  ): Promise<ExecuteOutcome> {
    return this.ask('execute', { code, options }, onMessage);
  }

  /** Answered while an asynchronous cell runs, too; a cell that never yields has to end first. Offsets in UTF-16 units. */
  complete(code: string, position: number): Promise<Completion> {
    return this.ask('complete', { code, position });
  }

  /** What is known about the name at an offset; `undefined` where nothing is. */
  inspect(code: string, position: number): Promise<MimeBundle | undefined> {
    return this.ask('inspect', { code, position });
  }

  isComplete(code: string): Promise<CellCalls['isComplete']['answer']> {
    return this.ask('isComplete', { code });
  }

  /** Stops the running cell, also one that never yields; it then ends with an error named `Interrupted`. */
  interrupt(): void {
    const id = Math.max(0, ...this.executions);
    if (id > 0 && !this.ended) this.lifeline?.write(`${id}\n`);
  }

  /** Ends the process politely. Gives what computed, as far as the library was used. */
  async finish(): Promise<Record<string, string>> {
    const info = await this.ask('finish', {});
    this.ended = true;
    return info;
  }

  /** Ends the process and what it started. */
  kill(reason: string = 'it was ended by its parent'): void {
    this.ended = true;
    const { pid } = this.child;
    try {
      if (pid !== undefined && process.platform !== 'win32') process.kill(-pid, 'SIGKILL');
      else this.child.kill('SIGKILL');
    } catch {
      // Already gone.
    }
    this.rejectAll(reason);
  }

  /** What it printed last, outside of cells' own outputs: TensorFlow's and Node's complaints. */
  lastLines(count: number = 15): string[] {
    // V8's own stack of addresses tells a notebook's author nothing.
    const lines = this.output
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^\s*\d+: 0x[0-9a-f]+/.test(line));
    return lines.slice(-count);
  }

  private get lifeline(): Writable | undefined {
    return this.child.stdio?.[lifelineFd] as Writable | undefined;
  }

  private ask<K extends CellCall>(
    call: K,
    asked: CellCalls[K]['asked'],
    onMessage?: (message: CellMessage) => void,
  ): Promise<CellCalls[K]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.ended || !this.child.connected) {
        reject(new CellProcessEnded('the process that runs the cells has ended'));
        return;
      }
      const id = ++this.lastId;
      this.pending.set(id, { resolve, reject });
      if (onMessage) {
        this.executions.add(id);
        this.listeners.set(id, onMessage);
        this.listeners.delete(id - keptListeners);
      }
      this.child.send({ id, call, ...asked } as CellRequest, () => {});
    });
  }

  private receive(report: CellReport): void {
    if (report.type === 'ready') this.becomeReady();
    else if (report.type === 'message') this.listeners.get(report.id)?.(report.message);
    else {
      const pending = this.pending.get(report.id);
      this.pending.delete(report.id);
      this.executions.delete(report.id);
      if (report.type === 'answer') pending?.resolve(report.value as never);
      else pending?.reject(new Error(report.reason));
    }
  }

  private end(reason: string): void {
    if (this.ended) return;
    this.kill(reason);
    this.options.onEnd(reason, this.lastLines());
  }

  private rejectAll(reason: string): void {
    const error = new CellProcessEnded(reason);
    this.failReady(error);
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    this.listeners.clear();
  }

  private describeExit(code: number | null, signal: NodeJS.Signals | null): string {
    if (/heap out of memory|Allocation failed/.test(this.output)) {
      return 'it ran out of memory (NODE_OPTIONS=--max-old-space-size=8192 gives it more)';
    }
    if (signal === 'SIGKILL')
      return 'it was killed (SIGKILL), as happens when the machine runs out of memory';
    if (signal) return `it crashed (${signal}), which points at native code`;
    return `it left with code ${code}`;
  }
}
