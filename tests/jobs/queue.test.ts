/** Work through a queue: a real Redis, real processes that work and die. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { JobFailure } from '../../lib/jobs/failure';
import { type JobPool, openJobs } from '../../lib/jobs/pool';
import type { QueueOptions } from '../../lib/jobs/queue-options';
import type { JobSource } from '../../lib/jobs/source';
import { buildLibrary, temporaryFolder } from '../notebook/helpers';
import {
  freePort,
  redisProgram,
  type Running,
  startLeader,
  startRedis,
  startWorker,
  until,
} from './queue-parts';

interface Task {
  readonly value: number;
  readonly ms?: number;
  readonly then?: string;
  readonly unless?: string;
}

const module = path.join(__dirname, 'fixtures', 'worker.cjs');
/** For tests of machines that die: what is noticed after half a minute otherwise. */
const soonLost = { lockSeconds: 1 };
let server: Running;
let port: number;
let redis: string;
let asked: Redis;
let folder: string;
let log: string;
let name: string;
let notices: string[];
let pools: JobPool<Task, unknown>[];
let workers: Running[];
let count = 0;

describe.skipIf(redisProgram === undefined)('a queue', () => {
  beforeAll(async () => {
    buildLibrary();
    port = await freePort();
    redis = `redis://127.0.0.1:${port}`;
    server = await startRedis(temporaryFolder(), port);
    asked = new Redis(redis);
  });
  afterAll(async () => {
    asked.disconnect();
    server.child.kill('SIGKILL');
    await server.code;
  });
  beforeEach(() => {
    folder = temporaryFolder();
    log = path.join(folder, 'log');
    name = `test-${++count}`;
    [notices, pools, workers] = [[], [], []];
  });
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    for (const { child } of workers) child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true });
  });

  const open = async (
    change: Partial<QueueOptions> = {},
    source: Partial<JobSource> = {},
  ): Promise<JobPool<Task, unknown>> => {
    const settings = { add: 100, log };
    const pool = await openJobs<Task, unknown>(
      { module, name: 'createWorker', settings, backend: false, ...source },
      {
        queue: {
          redis,
          name,
          backoffSeconds: 0.1,
          pollSeconds: 0.3,
          onNotice: (line) => notices.push(line),
          ...change,
        },
      },
    );
    pools.push(pool);
    return pool;
  };
  const serve = async (options: object = {}): Promise<Running> => {
    const worker = startWorker({ redis, name, filesFolder: path.join(folder, 'files'), ...options });
    workers.push(worker);
    await until(() => worker.text().includes('serves the queue'), worker.text);
    return worker;
  };
  const lines = (): string[] => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n') : []);
  const linesOf = (word: string): string[] => lines().filter((line) => line.startsWith(word));
  const begun = (line: string): Promise<void> =>
    until(
      () => lines().includes(line),
      () => workers.map((one) => one.text()).join(),
    );
  const jobsLeft = (): Promise<string[]> => asked.keys(`detlab:${name}:${'?'.repeat(64)}`);

  test('gives what threads give, with several machines, and leaves nothing behind', async () => {
    const pool = await open({ jobs: 5 });
    expect(pool.jobs).toBe(5);
    await Promise.all([serve({ jobs: 2 }), serve()]);
    const values = Array.from({ length: 12 }, (_, i) => i);
    const results = await Promise.all(values.map((value) => pool.run({ value, ms: 30 })));
    expect(results).toEqual(values.map((value) => ({ sum: value + 100 })));
    // Each machine loads the source once a thread.
    expect(linesOf('load')).toHaveLength(3);
    // Two equal payloads at once are one job.
    expect(await Promise.all([pool.run({ value: 50 }), pool.run({ value: 50 })])).toEqual([
      { sum: 150 },
      { sum: 150 },
    ]);
    expect(linesOf('begin 50')).toHaveLength(1);
    expect(await jobsLeft()).toEqual([]);
    await vi.waitFor(async () => expect(await asked.keys(`detlab-jobs:${name}:*`)).toEqual([]));
    expect(notices).toEqual([]);
    // Ctrl-C: it finishes what it has.
    const last = pool.run({ value: 60, ms: 500 });
    await begun('begin 60');
    for (const { child } of workers) child.kill('SIGTERM');
    expect(await last).toEqual({ sum: 160 });
    expect(await Promise.all(workers.map(({ code }) => code))).toEqual([0, 0]);
  });

  test('a machine that is killed loses nothing', async () => {
    const pool = await open();
    const first = await serve(soonLost);
    const run = pool.run({ value: 1, ms: 600 });
    await begun('begin 1');
    first.child.kill('SIGKILL');
    await serve(soonLost);
    expect(await run).toEqual({ sum: 101 });
    expect(linesOf('begin 1').length).toBeGreaterThanOrEqual(2);
  });

  test('a machine that was thought lost comes back: one result counts, that the other differs is told', async () => {
    const pool = await open();
    const first = await serve(soonLost);
    const run = pool.run({ value: 1, ms: 300, then: 'pid' });
    await begun('begin 1');
    first.child.kill('SIGSTOP');
    const second = await serve(soonLost);
    expect(await run).toEqual({ pid: second.child.pid });
    first.child.kill('SIGCONT');
    await until(
      () => notices.length > 0,
      () => first.text() + second.text(),
    );
    expect(notices[0]).toMatch(
      /^a job of createWorker was done more than once, by .* and .*, and the results differ; the first counts$/,
    );
    // It goes on working.
    expect(await pool.run({ value: 2 })).toEqual({ sum: 102 });
    expect(await jobsLeft()).toEqual([]);
  });

  test('a payload that always fails, one that kills its thread, and one that kills it once', async () => {
    const pool = await open({ attempts: 2 });
    await serve();
    const runs = await Promise.allSettled([
      pool.run({ value: 1, then: 'throw' }),
      pool.run({ value: 2, then: 'exit' }),
      pool.run({ value: 3, then: 'exit', unless: path.join(folder, 'died') }),
    ]);
    const [threw, lost] = runs.map((run) =>
      run.status === 'rejected' ? (run.reason as JobFailure) : undefined,
    );
    expect(threw).toBeInstanceOf(JobFailure);
    expect(threw).toMatchObject({
      place: 0,
      reason: 'threw',
      message: 'openJobs: payload 0 failed: 1 is no good',
    });
    expect((threw!.cause as Error).stack).toMatch(/RangeError: 1 is no good\n\s+at .*worker\.cjs/);
    expect(linesOf('begin 1')).toHaveLength(1);
    expect(lost).toMatchObject({ place: 1, reason: 'lost' });
    expect(lost!.message).toMatch(
      /^openJobs: payload 1 could not be done: .*its thread ended with exit code 9 \(on /,
    );
    expect(linesOf('begin 2')).toHaveLength(2);
    expect(runs[2]).toEqual({ status: 'fulfilled', value: { sum: 103 } });
    expect(await jobsLeft()).toEqual([]);
  });

  test('a payload whose machines die each time is told', async () => {
    const pool = await open({ attempts: 1 });
    const first = await serve(soonLost);
    const run = pool.run({ value: 1, ms: 5000 });
    const told = expect(run).rejects.toThrow(
      'payload 0 could not be done: 1 workers were lost while they worked on it',
    );
    await begun('begin 1');
    first.child.kill('SIGKILL');
    await serve(soonLost);
    await told;
  });

  test('a leader that starts again finds what is done, another search does not', async () => {
    await serve();
    const source = { module, name: 'createWorker', settings: { add: 100, log }, backend: false };
    const leader = startLeader({ source, queue: { redis, name }, payload: { value: 1, ms: 300 } });
    await begun('begin 1');
    leader.child.kill('SIGKILL');
    await begun('end 1');
    const [second, other] = [await open(), await open({ id: 'another' })];
    expect(await second.run({ value: 1, ms: 300 })).toEqual({ sum: 101 });
    expect(linesOf('begin 1')).toHaveLength(1);
    expect(await other.run({ value: 1, ms: 300 })).toEqual({ sum: 101 });
    expect(linesOf('begin 1')).toHaveLength(2);
    expect(await jobsLeft()).toEqual([]);
  });

  test('an abort reaches the machine; what waits leaves the queue', async () => {
    const pool = await open();
    await serve();
    const [stop, reason] = [new AbortController(), new Error('enough')];
    const runs = [1, 2].map((value) => pool.run({ value, ms: 60_000 }, stop.signal));
    const all = Promise.all(runs.map((run) => expect(run).rejects.toBe(reason)));
    await until(() => linesOf('begin').length === 1);
    stop.abort(reason);
    await all;
    await until(() => linesOf('aborted').length === 1);
    expect(await pool.run({ value: 3 })).toEqual({ sum: 103 });
    expect(linesOf('begin')).toHaveLength(2);
    expect(await jobsLeft()).toEqual([]);
    // What was cancelled can be asked for again.
    expect(await pool.run({ value: 4 })).toEqual({ sum: 104 });
    const [again, once] = [new AbortController(), { value: 5, ms: 400 }];
    const given = pool.run(once, again.signal);
    await begun('begin 5');
    again.abort(reason);
    await expect(given).rejects.toBe(reason);
    expect(await pool.run(once)).toEqual({ sum: 105 });
  });

  test('a machine that is stopped gives back what it has, and that is no lost try', async () => {
    const pool = await open({ attempts: 1 });
    const first = await serve();
    const run = pool.run({ value: 1, ms: 1000 });
    await begun('begin 1');
    first.child.kill('SIGINT');
    expect(await first.code, first.text()).toBe(0);
    expect(first.text()).toContain('given back');
    await begun('aborted 1: the worker was stopped; another one takes the job');
    await serve();
    expect(await run).toEqual({ sum: 101 });
  });

  test('files travel once, and are checked', async () => {
    const [one, two] = ['one.bin', 'two.bin'].map((file) => path.join(folder, file));
    const text = 'weights '.repeat(1_200_000); // more than one piece
    fs.writeFileSync(one, text);
    fs.writeFileSync(two, '');
    const pool = await open({}, { files: { one, two } });
    await serve();
    const got = (await pool.run({ value: 1, then: 'files' })) as Record<
      string,
      { file: string; text: string }
    >;
    expect(got.one.text === text && got.two.text === '').toBe(true);
    expect(path.dirname(got.one.file)).toBe(path.join(folder, 'files'));
    expect(await asked.keys('detlab-jobs:file:*')).toHaveLength(4); // 2 pieces, and the name of each file
    // Another machine with other bytes in Redis.
    const piece = (await asked.keys('detlab-jobs:file:*:1'))[0];
    await asked.set(piece, 'x'.repeat(Number(await asked.strlen(piece))));
    workers[0].child.kill('SIGKILL');
    await serve({ filesFolder: path.join(folder, 'elsewhere') });
    await expect(pool.run({ value: 2, then: 'files' })).rejects.toThrow(
      /came out of the queue with other bytes/,
    );
    expect(fs.readdirSync(path.join(folder, 'elsewhere')).filter((file) => file.length === 64)).toHaveLength(
      1,
    );
  });

  test('a machine with other code refuses', async () => {
    const own = path.join(folder, 'own.cjs');
    fs.copyFileSync(module, own);
    const pool = await open({}, { module: own });
    fs.appendFileSync(own, '// changed\n');
    await serve();
    const failure = await pool.run({ value: 1 }).catch((error: unknown) => error as JobFailure);
    expect(failure).toMatchObject({ reason: 'refused' });
    expect((failure as JobFailure).message).toMatch(
      /payload 0 could not be done: .* has other code than the leader: detlab .* bring both to the same commit, build/,
    );
  });

  test('Redis goes away and comes back: the work goes on', async () => {
    const [elsewhere, own] = [await freePort(), temporaryFolder()];
    const words = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const address = `redis://127.0.0.1:${elsewhere}`;
    const before = await startRedis(own, elsewhere, ...words);
    const pool = await open({ redis: address });
    await serve({ redis: address });
    expect(await pool.run({ value: 1 })).toEqual({ sum: 101 });
    const run = pool.run({ value: 2, ms: 700 });
    await begun('begin 2');
    before.child.kill('SIGKILL');
    await before.code;
    const late = pool.run({ value: 3 });
    await until(() => notices.some((line) => line.includes('is gone; trying again')));
    const after = await startRedis(own, elsewhere, ...words);
    try {
      expect(await Promise.all([run, late])).toEqual([{ sum: 102 }, { sum: 103 }]);
      expect(notices.some((line) => line.includes('is back'))).toBe(true);
      await pool.close();
    } finally {
      after.child.kill('SIGKILL');
      await after.code;
    }
  });

  test('a Redis that stays away is told after a while', async () => {
    const [elsewhere, own] = [await freePort(), temporaryFolder()];
    const gone = await startRedis(own, elsewhere);
    const pool = await open({ redis: `redis://127.0.0.1:${elsewhere}`, patienceSeconds: 0.3 });
    const run = pool.run({ value: 1 });
    const told = expect(run).rejects.toThrow(`redis://127.0.0.1:${elsewhere} has been gone for 0.3 s`);
    gone.child.kill('SIGKILL');
    await told;
    const begin = performance.now();
    await pool.close();
    expect(performance.now() - begin).toBeLessThan(9000);
  });

  test('no Redis, a Redis that wants a password, one that does not answer', async () => {
    const nobody = await freePort();
    await expect(open({ redis: `redis://:secret@127.0.0.1:${nobody}` })).rejects.toThrow(
      new RegExp(`openJobs: no Redis can be used at redis://127.0.0.1:${nobody} \\(.*ECONNREFUSED`),
    );
    const silent = net.createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const begin = performance.now();
    const deaf = `redis://127.0.0.1:${(silent.address() as net.AddressInfo).port}`;
    await expect(open({ redis: deaf })).rejects.toThrow(
      `openJobs: no Redis can be used at ${deaf} (no answer in time)`,
    );
    expect(performance.now() - begin).toBeLessThan(5500);
    silent.close();
    await asked.config('SET', 'requirepass', 'secret');
    try {
      await expect(open()).rejects.toThrow(/can be used at .*NOAUTH/);
      await expect(open({ redis: `redis://:wrong@127.0.0.1:${port}` })).rejects.toThrow(/WRONGPASS/);
      await serve({ redis: `redis://:secret@127.0.0.1:${port}` });
      const pool = await open({ redis: `redis://:secret@127.0.0.1:${port}` });
      expect(await pool.run({ value: 1 })).toEqual({ sum: 101 });
      await pool.close();
    } finally {
      await asked.config('SET', 'requirepass', '');
    }
  });
});
