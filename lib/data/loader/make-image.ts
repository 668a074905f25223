/** Makes one image of a batch. The main thread and the worker threads run this same code, so that their pixels are the same. */
import type { Box, GroundTruth } from '../../boxes/types';
import { createRandom } from '../../tensor/random';
import type { ProblemKind } from '../problems';
import { letterbox, letterboxFit, type LetterboxOptions, resize, type Fit } from '../transforms/geometric';
import type { Sample, Transform } from '../transforms/transform';
import type { Example, RgbImage } from '../types';
import { imageRandom } from './plan';

/** What all images of a loader have in common. Plain data: it is sent to threads. */
export interface ImageSettings extends LetterboxOptions {
  /** Name of the data set, for messages. */
  readonly dataset: string;
  readonly height: number;
  readonly width: number;
  readonly fit: 'stretch' | 'letterbox';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Order in which the channels are written. */
  readonly channels: 'rgb' | 'bgr';
  /** Whether images are brought to the input's size before augmentation rather than after it. */
  readonly shrinkFirst: boolean;
}

/** Where an image comes from. Plain data, too. */
export interface ImageSource extends Pick<Example, 'id' | 'width' | 'height' | 'objects' | 'file'> {
  /** Index in the data set. */
  readonly index: number;
  /** The image as augmentation takes it, where it was read before. */
  readonly sample?: Sample;
}

/** One image to make, and the other samples that its augmentation takes in. */
export interface ImageTask {
  readonly source: ImageSource;
  /** `PlannedImage.copy`. */
  readonly copy: number;
  readonly partners: readonly ImageSource[];
}

/** An image that can't be read, or is not what its annotation says. */
export interface ImageProblem {
  readonly index: number;
  readonly kind: Extract<ProblemKind, 'missing-image' | 'broken-image' | 'image-size'>;
  readonly error: unknown;
}

/** What is known of an image beside its pixels. */
export interface MadeImage {
  /** Boxes in pixels of the network's input. */
  readonly objects: readonly GroundTruth[];
  readonly fit: Fit;
}

/** The samples of a task. Without `sample`, the image itself can't be had. */
export interface LoadedTask {
  readonly sample?: Sample;
  readonly partners: readonly Sample[];
  readonly problems: readonly ImageProblem[];
}

/** Makes images. */
export interface ImageMaker {
  /** Reads an image and brings it to the size that augmentation takes. Resolves to a problem rather than reject. */
  read(source: ImageSource, pixels: () => Promise<RgbImage>): Promise<Sample | ImageProblem>;
  /** Augments, fits, and writes `(value - mean) / std` into `target` from `offset` on. */
  make(task: ImageTask, loaded: LoadedTask, seed: string, target: Float32Array, offset: number): MadeImage;
}

/** @param augment what `ImageSettings` can't hold. */
export function createImageMaker(settings: ImageSettings, augment?: Transform): ImageMaker {
  const { dataset, height, width, fit, position, fill, method, shrinkFirst } = settings;
  const toInput =
    fit === 'letterbox'
      ? letterbox(width, height, { position, fill, method })
      : resize(width, height, method);
  const normalise = normaliser(settings.mean, settings.std, settings.channels);
  const fitOf = (from: { width: number; height: number }): Fit =>
    fit === 'letterbox'
      ? letterboxFit(from, width, height, position)
      : { scaleX: width / from.width, scaleY: height / from.height, offsetX: 0, offsetY: 0 };

  return {
    async read(source, pixels) {
      const { index, objects } = source;
      let image: RgbImage;
      try {
        image = await pixels();
      } catch (error) {
        const { cause } = error as { cause?: { code?: unknown } };
        return { index, kind: cause?.code === 'ENOENT' ? 'missing-image' : 'broken-image', error };
      }
      const wrong = wrongSize(image, source, dataset);
      if (wrong !== undefined) return { index, kind: 'image-size', error: wrong };
      const sample: Sample = { image, objects };
      return shrinkFirst ? toInput(sample, createRandom(0)) : sample;
    },
    make({ source, copy }, { sample, partners }, seed, target, offset) {
      const random = imageRandom(seed, source.id, copy);
      let made = sample!;
      if (augment) made = augment(made, random, partners);
      const fitted = fitOf(shrinkFirst ? source : made.image);
      if (!shrinkFirst) made = toInput(made, random);
      normalise(made.image.data, target, offset);
      return { fit: fitted, objects: made.objects.filter((object) => hasArea(object.box)) };
    },
  };
}

export function isProblem(loaded: Sample | ImageProblem): loaded is ImageProblem {
  return 'kind' in loaded;
}

/** Loads what a task needs. The image itself stands in for a partner that can't be had. */
export async function loadTask(
  task: ImageTask,
  load: (source: ImageSource) => Promise<Sample | ImageProblem>,
): Promise<LoadedTask> {
  const [own, ...others] = await Promise.all([task.source, ...task.partners].map(load));
  const problems = [own, ...others].filter(isProblem);
  if (isProblem(own)) return { partners: [], problems };
  return { sample: own, partners: others.map((other) => (isProblem(other) ? own : other)), problems };
}

/** Writes `(value - mean) / std` by a table a channel. */
function normaliser(
  mean: readonly [number, number, number],
  std: readonly [number, number, number],
  channels: 'rgb' | 'bgr',
): (source: Uint8Array, target: Float32Array, offset: number) => void {
  const tables = mean.map((m, c) => Float32Array.from({ length: 256 }, (_, value) => (value - m) / std[c]));
  const [r, g, b] = tables;
  const [red, blue] = channels === 'rgb' ? [0, 2] : [2, 0];
  return (source, target, offset) => {
    for (let i = 0, t = offset; i < source.length; i += 3, t += 3) {
      target[t + red] = r[source[i]];
      target[t + 1] = g[source[i + 1]];
      target[t + blue] = b[source[i + 2]];
    }
  };
}

/** Boxes are in the annotation's pixels: an image of another size would silently misplace them. */
function wrongSize(image: RgbImage, { id, width, height }: ImageSource, dataset: string): Error | undefined {
  if (image.width === width && image.height === height) return undefined;
  return new Error(
    `${dataset}, image ${id}: it is ${image.width} x ${image.height}, its annotation says ` +
      `${width} x ${height}. Mend the annotation's size, or the image.`,
  );
}

function hasArea([x1, y1, x2, y2]: Box): boolean {
  return x2 > x1 && y2 > y1;
}
