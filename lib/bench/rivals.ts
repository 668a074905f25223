/** Rivals: programs that run the same case in different ways and take turns, so that a machine's moods hit all of them alike. */
import { type ChildProcess, spawn } from 'node:child_process';
import readline from 'node:readline';

/** COCO's official code, as the table calls it. */
export const cocoRivalName: string = 'pycocotools';

/** What a rival is asked: run the case so many times. */
export interface RivalRequest {
  readonly times: number;
}

/** Its first line: it is built and waits. */
export interface RivalReady {
  readonly ready: true;
  /** Bytes resident before the first run: what the program and its network take by themselves. */
  readonly memory: number;
  /** Whatever it is worth saying: a version. */
  readonly about?: string;
}

/** Its answer to a request. */
export interface RivalResult {
  /** Of each run. */
  readonly milliseconds: readonly number[];
  /** The loss of each training step; for inference the sum of the predictions. */
  readonly values: readonly number[];
  /** The most bytes that were ever resident. */
  readonly peak: number;
}

/** A program to start. */
export interface RivalProgram {
  /** As the table calls it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A running rival. Requests are answered one after another. */
export class Rival {
  private readonly child: ChildProcess;
  private readonly waiting: ((line: string | undefined) => void)[] = [];
  private readonly lines: string[] = [];
  private errors: string = '';
  private ended: string | undefined;

  private constructor(readonly program: RivalProgram) {
    this.child = spawn(program.command, [...program.args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: program.env ?? process.env,
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.errors = (this.errors + chunk.toString()).slice(-8192);
    });
    // A program that has ended can't take its request: that is told by its end, not by the pipe.
    this.child.stdin?.on('error', () => {});
    const stdout = readline.createInterface({ input: this.child.stdout! });
    // Libraries may greet on stdout; answers are objects.
    stdout.on('line', (line) => {
      if (line.startsWith('{')) this.hear(line);
    });
    this.child.on('error', (error) => this.finish(error.message));
    this.child.on('close', (code, signal) =>
      this.finish(signal ? `ended by ${signal}` : `ended with ${code}`),
    );
  }

  /** Starts a program and waits until it is ready. @throws with its last words when it ends before. */
  static async start(program: RivalProgram): Promise<{ rival: Rival; ready: RivalReady }> {
    const rival = new Rival(program);
    return { rival, ready: JSON.parse(await rival.next()) as RivalReady };
  }

  /** @throws with the program's last words when it ends instead of answering. */
  async request(request: RivalRequest): Promise<RivalResult> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    return JSON.parse(await this.next()) as RivalResult;
  }

  /** Ends the program. */
  end(): Promise<void> {
    if (this.ended !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.child.once('close', () => resolve());
      this.child.kill('SIGKILL');
    });
  }

  private hear(line: string | undefined): void {
    const waiting = this.waiting.shift();
    if (waiting) waiting(line);
    else if (line !== undefined) this.lines.push(line);
  }

  private finish(how: string): void {
    this.ended ??= how;
    while (this.waiting.length > 0) this.hear(undefined);
  }

  private async next(): Promise<string> {
    const line =
      this.lines.shift() ??
      (this.ended === undefined
        ? await new Promise<string | undefined>((resolve) => this.waiting.push(resolve))
        : undefined);
    if (line !== undefined) return line;
    const words = this.errors
      .trim()
      .split('\n')
      .filter((text) => /error|not|can't/i.test(text));
    throw new Error(`${this.program.name} ${this.ended}: ${(words[0] ?? this.errors.trim()).slice(0, 300)}`);
  }
}
