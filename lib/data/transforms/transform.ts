/**
 * Augmentation as functions: a sample and random numbers in, a new sample out; nothing is changed in place. What happens to
 * objects that a transform cuts or shrinks is one rule for all: see `ObjectRule`.
 */
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';
import { checkProbability } from './options';

/** An image with its objects; boxes are xyxy in pixels of this image. */
export interface Sample {
  readonly image: RgbImage;
  readonly objects: readonly GroundTruth[];
}

/**
 * One augmentation. The same random stream (and the same partners) give the same result.
 * @param partners other samples of the data set, as many as the property `partners` says; more are ignored.
 */
export interface Transform {
  (sample: Sample, random: Random, partners?: readonly Sample[]): Sample;
  /** Zooms, crops or pads, so it gains from the image at its original size; a loader may shrink before all others. */
  readonly changesSize?: boolean;
  /** How many other samples it takes in (copy-paste 1, mosaic 3). Which ones, a loader draws by its seed. Default 0. */
  readonly partners?: number;
  /** Describes the transform as plain data, so that another thread can make the same: see `transformFromRecipe`. */
  readonly recipe?: TransformRecipe;
}

/** A transform as plain data that `structuredClone` takes. */
export type TransformRecipe = NamedRecipe | ModuleRecipe;

/** A transform of this library: the name of the function that makes it, and its options by name. */
export interface NamedRecipe {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A transform of one's own: `require(module)[export](options)` makes it. */
export interface ModuleRecipe {
  /** Absolute path or `file:` URL of a JavaScript file, or the name of a package that the working folder can import. */
  readonly module: string;
  /** Name of an exported function that takes `options` and returns the transform. */
  readonly export: string;
  readonly options?: unknown;
}

/** What a maker of transforms says about one, beside what it does. */
export interface TransformTraits {
  readonly changesSize?: boolean;
  readonly partners?: number;
  readonly recipe?: TransformRecipe;
}

/**
 * Gives a function the properties of a transform; the function itself stays as it is.
 * @returns a transform that refuses to work with fewer partners than it takes.
 * @throws TypeError when the recipe holds something that can't be sent to a thread, such as a function.
 */
export function defineTransform(
  apply: (sample: Sample, random: Random, partners: readonly Sample[]) => Sample,
  traits: TransformTraits = {},
): Transform {
  const { changesSize = false, partners = 0 } = traits;
  const recipe = traits.recipe && copyRecipe(traits.recipe);
  const transform = (sample: Sample, random: Random, given: readonly Sample[] = []): Sample => {
    if (given.length < partners) {
      const what = recipe === undefined ? 'a transform' : 'name' in recipe ? recipe.name : recipe.export;
      throw new RangeError(
        `${what} takes ${partners} other sample${partners > 1 ? 's' : ''} of the data set and got ${given.length}; ` +
          'a loader draws them, by hand they are the third argument: transform(sample, random, [other, ...])',
      );
    }
    return apply(sample, random, given);
  };
  return Object.assign(transform, { changesSize, partners, ...(recipe && { recipe }) });
}

function copyRecipe(recipe: TransformRecipe): TransformRecipe {
  try {
    return structuredClone(recipe);
  } catch (error) {
    const what = 'name' in recipe ? recipe.name : recipe.export;
    throw new TypeError(
      `the recipe of ${what} must be plain data, which another thread can be sent: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/**
 * Says how another thread can make a transform of one's own, so that a loader's workers can run it.
 *
 * ```ts
 * // grey.mjs
 * export const grey = (options) => withRecipe(apply, { module: import.meta.url, export: 'grey', options });
 * ```
 */
export function withRecipe(transform: Transform, recipe: ModuleRecipe): Transform {
  const { changesSize, partners } = transform;
  return defineTransform(transform, { changesSize, partners, recipe });
}

/** Applies transforms one after the other, each with partners of its own. Without any, the sample stays as it is. */
export function compose(...transforms: readonly Transform[]): Transform {
  const recipes = transforms.map((transform) => transform.recipe);
  const apply = (sample: Sample, random: Random, partners: readonly Sample[]): Sample => {
    let current = sample;
    let used = 0;
    for (const transform of transforms) {
      const count = transform.partners ?? 0;
      current = transform(current, random, partners.slice(used, used + count));
      used += count;
    }
    return current;
  };
  return defineTransform(apply, {
    changesSize: transforms.some((transform) => transform.changesSize === true),
    partners: transforms.reduce((sum, transform) => sum + (transform.partners ?? 0), 0),
    recipe: recipes.every((recipe) => recipe !== undefined)
      ? { name: 'compose', options: { transforms: recipes } }
      : undefined,
  });
}

/** Applies a transform with the given probability, else leaves the sample as it is. */
export function withProbability(probability: number, transform: Transform): Transform {
  checkProbability('withProbability', 'probability', probability);
  const { changesSize, partners, recipe } = transform;
  const apply = (sample: Sample, random: Random, given: readonly Sample[]): Sample =>
    random.next() < probability ? transform(sample, random, given) : sample;
  return defineTransform(apply, {
    changesSize,
    partners,
    recipe: recipe && { name: 'withProbability', options: { probability, transform: recipe } },
  });
}

/** The objects with every box mapped. */
export function mapBoxes(objects: readonly GroundTruth[], map: (box: Box) => Box): GroundTruth[] {
  return objects.map((object) => ({ ...object, box: map(object.box) }));
}

/** Mean colour of ImageNet, RGB, 0 to 255: what SSD fills new area with. */
export const imagenetMean: readonly [number, number, number] = [123, 117, 104];

/** A picture of one colour. */
export function filledImage(
  width: number,
  height: number,
  colour: readonly [number, number, number],
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  data.set(colour);
  // Doubling copies run at memory speed; a loop over pixels does not.
  for (let done = 3; done < data.length; done *= 2)
    data.copyWithin(done, 0, Math.min(done, data.length - done));
  return { width, height, data };
}

/** Copies a picture into another one, its top left corner at (x, y); it must fit. */
export function pasteImage(target: RgbImage, source: RgbImage, x: number, y: number): void {
  const row = source.width * 3;
  for (let j = 0; j < source.height; j++) {
    target.data.set(source.data.subarray(j * row, (j + 1) * row), ((y + j) * target.width + x) * 3);
  }
}
