/** The process of a run, as the runner sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { projectRoot } from '../tensor/packages';
import type { RunMessage, RunOrder } from './run-process';
import type { RunningRun } from './time-left';

/** A run that has begun, here or elsewhere. */
export interface StartedRun {
  /** `undefined` when it is done, else why it is not. */
  readonly ended: Promise<string | undefined>;
  /** It saves what it has, and ends. */
  stop(): void;
  /** It ends at once. */
  kill(): void;
  timing(): RunningRun;
  /** What it does, in a few words. */
  text(): string;
}

/** How long interrupted runs may take to save. */
const saveSeconds = 30;

/** What a run's process says of itself when it begins. */
export type Started = Extract<RunMessage, { type: 'started' }>;

/** The process of a run. */
export class RunChild implements StartedRun {
  /** `undefined` when it is done, else why it is not. */
  readonly ended: Promise<string | undefined>;
  private readonly child: ChildProcess;
  private readonly started: number = performance.now();
  private first: RunningRun['first'];
  private last: RunningRun['last'];
  private note = '';
  private lastWords = '';
  private end: RunMessage | undefined;
  private killer: NodeJS.Timeout | undefined;

  constructor(
    private readonly order: RunOrder,
    threads: number,
    tell: (message: string | Started) => void,
    options: { readonly detached?: boolean } = {},
  ) {
    const script = path.join(projectRoot, 'dist', 'evidence', 'run-process.js');
    this.child = fork(script, [JSON.stringify(order)], {
      env: { ...process.env, DETLAB_THREADS: String(threads) },
      execArgv: ['--enable-source-maps'],
      // Ctrl-C in a terminal reaches everybody in the group but those.
      detached: options.detached,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    readline.createInterface({ input: this.child.stdout! }).on('line', (text) => tell(text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-4096);
    });
    this.child.on('message', (message: RunMessage) => {
      if (message.type === 'progress') this.progress(message.step, message.steps, message.note);
      else if (message.type === 'notice') tell(message.line);
      else if (message.type === 'started') tell(message);
      else this.end = message;
    });
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => resolve(error.message));
      this.child.on('close', (code, signal) => {
        clearTimeout(this.killer);
        resolve(this.problem(code, signal));
      });
    });
  }

  /** Whether it has ended for a reason that lies not in the run: a signal, which the system sends when memory runs out, too. */
  get interrupted(): boolean {
    return this.end?.type === 'stopped' || (this.end === undefined && this.child.signalCode !== null);
  }

  stop(): void {
    this.child.kill('SIGTERM');
    this.killer ??= setTimeout(() => this.kill(), saveSeconds * 1000);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  timing(): RunningRun {
    return { arm: this.order.arm, seconds: this.seconds(), first: this.first, last: this.last };
  }

  text(): string {
    return [`${this.order.arm} seed ${this.order.seed}`, this.note].filter(Boolean).join(' ');
  }

  private seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  private progress(step: number, steps: number, note: string | undefined): void {
    this.last = { seconds: this.seconds(), share: Math.min(1, step / steps) };
    this.first ??= this.last;
    this.note = [`${step}/${steps}`, note].filter(Boolean).join(' ');
  }

  private problem(code: number | null, signal: NodeJS.Signals | null): string | undefined {
    if (this.end?.type === 'done') return undefined;
    if (this.end?.type === 'stopped') return 'it was stopped by a signal; the same command goes on with it';
    const words = this.lastWords.trim();
    if (this.end?.type === 'failed') return [this.end.message, words].filter(Boolean).join('\n');
    const memory =
      signal === 'SIGKILL' ? ' (the system does that when memory runs out: try fewer --jobs)' : '';
    const how = signal
      ? `its process was ended by ${signal}${memory}`
      : `its process ended with code ${code}`;
    return [how, words].filter(Boolean).join('\n');
  }
}
