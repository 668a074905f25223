import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type StepLog, train } from '../../lib/train/train';
import { readTrainingLog } from '../../lib/train/training-log';
import { WeightAverage } from '../../lib/train/weight-average';
import { readWeights } from '../../lib/weights/read-weights';
import { loadStateDict } from '../../lib/weights/state-dict';
import { temporaryFolder } from '../notebook/helpers';
import { on } from '../tensor/kernels/backends';
import { Line, lineRun } from './small-run';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** Evaluates to these values, one after another. */
function scripted(values: readonly number[], seen: number[] = []) {
  return (step: number): { score: number } => {
    seen.push(step);
    return { score: values[seen.length - 1] };
  };
}

describe('evaluation on the way', () => {
  on('wasm');

  test('every so many steps and at the end; the best weights are kept', async () => {
    const model = new Line();
    const snapshots: number[][] = [];
    const values = [0.2, 0.7, 0.5, 0.7];
    const result = await train(
      lineRun(model, {
        steps: 10,
        checkpoint: folder,
        evaluate: {
          everySteps: 3,
          best: 'score',
          run: () => {
            snapshots.push(model.values());
            return { score: values[snapshots.length - 1], other: NaN };
          },
        },
      }),
    );
    expect(result.evaluations.map(({ step, metrics, best }) => [step, metrics, best])).toEqual([
      [3, { score: 0.2, other: NaN }, true],
      [6, { score: 0.7, other: NaN }, true],
      [9, { score: 0.5, other: NaN }, false],
      [10, { score: 0.7, other: NaN }, false],
    ]);
    expect(result.best).toEqual({ metric: 'score', step: 6, value: 0.7 });
    const best = new Line();
    loadStateDict(best, await readWeights(path.join(folder, 'best.safetensors')));
    expect(best.values()).toEqual(snapshots[1]);
    expect((await readTrainingLog(path.join(folder, 'log.jsonl'))).evaluations).toEqual(result.evaluations);
    for (const thing of [model, best]) thing.dispose();
  });

  test('of the average, unless the raw weights are asked for; training does not notice', async () => {
    const plain = new Line();
    const whole = await train(lineRun(plain));
    for (const weights of ['average', 'raw'] as const) {
      const model = new Line();
      const average = new WeightAverage(model, { decay: 0.5 });
      const seen: number[][] = [];
      let raw: number[] = [];
      const { logs } = await train(
        lineRun(model, {
          average,
          checkpoint: path.join(folder, weights),
          onStep: () => {
            raw = model.values();
          },
          evaluate: {
            everySteps: 2,
            weights,
            best: { metric: 'loss', mode: 'min' },
            run: (step) => {
              seen.push(model.values());
              expect(model.values().join() === raw.join()).toBe(weights === 'raw');
              return { loss: -step };
            },
          },
        }),
      );
      expect(logs.map(({ loss }) => loss)).toEqual(whole.logs.map(({ loss }) => loss));
      expect(model.values()).toEqual(plain.values());
      const best = new Line();
      loadStateDict(best, await readWeights(path.join(folder, weights, 'best.safetensors')));
      expect(best.values()).toEqual(seen.at(-1));
      for (const thing of [model, average, best]) thing.dispose();
    }
    plain.dispose();
  });

  for (const mode of ['max', 'min'] as const) {
    test(`ends a run that gets no better (${mode}), also when it is made again`, async () => {
      const model = new Line();
      const sign = mode === 'max' ? 1 : -1;
      const steps: number[] = [];
      const values = [1, 3, 2, NaN, 3, 9].map((value) => value * sign);
      const evaluate = {
        everySteps: 1,
        best: { metric: 'score', mode },
        patience: 3,
        run: scripted(values, steps),
      };
      const result = await train(lineRun(model, { evaluate, checkpoint: folder }));
      expect([result.stoppedAt, result.logs.length, result.best?.step]).toEqual([5, 5, 2]);
      const again = await train(lineRun(model, { evaluate, checkpoint: folder }));
      expect([again.stoppedAt, again.logs.length, steps.length]).toEqual([5, 5, 5]);
      model.dispose();
    });
  }

  test('the count of evaluations survives an interruption', async () => {
    const model = new Line();
    const values = [5, 4, 3, 2, 1, 0, 0, 0];
    const evaluate = (seen: number[], from: number) => ({
      everySteps: 1,
      best: 'score',
      patience: 5,
      run: scripted(values.slice(from), seen),
    });
    const onStep = ({ step }: StepLog): void => {
      if (step === 3) throw new Error('stopped');
    };
    const checkpoint = { folder, everySteps: 1 };
    await expect(train(lineRun(model, { evaluate: evaluate([], 0), checkpoint, onStep }))).rejects.toThrow(
      'stopped',
    );
    const result = await train(lineRun(model, { evaluate: evaluate([], 3), checkpoint }));
    expect([result.resumedAt, result.stoppedAt, result.best?.value]).toEqual([3, 6, 5]);
    expect(result.evaluations.map(({ metrics }) => metrics.score)).toEqual([5, 4, 3, 2, 1, 0]);
    model.dispose();
  });

  test('refuses what makes no sense', async () => {
    const model = new Line();
    const run = (): { score: number } => ({ score: 1 });
    const bad = async (evaluate: object, message: string | RegExp): Promise<void> =>
      expect(train(lineRun(model, { evaluate: { everySteps: 2, run, ...evaluate } }))).rejects.toThrow(
        message,
      );
    await bad({ everySteps: 0 }, 'evaluate.everySteps must be a whole number above 0, got 0');
    await bad({ patience: 2 }, 'evaluate.patience needs evaluate.best');
    await bad({ best: 'x', patience: 0.5 }, 'evaluate.patience must be a whole number above 0, got 0.5');
    await bad({ best: 'map' }, 'evaluate.best is "map", but evaluate.run returned score');
    model.dispose();
  });
});
