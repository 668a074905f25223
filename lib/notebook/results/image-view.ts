/** What images show as a cell's value: pixels, canvases, and the bytes of image files. */
import { parseImageHeader } from '../../data/image-header';
import { loadCanvas } from '../../plot/canvas';
import type { ShownBundle } from '../../plot/display';
import { formatSize } from '../../plot/format';
import { type PictureCanvas, smallestFile } from '../../plot/picture';
import { toRgba } from '../../plot/pixels';

/** CSS pixels; larger images are shown smaller than they are, and stored whole. */
const mostWidth = 720;
/** Pixels of an image whose longer side is below the first are repeated until that side has about the second. */
const smallSide = 160;
const enlargedSide = 320;

/** An image in memory: the library's RGB images, the ImageData of a canvas, and what has the same fields. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** An image as a picture; `undefined` for what is none. */
export async function imageView(value: unknown): Promise<ShownBundle | undefined> {
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof Uint8Array) return fileView(value);
  if (isCanvas(value)) {
    const { width, height } = value;
    return shown('image/png', value.toBuffer('image/png'), `image ${width} x ${height}`, { width, height });
  }
  return isPixels(value) ? pixelsView(value) : undefined;
}

function isPixels(value: object): value is Pixels {
  const { width, height, data } = value as Partial<Pixels>;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) return false;
  const pixels = isSide(width) && isSide(height) ? width * height : 0;
  return pixels > 0 && (data.length === 3 * pixels || data.length === 4 * pixels);
}

function isCanvas(value: object): value is PictureCanvas {
  const canvas = value as Partial<PictureCanvas & { getContext: unknown }>;
  return (
    typeof canvas.getContext === 'function' &&
    typeof canvas.toBuffer === 'function' &&
    isSide(canvas.width) &&
    isSide(canvas.height)
  );
}

function isSide(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}

async function pixelsView({ width, height, data }: Pixels): Promise<ShownBundle> {
  const { createCanvas, ImageData } = await loadCanvas();
  const rgb = data.length === 3 * width * height;
  const rgba = rgb ? toRgba({ width, height, data: data as Uint8Array }) : Uint8ClampedArray.from(data);
  let canvas = createCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(rgba, width, height), 0, 0);
  const longer = Math.max(width, height);
  const factor = longer < smallSide ? Math.floor(enlargedSide / longer) : 1;
  if (factor > 1) {
    const small = canvas;
    canvas = createCanvas(width * factor, height * factor);
    const context = canvas.getContext('2d');
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }
  // JPEG knows no transparency.
  const { type, bytes } = rgb
    ? smallestFile(canvas)
    : { type: 'image/png', bytes: canvas.toBuffer('image/png') };
  const text = `image ${width} x ${height}${factor > 1 ? `, shown ${factor} times as large` : ''}`;
  return shown(type, bytes, text, canvas);
}

/** The bytes of a PNG, JPEG, GIF, WebP or SVG file. */
function fileView(bytes: Uint8Array): ShownBundle | undefined {
  const type = typeOf(bytes);
  if (type === undefined) return undefined;
  const kind = `${type.slice(6).replace('+xml', '').toUpperCase()} file`;
  const size = type === 'image/svg+xml' ? undefined : sizeOf(bytes, type);
  const text = `${kind}, ${size ? `${size.width} x ${size.height}, ` : ''}${formatSize(bytes.length)}`;
  if (type !== 'image/svg+xml') return shown(type, bytes, text, size);
  return { bundle: { [type]: Buffer.from(bytes).toString('utf8'), 'text/plain': text }, metadata: {} };
}

function typeOf(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 400)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (/^GIF8[79]a/.test(start)) return 'image/gif';
  if (/^RIFF[^]{4}WEBP/.test(start)) return 'image/webp';
  if (
    /^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--[^]*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]/.test(
      start,
    )
  )
    return 'image/svg+xml';
  return undefined;
}

function sizeOf(bytes: Uint8Array, type: string): { width: number; height: number } | undefined {
  if (type === 'image/gif' && bytes.length > 9) {
    return { width: bytes[6] | (bytes[7] << 8), height: bytes[8] | (bytes[9] << 8) };
  }
  try {
    if (type !== 'image/png' && type !== 'image/jpeg') return undefined;
    const { width, height, orientation } = parseImageHeader(bytes);
    // Viewers turn a photograph as its camera said.
    return orientation >= 5 ? { width: height, height: width } : { width, height };
  } catch {
    return undefined; // a viewer may still make something of it
  }
}

/** A picture with its text; the metadata keep a large one from filling the notebook. */
function shown(
  type: string,
  bytes: Uint8Array,
  text: string,
  size: { width: number; height: number } | undefined,
): ShownBundle {
  const metadata: Record<string, unknown> = {};
  if (size && size.width > mostWidth) {
    metadata[type] = { width: mostWidth, height: Math.round((size.height * mostWidth) / size.width) };
  }
  const bundle = { [type]: Buffer.from(bytes).toString('base64'), 'text/plain': text };
  return { bundle, metadata };
}
