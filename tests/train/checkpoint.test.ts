/** Checkpoints and the folder they lie in: what is in them, what is refused, what is told. Killed processes are in resume.test.ts. */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRandom } from '../../lib/tensor/random';
import { RandomStream } from '../../lib/tensor/random-stream';
import { tf } from '../../lib/tensor/tf';
import { AdamW } from '../../lib/train/adamw';
import { readCheckpoint } from '../../lib/train/checkpoint';
import { checkpointName, listCheckpoints } from '../../lib/train/checkpoint-folder';
import { readCheckpointWeights } from '../../lib/train/checkpoint-weights';
import { Sgd } from '../../lib/train/sgd';
import { type StepLog, train } from '../../lib/train/train';
import { readTrainingLog } from '../../lib/train/training-log';
import { WeightAverage } from '../../lib/train/weight-average';
import { readWeights } from '../../lib/weights/read-weights';
import { writeSafetensors } from '../../lib/weights/safetensors';
import { loadStateDict } from '../../lib/weights/state-dict';
import { on } from '../tensor/kernels/backends';
import { temporaryFolder } from '../notebook/helpers';
import { Line, lineRun, rows } from './small-run';

let home: string;
let folder: string;
let notices: string[];
const onNotice = (line: string): void => void notices.push(line);
beforeEach(() => {
  home = temporaryFolder();
  folder = path.join(home, 'run');
  notices = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  fs.rmSync(home, { recursive: true });
});

const timeless = (logs: readonly StepLog[]): StepLog[] => logs.map((log) => ({ ...log, seconds: 0 }));
const stop = (after: number) => ({
  onStep: ({ step }: StepLog): void => {
    if (step === after) throw new Error('stopped');
  },
});
/** A run of eight steps that is broken off after step `after`, with a checkpoint every two steps. */
async function brokenOff(after: number, more: object = {}): Promise<void> {
  const model = new Line();
  const checkpoint = { folder, everySteps: 2, keep: 10 };
  await expect(train(lineRun(model, { checkpoint, ...stop(after), ...more }))).rejects.toThrow('stopped');
  model.dispose();
}

describe('a run with checkpoints', () => {
  on('wasm');

  test('taken up again deletes the checkpoint that a killed one was about to, and no others', async () => {
    await train(lineRun(new Line(), { checkpoint: { folder, everySteps: 2, keep: 4 } }));
    const steps = async (keep: number): Promise<number[]> => {
      const model = new Line();
      const { resumedAt } = await train(lineRun(model, { checkpoint: { folder, everySteps: 2, keep } }));
      expect(resumedAt).toBe(8);
      model.dispose();
      return (await listCheckpoints(folder)).map(({ step }) => step);
    };
    expect(await steps(2)).toEqual([8, 6, 4, 2]);
    expect(await steps(4)).toEqual([8, 6, 4, 2]);
    expect(await steps(3)).toEqual([8, 6, 4]);
  });

  test('by one line: goes on after an error, and a finished one returns its result', async () => {
    const tensors = tf.memory().numTensors;
    const [model, twin] = [new Line(), new Line()];
    const whole = await train(lineRun(twin));
    const expected = twin.values();
    await brokenOff(4);
    const first = await train(lineRun(model, { checkpoint: folder, onNotice }));
    expect(timeless(first.logs)).toEqual(timeless(whole.logs));
    expect(first.resumedAt).toBe(4);
    expect(first.checkpoint).toBe(path.join(folder, checkpointName(8)));
    expect(model.values()).toEqual(expected);
    expect(notices).toEqual([`train: goes on after step 4 from ${path.join(folder, checkpointName(4))}`]);

    const again = new Line();
    const log = fs.readFileSync(path.join(folder, 'log.jsonl'));
    const second = await train(lineRun(again, { checkpoint: folder }));
    expect(second.logs).toEqual(first.logs);
    expect(second.resumedAt).toBe(8);
    expect(again.values()).toEqual(expected);
    expect(fs.readFileSync(path.join(folder, 'log.jsonl'))).toEqual(log);
    for (const thing of [model, twin, again]) thing.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test('leaves as many tensors after each step as after the one before, and none at the end', async () => {
    const model = new Line();
    const before = tf.memory().numTensors;
    const counts: number[] = [];
    const onStep = (): void => void counts.push(tf.memory().numTensors);
    const checkpoint = { folder, everySteps: 1 };
    const random = new RandomStream(1);
    const evaluate = { everySteps: 1, best: 'x', run: () => ({ x: 1 }) };
    const more = { average: {}, gradientChange: true, accumulate: 2, random, evaluate };
    await train(lineRun(model, { checkpoint, onStep, ...more }));
    expect(new Set(counts).size).toBe(1);
    random.dispose();
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test('keeps the newest ones, has no leftovers, and more steps can follow', async () => {
    const model = new Line();
    const checkpoint = { folder, everySteps: 1 };
    await train(lineRun(model, { checkpoint }));
    const names = [8, 7].map(checkpointName);
    expect((await listCheckpoints(folder)).map(({ file }) => path.basename(file))).toEqual(names);
    expect(fs.readdirSync(folder).sort()).toEqual(['log.jsonl', ...names].sort());
    const { logs } = await train(lineRun(model, { checkpoint, steps: 11 }));
    expect(logs.map(({ step }) => step)).toEqual(Array.from({ length: 11 }, (_, i) => i));
    await expect(train(lineRun(model, { checkpoint, steps: 5 }))).rejects.toThrow(
      /has done 11 steps, but only 5 are asked for/,
    );
    model.dispose();
  });

  test('saves by time where asked, and at the interrupt', async () => {
    const model = new Line();
    const controller = new AbortController();
    const scope = globalThis as { [key: symbol]: unknown };
    scope[Symbol.for('detlab.abort')] = controller.signal;
    try {
      const onStep = ({ step }: StepLog): void => {
        if (step === 4) controller.abort(new Error('interrupted'));
      };
      await expect(train(lineRun(model, { checkpoint: folder, onStep }))).rejects.toThrow('interrupted');
    } finally {
      delete scope[Symbol.for('detlab.abort')];
    }
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([5, 0]);
    const steps: number[] = [];
    const checkpoint = { folder, everySeconds: 0 };
    await train(
      lineRun(model, {
        checkpoint,
        onStep: async () => void steps.push((await listCheckpoints(folder))[0].step),
      }),
    );
    expect(steps).toEqual([5, 6, 7]);
    model.dispose();
  });

  test('takes any batches: a function from a number on, or plain ones, of which it drops what is done', async () => {
    async function* plain(from: number = 0) {
      for (let number = 0; ; number++) {
        for await (const batch of rows(2).epoch(Math.floor(number / 5), number % 5)) {
          if (number >= from) yield batch;
          break;
        }
      }
    }
    const model = new Line();
    const whole = await train(lineRun(model, { batches: rows(2) }));
    for (const batches of [() => (from: number) => plain(from), () => plain()]) {
      fs.rmSync(folder, { recursive: true, force: true });
      await brokenOff(5, { batches: batches() });
      const next = new Line();
      const result = await train(lineRun(next, { batches: batches(), checkpoint: folder }));
      expect(result.resumedAt).toBe(4);
      expect(timeless(result.logs)).toEqual(timeless(whole.logs));
      next.dispose();
    }
    model.dispose();
  });

  test('a diverged run stays one', async () => {
    const model = new Line();
    const loss: ReturnType<typeof lineRun>['loss'] = ({ x }) => ({
      total: x.sum().mul(NaN).add(model.weight.sum()).add(model.bias.sum()) as tf.Scalar,
      parts: {},
    });
    const first = await train(lineRun(model, { loss, checkpoint: folder }));
    expect(first.divergedAt).toBe(0);
    const again = await train(lineRun(model, { loss, checkpoint: folder }));
    expect([again.divergedAt, again.logs]).toEqual([0, first.logs]);
    model.dispose();
  });
});

for (const backend of ['wasm', 'tensorflow']) {
  describe(`saving, on ${backend}`, () => {
    on(backend);

    test('changes no number of the steps that follow, and neither does evaluating', async () => {
      const results = [];
      for (const more of [
        {},
        { checkpoint: { folder, everySteps: 1 }, evaluate: { everySteps: 2, run: () => ({ x: 1 }) } },
      ]) {
        const model = new Line();
        const random = new RandomStream(7);
        const { loss } = lineRun(model);
        const { logs } = await train(
          lineRun(model, {
            ...more,
            random,
            gradientChange: true,
            average: { decay: 0.5 },
            accumulate: 2,
            loss: (inputs, context) => {
              const { total, parts } = loss(inputs, context);
              return { total: total.mul(context.random!.uniform([])) as tf.Scalar, parts };
            },
          }),
        );
        results.push([timeless(logs), model.values()]);
        for (const thing of [model, random]) thing.dispose();
      }
      expect(results[1]).toEqual(results[0]);
    });
  });
}

describe('what a checkpoint holds', () => {
  on('wasm');

  test('weights for inference, as a weight file has them, and their average', async () => {
    const [model, copy] = [new Line(), new Line()];
    const average = new WeightAverage(model, { decay: 0.5 });
    const { checkpoint } = await train(lineRun(model, { checkpoint: folder, average }));
    const trained = model.values();
    const averaged = await average.withAverages(() => model.values());
    expect(averaged).not.toEqual(trained);

    loadStateDict(copy, await readCheckpointWeights(folder, { average: false }));
    expect(copy.values()).toEqual(trained);
    loadStateDict(copy, await readCheckpointWeights(checkpoint!));
    expect(copy.values()).toEqual(averaged);
    loadStateDict(copy, await readWeights(checkpoint!), { strict: false });
    expect(copy.values()).toEqual(trained);
    for (const thing of [average, model, copy]) thing.dispose();
  });

  test('options of an average leave the average in the model, but only at the end', async () => {
    const [model, twin] = [new Line(), new Line()];
    const average = new WeightAverage(twin, { decay: 0.5 });
    await train(lineRun(twin, { average }));
    await train(lineRun(model, { average: { decay: 0.5 } }));
    expect(model.values()).toEqual(await average.withAverages(() => twin.values()));
    for (const thing of [average, model, twin]) thing.dispose();
  });

  test('an average that is asked for and not there is an error', async () => {
    const model = new Line();
    await train(lineRun(model, { checkpoint: folder }));
    await expect(readCheckpointWeights(folder, { average: true })).rejects.toThrow(/kept no average/);
    fs.mkdirSync(path.join(home, 'empty'));
    await expect(readCheckpointWeights(path.join(home, 'empty'))).rejects.toThrow(
      /no checkpoint in this folder/,
    );
    model.dispose();
  });
});

describe('a damaged checkpoint', () => {
  on('wasm');

  const damages: Record<string, (content: Buffer) => Buffer> = {
    'cut short': (content) => content.subarray(0, content.length - 7),
    'cut in its header': (content) => content.subarray(0, 100),
    empty: () => Buffer.alloc(0),
    'with one bit changed in a weight': (content) => flipped(content, content.length - 3, 1),
    'with one bit changed in its step': (content) =>
      flipped(content, content.indexOf('"step\\":6') + '"step\\":'.length, 1),
    'all zeros': (content) => Buffer.alloc(content.length),
  };
  const flipped = (content: Buffer, at: number, bit: number): Buffer => {
    const copy = Buffer.from(content);
    copy[at] ^= bit;
    return copy;
  };

  for (const [name, damage] of Object.entries(damages)) {
    test(`${name} is told, and the one before is taken`, async () => {
      const model = new Line();
      const whole = await train(lineRun(model));
      await brokenOff(6);
      const newest = path.join(folder, checkpointName(6));
      const content = fs.readFileSync(newest);
      expect(damage(content).equals(content)).toBe(false);
      fs.writeFileSync(newest, damage(content));
      const resumed = new Line();
      const result = await train(lineRun(resumed, { checkpoint: folder, onNotice }));
      expect(result.resumedAt).toBe(4);
      expect(notices[0]).toContain(`a checkpoint is damaged, the one before is taken: ${newest}`);
      expect(timeless(result.logs)).toEqual(timeless(whole.logs));
      expect(fs.existsSync(`${newest}.damaged`)).toBe(true);
      for (const thing of [model, resumed]) thing.dispose();
    });
  }

  test('any bit of the file: it is refused, or says what it said before', async () => {
    await brokenOff(2);
    const file = path.join(folder, checkpointName(2));
    const content = fs.readFileSync(file);
    const { facts, tensors } = await readCheckpoint(file);
    const random = createRandom('bits');
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      fs.writeFileSync(file, flipped(content, random.integer(content.length), 1 << random.integer(8)));
      await readCheckpoint(file).then(
        (read) => expect([read.facts, read.tensors]).toEqual([facts, tensors]),
        () => refused++,
      );
    }
    expect(refused).toBeGreaterThan(280);
  });

  test('where none is whole, nothing is begun anew behind the user’s back', async () => {
    const model = new Line();
    await brokenOff(3);
    const there = await listCheckpoints(folder);
    for (const { file } of there) fs.writeFileSync(file, 'PK');
    await expect(train(lineRun(model, { checkpoint: folder }))).rejects.toThrow(
      new RegExp(`no checkpoint in .* is whole; remove them to begin anew:\n.*${checkpointName(2)}.*\n`),
    );
    expect(await listCheckpoints(folder)).toEqual(there);
    model.dispose();
  });

  test('a weight file under a checkpoint’s name is none', async () => {
    await brokenOff(3);
    const file = path.join(folder, checkpointName(7));
    await writeSafetensors(file, new Map([['weight', { shape: [1], values: new Float32Array(1) }]]));
    const model = new Line();
    const { resumedAt } = await train(lineRun(model, { checkpoint: folder, onNotice }));
    expect(resumedAt).toBe(2);
    expect(notices[0]).toMatch(/weight file, but no checkpoint of a training run/);
    model.dispose();
  });
});

describe('another run', () => {
  on('wasm');

  class Wider extends Line {
    readonly extra: tf.Variable = tf.variable(tf.ones([2]));
  }

  const others: Record<string, [object, RegExp]> = {
    'optimizer options': [{ optimizer: { momentum: 0.8 } }, /optimizer\.momentum: was 0\.9, now it is 0\.8/],
    'a frozen parameter': [
      { optimizer: { rateFactor: ({ name }: { name: string }) => (name === 'bias' ? 0 : 1) } },
      /optimizer\.parameters: had "bias", which is not there now/,
    ],
    schedule: [
      { schedule: (step: number) => (step < 5 ? 0.05 / (1 + step) : 0.1) },
      /schedule: at step 5 the rate was 0\.0083\d*, now it is 0\.1/,
    ],
    accumulation: [{ accumulate: 2 }, /accumulate: was 1, now it is 2/],
    clipping: [{ clipNorm: 1 }, /clipNorm: was null, now it is 1/],
    'an average': [{ average: {} }, /average: was null, now it is \{"decay":0\.9998,"dynamic":true\}/],
    settings: [{ settings: { recipe: 'b' } }, /settings\.recipe: was missing, now it is "b"/],
    batches: [
      { batches: rows(2, 1) },
      /batch 1 is not the one that the interrupted run had: it had 2 images \(row \d, row \d\)/,
    ],
    'batch size': [
      { batches: rows(5) },
      /it had 2 images \(.*\), now it has 5 images \(row \d, row \d, row \d, …\)/,
    ],
  };
  for (const [name, [more, message]] of Object.entries(others)) {
    test(`with another ${name} is refused by name`, async () => {
      await brokenOff(3);
      const model = new Line();
      const tensors = tf.memory().numTensors;
      await expect(train(lineRun(model, { checkpoint: folder, ...more }))).rejects.toThrow(message);
      expect(tf.memory().numTensors).toBe(tensors);
      expect(fs.existsSync(path.join(folder, 'run.lock'))).toBe(false);
      model.dispose();
    });
  }

  test('with another optimizer, random seed or network is refused, and nothing is loaded', async () => {
    const random = new RandomStream(3);
    await brokenOff(3, { random });
    const model = new Line();
    const before = model.values();
    const adamw = new AdamW(model.parameters());
    await expect(train(lineRun(model, { checkpoint: folder, random, optimizer: adamw }))).rejects.toThrow(
      /optimizer\.kind: was "Sgd", now it is "AdamW"/,
    );
    const other = new RandomStream(4);
    await expect(train(lineRun(model, { checkpoint: folder, random: other }))).rejects.toThrow(
      /seed: was 3, now it is 4/,
    );
    const wider = new Wider();
    await expect(train(lineRun(wider, { checkpoint: folder, random }))).rejects.toThrow(/now has "extra"/);
    const held = wider.parameters().filter(({ name }) => name !== 'extra');
    const sgd = new Sgd(held);
    await expect(train(lineRun(wider, { checkpoint: folder, random, optimizer: sgd }))).rejects.toThrow(
      /of another network: .*\n.*missing in the weights \(1\):\n {2}extra/,
    );
    expect(model.values()).toEqual(before);
    for (const thing of [random, other, adamw, sgd, model, wider]) thing.dispose();
  });

  test('resume: never refuses a folder in use; a file goes on in a folder of its own, not before newer ones', async () => {
    await brokenOff(5);
    const model = new Line();
    const whole = await train(lineRun(model));
    const never = train(lineRun(model, { checkpoint: folder, resume: 'never' }));
    await expect(never).rejects.toThrow(/has checkpoints up to step 4, but resume is 'never'/);
    const resume = path.join(folder, checkpointName(2));
    await expect(train(lineRun(model, { checkpoint: folder, resume }))).rejects.toThrow(
      /has newer checkpoints \(step 4\) than .* \(step 2\)/,
    );
    const fork = path.join(home, 'fork');
    const result = await train(lineRun(model, { checkpoint: fork, resume }));
    expect([result.resumedAt, timeless(result.logs)]).toEqual([2, timeless(whole.logs.slice(2))]);
    const [mine, theirs] = [await readCheckpoint(result.checkpoint!), await readCheckpoint(resume)];
    expect(mine.facts.run).not.toBe(theirs.facts.run);
    expect((await readTrainingLog(path.join(fork, 'log.jsonl'))).run?.step).toBe(2);
    await expect(train(lineRun(model, { resume: path.join(home, 'none') }))).rejects.toThrow(/ENOENT/);
    model.dispose();
  });

  test('at the same time in the same folder is refused', async () => {
    const [model, second] = [new Line(), new Line()];
    let refusal: unknown;
    const onStep = async ({ step }: StepLog): Promise<void> => {
      if (step === 3)
        refusal = await train(lineRun(second, { checkpoint: folder })).catch((error: unknown) => error);
    };
    const { logs } = await train(lineRun(model, { checkpoint: folder, onStep }));
    expect(String(refusal)).toMatch(/belongs to another run of this very process/);
    expect(logs.length).toBe(8);
    for (const thing of [model, second]) thing.dispose();
  });
});

describe('a disk that is full', () => {
  on('wasm');

  /** Lets nothing be written to files whose name fits, while `full()`. */
  function fill(pattern: RegExp, full: () => boolean): void {
    const { open } = fsPromises;
    vi.spyOn(fsPromises, 'open').mockImplementation(async (...words: Parameters<typeof open>) => {
      const handle = await open(...words);
      if (!pattern.test(String(words[0]))) return handle;
      const write = handle.write.bind(handle) as (...all: unknown[]) => Promise<unknown>;
      handle.write = (async (...all: unknown[]) => {
        if (!full()) return write(...all);
        // As a real one: a part still fits.
        await write(all[0], all[1], Math.min(5, all[2] as number), all[3]);
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      }) as typeof handle.write;
      return handle;
    });
  }

  test('at the beginning is an error, before any time is spent', async () => {
    const model = new Line();
    fill(/\.tmp$/, () => true);
    const onStep = vi.fn();
    await expect(train(lineRun(model, { checkpoint: folder, onStep }))).rejects.toThrow(/ENOSPC/);
    expect(onStep).not.toHaveBeenCalled();
    expect(fs.readdirSync(folder)).toEqual(['log.jsonl']);
    model.dispose();
  });

  test('later is told, training goes on, and the next checkpoint is tried', async () => {
    const model = new Line();
    let step = 0;
    fill(/\.tmp$/, () => step >= 2 && step < 5);
    const result = await train(
      lineRun(model, {
        checkpoint: { folder, everySteps: 2, keep: 9 },
        onNotice,
        onStep: (log) => {
          ({ step } = log);
        },
      }),
    );
    expect(notices).toEqual([
      `train: the checkpoint of step 4 can't be written: ENOSPC: no space left on device, write; ` +
        'training goes on, and the next checkpoint is tried when it is due',
    ]);
    expect((await listCheckpoints(folder)).map((one) => one.step)).toEqual([8, 6, 2, 0]);
    expect(result.logs.length).toBe(8);
    expect(fs.readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    model.dispose();
  });

  test('under the log keeps the lines until there is room', async () => {
    const model = new Line();
    let step = 0;
    fill(/log\.jsonl$/, () => step >= 2 && step < 6);
    const { logs } = await train(
      lineRun(model, {
        checkpoint: folder,
        onNotice,
        onStep: (log) => {
          step = log.step + 1;
        },
      }),
    );
    expect(notices.length).toBe(1);
    expect(notices[0]).toMatch(/the log .*log\.jsonl can't be written: ENOSPC.*its lines are kept/);
    const read = await readTrainingLog(path.join(folder, 'log.jsonl'));
    expect(read.steps).toEqual(logs);
    expect(read.damaged).toEqual([]);
    model.dispose();
  });
});
