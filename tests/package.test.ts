/** The package as scripts of the project see it: `import … from 'detlab'`, in both module systems, with types. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildLibrary, projectRoot } from './notebook/helpers';

beforeAll(buildLibrary);

const run = (...words: string[]): string =>
  execFileSync(process.execPath, words, { cwd: projectRoot, encoding: 'utf8' }).trim();

describe('a script in the project', () => {
  test('imports detlab as an ES module', () => {
    const code = `import { iou } from 'detlab'; console.log(iou([0, 0, 2, 2], [1, 0, 3, 2]).toFixed(4));`;
    expect(run('--input-type=module', '-e', code)).toBe('0.3333');
  });

  test('requires it from CommonJS', () => {
    const code = `const { iou } = require('detlab'); console.log(iou([0, 0, 2, 2], [0, 0, 2, 2]));`;
    expect(run('-e', code)).toBe('1');
  });
});

test('importing the library loads none of the heavy packages', () => {
  const code =
    `require('detlab'); const loaded = Object.keys(require.cache).join('|');` +
    `console.log(['vega', 'canvas', 'katex', 'markdown-it', 'highlight.js', 'typescript', 'zeromq', '@tslab', 'bullmq', 'ioredis'].filter((name) => ` +
    `loaded.includes('node_modules/' + name + '/')).join());`;
  expect(run('-e', code)).toBe('');
});

test('no package may run a script when it is installed, and the lockfile names no registry', () => {
  const npmrc = fs.readFileSync(path.join(projectRoot, '.npmrc'), 'utf8');
  expect(npmrc).toMatch(/^ignore-scripts=true$/m);
  const lock = fs.readFileSync(path.join(projectRoot, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved": "https?:/);
});
