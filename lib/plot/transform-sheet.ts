/** What transforms do to a picture and its boxes, side by side. */
import type { GroundTruth } from '../boxes/types';
import type { Sample, Transform } from '../data/transforms/transform';
import { createRandom } from '../tensor/random';
import { drawBoxes } from './boxes';
import { imageGrid } from './image-grid';
import type { Picture } from './picture';

/** Options of {@link transformSheet}. */
export interface TransformSheetOptions {
  /** `classes[label]` is the name of class `label`. */
  classes: readonly string[];
  /** Other samples, for transforms that take some in (mosaic, copy-paste); each draw takes them in another order. */
  partners?: readonly Sample[];
  /** How often each transform is drawn (8 for a single one, 1 for several, unless told). */
  draws?: number;
  /** Fixes everything random (0 unless told): the same seed gives the same sheet. */
  seed?: number | string;
  /** Longer side of each picture in CSS pixels (210 unless told). */
  cell?: number;
  /** Pictures in a row; as many as fit into about 900 pixels unless told. */
  columns?: number;
  /** Class names at the boxes; unless told, where a picture has five objects at most. */
  labels?: boolean;
  title?: string;
}

/**
 * A grid of one sample: as it is, then under each transform, with the boxes that came out. Captions say the size, how many objects
 * there are, and how many are truncated where the transform cut some.
 *
 * ```ts
 * await transformSheet(sample, { expand: expand(), 'IoU crop': iouCrop() }, { classes });
 * await transformSheet(sample, largeScaleJitter({ width: 320, height: 320 }), { classes, draws: 11 });
 * ```
 * @param transforms one, drawn several times, or several by name.
 * @throws what the transforms throw; RangeError when there are fewer partners than one takes.
 */
export async function transformSheet(
  sample: Sample,
  transforms: Transform | Readonly<Record<string, Transform>>,
  options: TransformSheetOptions,
): Promise<Picture> {
  const { partners = [], seed = 0, cell = 210 } = options;
  const single = typeof transforms === 'function';
  const named: readonly (readonly [string, Transform])[] = single
    ? [['', transforms]]
    : Object.entries(transforms);
  const draws = options.draws ?? (single ? 8 : 1);
  if (!Number.isInteger(draws) || draws < 1) {
    throw new RangeError(`transformSheet: draws is ${draws}; it must be a whole number above 0`);
  }
  const pictures: Picture[] = [];
  const captions: string[] = [];
  const add = async (name: string, { image, objects }: Sample): Promise<void> => {
    const labels = options.labels ?? objects.length <= 5;
    const picture = await drawBoxes(image, {
      classes: options.classes,
      groundTruth: objects,
      groundTruthLabels: labels ? 'all' : 'none',
      scale: cell / Math.max(image.width, image.height),
      upscale: 'smooth', // whole pixels would make pictures of different widths
    });
    pictures.push(picture);
    captions.push([name, `${image.width} x ${image.height}, ${counted(objects)}`].filter(Boolean).join('\n'));
  };
  await add('original', sample);
  for (const [name, transform] of named) {
    for (let draw = 0; draw < draws; draw++) {
      const random = createRandom(`${seed}/${name}/${draw}`);
      const chosen = random.fork('partners').shuffle(partners);
      await add(draws > 1 && name !== '' ? `${name} ${draw + 1}` : name, transform(sample, random, chosen));
    }
  }
  const { columns, title } = options;
  return imageGrid(pictures, { captions, columns, title, align: 'bottom', key: false });
}

function counted(objects: readonly GroundTruth[]): string {
  const truncated = objects.filter((object) => object.truncated).length;
  const all =
    objects.length === 0 ? 'no objects' : `${objects.length} object${objects.length > 1 ? 's' : ''}`;
  return truncated > 0 ? `${all}, ${truncated} truncated` : all;
}
