import { createCanvas, loadImage } from 'canvas';
import { describe, expect, test } from 'vitest';
import { encodePng } from 'detlab';
import { shownResult } from '../../../lib/notebook/engine/result';

/** RGB of an image whose pixels count up. */
function image(
  width: number,
  height: number,
  channels: number = 3,
): { width: number; height: number; data: Uint8Array } {
  return { width, height, data: Uint8Array.from({ length: width * height * channels }, (_, i) => i % 251) };
}

async function pixelsOf(
  base64: unknown,
): Promise<{ width: number; height: number; data: Uint8ClampedArray }> {
  const picture = await loadImage(Buffer.from(String(base64), 'base64'));
  const context = createCanvas(picture.width, picture.height).getContext('2d');
  context.drawImage(picture, 0, 0);
  const { width, height } = picture;
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

describe('an image in memory', () => {
  test('is a picture of the same pixels', async () => {
    const original = image(200, 170);
    const shown = await shownResult(original);
    expect(shown?.metadata).toEqual({});
    expect(Object.keys(shown!.bundle)).toEqual(['image/png', 'text/plain']);
    expect(shown?.bundle['text/plain']).toBe('image 200 x 170');
    const { width, height, data } = await pixelsOf(shown?.bundle['image/png']);
    expect([width, height]).toEqual([200, 170]);
    const rgb = data.filter((_, i) => i % 4 !== 3);
    expect(Buffer.from(rgb).equals(Buffer.from(original.data))).toBe(true);
  });

  test('has its pixels repeated where it is small', async () => {
    const shown = await shownResult({ width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) });
    expect(shown?.bundle['text/plain']).toBe('image 2 x 1, shown 160 times as large');
    const { width, height, data } = await pixelsOf(shown?.bundle['image/png']);
    expect([width, height]).toEqual([320, 160]);
    const at = (x: number, y: number): number[] => [...data.slice(4 * (y * 320 + x), 4 * (y * 320 + x) + 4)];
    expect(at(159, 80)).toEqual([255, 0, 0, 255]);
    expect(at(160, 80)).toEqual([0, 0, 255, 255]);
  });

  test('is stored whole and shown smaller where it is wide', async () => {
    const shown = await shownResult({ width: 1600, height: 1000, data: new Uint8Array(1600 * 1000 * 3) });
    expect(shown?.metadata).toEqual({ 'image/png': { width: 720, height: 450 } });
    expect(await pixelsOf(shown?.bundle['image/png'])).toMatchObject({ width: 1600, height: 1000 });
  });

  test('is a JPEG where a PNG would be several times as heavy', async () => {
    const smooth = { ...image(900, 600), data: new Uint8Array(900 * 600 * 3) };
    for (let i = 0; i < smooth.data.length; i++) {
      smooth.data[i] = 128 + 60 * Math.sin(i / 997) + 50 * Math.cos((i % 2700) / 211) + ((i * 7919) % 13);
    }
    const shown = await shownResult(smooth);
    expect(Object.keys(shown!.bundle)).toEqual(['image/jpeg', 'text/plain']);
    expect(shown?.metadata).toEqual({ 'image/jpeg': { width: 720, height: 480 } });
  });

  test('keeps its transparency', async () => {
    const data = new Uint8ClampedArray(200 * 200 * 4);
    data.set([10, 200, 30, 255]);
    const shown = await shownResult({ width: 200, height: 200, data });
    const pixels = (await pixelsOf(shown?.bundle['image/png'])).data;
    expect([...pixels.slice(0, 8)]).toEqual([10, 200, 30, 255, 0, 0, 0, 0]);
  });

  test('is told from what only looks like one', async () => {
    for (const value of [
      { width: 2, height: 2, data: new Uint8Array(5) },
      { width: 0, height: 0, data: new Uint8Array(0) },
      { width: 1.5, height: 2, data: new Uint8Array(9) },
      { width: 1, height: 1, data: [1, 2, 3] },
    ]) {
      expect(Object.keys((await shownResult(value))!.bundle)).toEqual(['text/plain']);
    }
  });

  test('on a canvas is a PNG, and so are its pixels', async () => {
    const canvas = createCanvas(800, 200);
    const context = canvas.getContext('2d');
    context.fillRect(0, 0, 400, 200);
    const shown = await shownResult(canvas);
    expect(shown).toMatchObject({
      bundle: { 'text/plain': 'image 800 x 200' },
      metadata: { 'image/png': { width: 720, height: 180 } },
    });
    expect((await pixelsOf(shown?.bundle['image/png'])).data[3]).toBe(255);
    const part = await shownResult(context.getImageData(300, 0, 200, 200));
    expect(part?.bundle['text/plain']).toBe('image 200 x 200');
    expect((await pixelsOf(part?.bundle['image/png'])).data[4 * 150 + 3]).toBe(0);
  });
});

describe('the bytes of an image file', () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';

  test('are shown as the file, byte for byte', async () => {
    const png = await encodePng(image(20, 10));
    expect(await shownResult(png)).toEqual({
      bundle: {
        'image/png': Buffer.from(png).toString('base64'),
        'text/plain': `PNG file, 20 x 10, ${png.length} bytes`,
      },
      metadata: {},
    });
  });

  test.each<[string, Uint8Array, string, string]>([
    ['GIF', Buffer.from('GIF89a\x0a\x00\x05\x00\x80', 'latin1'), 'image/gif', 'GIF file, 10 x 5, 11 bytes'],
    ['WebP', Buffer.from('RIFF\x10\x00\x00\x00WEBPVP8 ', 'latin1'), 'image/webp', 'WEBP file, 16 bytes'],
    ['SVG', Buffer.from(svg), 'image/svg+xml', `SVG file, ${svg.length} bytes`],
    ['SVG', Buffer.from(`<?xml version="1.0"?>\n<!-- a -->\n${svg}`), 'image/svg+xml', 'SVG file, 95 bytes'],
    ['cut PNG', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), 'image/png', 'PNG file, 8 bytes'],
  ])('are told by their start: %s', async (_, bytes, mime, text) => {
    const { bundle } = (await shownResult(bytes))!;
    expect(Object.keys(bundle)).toEqual([mime, 'text/plain']);
    expect(bundle['text/plain']).toBe(text);
    expect(bundle[mime]).toBe(
      mime === 'image/svg+xml' ? bytes.toString() : Buffer.from(bytes).toString('base64'),
    );
  });

  test('are read inside of a larger buffer, and shown no wider than a page', async () => {
    const png = await encodePng({ width: 1440, height: 10, data: new Uint8Array(1440 * 30) });
    const buffer = Buffer.concat([Buffer.alloc(7), png]);
    const shown = await shownResult(new Uint8Array(buffer.buffer, buffer.byteOffset + 7, png.length));
    expect(shown?.metadata).toEqual({ 'image/png': { width: 720, height: 5 } });
  });

  test('are told from other bytes', async () => {
    for (const bytes of [
      Buffer.from('<p>svg</p>'),
      Buffer.from('text'),
      new Uint8Array(0),
      new Uint8Array(9),
    ]) {
      expect(Object.keys((await shownResult(bytes))!.bundle)).toEqual(['text/plain']);
    }
  });
});
