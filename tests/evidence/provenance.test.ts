import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gitState } from '../../lib/evidence/provenance';
import { temporaryFolder } from '../notebook/helpers';

let root: string;
beforeEach(() => void (root = temporaryFolder()));
afterEach(() => fs.rmSync(root, { recursive: true }));

const git = (...words: string[]): string =>
  execFileSync('git', ['-C', root, '-c', 'user.name=a', '-c', 'user.email=a@b', ...words], {
    encoding: 'utf8',
  }).trim();
const write = (name: string, text: string): void => {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
};

test('a run’s commit is told, and whether what decides a run was changed since', async () => {
  expect(await gitState(root)).toEqual({ commit: null, dirty: null });
  git('init', '-q');
  for (const name of ['lib/a.ts', 'data/scenes/a.png', 'data/results/a.json', 'package.json', 'README.md'])
    write(name, 'before');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  const commit = git('rev-parse', 'HEAD');
  expect(await gitState(root)).toEqual({ commit, dirty: false });
  for (const name of ['data/results/a.json', 'data/results/b.json', 'README.md']) write(name, 'after');
  expect(await gitState(root)).toEqual({ commit, dirty: false });
  for (const name of ['lib/a.ts', 'lib/new.ts', 'data/scenes/a.png', 'package.json']) {
    write(name, 'after');
    expect((await gitState(root)).dirty, name).toBe(true);
    git('add', name);
    git('commit', '-q', '-m', name);
    expect(await gitState(root), name).toEqual({ commit: git('rev-parse', 'HEAD'), dirty: false });
  }
});
