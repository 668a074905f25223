/** Reading and writing images: JPEG and PNG files to 8-bit RGB and back. */
import fs from 'node:fs/promises';
import type * as canvas from 'canvas';
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
  try {
    const handle = await fs.open(file, 'r');
    try {
      const size = (await handle.stat()).size;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.min(size, 4096)), 0, undefined, 0);
      try {
        return parseImageHeader(buffer.subarray(0, bytesRead));
      } catch (error) {
        if (size <= bytesRead) throw error;
      }
      // Long metadata (a thumbnail, a colour profile) sits before the frame header.
      return parseImageHeader(await fs.readFile(file));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new Error(`Can't read the image ${file}: ${reasonOf(error)}`, { cause: error });
  }
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
  // Decoders fill the rest of a cut file with grey and say nothing: look for the end-of-image marker.
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).lastIndexOf(
    '\xff\xd9',
    undefined,
    'latin1',
  );
  if (end < bytes.length / 2) throw new Error('the JPEG is cut short (it has no end-of-image marker)');
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

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  return error.message;
}
