import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type StepLog, train } from '../../lib/train/train';
import { type LogEntry, readTrainingLog, TrainingLogWriter } from '../../lib/train/training-log';
import { temporaryFolder } from '../notebook/helpers';
import { on } from '../tensor/kernels/backends';
import { Line, lineRun } from './small-run';

let folder: string;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder, 'log.jsonl');
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const step = (number: number, more: Partial<StepLog> = {}): Extract<LogEntry, { type: 'step' }> => ({
  type: 'step',
  step: number,
  learningRate: 0.1,
  loss: 1 / (number + 1),
  parts: { box: 0.25 },
  gradientNorm: 2,
  gradientChange: NaN,
  images: 4,
  seconds: 0.5,
  ...more,
});

async function written(entries: readonly LogEntry[]): Promise<void> {
  const log = await TrainingLogWriter.create(file);
  for (const entry of entries) await log.append(entry);
  await log.close();
}

describe('a log', () => {
  test('gives back every number, NaN and infinities too', async () => {
    const number = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, 1e-45, 5e-324));
    const logs = fc.array(
      fc.record({
        learningRate: number,
        loss: number,
        parts: fc.dictionary(fc.string({ minLength: 1 }), number, { noNullPrototype: true }),
        gradientNorm: number,
        gradientChange: number,
        images: fc.nat(),
        seconds: number,
        problem: fc.string({ unit: 'binary' }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(logs, async (given) => {
        fs.rmSync(file, { force: true });
        const entries = given.map((more, i) => step(i, more));
        await written(entries);
        const read = await readTrainingLog(file);
        expect(read.damaged).toEqual([]);
        // JSON has one zero.
        const one = (log: object): unknown =>
          JSON.parse(
            JSON.stringify(log, (_, v) => (v === 0 ? 0 : typeof v === 'number' ? String(v) : (v as unknown))),
          );
        expect(read.steps.map(one)).toEqual(entries.map(({ type: _, ...log }) => one(log)));
      }),
      { numRuns: 50 },
    );
  });

  test('tells damaged lines by number, and reads the others', async () => {
    const evaluation = {
      type: 'evaluation',
      step: 2,
      metrics: { map: 0.5 },
      seconds: 1,
      best: true,
    } as const;
    await written([step(0), step(1), evaluation, step(2), step(3), step(4)]);
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    lines[1] = lines[1].slice(0, 30);
    lines.splice(3, 0, lines[0], '{"type":"step","step":2}', '{"type":"other"}', '[1]', '{"type":"run"}', '');
    fs.writeFileSync(file, `${lines.join('\n')}{"type":"step","st`);
    const read = await readTrainingLog(file);
    expect(read.damaged).toEqual([
      { line: 2, problem: `it is no JSON: ${lines[1]}` },
      { line: 4, problem: 'step 0 comes after step 0' },
      { line: 5, problem: 'rate should be a number, but is missing' },
      { line: 6, problem: 'type should be run, resume, step or evaluation, but is "other"' },
      { line: 7, problem: 'the line should be an object, but is [1]' },
      { line: 8, problem: 'run should be a text, but is missing' },
      { line: 9, problem: 'it is no JSON: ' },
      { line: 13, problem: 'it does not end: the run was broken off here' },
    ]);
    expect(read.steps.map((one) => one.step)).toEqual([0, 2, 3, 4]);
    expect(read.missing).toEqual([[1, 1]]);
    expect(read.evaluations).toEqual([{ step: 2, metrics: { map: 0.5 }, seconds: 1, best: true }]);
    expect(read.run).toBeUndefined();
  });

  test('an empty one and a missing one', async () => {
    fs.writeFileSync(file, '');
    expect(await readTrainingLog(file)).toEqual({
      run: undefined,
      resumes: [],
      steps: [],
      evaluations: [],
      damaged: [],
      missing: [],
    });
    await expect(readTrainingLog(path.join(folder, 'none'))).rejects.toThrow(/ENOENT/);
  });

  test('that is reopened loses what came after', async () => {
    await written([step(0)]);
    const { size } = fs.statSync(file);
    fs.appendFileSync(file, '{"torn');
    const log = await TrainingLogWriter.reopen(file, size);
    await log.append(step(1));
    expect(log.bytes).toBe(fs.statSync(file).size);
    await log.close();
    const read = await readTrainingLog(file);
    expect(read.steps.map((one) => one.step)).toEqual([0, 1]);
    expect(read.damaged).toEqual([]);
  });
});

describe('the log of a run', () => {
  on('wasm');

  test('begins with what ran, and names no machine and no path', async () => {
    const model = new Line();
    const { logs } = await train(lineRun(model, { log: file, settings: { recipe: 'small', seed: 7 } }));
    const read = await readTrainingLog(file);
    expect(read.steps).toEqual(logs);
    expect(read.run).toMatchObject({
      step: 0,
      detlab: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      tfjs: '4.22.0',
      node: process.versions.node,
      backend: expect.stringMatching(/^wasm/) as string,
      parameters: 4,
      settings: { settings: { recipe: 'small', seed: 7 }, optimizer: { kind: 'Sgd', momentum: 0.9 } },
    });
    const text = fs.readFileSync(file, 'utf8');
    for (const secret of [os.hostname(), os.homedir(), process.cwd(), folder])
      expect(text).not.toContain(secret);
    await expect(train(lineRun(model, { log: file }))).rejects.toThrow(
      /log\.jsonl exists; remove it, or give/,
    );
    expect(fs.readFileSync(file, 'utf8')).toBe(text);
    model.dispose();
  });

  test('can be elsewhere or nowhere; one that is gone or another’s is told', async () => {
    const model = new Line();
    const checkpoint = path.join(folder, 'run');
    const notices: string[] = [];
    const more = { checkpoint, onNotice: (line: string): void => void notices.push(line) };
    await train(lineRun(model, { ...more, log: file }));
    expect(fs.existsSync(path.join(checkpoint, 'log.jsonl'))).toBe(false);
    expect((await readTrainingLog(file)).steps.length).toBe(8);

    await train(lineRun(model, { ...more, log: file, steps: 10 }));
    expect((await readTrainingLog(file)).resumes.map((note) => note.step)).toEqual([8]);

    const content = fs.readFileSync(file);
    fs.writeFileSync(file, content.subarray(0, content.length - 10));
    const longer = lineRun(model, { ...more, log: file, steps: 12 });
    await expect(train(longer)).rejects.toThrow(/has only \d+ of \d+ bytes; put the right one there/);
    fs.writeFileSync(file, content.toString().replace(/"run":"\w/g, '"run":"-'));
    await expect(train(longer)).rejects.toThrow(/is not the log of this run/);
    fs.rmSync(file);
    notices.length = 0;
    const { logs } = await train(longer);
    expect(notices[1]).toMatch(/log\.jsonl is gone; the new one begins with step 10/);
    expect(logs.map((log) => log.step)).toEqual([10, 11]);
    expect((await readTrainingLog(file)).steps).toEqual(logs);

    await train(lineRun(model, { checkpoint: path.join(folder, 'quiet'), log: false }));
    expect(fs.readdirSync(path.join(folder, 'quiet')).some((name) => name.endsWith('jsonl'))).toBe(false);
    model.dispose();
  });
});
