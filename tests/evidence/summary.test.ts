import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import prettier from 'prettier';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { evidenceChart } from '../../lib/evidence/chart';
import { reportText, writeReport } from '../../lib/evidence/report';
import type { Study } from '../../lib/evidence/study';
import {
  armTable,
  claimTable,
  comparisonTable,
  loadEvidence,
  provenanceTable,
} from '../../lib/evidence/summary';
import { chartSvg } from '../../lib/plot/render';
import { writeResults } from './runs';
import { study } from './tiny-study.mjs';

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-evidence-'));
  await writeResults(folder, 'plain', [0.2, 0.25, 0.3]);
  await writeResults(folder, 'better', [0.4, 0.46, 0.52], { threads: 2, norm: 1.5 });
  await writeResults(folder, 'wild', [null, null, 0.1]);
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

describe('loadEvidence', () => {
  test('gives plain rows of arms', async () => {
    const { arms, runs, problems } = await loadEvidence(study, { folder });
    expect(problems).toEqual([]);
    expect(runs.map(({ arm, seed }) => `${arm} ${seed}`).slice(2, 5)).toEqual([
      'plain 3',
      'better 1',
      'better 2',
    ]);
    const [plain, norm] = arms;
    expect(plain).toMatchObject({ arm: 'plain', title: 'as it was', metric: 'score', seeds: 3, diverged: 0 });
    expect(plain.mean).toBeCloseTo(0.25, 12);
    expect(plain.deviation).toBeCloseTo(0.05, 12);
    expect([plain.min, plain.max]).toEqual([0.2, 0.3]);
    expect(norm).toMatchObject({ metric: 'norm', values: 3, mean: 2, deviation: 0 });
    // A diverged run scores 0, and has no norm.
    const wild = arms.filter(({ arm }) => arm === 'wild');
    expect(wild[0]).toMatchObject({ seeds: 3, diverged: 2, values: 3, min: 0, max: 0.1 });
    expect(wild[0].mean).toBeCloseTo(0.1 / 3, 12);
    expect(wild[1]).toMatchObject({ seeds: 3, diverged: 2, values: 1, mean: 2, deviation: null });
    expect(arms.find(({ arm }) => arm === 'dies')).toMatchObject({
      seeds: 0,
      mean: null,
      min: null,
      max: null,
    });
  });

  test('gives the verdict on each claim', async () => {
    const { claims, comparisons } = await loadEvidence(study, { folder });
    // Differences 0.2, 0.21, 0.22: half the interval is 4.302653 · 0.01 / sqrt(3) = 0.0248.
    expect(claims[0]).toEqual({
      claim: 'idea',
      text: 'The idea raises the score',
      paper: '67.6 to 72.8',
      ours: '+0.210 (+0.185 to +0.235)',
      verdict: 'shown',
      reason: 'the whole interval is on the claim’s side',
    });
    expect(claims[1]).toMatchObject({ verdict: 'not shown at this scale', reason: '2 of 3 runs diverged' });
    expect(claims[1].ours).toMatch(
      /^rate too high: 2 of 3 runs diverged; with the idea: 0 of 3 runs diverged; \+0\.427/,
    );
    expect(claims[2]).toMatchObject({ claim: 'same', verdict: 'contradicted' });
    expect(claims[3]).toMatchObject({
      ours: 'none',
      reason: 'wild of seed 1 diverged and has no value of norm',
    });
    expect(comparisons).toHaveLength(6);
    expect(comparisons[0]).toMatchObject({ claim: 'idea', seeds: 3, verdict: 'shown' });
    expect(comparisons[0].comparison).toBe('Score: with the idea higher than as it was by 0.05 or more');
    expect(comparisons[4].comparison).toBe('Score: with the idea the same as as it was, give or take 0.01');
  });

  test('counts only results of the settings of now, and says what it leaves out', async () => {
    const other: Study = { ...study, settings: () => ({ steps: 1 }) };
    const { runs, claims, problems } = await loadEvidence(other, { folder });
    expect(runs).toEqual([]);
    expect(problems).toHaveLength(9);
    expect(problems[0]).toMatch(
      /^tiny\/default\/plain-seed1\.json is of other settings: study\.steps: was \d+, now it is 1/,
    );
    expect(claims.map(({ verdict }) => verdict)).toEqual(
      Array.from({ length: 4 }, () => 'not shown at this scale'),
    );
    expect(claims[0]).toMatchObject({ ours: 'none', reason: 'no seed, 3 are needed' });
  });

  test('says where the results come from, way by way', async () => {
    const { provenance } = await loadEvidence(study, { folder });
    expect(provenance).toHaveLength(2);
    expect(provenance[0]).toEqual({
      commit: '0123456789',
      backend: 'tensorflow 2.21.0 on the CPU (1 threads, oneDNN)',
      threads: 1,
      processor: 'a processor',
      node: '20.19.0',
      runs: 6,
      days: '2026-01-01 to 2026-01-03',
      seconds: 366,
    });
  });

  test.each<[string, () => Promise<unknown>, string]>([
    ['an unknown study', () => loadEvidence('scratchdt'), "There is no study 'scratchdt'."],
    [
      'an unknown profile',
      () => loadEvidence(study, { profile: 'paper' }),
      "it has no profile 'paper', only quick, default",
    ],
  ])('refuses %s', async (_, evidence, message) => {
    await expect(evidence()).rejects.toThrow(message);
  });
});

describe('tables', () => {
  test('show what there is', async () => {
    const evidence = await loadEvidence(study, { folder });
    const arms = armTable(evidence).markdown();
    expect(arms).toContain('| with the idea | 0.460 | 0.060 | 0.400 | 0.520 | 3 | 0 |');
    expect(arms).toContain('| dies |  |  |  |  | 0 | 0 |');
    expect(armTable(evidence, 'norm').text()).toContain('Gradient norm, mean');
    expect(() => armTable(evidence, 'nom')).toThrow("no metric 'nom', only score, norm");
    expect(claimTable(evidence).html()).toContain('+0.210 (+0.185 to +0.235)');
    expect(comparisonTable(evidence).markdown()).toContain(
      '| 3 | +0.210 | 0.010 | +0.185 | +0.235 | shown |',
    );
    expect(provenanceTable(evidence).text()).toContain('6 min 06 s');
  });

  test('of nothing have their headings', async () => {
    const evidence = await loadEvidence(study, { folder: path.join(folder, 'empty') });
    expect(armTable(evidence).markdown()).toContain('| as it was |  |  |  |  | 0 | 0 |');
    expect(provenanceTable(evidence).markdown()).toContain('time, all runs');
    const svg = await chartSvg(evidenceChart(evidence));
    expect(svg).toContain('no runs yet');
  });
});

describe('the chart', () => {
  test('has a dot for each seed, a bar for the mean, and says who diverged', async () => {
    const evidence = await loadEvidence(study, { folder });
    const chart = evidenceChart(evidence, {
      arms: ['better', 'wild'],
      own: { better: 0.5 },
      title: 'Scores',
    });
    const svg = await chartSvg(chart);
    for (const text of [
      'with the idea',
      'rate too high',
      '0.460',
      '0.033, 2 of 3 diverged',
      'your run',
      'Scores',
    ])
      expect(svg).toContain(text);
    expect(svg).not.toContain('as it was');
    expect(chart.description).toContain('with the idea: 0.460; rate too high: 0.033, 2 of 3 diverged');
    const dots = (chart.layer as { data?: { values: unknown[] } }[]).flatMap(
      ({ data }) => data?.values ?? [],
    );
    expect(dots).toHaveLength(7);
    expect(dots[3]).toMatchObject({ arm: 'with the idea', value: 0.5, what: 'your run', seed: 'yours' });
    expect(dots[4]).toMatchObject({ value: 0, what: 'diverged' });
    // A text stands beyond its arm's last mark, whosever it is.
    const mine = evidenceChart(evidence, { arms: ['better', 'wild'], own: { better: 0.9 } });
    const { values: bars } = mine.data as { values: { end: number }[] };
    expect(bars.map(({ end }) => end)).toEqual([0.9, 0.1]);
  });

  test('refuses what there is not', async () => {
    const evidence = await loadEvidence(study, { folder });
    expect(() => evidenceChart(evidence, { metric: 'ap' })).toThrow("no metric 'ap', only score, norm");
    expect(() => evidenceChart(evidence, { own: { mine: 1 } })).toThrow("no arm 'mine'");
  });
});

test('the page has tables, charts and the rule, as the formatter leaves it', async () => {
  await fs.writeFile(path.join(folder, 'tiny', 'default', 'wild-seed3.json'), '{');
  const evidence = await loadEvidence(study, { folder });
  const page = await writeReport(folder, evidence);
  const text = await fs.readFile(page, 'utf8');
  expect(await prettier.format(text, { parser: 'markdown', printWidth: 110, singleQuote: true })).toBe(text);
  for (const part of [
    '# A tiny study: evidence\n\n8 runs of 3 arms at the default profile.',
    '![Score: a dot for each seed, a bar for the mean](score.svg)',
    'Runs are paired by seed',
    '- tiny/default/wild-seed3.json is damaged',
  ])
    expect(text).toContain(part);
  expect(text).not.toContain(folder);
  expect(reportText(evidence)).toContain('Made by `npm run evidence -- tiny`');
  const files = (await fs.readdir(path.dirname(page))).filter((name) => !name.endsWith('.json'));
  expect(files.sort()).toEqual(['README.md', 'norm.svg', 'score.svg']);
});
