/** Who may appear where: designs and backgrounds divided among the splits, so that nothing leaks from training to testing. */
import { hash32 } from '../../tensor/random';
import type { SceneDifficulty } from './difficulty';
import type { PackBackground, PackManifest, PackSprite } from './pack';

/**
 * The splits: `train`, `val` and `test` share neither designs nor backgrounds; `test-seen` puts training designs on test
 * backgrounds; `style-shift` puts two art families that appear nowhere else on test backgrounds.
 */
export type SceneSplit = 'train' | 'val' | 'test' | 'test-seen' | 'style-shift';

/** Images of each split unless asked otherwise. */
export const sceneCounts: Readonly<Record<SceneSplit, number>> = {
  train: 2000,
  val: 400,
  test: 600,
  'test-seen': 300,
  'style-shift': 300,
};

/** The three sides that designs and backgrounds are divided into. */
export type Side = 'train' | 'val' | 'test';

/** A design: drawings that never part. */
export type Design = readonly PackSprite[];

/** What one split of one setting draws from. */
export interface SceneCast {
  /** Class names by label. */
  readonly classes: readonly string[];
  /** `designs[label]`: the designs of class `label`; never empty. */
  readonly designs: readonly (readonly Design[])[];
  /** `cumulative[label]`: probability of a class up to and including `label`. */
  readonly cumulative: readonly number[];
  readonly distractors: readonly Design[];
  readonly backgrounds: readonly PackBackground[];
}

/** Changing one of these deals everything anew. Chosen so that no class's shares stray far from 70, 10 and 20 %. */
const designSalt = 'scenes-49609';
const backgroundSalt = 'scenes-1';

/** Casts a split. Throws when the pack has no art for a class or no background for the split. */
export function castScenes(
  manifest: PackManifest,
  difficulty: SceneDifficulty,
  split: SceneSplit,
): SceneCast {
  const { classes } = difficulty;
  const upstream = 'upstream' in classes;
  const names = upstream ? upstreamClasses(manifest, classes.upstream) : classes;
  const styleShift = split === 'style-shift';
  if (upstream && styleShift) {
    throw new Error(
      `The ${difficulty.name} setting has no style-shift split: those families draw VOC classes only.`,
    );
  }
  const side: Side = split === 'test' ? 'test' : split === 'val' ? 'val' : 'train';
  const designs = names.map((name) => {
    const sprites = manifest.sprites.filter(
      (sprite) =>
        sprite.class === name && isRole(sprite, styleShift ? 'style-shift' : upstream ? 'upstream' : 'voc'),
    );
    const all = groupDesigns(sprites);
    const chosen = styleShift ? all : all.filter((_, i) => sidesOf(all)[i] === side);
    if (chosen.length === 0) {
      throw new Error(
        `The art pack has no drawing of class "${name}" for the split ${split} (${all.length} designs in all).`,
      );
    }
    return chosen;
  });
  const labelled = new Set(names);
  const others = manifest.sprites.filter(
    (s) => s.role === 'upstream' && !s.lookalike && !labelled.has(s.class),
  );
  const otherDesigns = groupDesigns(others);
  const distractorSide = split === 'val' ? 'val' : split === 'train' ? 'train' : 'test';
  const distractors = otherDesigns.filter((design) => hashSide(design[0].group) === distractorSide);
  const backgrounds = backgroundsOf(manifest, distractorSide);
  if (backgrounds.length === 0) throw new Error(`The art pack has no background for the split ${split}.`);
  return {
    classes: names,
    designs,
    cumulative: cumulativeOf(names.length, difficulty),
    distractors,
    backgrounds,
  };
}

function isRole(sprite: PackSprite, wanted: 'voc' | 'upstream' | 'style-shift'): boolean {
  return wanted === 'voc' ? sprite.role === 'core' || sprite.role === 'tail' : sprite.role === wanted;
}

/** Sprites by design, in an order that depends on the designs' names alone. */
export function groupDesigns(sprites: readonly PackSprite[]): Design[] {
  const groups = new Map<string, PackSprite[]>();
  for (const sprite of sprites) {
    const group = groups.get(sprite.group);
    if (group) group.push(sprite);
    else groups.set(sprite.group, [sprite]);
  }
  const keys = [...groups.keys()].sort();
  return keys.map((key) => (groups.get(key) as PackSprite[]).sort((a, b) => (a.id < b.id ? -1 : 1)));
}

/** The side a design falls on by its hash alone: adding art later moves nothing. */
function hashSide(group: string): Side {
  const u = hash32(`${designSalt}/design/${group}`) / 2 ** 32;
  return u < 0.2 ? 'test' : u < 0.3 ? 'val' : 'train';
}

/** Sides of one class's designs: by hash, and then at least two for testing and one for validation, lowest hashes first. */
export function sidesOf(designs: readonly Design[]): Side[] {
  const sides = designs.map((design) => hashSide(design[0].group));
  const order = designs.map((design, i) => ({ i, key: hash32(`${designSalt}/design/${design[0].group}`) }));
  order.sort((a, b) => a.key - b.key);
  const count = (side: Side): number => sides.filter((s) => s === side).length;
  // Three designs or fewer can't serve three sides well: training keeps what is left.
  const test = Math.min(2, Math.max(0, designs.length - 2));
  for (const { i } of order) if (count('test') < test && sides[i] !== 'test') sides[i] = 'test';
  for (const { i } of order)
    if (count('val') < 1 && designs.length > 3 && sides[i] === 'train') sides[i] = 'val';
  return sides;
}

/** Backgrounds of one side: panoramas and photos ranked by hash and cut apart, about 70, 12 and 18 % of them. */
export function backgroundsOf(manifest: PackManifest, side: Side): PackBackground[] {
  const chosen: PackBackground[] = [];
  for (const kind of ['panorama', 'photo'] as const) {
    const all = manifest.backgrounds.filter((background) => background.kind === kind);
    const keyed = all.map((background) => ({
      background,
      key: hash32(`${backgroundSalt}/background/${background.id}`),
    }));
    keyed.sort((a, b) => a.key - b.key);
    const test = Math.round(all.length * (kind === 'photo' ? 0.33 : 0.19));
    const val = Math.round(all.length * (kind === 'photo' ? 0.17 : 0.12));
    const [from, to] =
      side === 'test' ? [0, test] : side === 'val' ? [test, test + val] : [test + val, all.length];
    chosen.push(...keyed.slice(from, to).map(({ background }) => background));
  }
  return chosen;
}

/** The upstream classes drawn by most families (ties by hash), shuffled by hash so that frequency says nothing about art. */
export function upstreamClasses(manifest: PackManifest, count: number): string[] {
  const families = new Map<string, Set<string>>();
  for (const sprite of manifest.sprites) {
    if (sprite.role !== 'upstream' || sprite.lookalike) continue;
    const set = families.get(sprite.class) ?? new Set();
    families.set(sprite.class, set.add(sprite.family));
  }
  const key = (name: string): number => hash32(`${designSalt}/class/${name}`);
  const names = [...families.keys()].sort((a, b) => key(a) - key(b));
  const sizeOf = (name: string): number => families.get(name)?.size ?? 0;
  if (names.length < count)
    throw new Error(`The art pack has ${names.length} upstream classes, ${count} are asked for.`);
  const best = [...names].sort((a, b) => sizeOf(b) - sizeOf(a)).slice(0, count);
  return best.sort((a, b) => key(a) - key(b));
}

function cumulativeOf(classes: number, { frequency = 'uniform' }: SceneDifficulty): number[] {
  const weights = Array.from({ length: classes }, (_, k) => (frequency === 'zipf' ? 1 / (k + 1) : 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  return weights.map((weight) => (sum += weight) / total);
}
