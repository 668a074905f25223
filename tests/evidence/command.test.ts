import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { chooseArms, evidenceCommand } from '../../lib/evidence/command';
import { secondsLeft, type StudyState } from '../../lib/evidence/time-left';
import { writeResults } from './runs';
import { study } from './tiny-study.mjs';

const file = path.join(__dirname, 'tiny-study.mjs');
let folder: string;
let printed: string[];
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'detlab-evidence-'));
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true, force: true });
});

describe('npm run evidence', () => {
  test('explains itself', async () => {
    expect(await evidenceCommand(['--help'])).toBe(0);
    expect(printed.join('\n')).toContain('--jobs N');
    expect(await evidenceCommand([])).toBe(2);
    expect(await evidenceCommand(['--list'])).toBe(0);
    expect(printed.at(-1)?.split('\n')).toEqual(
      expect.arrayContaining(['efficientdet', 'megdet', 'scratchdet']),
    );
  });

  test.each([
    [['scratchdte'], "There is no study 'scratchdte'."],
    [['nowhere.mjs'], `There is no file ${path.resolve('nowhere.mjs')}.`],
    [[file, 'b', 'c'], 'One study at a time, not also b c.'],
    [[file, '--profile', 'defalt'], "--profile: there is no profile 'defalt'"],
    [[file, '--profile', 'paper'], "--profile: tiny has no profile 'paper', only quick, default."],
    [[file, '--seeds', '0'], '--seeds is a whole number from 1, got 0'],
    [[file, '--seeds', '2.5'], '--seeds is a whole number from 1, got 2.5'],
    [[file, '--jobs', 'all'], '--jobs is a whole number from 1, got all'],
    [[file, '--backend', 'wsm'], "--backend: there is no backend 'wsm'"],
    [[file, '--arms', 'bettr'], "--arms: no arm is called 'bettr'. Did you mean 'better'?"],
    [[file, '--arms', 'plain,x*'], "--arms: no arm is called 'x*'."],
    [
      [file, '--data', 'nowhere'],
      `--data: ${path.resolve('nowhere')} can't be used as data: it does not exist`,
    ],
    [[file, '--list', '--report'], 'Either --list or --report, not both.'],
    [[file, '--report'], 'There are no results of tiny at the default profile to report.'],
    [[file, '--seed', '3'], "Did you mean '--seeds'?"],
  ])('%j is a mistake that is named', async (words, message) => {
    await expect(evidenceCommand([...words, '--out', folder])).rejects.toThrow(message);
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test.each([
    ['a name', 'exports.study = { name: "x" };'],
    [
      'functions',
      'const none = () => []; exports.study = { name: "x", arms: none, settings: none, claims: none, run: none };',
    ],
    ['nothing', ''],
  ])('a file that exports no study is told, where it has %s', async (_, text) => {
    const other = path.join(folder, 'other.cjs');
    await fs.writeFile(other, text);
    await expect(evidenceCommand([other])).rejects.toThrow('must export `study`, an object with name');
  });

  test('a study that runs on its own data only says so', async () => {
    const other = path.join(folder, 'other.cjs');
    await fs.writeFile(
      other,
      'const f = () => []; exports.study = { name: "own", title: "", profiles: [], metrics: {}, arms: f, settings: f, claims: f, run: f };',
    );
    await expect(evidenceCommand([other, '--data', folder])).rejects.toThrow(
      '--data: own runs on its own data only',
    );
  });

  test('lists what there is', async () => {
    await writeResults(folder, 'plain', [0.2, 0.3]);
    await fs.writeFile(path.join(folder, 'tiny', 'default', 'plain-seed3.json'), 'x');
    expect(await evidenceCommand([file, '--list', '--arms', 'plain,better', '--out', folder])).toBe(0);
    const lines = printed
      .join('\n')
      .split('\n')
      .map((line) => line.replace(/ {2,}/g, ' | '));
    expect(lines).toContain('arm | seed 1 | seed 2 | seed 3');
    expect(lines).toContain('plain | there | there | broken');
    expect(lines).toContain('better | to do | to do | to do');
    expect(printed.join('\n')).toContain('tiny/default/plain-seed3.json is damaged');
  });

  test('writes the page of what there is', async () => {
    await writeResults(folder, 'plain', [0.2, 0.25, 0.3]);
    expect(await evidenceCommand([file, '--report', '--out', folder])).toBe(0);
    expect(printed.join('\n')).toContain('The idea raises the score');
    expect(printed.join('\n')).toContain(path.join(folder, 'tiny', 'default', 'README.md'));
    expect(await fs.readdir(path.join(folder, 'tiny', 'default'))).toContain('score.svg');
  });

  test('chooses arms by name and pattern, in the study’s order', () => {
    const choose = (pattern?: string): string[] => chooseArms(study, 'default', pattern);
    expect(choose()).toEqual(['plain', 'better', 'wild', 'throws', 'dies']);
    expect(choose('*i*')).toEqual(['plain', 'wild', 'dies']);
    expect(choose('wild, PLAIN')).toEqual(['plain', 'wild']);
    expect(() => choose('p.ain')).toThrow("no arm is called 'p.ain'");
  });
});

describe('the time left', () => {
  const state = (change: Partial<StudyState>): StudyState => {
    return { jobs: 1, waiting: [], running: [], known: new Map(), ...change };
  };
  const at = (seconds: number, share: number): { seconds: number; share: number } => ({ seconds, share });

  test('is unknown at first', () => {
    expect(secondsLeft(state({ waiting: ['a'], running: [{ arm: 'b', seconds: 3 }] }))).toBeUndefined();
  });

  test('follows the running run, then what others took', () => {
    const running = [{ arm: 'a', seconds: 12, first: at(2, 0), last: at(12, 0.25) }];
    // 40 s a run: 30 s of this one, and another one.
    expect(secondsLeft(state({ running }))).toBe(30);
    expect(secondsLeft(state({ running, waiting: ['b'] }))).toBe(70);
    expect(secondsLeft(state({ running, waiting: ['b', 'a'], known: new Map([['b', [10, 20]]]) }))).toBe(85);
  });

  test('of a resumed run counts from where it began', () => {
    const running = [{ arm: 'a', seconds: 11, first: at(1, 0.5), last: at(11, 0.75) }];
    expect(secondsLeft(state({ running }))).toBe(10);
  });

  test('is shared by the jobs', () => {
    const known = new Map([['a', [10]]]);
    expect(secondsLeft(state({ jobs: 2, waiting: ['a', 'a', 'a'], known }))).toBe(20);
    expect(secondsLeft(state({ jobs: 3, waiting: ['a', 'a', 'a'], known }))).toBe(10);
    expect(secondsLeft(state({ known }))).toBe(0);
  });
});
