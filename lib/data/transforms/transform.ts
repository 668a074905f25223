/** Augmentation as functions: a sample and random numbers in, a new sample out; nothing is changed in place. */
import type { Box, GroundTruth } from '../../boxes/types';
import type { Random } from '../../tensor/random';
import type { RgbImage } from '../types';

/** An image with its objects; boxes are xyxy in pixels of this image. */
export interface Sample {
  readonly image: RgbImage;
  readonly objects: readonly GroundTruth[];
}

/** One augmentation. The same random stream gives the same result. */
export interface Transform {
  (sample: Sample, random: Random): Sample;
  /** Zooms, crops or pads, so it gains from the image at its original size; a loader may shrink before all others. */
  readonly changesSize?: boolean;
}

/** Applies transforms one after the other. Without any, the sample stays as it is. */
export function compose(...transforms: readonly Transform[]): Transform {
  const composed = (sample: Sample, random: Random): Sample =>
    transforms.reduce((current, transform) => transform(current, random), sample);
  return Object.assign(composed, {
    changesSize: transforms.some((transform) => transform.changesSize === true),
  });
}

/** Applies a transform with the given probability, else leaves the sample as it is. */
export function withProbability(probability: number, transform: Transform): Transform {
  const applied = (sample: Sample, random: Random): Sample =>
    random.next() < probability ? transform(sample, random) : sample;
  return Object.assign(applied, { changesSize: transform.changesSize === true });
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
