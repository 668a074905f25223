/** Reading and writing images: JPEG and PNG files to 8-bit RGB and back. */
import fs from 'node:fs/promises';
import type * as canvas from 'canvas';
import { reasonOf } from './files';
import { parseImageHeader, type ImageHeader } from './image-header';
import type { RgbImage } from './types';

/** Options of `readImage`. */
export interface ReadImageOptions {
  /**
   * `stored` (default): the pixel grid as stored, whatever its EXIF orientation says. This is what Pascal VOC's tools, PIL
   * and torchvision read, so annotations refer to it. `upright`: turned as EXIF asks, as a photo viewer shows it.
   */
  orientation?: 'stored' | 'upright';
}

/**
 * Reads a JPEG or PNG file.
 * @returns 8-bit RGB; grey is spread over the channels, transparency is dropped, 16 bits become 8.
 * @throws naming the file and the reason when it is missing, empty, cut short or not an image.
 */
export async function readImage(file: string, options: ReadImageOptions = {}): Promise<RgbImage> {
  try {
    return await decodeImage(await fs.readFile(file), options);
  } catch (error) {
    throw new Error(`Can't read the image ${file}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Size and EXIF orientation of an image file, from its first bytes. Throws as `readImage` does. */
export async function readImageHeader(file: string): Promise<ImageHeader> {
  return readEnds(file, false);
}

/**
 * `readImageHeader`, and a look at the file's end: throws for one that is cut short, too. Reads some kilobytes, so damage in
 * the middle goes unseen until the pixels are decoded.
 */
export async function checkImageFile(file: string): Promise<ImageHeader> {
  return readEnds(file, true);
}

/** How much of a file's beginning and end is read at first. */
const endBytes = 4096;

async function readEnds(file: string, checkEnd: boolean): Promise<ImageHeader> {
  try {
    const handle = await fs.open(file, 'r');
    try {
      const size = (await handle.stat()).size;
      const start = Buffer.alloc(Math.min(size, endBytes));
      await handle.read(start, 0, start.length, 0);
      let header: ImageHeader;
      let whole: Buffer | undefined;
      try {
        header = parseImageHeader(start);
      } catch (error) {
        if (size <= start.length) throw error;
        // Long metadata (a thumbnail, a colour profile) sits before the frame header.
        whole = await fs.readFile(file);
        header = parseImageHeader(whole);
      }
      if (header.width === 0 || header.height === 0) throw new Error('the image has no pixels');
      if (checkEnd) {
        const end = Buffer.alloc(Math.min(size, endBytes));
        await handle.read(end, 0, end.length, size - end.length);
        if (!endsWell(end, header.format)) checkWhole(whole ?? (await fs.readFile(file)), header.format);
      }
      return header;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new Error(`Can't read the image ${file}: ${reasonOf(error)}`, { cause: error });
  }
}

/** JPEG's end-of-image marker; the name of a PNG's last chunk. */
const endMarks = { jpeg: '\xff\xd9', png: 'IEND' } as const;

function endsWell(end: Buffer, format: ImageHeader['format']): boolean {
  return end.includes(endMarks[format], 0, 'latin1');
}

/** Decoders fill the rest of a cut file with grey and say nothing. A mark in the first half is a thumbnail's. */
function checkWhole(bytes: Buffer, format: ImageHeader['format']): void {
  if (bytes.lastIndexOf(endMarks[format], undefined, 'latin1') >= bytes.length / 2) return;
  const mark = format === 'jpeg' ? 'end-of-image marker' : 'IEND chunk';
  throw new Error(`the ${format.toUpperCase()} is cut short (it has no ${mark})`);
}

/** Decodes the bytes of a JPEG or PNG file; see `readImage`. */
export async function decodeImage(bytes: Uint8Array, options: ReadImageOptions = {}): Promise<RgbImage> {
  const header = parseImageHeader(bytes);
  const image = header.format === 'png' ? await decodePng(bytes) : await decodeJpeg(bytes, header);
  return options.orientation === 'upright' ? orient(image, header.orientation) : image;
}

/** Encodes an 8-bit RGB PNG. */
export async function encodePng(image: RgbImage): Promise<Uint8Array> {
  const { PNG } = await import('pngjs');
  const { width, height } = image;
  const data = Buffer.from(image.data.buffer, image.data.byteOffset, image.data.byteLength);
  const png = Object.assign(new PNG({ width, height }), { data });
  return PNG.sync.write(png, { inputHasAlpha: false, inputColorType: 2, colorType: 2 });
}

/** Skia's decoder is three to five times as fast as the JavaScript one, which serves where its binary can't be loaded. */
async function decodeJpeg(bytes: Uint8Array, { width, height, orientation }: ImageHeader): Promise<RgbImage> {
  checkWhole(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 'jpeg');
  const canvas = await loadCanvas();
  // Skia turns the picture as EXIF says; the stored grid is wanted here.
  if (canvas === undefined || orientation !== 1) return decodeJpegPortable(bytes);
  const picture = await canvas.loadImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (picture.width !== width || picture.height !== height) {
    throw new Error(`the decoder made ${picture.width} x ${picture.height} of a ${width} x ${height} JPEG`);
  }
  const context = canvas.createCanvas(width, height).getContext('2d');
  context.drawImage(picture, 0, 0);
  return { width, height, data: dropAlpha(context.getImageData(0, 0, width, height).data, width * height) };
}

/** Decodes a JPEG in JavaScript: slower, but to the same bytes on every machine and always as stored. */
export async function decodeJpegPortable(bytes: Uint8Array): Promise<RgbImage> {
  const jpeg = await import('jpeg-js');
  const limits = { maxMemoryUsageInMB: 2048, maxResolutionInMP: 400 };
  const { width, height, data } = jpeg.decode(bytes, { useTArray: true, formatAsRGBA: false, ...limits });
  return { width, height, data };
}

/** PNG stays with pngjs: exact where there is transparency, and it checks the checksums. */
async function decodePng(bytes: Uint8Array): Promise<RgbImage> {
  const { PNG } = await import('pngjs');
  let png: { width: number; height: number; data: Buffer };
  try {
    png = PNG.sync.read(Buffer.from(bytes));
  } catch (error) {
    throw new Error(`the PNG is cut short or damaged (${reasonOf(error)})`, { cause: error });
  }
  return { width: png.width, height: png.height, data: dropAlpha(png.data, png.width * png.height) };
}

type Canvas = Pick<typeof canvas, 'loadImage' | 'createCanvas'>;
let canvasModule: Promise<Canvas | undefined> | undefined;

function loadCanvas(): Promise<Canvas | undefined> {
  canvasModule ??= import('canvas').catch(() => undefined);
  return canvasModule;
}

/** RGBA to RGB. */
function dropAlpha(rgba: ArrayLike<number>, pixels: number): Uint8Array {
  const data = new Uint8Array(pixels * 3);
  for (let i = 0, s = 0, t = 0; i < pixels; i++, s += 4) {
    data[t++] = rgba[s];
    data[t++] = rgba[s + 1];
    data[t++] = rgba[s + 2];
  }
  return data;
}

/** Turns the stored grid upright; `orientation` is EXIF's 1 to 8 (5 to 8 swap width and height). */
function orient(image: RgbImage, orientation: number): RgbImage {
  if (orientation === 1) return image;
  const { width: w, height: h } = image;
  const swap = orientation >= 5;
  const [width, height] = swap ? [h, w] : [w, h];
  const data = new Uint8Array(image.data.length);
  // EXIF: 2-4 mirror and turn by 180 degrees, 5-8 do so after a transposition.
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const a = swap ? y : x;
      const b = swap ? x : y;
      const source = ((fromBottom ? h - 1 - b : b) * w + (fromRight ? w - 1 - a : a)) * 3;
      data.set(image.data.subarray(source, source + 3), (y * width + x) * 3);
    }
  }
  return { width, height, data };
}
