import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { GroundTruth } from '../../lib/boxes/types';
import { beforeAll, describe, expect, test } from 'vitest';
import { castScenes, groupDesigns, sceneCounts, sidesOf, type SceneSplit } from '../../lib/data/scenes/cast';
import { describeScene, type Placement, type Scene } from '../../lib/data/scenes/describe';
import { resolveDifficulty, sceneDifficulties, type SceneDifficulty } from '../../lib/data/scenes/difficulty';
import { atan2, exp, sinCos } from '../../lib/data/scenes/maths';
import { loadPack, packFolder, type PackManifest } from '../../lib/data/scenes/pack';
import { loadScenes, prepareScenes, type ScenesOptions } from '../../lib/data/scenes/prepare';
import { renderScene, type RenderedScene } from '../../lib/data/scenes/render';
import { loadUpstream } from '../../lib/data/scenes/upstream';
import { createSceneRenderer } from '../../lib/data/scenes/work';
import { scenesCommand } from '../../lib/data/scenes/command';
import { temporaryFolder } from './temporary';
import { writeSyntheticPack } from './synthetic-pack';

const difficulty: SceneDifficulty = {
  ...sceneDifficulties.easy,
  name: 'test',
  classes: ['disc', 'square'],
  distractors: [0, 0],
  jitter: 0,
  noise: 0,
};
const splits = Object.keys(sceneCounts) as SceneSplit[];

/** Options of a small set from a synthetic pack in a fresh folder. */
function options(more: Partial<ScenesOptions> = {}): ScenesOptions {
  const folder = temporaryFolder();
  writeSyntheticPack(path.join(folder, 'pack'));
  return {
    split: 'train',
    size: 48,
    count: 6,
    difficulty,
    pack: path.join(folder, 'pack'),
    cache: path.join(folder, 'cache'),
    ...more,
  };
}

function contents(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of fs.readdirSync(folder, { recursive: true }) as string[]) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isFile())
      files[name] = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  }
  return files;
}

test('sine, cosine, arc tangent and exponential agree with Math', () => {
  for (let i = -500; i <= 500; i++) {
    const x = i / 50;
    expect(sinCos(x).sin).toBeCloseTo(Math.sin(x), 8);
    expect(sinCos(x).cos).toBeCloseTo(Math.cos(x), 8);
    expect(exp(x) / Math.exp(x)).toBeCloseTo(1, 4);
    for (const y of [-3, -0.5, 0, 0.1, 7]) expect(atan2(y, x)).toBeCloseTo(Math.atan2(y, x), 4);
  }
});

describe('the shipped pack', () => {
  let manifest: PackManifest;
  beforeAll(async () => {
    manifest = (await loadPack()).manifest;
  });

  test('designs and backgrounds never cross from training to testing', () => {
    const used = (
      split: SceneSplit,
    ): { designs: Set<string>; distractors: Set<string>; backgrounds: Set<string> } => {
      const cast = castScenes(manifest, resolveDifficulty('standard'), split);
      return {
        designs: new Set(cast.designs.flat(2).map((sprite) => sprite.group)),
        distractors: new Set(cast.distractors.flat().map((sprite) => sprite.group)),
        backgrounds: new Set(cast.backgrounds.map((background) => background.id)),
      };
    };
    const [train, val, testing, seen, shift] = splits.map(used);
    for (const [a, b] of [
      [train, val],
      [train, testing],
      [val, testing],
      [train, shift],
      [testing, shift],
    ]) {
      for (const key of ['designs', 'backgrounds'] as const) {
        if (key === 'backgrounds' && a === testing && b === shift) continue;
        expect([...a[key]].filter((id) => b[key].has(id))).toEqual([]);
      }
    }
    expect(seen.designs).toEqual(train.designs);
    expect(seen.backgrounds).toEqual(testing.backgrounds);
    expect([...train.distractors].filter((id) => testing.distractors.has(id))).toEqual([]);
    expect([train, val, testing].map((side) => side.backgrounds.size).every((size) => size >= 3)).toBe(true);
  });

  test('every class has at least two designs for testing, one for validation, and about 70 % for training', () => {
    for (const name of sceneDifficulties.standard.classes as readonly string[]) {
      const designs = groupDesigns(
        manifest.sprites.filter((s) => s.class === name && (s.role === 'core' || s.role === 'tail')),
      );
      const sides = sidesOf(designs);
      const count = (side: string): number => sides.filter((s) => s === side).length;
      expect(count('test'), name).toBeGreaterThanOrEqual(2);
      expect(count('val'), name).toBeGreaterThanOrEqual(designs.length > 5 ? 1 : 0);
      // Of few designs, one more or less moves the share far.
      expect(Math.abs(count('train') / designs.length - 0.7), name).toBeLessThan(
        designs.length > 12 ? 0.12 : 0.31,
      );
    }
  });

  test('share-alike art appears in the style-shift split alone', () => {
    const shareAlike = (family: string): boolean => manifest.families[family].shareAlike;
    for (const name of Object.keys(sceneDifficulties)) {
      for (const split of splits) {
        if (name === 'longtail' && split === 'style-shift') continue;
        const { designs, distractors } = castScenes(manifest, resolveDifficulty(name as 'easy'), split);
        expect(
          designs.flat(2).every((sprite) => shareAlike(sprite.family) === (split === 'style-shift')),
        ).toBe(true);
        expect(distractors.flat().some((sprite) => shareAlike(sprite.family) || sprite.lookalike)).toBe(
          false,
        );
      }
    }
  });

  test('the settings keep their promises: objects an image, sizes, class frequencies', () => {
    for (const [name, setting] of Object.entries(sceneDifficulties)) {
      const cast = castScenes(manifest, setting, 'train');
      const scenes = Array.from({ length: 300 }, (_, i) => describeScene(cast, setting, name, i));
      const objects = scenes.map((scene) => scene.placements.filter((p) => p.label >= 0));
      const mean = objects.flat().length / 300;
      expect(mean).toBeGreaterThan(setting.meanObjects * 0.75);
      expect(mean).toBeLessThan(setting.meanObjects * 1.15);
      expect(Math.max(...objects.map((o) => o.length))).toBeLessThanOrEqual(setting.maxObjects);
      const sides = objects
        .flat()
        .map((p) => Math.sqrt(p.width * p.height))
        .sort((a, b) => a - b);
      expect(sides[sides.length >> 1] / setting.size[1]).toBeGreaterThan(0.8);
      expect(sides[sides.length >> 1] / setting.size[1]).toBeLessThan(1.15);
      const counts = cast.classes.map((_, label) => objects.flat().filter((p) => p.label === label).length);
      if (setting.frequency === 'zipf') expect(counts[0]).toBeGreaterThan(5 * counts[20]);
      else expect(Math.min(...counts)).toBeGreaterThan(0);
    }
  });

  test('renders to the same bytes on every machine', async () => {
    const cache = temporaryFolder();
    const folder = await prepareScenes({
      split: 'train',
      size: 96,
      count: 8,
      difficulty: 'standard',
      cache,
      threads: 1,
    });
    const all = contents(folder);
    const digest = createHash('sha256');
    for (const name of Object.keys(all).sort())
      if (name !== 'scenes.json') digest.update(`${name} ${all[name]}\n`);
    // A change here changes every published number: raise generatorVersion (or the pack's version) with it.
    expect(digest.digest('hex')).toBe('315fd2b93360c29295bedfb8db027b8ad6c52543c3f5922bb541fea203c801af');
  });
});

describe('describeScene', () => {
  test('image i depends on seed, split and i alone', async () => {
    const { manifest } = await loadPack(packFolder());
    const setting = resolveDifficulty('easy');
    const cast = castScenes(manifest, setting, 'val');
    expect(describeScene(cast, setting, 's', 7)).toEqual(describeScene(cast, setting, 's', 7));
    expect(describeScene(cast, setting, 's', 7)).not.toEqual(describeScene(cast, setting, 's', 8));
    expect(describeScene(cast, setting, 's', 7)).not.toEqual(describeScene(cast, setting, 't', 7));
  });
});

describe('renderScene', () => {
  /** A bare scene on a synthetic background. */
  async function stage(): Promise<{
    draw: (...placements: Placement[]) => RenderedScene;
    square: Placement;
  }> {
    const { pack: folder } = options();
    const pack = await loadPack(folder);
    const setting: SceneDifficulty = { ...difficulty, lighting: 0 };
    const cast = castScenes(pack.manifest, setting, 'train');
    const scene: Scene = { ...describeScene(cast, setting, 'stage', 0), blur: 0, noise: 0, exposure: 1 };
    const sprite = cast.designs[1][0][0];
    const look = { rotation: 0, flip: false, hue: 0, saturation: 1, brightness: 1, lighting: 0, shadow: 0 };
    const square: Placement = { sprite, label: 1, x: 0.5, y: 0.5, width: 0.5, height: 0.25, ...look };
    return { draw: (...placements) => renderScene({ ...scene, placements }, pack, 64), square };
  }

  test('a box bounds exactly the pixels that drawing the object changed', async () => {
    const { draw, square } = await stage();
    const empty = draw().image.data;
    expect(draw().objects).toEqual([]);
    for (let rotation = -40; rotation <= 40; rotation += 10) {
      const { image, objects } = draw({ ...square, rotation, x: 0.5 + rotation / 100 });
      const changed = [64, 64, 0, 0];
      image.data.forEach((value, i) => {
        if (Math.abs(value - empty[i]) < 60) return;
        const [x, y] = [Math.floor(i / 3) % 64, Math.floor(i / 192)];
        [changed[0], changed[1]] = [Math.min(changed[0], x), Math.min(changed[1], y)];
        [changed[2], changed[3]] = [Math.max(changed[2], x + 1), Math.max(changed[3], y + 1)];
      });
      changed.forEach((value, i) => expect(Math.abs(value - objects[0].box[i])).toBeLessThanOrEqual(1));
    }
    expect(draw(square).objects).toEqual([
      { box: [16, 24, 48, 40], label: 1, difficult: false, truncated: false },
    ]);
  });

  test('what is hidden does not count: smaller boxes, then truncated, difficult, and gone', async () => {
    const { draw, square } = await stage();
    const hiddenUpTo = (right: number): GroundTruth[] => {
      // The second one, a distractor, covers the columns from 12 to `right`.
      const width = (right - 12) / 64;
      return [...draw(square, { ...square, label: -1, width, height: 0.5, x: 12 / 64 + width / 2 }).objects];
    };
    expect(hiddenUpTo(18)).toEqual([{ box: [18, 24, 48, 40], label: 1, difficult: false, truncated: false }]);
    expect(hiddenUpTo(32)).toEqual([{ box: [32, 24, 48, 40], label: 1, difficult: false, truncated: true }]);
    expect(hiddenUpTo(40)).toEqual([{ box: [40, 24, 48, 40], label: 1, difficult: true, truncated: true }]);
    expect(hiddenUpTo(46)).toEqual([]);
    // Out of the picture is as good as hidden.
    expect(draw({ ...square, x: 0 }).objects).toEqual([
      { box: [0, 24, 16, 40], label: 1, difficult: false, truncated: true },
    ]);
  });
});

describe('prepareScenes', () => {
  test('writes VOC that reads back as it was rendered', async () => {
    const set = options({ count: 10 });
    const data = await loadScenes(set);
    expect(data.classes).toEqual(['disc', 'square']);
    expect(data.problems).toEqual([]);
    const job = { packFolder: set.pack as string, difficulty, split: 'train', size: 48, seed: 0 } as const;
    const renderer = await createSceneRenderer(job);
    for (const [i, example] of data.examples.entries()) {
      const { image, objects } = renderer.render(i);
      expect([example.id, example.width, example.height]).toEqual([`train-00000${i}`, 48, 48]);
      expect(example.objects).toEqual(objects);
      const read = await example.image();
      expect(
        read.data.reduce((sum, value, at) => sum + Math.abs(value - image.data[at]), 0) / read.data.length,
      ).toBeLessThan(6);
    }
  });

  test('a smaller count is the beginning of a larger one; more is added, not made again', async () => {
    const set = options({ count: 4 });
    const folder = await prepareScenes(set);
    const before = contents(folder);
    const reported: number[] = [];
    expect(await prepareScenes({ ...set, count: 7, onProgress: ({ done }) => reported.push(done) })).toBe(
      folder,
    );
    const after = contents(folder);
    expect(reported[0]).toBe(4);
    expect(reported.at(-1)).toBe(7);
    for (const name of Object.keys(before))
      if (!name.endsWith('train.txt')) expect(after[name]).toBe(before[name]);
    expect((await loadScenes({ ...set, count: 2 })).examples.map(({ id }) => id)).toEqual([
      'train-000000',
      'train-000001',
    ]);
    await prepareScenes({
      ...set,
      count: 3,
      onProgress: () => expect.unreachable('nothing is to be rendered'),
    });
    expect((await loadScenes({ ...set, count: 7 })).examples).toHaveLength(7);
    // The whole made at once is the same.
    const fresh = contents(await prepareScenes({ ...set, count: 7, cache: temporaryFolder() }));
    expect(fresh).toEqual(after);
  });

  test('goes on after an interruption, mends what is missing, and two at once agree', async () => {
    const set = options({ count: 5 });
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }): void =>
      void (done >= 0 && controller.abort(new Error('stopped')));
    await expect(prepareScenes({ ...set, onProgress, signal: controller.signal })).rejects.toThrow('stopped');
    const [folder, other] = await Promise.all([prepareScenes(set), prepareScenes(set)]);
    expect(other).toBe(folder);
    const whole = contents(folder);
    fs.rmSync(path.join(folder, 'ImageSets/Main/train.txt'));
    fs.rmSync(path.join(folder, 'JPEGImages/train-000002.jpg'));
    fs.writeFileSync(path.join(folder, 'Annotations/train-000003.xml'), '');
    await prepareScenes(set);
    expect(contents(folder)).toEqual(whole);
  });

  test('the same scene at another resolution: the same objects, scaled', async () => {
    const set = options({ count: 8 });
    const [small, large] = [await loadScenes({ ...set, size: 64 }), await loadScenes({ ...set, size: 128 })];
    small.examples.forEach((example, i) => {
      const other = large.examples[i].objects;
      expect(other.map(({ label }) => label)).toEqual(example.objects.map(({ label }) => label));
      example.objects.forEach(({ box }, k) =>
        box.forEach((value, j) => expect(Math.abs(value * 2 - other[k].box[j])).toBeLessThanOrEqual(3)),
      );
    });
  });

  test('says what is wrong', async () => {
    const set = options();
    await expect(prepareScenes({ ...set, split: 'tset' as SceneSplit })).rejects.toThrow(
      'no split "tset". Did you mean "test"?',
    );
    await expect(prepareScenes({ ...set, difficulty: 'esay' as 'easy' })).rejects.toThrow(
      'Did you mean "easy"?',
    );
    await expect(prepareScenes({ ...set, size: 3 })).rejects.toThrow('size is 3');
    await expect(prepareScenes({ ...set, count: 0 })).rejects.toThrow('count is 0');
    await expect(prepareScenes({ ...set, pack: temporaryFolder() })).rejects.toThrow(
      /art pack .*manifest\.json/,
    );
    const wrong = { ...difficulty, size: [0.5, 0.2, 0.1] as const };
    await expect(prepareScenes({ ...set, difficulty: wrong })).rejects.toThrow(
      'smallest, median and largest must rise',
    );
    await expect(prepareScenes({ ...set, difficulty: { ...difficulty, classes: ['disk'] } })).rejects.toThrow(
      'no drawing of class "disk"',
    );
  });
});

describe('loadUpstream', () => {
  test('labels, counts, a held-out family, and the cache', async () => {
    const { pack, cache } = options();
    const set = { pack, cache, size: 24, classes: 3, seed: 1 };
    const train = await loadUpstream({ ...set, split: 'train', perClass: [8, 2] });
    expect([...train.classes].sort()).toEqual(['up0', 'up1', 'up2']); // up3 looks like a detection class
    expect([...train.labels]).toEqual([...Array<number>(8).fill(0), ...Array<number>(4).fill(1), 2, 2]);
    expect(train.images).toHaveLength(14 * 24 * 24 * 3);
    const again = await loadUpstream({
      ...set,
      split: 'train',
      perClass: [8, 2],
      onProgress: () => expect.unreachable(),
    });
    expect(Buffer.compare(again.images, train.images)).toBe(0);
    const val = await loadUpstream({ ...set, split: 'val' });
    expect(val.labels).toHaveLength(24);
    await expect(loadUpstream({ ...set, split: 'val', classes: ['nothing'] })).rejects.toThrow(
      'no upstream drawing of "nothing"',
    );
    await expect(loadUpstream({ ...set, split: 'val', classes: 9 })).rejects.toThrow(
      'has 3 upstream classes, 9 are asked for',
    );
  });
});

test('the command lists, helps, and refuses what it does not know', async () => {
  expect(await scenesCommand(['--list'])).toBe(0);
  expect(await scenesCommand(['--help'])).toBe(0);
  expect(await scenesCommand(['--split', 'tarin'])).toBe(1);
  expect(await scenesCommand(['--size', 'big'])).toBe(1);
  expect(await scenesCommand(['--sheet', 'x.png'])).toBe(1);
  expect(await scenesCommand(['--nonsense'])).toBe(1);
});
