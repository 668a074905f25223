/** A drawn picture that a notebook shows and a grid can take in. */
import { displaySymbol, type MimeBundle, withMetadata } from './display';

/** What this file needs of a canvas; the whole type would slow a notebook cell that only mentions pictures. */
export interface PictureCanvas {
  readonly width: number;
  readonly height: number;
  toBuffer(type: 'image/png'): Buffer;
  toBuffer(type: 'image/jpeg', quality: number): Buffer;
}

/** A picture. It shows itself as a cell's last expression and through `show`. */
export interface Picture {
  /** Size at which it is shown, in CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** Bitmap pixels per CSS pixel: 2 where lines and letters should stay sharp on dense screens. */
  readonly pixelRatio: number;
  /** What is in it, in words: its text form. */
  readonly description: string;
  /** Whether ground truth and detections are drawn in it: a grid explains the two kinds of line. */
  readonly shows: { readonly groundTruth: boolean; readonly detections: boolean };
  /** Labels for which there was no room. */
  readonly hiddenLabels: number;
  /** The picture as a PNG file of `width * pixelRatio` by `height * pixelRatio` pixels. */
  png(): Buffer;
  [displaySymbol](): MimeBundle;
}

const canvases = new WeakMap<Picture, PictureCanvas>();

/** A PNG above this many bytes is worth trying as a JPEG. */
const largePng = 160_000;

/** Makes a picture of a finished canvas. */
export function makePicture(
  canvas: PictureCanvas,
  about: { pixelRatio: number; description: string; shows?: Picture['shows']; hiddenLabels?: number },
): Picture {
  const picture: Picture = {
    width: canvas.width / about.pixelRatio,
    height: canvas.height / about.pixelRatio,
    pixelRatio: about.pixelRatio,
    description: about.description,
    shows: about.shows ?? { groundTruth: false, detections: false },
    hiddenLabels: about.hiddenLabels ?? 0,
    png: () => canvas.toBuffer('image/png'),
    [displaySymbol]() {
      const { type, bytes } = smallestFile(canvas);
      // The size in the metadata makes viewers show a dense bitmap at its natural size.
      return withMetadata(
        { [type]: bytes.toString('base64'), 'text/plain': about.description },
        { [type]: { width: Math.round(this.width), height: Math.round(this.height) } },
      );
    },
  };
  canvases.set(picture, canvas);
  return picture;
}

/**
 * PNG for drawings and enlarged pixels, JPEG for photographs: one photograph as PNG weighs more than the rest of a notebook. At
 * two bitmap pixels per shown one JPEG's halved colour resolution is still a full one, so coloured lines stay crisp.
 */
export function smallestFile(canvas: PictureCanvas): { type: 'image/png' | 'image/jpeg'; bytes: Buffer } {
  const png = canvas.toBuffer('image/png');
  if (png.length <= largePng) return { type: 'image/png', bytes: png };
  const jpeg = canvas.toBuffer('image/jpeg', 78);
  return jpeg.length < png.length * 0.75
    ? { type: 'image/jpeg', bytes: jpeg }
    : { type: 'image/png', bytes: png };
}

/** The canvas behind a picture. */
export function canvasOf(picture: Picture): PictureCanvas {
  const canvas = canvases.get(picture);
  if (!canvas)
    throw new TypeError('this is not a picture that drawBoxes or imageGrid made; is an await missing?');
  return canvas;
}
