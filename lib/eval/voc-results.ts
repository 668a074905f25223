/** Detections as Pascal VOC's development kit and its evaluation server take them. */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Detection } from '../boxes/types';

/** What `writeVocResults` writes. */
export interface VocResultsInput {
  /** Of the images, as the data set names them: the last part of `VOC2012/2008_000001` is the image's name. */
  readonly ids: readonly string[];
  /** For each image, in pixels; see `detectAll`. */
  readonly detections: readonly (readonly Detection[])[];
  /** Names by label. */
  readonly classes: readonly string[];
  /** Of the image set, as in the files' names. Default `test`. */
  readonly set?: string;
}

/**
 * Writes one file a class, `comp4_det_SET_CLASS.txt` (competition 4: detection, trained on other data too), with a line a detection: image,
 * score, and the corners as 1-based pixel indices, both ends included. Classes without detections get an empty file.
 * @returns the files' paths.
 * @throws RangeError on a label without a class, or lists of different lengths.
 */
export async function writeVocResults(folder: string, input: VocResultsInput): Promise<string[]> {
  const { ids, detections, classes, set = 'test' } = input;
  if (ids.length !== detections.length)
    throw new RangeError(
      `writeVocResults: ${ids.length} images, but detections of ${detections.length}; give one list an image`,
    );
  const lines: string[][] = classes.map(() => []);
  detections.forEach((found, i) => {
    const image = ids[i].slice(ids[i].lastIndexOf('/') + 1);
    for (const { label, score, box } of found) {
      if (!(label in lines))
        throw new RangeError(
          `writeVocResults: image ${ids[i]} has a detection of class ${label}; there are ${classes.length} classes, from 0`,
        );
      const [x1, y1, x2, y2] = box;
      const corners = [x1 + 1, y1 + 1, x2, y2].map((value) => value.toFixed(6));
      lines[label].push([image, String(score), ...corners].join(' '));
    }
  });
  await fs.mkdir(folder, { recursive: true });
  return Promise.all(
    classes.map(async (name, label) => {
      const file = path.join(folder, `comp4_det_${set}_${name}.txt`);
      await fs.writeFile(file, lines[label].map((line) => `${line}\n`).join(''));
      return file;
    }),
  );
}
