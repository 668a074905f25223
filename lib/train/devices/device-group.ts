/** The devices as the leading thread sees them: it starts them, gives them work, and finds out which one fails. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Batch } from '../../data/loader';
import { projectRoot } from '../../tensor/packages';
import type { StateDict } from '../../weights/host-tensor';
import { hashTensors } from '../state-hash';
import { DeviceFailure } from './device-failure';
import type { DeviceReading } from './device-reading';
import type { DeviceJob, DeviceReply, DeviceRequest, UpdateReport } from './messages';
import { abortSharedMemory, arrivals, type SharedMemory } from './shared-memory';
import { type Shard, shardOf } from './shards';

/** What a group is started with. */
export interface DeviceGroupOptions {
  /** One a device, in the order of their ranks. */
  readonly jobs: readonly DeviceJob[];
  /** How long nothing may happen while a step is under way, seconds. */
  readonly timeoutSeconds: number;
}

interface Member {
  readonly rank: number;
  readonly worker: Worker;
  /** What it is doing. */
  pending: { settle(answer: Answer): void } | undefined;
  /** Why it can do nothing more. */
  gone: string | undefined;
}

type Answer = DeviceReply | { readonly type: 'gone'; readonly why: string };

/** How often the group looks whether something has happened, milliseconds. */
const watchMs = 200;
/** How long a thread may take to end by itself, milliseconds. */
const endMs = 2000;

/** N devices, each a thread with its own TensorFlow. */
export class DeviceGroup {
  private readonly members: Member[];
  private failure: DeviceFailure | undefined;

  private constructor(private readonly options: DeviceGroupOptions) {
    const script = deviceScript();
    this.members = options.jobs.map((job): Member => {
      // Not the options of this process: a profiler or a loader must not start in each thread.
      const worker = new Worker(script, { workerData: job, execArgv: [] });
      return { rank: job.rank, worker, pending: undefined, gone: undefined };
    });
    for (const member of this.members) this.listen(member);
  }

  /** Starts all devices. @throws DeviceFailure naming those that can't be started. */
  static async start(options: DeviceGroupOptions): Promise<DeviceGroup> {
    const group = new DeviceGroup(options);
    try {
      await group.everybody(group.members.map((member) => group.expect(member)));
    } catch (error) {
      await group.close();
      throw error;
    }
    return group;
  }

  /** Gives all devices one state. */
  async load(state: StateDict): Promise<void> {
    await this.ask(() => ({ type: 'load', state }));
  }

  /**
   * A step: every device's gradient, their sum, and the update by it.
   * @throws DeviceFailure where a device fails before all have come to the sum; then no parameter has changed anywhere.
   */
  async step(
    batch: Batch,
    shards: readonly Shard[],
    rate: number,
  ): Promise<{ readonly readings: readonly DeviceReading[]; readonly report: UpdateReport }> {
    const readings = (
      await this.ask(({ rank }) => ({
        type: 'gradient',
        batch: shardOf(batch, shards[rank]),
        shard: shards[rank],
      }))
    ).map((reply) => (reply as Extract<DeviceReply, { type: 'gradient' }>).reading);
    // From here on the step counts: a device that fails now is told of at the next one, and the others have this one's state.
    const updates = await this.watched(this.requests(() => ({ type: 'update', rate })));
    const report = updates.find((answer) => answer.type === 'update');
    this.failure ??= this.failureOf(updates);
    this.members.forEach((member, i) => {
      // Its state is of neither step.
      if (updates[i].type !== 'update') member.gone ??= 'failed in its update';
    });
    if (!report) throw this.failure!;
    return { readings, report: (report as Extract<DeviceReply, { type: 'update' }>).report };
  }

  /**
   * The state that the devices that are left have.
   * @throws DeviceFailure where none is left, or theirs are not the same to the bit.
   */
  async state(): Promise<StateDict> {
    const left = this.members.filter(({ gone }) => gone === undefined);
    if (left.length === 0) {
      throw new DeviceFailure(
        this.members.map(({ rank }) => rank),
        `${this.failure?.message ?? 'all devices are gone'}; no device is left that has the state of the last step`,
      );
    }
    const answers = await Promise.all(
      left.map((member, i) => this.request(member, { type: i === 0 ? 'state' : 'hash' })),
    );
    const failure = this.failureOf(answers, left);
    if (failure) throw failure;
    const { state } = answers[0] as Extract<DeviceReply, { type: 'state' }>;
    const expected = hashTensors(state);
    const others = left.filter((_, i) => {
      const answer = answers[i];
      return answer.type === 'hash' && answer.hash !== expected;
    });
    if (others.length === 0) return state;
    throw new DeviceFailure(
      others.map(({ rank }) => rank),
      `${namesOf(others)} and device ${left[0].rank} have parameters that differ, where all must have the same to the bit; ` +
        'something in the replica hangs on more than its settings, the batch and the random numbers that it is given',
    );
  }

  /** Each device's own hash of all its tensors, by rank. */
  async hashes(): Promise<string[]> {
    const answers = await this.ask(() => ({ type: 'hash' }));
    return answers.map((answer) => (answer as Extract<DeviceReply, { type: 'hash' }>).hash);
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    this.abort();
    await Promise.all(this.members.map(endMember));
  }

  /** @throws DeviceFailure, the first failure ever, where one is gone or fails now. */
  private async ask(request: (member: Member) => DeviceRequest): Promise<DeviceReply[]> {
    if (this.failure) throw this.failure;
    return this.everybody(this.requests(request));
  }

  private requests(request: (member: Member) => DeviceRequest): Promise<Answer>[] {
    return this.members.map((member) => this.request(member, request(member)));
  }

  private async everybody(pending: readonly Promise<Answer>[]): Promise<DeviceReply[]> {
    const answers = await this.watched(pending);
    const failure = this.failureOf(answers);
    if (!failure) return answers as DeviceReply[];
    this.failure = failure;
    // Those that had come through must not keep half a step.
    const left = this.members.filter(({ gone }) => gone === undefined);
    await Promise.all(left.map((member) => this.request(member, { type: 'forget' })));
    throw failure;
  }

  private failureOf(
    answers: readonly Answer[],
    from: readonly Member[] = this.members,
  ): DeviceFailure | undefined {
    const failed = from.filter((_, i) => answers[i].type === 'gone' || answers[i].type === 'failed');
    const whys = answers.flatMap((answer) => {
      if (answer.type === 'gone') return [answer.why];
      return answer.type === 'failed' ? [`failed: ${answer.message}`] : [];
    });
    const stacks = answers.flatMap((answer) => (answer.type === 'failed' ? [answer.stack] : []));
    if (failed.length === 0) {
      if (!answers.some(({ type }) => type === 'aborted')) return undefined;
      const ranks = from.map(({ rank }) => rank);
      return new DeviceFailure(ranks, 'the devices gave up waiting for each other');
    }
    const total = this.members.length;
    const lines = failed.map(({ rank }, i) => `device ${rank} of ${total} ${whys[i]}`);
    const cause = stacks.length > 0 ? new Error(stacks[0]) : undefined;
    return new DeviceFailure(
      failed.map(({ rank }) => rank),
      lines.join('; '),
      { cause },
    );
  }

  private request(member: Member, request: DeviceRequest): Promise<Answer> {
    const answer = this.expect(member);
    if (member.gone === undefined) member.worker.postMessage(request);
    return answer;
  }

  /** The member's next answer. */
  private expect(member: Member): Promise<Answer> {
    if (member.gone !== undefined) return Promise.resolve({ type: 'gone', why: member.gone });
    return new Promise((settle) => {
      member.pending = { settle };
    });
  }

  private listen(member: Member): void {
    const { worker } = member;
    const leave = (why: string): void => {
      member.gone ??= why;
      this.abort();
      this.settle(member, { type: 'gone', why: member.gone });
    };
    worker.on('message', (reply: DeviceReply) => {
      // Who fails keeps the others from waiting for it.
      if (reply.type === 'failed') this.abort();
      this.settle(member, reply);
    });
    worker.on('messageerror', (error) => leave(`sent what can't be read: ${error.message}`));
    worker.on('error', (error) => leave(`died: ${error.message}`));
    worker.on('exit', (code) => leave(`died: its thread ended with exit code ${code}`));
  }

  private settle(member: Member, answer: Answer): void {
    const { pending } = member;
    member.pending = undefined;
    pending?.settle(answer);
  }

  private abort(): void {
    for (const job of this.options.jobs) memoriesOf(job).forEach(abortSharedMemory);
  }

  /** The answers, unless nothing happens for too long: then whoever the others wait for is ended. */
  private async watched(pending: readonly Promise<Answer>[]): Promise<Answer[]> {
    let [seen, since] = [this.progress(), performance.now()];
    const watch = setInterval(() => {
      const now = this.progress();
      if (now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since > this.options.timeoutSeconds * 1000) this.endWhoHangs();
    }, watchMs);
    try {
      return await Promise.all(pending);
    } finally {
      clearInterval(watch);
    }
  }

  /** Changes whenever a device answers or comes to an all-reduce. */
  private progress(): string {
    return this.members
      .map((member) => `${member.pending ? '…' : '.'}${this.arrivalsOf(member).join(',')}`)
      .join(' ');
  }

  private arrivalsOf({ rank }: Member): number[] {
    return memoriesOf(this.options.jobs[rank]).map((memory) => arrivals(memory, rank));
  }

  /** Devices at work that have come to fewer all-reduces than another: those that the others wait for. All of them where none is behind. */
  private endWhoHangs(): void {
    const working = this.members.filter(({ pending }) => pending !== undefined);
    const met = (member: Member): number => this.arrivalsOf(member).reduce((sum, count) => sum + count, 0);
    const most = Math.max(...this.members.map(met));
    const behind = working.filter((member) => met(member) < most);
    const hanging = behind.length > 0 ? behind : working;
    for (const member of hanging) {
      const waiting = working.filter((other) => !hanging.includes(other));
      member.gone =
        `hangs: it has not answered for ${this.options.timeoutSeconds} s` +
        (waiting.length > 0 ? `, while ${namesOf(waiting)} waited for it` : '');
      // Native code can't be interrupted: that thread ends when it comes back to JavaScript.
      void member.worker.terminate();
      this.settle(member, { type: 'gone', why: member.gone });
    }
    this.abort();
  }
}

/** Where a device meets others. */
function memoriesOf({ everybody, together }: DeviceJob): SharedMemory[] {
  return together ? [everybody, together.memory] : [everybody];
}

function namesOf(members: readonly Member[]): string {
  const ranks = members.map(({ rank }) => rank);
  return ranks.length === 1 ? `device ${ranks[0]}` : `devices ${ranks.join(', ')}`;
}

async function endMember(member: Member): Promise<void> {
  const { worker } = member;
  if (worker.threadId < 0) return; // has ended
  member.gone ??= 'was ended';
  await new Promise<void>((resolve) => {
    const impatient = setTimeout(() => {
      void worker.terminate();
      // A thread in native code may never end; nobody waits for it.
      worker.unref();
      resolve();
    }, endMs);
    worker.once('exit', () => {
      clearTimeout(impatient);
      resolve();
    });
    worker.postMessage({ type: 'end' } satisfies DeviceRequest);
  });
}

/** Threads run compiled code: beside this file, or, where it runs uncompiled, what was built last. */
function deviceScript(): string {
  const folders = [__dirname, path.join(projectRoot, 'dist', 'train', 'devices')];
  const found = folders
    .map((folder) => path.join(folder, 'device-thread.js'))
    .find((file) => existsSync(file));
  if (found) return found;
  throw new Error('the devices’ compiled code is not there: run npm run build');
}
