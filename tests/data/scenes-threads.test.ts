/** Threads run compiled code, so this test brings dist/ up to date first. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { sceneDifficulties } from '../../lib/data/scenes/difficulty';
import { prepareScenes, type ScenesOptions } from '../../lib/data/scenes/prepare';
import { temporaryFolder } from './temporary';
import { writeSyntheticPack } from './synthetic-pack';

const root = path.resolve(__dirname, '..', '..');
let compiled: { prepareScenes: typeof prepareScenes };

beforeAll(async () => {
  const { build } = (await import(pathToFileURL(path.join(root, 'lib', 'build.mjs')).href)) as {
    build: () => number;
  };
  build();
  const load = createRequire(path.join(root, 'package.json'));
  compiled = load('./dist/data/scenes/prepare.js') as { prepareScenes: typeof prepareScenes };
});

function hashes(folder: string): string[] {
  const names = (fs.readdirSync(folder, { recursive: true }) as string[]).sort();
  const files = names.filter((name) => fs.statSync(path.join(folder, name)).isFile());
  return files.map(
    (name) =>
      `${name} ${createHash('sha256')
        .update(fs.readFileSync(path.join(folder, name)))
        .digest('hex')}`,
  );
}

function options(): ScenesOptions {
  const folder = temporaryFolder();
  writeSyntheticPack(path.join(folder, 'pack'));
  const difficulty = { ...sceneDifficulties.easy, classes: ['disc', 'square'], distractors: [0, 1] as const };
  return {
    split: 'train',
    size: 32,
    count: 150,
    difficulty,
    pack: path.join(folder, 'pack'),
    cache: path.join(folder, 'cache'),
  };
}

test('several threads write the bytes that one does', async () => {
  const set = options();
  const seen: number[] = [];
  const threaded = await compiled.prepareScenes({
    ...set,
    threads: 3,
    onProgress: ({ done }) => seen.push(done),
  });
  const here = await prepareScenes({ ...set, threads: 1, cache: temporaryFolder() });
  expect(hashes(threaded)).toHaveLength(302); // images, annotations, the list, scenes.json
  expect(hashes(threaded)).toEqual(hashes(here));
  expect(seen.at(-1)).toBe(150);
  expect([...seen].sort((a, b) => a - b)).toEqual(seen);
});

test('what fails in a thread fails the call; an interrupt ends it', async () => {
  const set = options();
  const sheet = path.join(set.pack as string, 'sheet.png');
  const whole = fs.readFileSync(sheet);
  fs.writeFileSync(sheet, 'no picture');
  await expect(compiled.prepareScenes({ ...set, threads: 2 })).rejects.toThrow(/sheet\.png of the art pack/);
  fs.writeFileSync(sheet, whole);
  const controller = new AbortController();
  const onProgress = ({ done }: { done: number }): void =>
    void (done > 0 && controller.abort(new Error('stopped')));
  await expect(
    compiled.prepareScenes({ ...set, threads: 2, onProgress, signal: controller.signal }),
  ).rejects.toThrow('stopped');
});
