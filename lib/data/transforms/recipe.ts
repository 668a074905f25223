/** Transforms from their recipes: how a loader's worker threads get the transforms of the main thread. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyPaste, type CopyPasteOptions } from './copy-paste';
import { expand, iouCrop } from './crop';
import { flipHorizontal, flipVertical, letterbox, type LetterboxOptions, resize } from './geometric';
import { mosaic } from './mosaic';
import { dropDegenerate } from './object-rule';
import { photometricDistortion } from './photometric';
import { randomCrop } from './random-crop';
import { resizeShortSide } from './resize-short-side';
import { largeScaleJitter } from './scale-jitter';
import {
  compose,
  withProbability,
  type ModuleRecipe,
  type Transform,
  type TransformRecipe,
} from './transform';

/** What makes a transform of options that were checked when the recipe was written. */
type Maker = (options: never) => Transform;

const makers: Readonly<Record<string, Maker>> = {
  compose: ({ transforms }: { transforms: TransformRecipe[] }) =>
    compose(...transforms.map((recipe) => transformFromRecipe(recipe))),
  copyPaste: ({ before, ...options }: Omit<CopyPasteOptions, 'before'> & { before?: TransformRecipe }) =>
    copyPaste({ ...options, before: before && transformFromRecipe(before) }),
  dropDegenerate,
  expand,
  flipHorizontal: ({ probability }: { probability: number }) => flipHorizontal(probability),
  flipVertical: ({ probability }: { probability: number }) => flipVertical(probability),
  iouCrop,
  largeScaleJitter,
  letterbox: ({ width, height, ...options }: LetterboxRecipe) => letterbox(width, height, options),
  mosaic,
  photometricDistortion,
  randomCrop,
  resize: ({ width, height, method }: ResizeRecipe) => resize(width, height, method),
  resizeShortSide,
  withProbability: ({ probability, transform }: { probability: number; transform: TransformRecipe }) =>
    withProbability(probability, transformFromRecipe(transform)),
};

interface LetterboxRecipe extends LetterboxOptions {
  width: number;
  height: number;
}

interface ResizeRecipe {
  width: number;
  height: number;
  method?: Parameters<typeof resize>[2];
}

/**
 * Makes the transform that a recipe describes: for the same random stream it gives the same results as the one described.
 * @throws TypeError on a name that is not one of this library's, or on a module or export that can't be had.
 */
export function transformFromRecipe(recipe: TransformRecipe): Transform {
  if ('module' in recipe) return fromModule(recipe);
  if (!Object.hasOwn(makers, recipe.name)) {
    throw new TypeError(
      `transformFromRecipe: there is no transform "${recipe.name}"; known are ${Object.keys(makers).join(', ')}. ` +
        'A transform of your own is described by { module, export, options }.',
    );
  }
  return makers[recipe.name](recipe.options as never);
}

function fromModule(recipe: ModuleRecipe): Transform {
  const file = recipe.module.startsWith('file:') ? fileURLToPath(recipe.module) : recipe.module;
  const place = `transformFromRecipe: export "${recipe.export}" of ${file}`;
  if (file.startsWith('.')) {
    throw new TypeError(`${place}: a relative path means nothing in another thread; give an absolute one`);
  }
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = createRequire(path.join(process.cwd(), 'recipe.js'))(file) as typeof exported;
  } catch (error) {
    throw new TypeError(`${place}: the module can't be loaded: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const make = exported[recipe.export];
  if (typeof make !== 'function') {
    const names = Object.keys(exported).join(', ') || 'nothing';
    throw new TypeError(`${place} is not a function; the module exports ${names}`);
  }
  const transform: unknown = (make as (options: unknown) => unknown)(recipe.options);
  if (typeof transform !== 'function') {
    throw new TypeError(
      `${place} must return a transform, a function of (sample, random); it returned another thing`,
    );
  }
  return transform as Transform;
}
