/** What a data set is to the rest of the library. */
import type { GroundTruth } from '../boxes/types';

/** An 8-bit RGB image: `data[(y * width + x) * 3 + channel]`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Where an image's pixels are: enough to read it in another thread with `readImage(path, { orientation })`. */
export interface ImageFile {
  readonly path: string;
  /** `upright` where the annotations refer to the picture as EXIF turns it. */
  readonly orientation: 'stored' | 'upright';
}

/** One annotated image; the pixels are read when asked for. */
export interface Example {
  /** Unique within the data set (the file name without its extension, in VOC). */
  readonly id: string;
  /** Size in pixels, as the annotation gives it. */
  readonly width: number;
  readonly height: number;
  /** Boxes in pixels of this image. May be empty. */
  readonly objects: readonly GroundTruth[];
  /** The file that `image` reads, where there is one. */
  readonly file?: ImageFile;
  /** Reads and decodes the image. Rejects with file and reason when it is missing or corrupt. */
  image(): Promise<RgbImage>;
}

/** A detection data set: class names and annotated images. */
export interface DetectionDataset {
  readonly name: string;
  /** `classes[label]` is the name of class `label`. */
  readonly classes: readonly string[];
  readonly examples: readonly Example[];
}
