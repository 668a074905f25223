import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import prettier from 'prettier';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkStudy, fingerprintOf, settingsChanges } from '../../lib/evidence/check-study';
import { jsonText } from '../../lib/evidence/json-text';
import {
  evidenceRun,
  type EvidenceRun,
  readRun,
  readRuns,
  runText,
  writeRun,
} from '../../lib/evidence/store';
import { type Study, type StudyResult, thinnedCurve } from '../../lib/evidence/study';
import { provenance } from './runs';
import { study as tiny } from './tiny-study.mjs';

let folder: string;
beforeEach(async () => void (folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-evidence-'))));
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

const result: StudyResult = {
  metrics: { score: 1 / 3, norm: 123456.789 },
  diverged: false,
  curves: { loss: Array.from({ length: 40 }, (_, i) => ({ step: i + 1, value: 1 / (i + 3) })) },
  tables: { sizes: [{ size: 'small', ap: 2 / 3, seen: true }] },
};
const key = { profile: 'default', arm: 'plain', seed: 1 } as const;
const make = (change: Partial<StudyResult> = {}): EvidenceRun =>
  evidenceRun(tiny, key, { ...result, ...change }, provenance);
const fileOf = (name: string): string => path.join(folder, 'tiny', 'default', name);

describe('a run', () => {
  test('comes back from its file as it went in, rounded', async () => {
    const run = make();
    expect(run.metrics).toEqual({ score: 0.333333, norm: 123457 });
    expect(run.curves.loss[0]).toEqual({ step: 1, value: 0.3333 });
    expect(run.tables.sizes).toEqual([{ size: 'small', ap: 0.666667, seen: true }]);
    expect(run.provenance.seconds).toBe(12.35);
    expect(await writeRun(folder, run)).toBe(fileOf('plain-seed1.json'));
    expect(await readRun(folder, tiny, key)).toEqual({ state: 'good', run });
    expect(await fs.readdir(path.join(folder, 'tiny', 'default'))).toEqual(['plain-seed1.json']);
  });

  test('that diverged is a result: what is not finite has no value', async () => {
    const curve = [
      { step: 1, value: 2.5 },
      { step: 2, value: Infinity },
      { step: 3, value: NaN },
    ];
    const run = make({ diverged: true, metrics: { score: NaN, norm: -Infinity }, curves: { loss: curve } });
    await writeRun(folder, run);
    const found = await readRun(folder, tiny, key);
    expect(found).toMatchObject({
      state: 'good',
      run: { diverged: true, metrics: { score: null, norm: null } },
    });
    expect(found).toMatchObject({
      run: { curves: { loss: [{ value: 2.5 }, { value: null }, { value: null }] } },
    });
  });

  test.each<[string, unknown, string]>([
    ['without a metric', { ...result, metrics: { score: 1 } }, "gave no 'norm' among its metrics (score)"],
    ['with a text as metric', { ...result, metrics: { score: '0.5', norm: 1 } }, `gave "0.5" for 'score'`],
    ['with a metric that was forgotten', { ...result, metrics: { score: 1, norm: undefined } }, "for 'norm'"],
    ['without a word on divergence', { metrics: result.metrics }, 'must return { metrics, diverged }'],
    ['of nothing', undefined, 'must return { metrics, diverged }, and returned undefined'],
  ])('%s is refused', (_, value, message) => {
    expect(() => evidenceRun(tiny, key, value as StudyResult, provenance)).toThrow(message);
  });
});

describe('text', () => {
  test.each<[string, unknown]>([
    ['a run', JSON.parse(runText(make()))],
    ['a diverged run', JSON.parse(runText(make({ curves: { loss: [{ step: 1, value: NaN }] } })))],
    ['lists', { a: [], b: {}, c: ['x'], d: [['x', 1], [null]], e: [{ a: 1 }], f: [{ a: [1] }, { a: [2] }] }],
    [
      'long lists',
      { n: Array.from({ length: 99 }, (_, i) => i / 7), s: Array.from({ length: 40 }, () => 'text') },
    ],
    ['mixed long lists', { n: Array.from({ length: 60 }, (_, i) => (i % 2 ? null : i / 7)) }],
    ['huge and tiny numbers', { n: [1e24, 1.5e-9, -3e21], one: 2.5e30 }],
    ['what stands just within a line', { n: ['x'.repeat(100), 1] }],
    ['what stands just beyond it', { n: ['x'.repeat(101), 12] }],
  ])('of %s is as the formatter leaves it', async (_, value) => {
    const text = jsonText(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(await prettier.format(text, { parser: 'json', printWidth: 110 })).toBe(text);
  });
});

describe('a file is not used', () => {
  const write = async (text: string, name: string = 'plain-seed1.json'): Promise<void> => {
    await fs.mkdir(path.dirname(fileOf(name)), { recursive: true });
    await fs.writeFile(fileOf(name), text);
  };
  const changed = (change: object): string => JSON.stringify({ ...JSON.parse(runText(make())), ...change });

  test.each<[string, string, string, string]>([
    ['that is cut', runText(make()).slice(0, 300), 'broken', 'tiny/default/plain-seed1.json is damaged'],
    ['that is empty', '', 'broken', 'is damaged'],
    ['of something else', '[1, 2]', 'broken', 'it is no JSON object'],
    [
      'without metrics',
      changed({ metrics: undefined }),
      'broken',
      "'metrics', 'curves' or 'tables' is no object",
    ],
    [
      'with a text as metric',
      changed({ metrics: { score: 'high' } }),
      'broken',
      "metric 'score' is no number",
    ],
    [
      'with half a curve',
      changed({ curves: { loss: { step: [1, 2], value: [1] } } }),
      'broken',
      "curve 'loss' is not two lists",
    ],
    ['without provenance', changed({ provenance: {} }), 'broken', "'provenance' is no object"],
    [
      'without the time of its start',
      changed({ provenance: { ...provenance, started: undefined } }),
      'broken',
      "no object with 'backend', 'commit', 'started' and 'seconds'",
    ],
    ['without a commit', changed({ provenance: { ...provenance, commit: undefined } }), 'broken', "'commit'"],
    [
      'of another arm',
      changed({ arm: 'better' }),
      'broken',
      'its arm is better, by its name it should be plain',
    ],
    ['of another seed', changed({ seed: 4 }), 'broken', 'its seed is 4, by its name it should be 1'],
    ['of another study', changed({ study: 'x' }), 'broken', 'its study is x'],
    ['of another profile', changed({ profile: 'quick' }), 'broken', 'its profile is quick'],
    [
      'whose settings were edited',
      changed({ settings: { study: { steps: 8 }, arm: { rate: 1 } } }),
      'broken',
      "its settings don't have its fingerprint",
    ],
  ])('%s', async (_, text, state, problem) => {
    await write(text);
    const found = await readRun(folder, tiny, key);
    expect(found.state).toBe(state);
    expect((found as { problem: string }).problem).toContain(problem);
    const { runs, problems } = await readRuns(folder, tiny, 'default');
    expect(runs).toEqual([]);
    expect(problems).toEqual([(found as { problem: string }).problem]);
  });

  test('of other settings, and the difference is named', async () => {
    await write(runText(make()));
    const other: Study = { ...tiny, settings: () => ({ ...tiny.settings('default'), steps: 80 }) };
    expect(await readRun(folder, other, key)).toEqual({
      state: 'stale',
      problem: 'tiny/default/plain-seed1.json is of other settings: study.steps: was 8, now it is 80',
    });
  });

  test('that lacks what the study measures now', async () => {
    await write(runText(make()));
    const other: Study = { ...tiny, metrics: { ...tiny.metrics, ap: { title: 'AP' } } };
    expect(await readRun(folder, other, key)).toMatchObject({ state: 'stale' });
  });

  test('that no arm has, and it is told', async () => {
    await write(runText(make()));
    await write(runText(make()), 'plan-seed1.json');
    await write('{}', 'notes.json');
    await write('', '.plain-seed1.json.123-0.tmp');
    const { runs, problems } = await readRuns(folder, tiny, 'default');
    expect(runs).toHaveLength(1);
    expect(problems).toEqual([
      'tiny/default/notes.json belongs to no arm of the study',
      'tiny/default/plan-seed1.json belongs to no arm of the study',
    ]);
  });

  test('that is missing', async () => {
    expect(await readRun(folder, tiny, key)).toEqual({ state: 'missing' });
    expect(await readRuns(folder, tiny, 'default')).toEqual({ runs: [], problems: [] });
  });
});

describe('settings', () => {
  test('are the same whatever the order of their keys, and other ones are not', () => {
    expect(fingerprintOf({ a: 1, b: { c: [1, 2] } })).toBe(fingerprintOf({ b: { c: [1, 2] }, a: 1 }));
    expect(fingerprintOf({ a: [1, 2] })).not.toBe(fingerprintOf({ a: [2, 1] }));
    expect(settingsChanges({ a: 1, b: { c: 2 } }, { b: { c: 3 }, d: 'x' })).toEqual([
      'a: was 1, now it is missing',
      'b.c: was 2, now it is 3',
      'd: was missing, now it is "x"',
    ]);
  });
});

describe('a study with a mistake is refused', () => {
  const [arm] = tiny.arms('default');
  const claim = tiny.claims('default')[0];
  const [comparison] = claim.comparisons;
  const arms = (...changes: object[]): Partial<Study> => ({
    arms: () => changes.map((one) => ({ ...arm, ...one })),
  });
  const comparing = (change: object): Partial<Study> => ({
    claims: () => [{ ...claim, comparisons: [{ ...comparison, ...change } as typeof comparison] }],
  });
  class Rate {
    readonly value = 1;
  }
  test.each<[string, Partial<Study>, string]>([
    ['a name with a slash', { name: 'a/b' }, 'its name must be made of letters'],
    ['no metric', { metrics: {} }, 'it has no metric'],
    [
      'a metric that is no file name',
      { metrics: { 'AP/50': { title: 'AP50' } } },
      "metric 'AP/50' names its",
    ],
    ['no arm', { arms: () => [] }, 'it has no arms at the default profile'],
    ['an arm that is no file name', arms({ name: 'rate 0.1' }), "arm 'rate 0.1': names are made of"],
    ['an arm like a seed', arms({ name: 'a-seed1' }), "arm 'a-seed1'"],
    ['an arm twice', arms({ name: 'a' }, { name: 'A' }), "there are two arms 'A'"],
    ['a title twice', arms({ name: 'a', title: 'b' }, { name: 'b', title: undefined }), "the title 'b'"],
    ['NaN among settings', arms({ settings: { rate: NaN } }), 'settings.rate is NaN; it must be plain JSON'],
    [
      'an object among settings',
      arms({ settings: { a: [new Rate()] } }),
      'settings.a[0] is an object of a class',
    ],
    ['a function among settings', { settings: () => ({ f: () => 1 }) }, 'settings.f is () => 1'],
    [
      'a claim on an unknown arm',
      comparing({ than: 'plane' }),
      "there is no arm 'plane'. Did you mean 'plain'?",
    ],
    ['a claim on an unknown metric', comparing({ metric: 'scor' }), "Did you mean 'score'?"],
    ['a claim of an unknown kind', comparing({ kind: 'equal' }), "there is no kind 'equal'. Did you mean"],
    ['a claim in no direction', comparing({ direction: 'hihger' }), "Did you mean 'higher'?"],
    ['a claim on one arm', comparing({ than: 'better' }), "compares 'better' with itself"],
    ['a claim on any difference', comparing({ least: 0 }), 'least is a number above 0, got 0'],
    ['a claim twice', { claims: () => [claim, claim] }, "there are two claims 'idea'"],
    [
      'a claim of nothing',
      { claims: () => [{ ...claim, comparisons: [] }] },
      "claim 'idea' compares nothing",
    ],
  ])('%s', (_, change, message) => {
    expect(() => checkStudy({ ...tiny, ...change }, 'default')).toThrow(message);
  });

  test('a profile that it does not have', () => {
    expect(() => checkStudy(tiny, 'default')).not.toThrow();
    expect(() => checkStudy(tiny, 'paper')).toThrow("it has no profile 'paper', only quick, default");
  });
});

describe('a thinned curve', () => {
  test('has the means of stretches, each at its last step', () => {
    const curve = Array.from({ length: 10 }, (_, i) => ({ step: i, value: i }));
    expect(thinnedCurve(curve, 3)).toEqual([
      { step: 2, value: 1 },
      { step: 5, value: 4 },
      { step: 9, value: 7.5 },
    ]);
    expect(thinnedCurve(curve, 10)).toEqual(curve);
    expect(thinnedCurve([], 3)).toEqual([]);
    expect(() => thinnedCurve(curve, 0)).toThrow(RangeError);
  });

  test('has no value where a stretch has one that is not finite', () => {
    const curve = [1, 2, null, 4, NaN, 6].map((value, step) => ({ step, value }));
    expect(thinnedCurve(curve, 3).map(({ value }) => value)).toEqual([1.5, null, null]);
  });
});
