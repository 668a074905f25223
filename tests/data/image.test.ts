import fs from 'node:fs';
import path from 'node:path';
import jpeg from 'jpeg-js';
import { describe, expect, test } from 'vitest';
import { decodeImage, decodeJpegPortable, encodePng, readImage, readImageHeader } from '../../lib/data/image';
import { parseImageHeader } from '../../lib/data/image-header';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import { resizeImage, resizeMethods } from '../../lib/data/resize';
import type { RgbImage } from '../../lib/data/types';
import { temporaryFolder } from './temporary';

/** Smooth enough for JPEG, different in every direction and channel. */
function picture(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data.set(
        [(x * 255) / width, (y * 255) / height, 128 + 60 * Math.sin((x + 2 * y) / 9)],
        (y * width + x) * 3,
      );
    }
  }
  return { width, height, data };
}

function psnr(a: RgbImage, b: RgbImage): number {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2;
  return 10 * Math.log10((255 * 255) / (sum / a.data.length));
}

/** Puts an EXIF segment with an orientation in front of the JPEG's other segments. */
function withOrientation(bytes: Uint8Array, orientation: number): Uint8Array {
  const exif = [
    0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1,
  ];
  const body = [...exif, 0, orientation, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...bytes.subarray(2)]);
}

describe('encodeJpeg', () => {
  test.each([
    [64, 64],
    [61, 37],
    [16, 9],
    [8, 200],
  ])(
    '%d x %d decodes, by two decoders, to as good a picture as a reference encoder makes',
    async (width, height) => {
      const image = picture(width, height);
      const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
        i % 4 === 3 ? 255 : image.data[(i >> 2) * 3 + (i % 4)],
      );
      for (const quality of [30, 75, 90, 100]) {
        const bytes = encodeJpeg(image, quality);
        const reference = jpeg.encode({ data: rgba, width, height }, quality).data;
        const expected = psnr(await decodeJpegPortable(reference), image);
        expect(psnr(await decodeJpegPortable(bytes), image)).toBeGreaterThan(expected - 0.5);
        expect(psnr(await decodeImage(bytes), image)).toBeGreaterThan(expected - 1);
        expect(bytes.length).toBeLessThan(reference.length * 1.05);
      }
    },
  );

  test('noise at quality 100, where values are largest, survives', async () => {
    let state = 1;
    const data = Uint8Array.from({ length: 32 * 32 * 3 }, () => (state = (state * 48271) % 2147483647) % 256);
    const image = { width: 32, height: 32, data };
    expect(psnr(await decodeJpegPortable(encodeJpeg(image, 100)), image)).toBeGreaterThan(45);
  });

  test('names a wrong quality or size', () => {
    expect(() => encodeJpeg(picture(8, 8), 0)).toThrow(/quality is 0/);
    expect(() => encodeJpeg({ width: 0, height: 3, data: new Uint8Array(0) }, 90)).toThrow(/0 x 3/);
  });
});

describe('readImage', () => {
  test('reads back a PNG exactly', async () => {
    const file = path.join(temporaryFolder(), 'a.png');
    const image = picture(13, 7);
    fs.writeFileSync(file, await encodePng(image));
    expect(await readImage(file)).toEqual(image);
    expect(await readImageHeader(file)).toEqual({ format: 'png', width: 13, height: 7, orientation: 1 });
  });

  test('EXIF orientation: the stored grid by default, upright on request', async () => {
    const image = picture(40, 24);
    for (let orientation = 1; orientation <= 8; orientation++) {
      const bytes = withOrientation(encodeJpeg(image, 95), orientation);
      expect(parseImageHeader(bytes)).toEqual({ format: 'jpeg', width: 40, height: 24, orientation });
      expect(psnr(await decodeImage(bytes), image)).toBeGreaterThan(35);
      const upright = await decodeImage(bytes, { orientation: 'upright' });
      expect([upright.width, upright.height]).toEqual(orientation < 5 ? [40, 24] : [24, 40]);
      // EXIF says which side of the scene the stored row 0 and column 0 are: the stored corner (0, 0) is found there.
      const row = ['', 'top', 'top', 'bottom', 'bottom', 'left', 'right', 'right', 'left'][orientation];
      const column = ['', 'left', 'right', 'right', 'left', 'top', 'top', 'bottom', 'bottom'][orientation];
      const x = row === 'right' || column === 'right' ? upright.width - 1 : 0;
      const y = row === 'bottom' || column === 'bottom' ? upright.height - 1 : 0;
      const at = (y * upright.width + x) * 3;
      for (let c = 0; c < 3; c++) expect(Math.abs(upright.data[at + c] - image.data[c])).toBeLessThan(25);
    }
  });

  test('says what is wrong with a file, and which file', async () => {
    const folder = temporaryFolder();
    const file = path.join(folder, 'x.jpg');
    const bytes = encodeJpeg(picture(64, 64), 90);
    await expect(readImage(file)).rejects.toThrow(`Can't read the image ${file}: there is no such file`);
    await expect(readImage(folder)).rejects.toThrow('it is a folder');
    for (const [content, reason] of [
      [new Uint8Array(0), 'the file is empty'],
      [Buffer.from('hello there'), 'neither JPEG nor PNG'],
      [bytes.subarray(0, 100), 'ends before its frame header'],
      [bytes.subarray(0, bytes.length - 200), 'cut short'],
      [(await encodePng(picture(64, 64))).subarray(0, 2000), 'cut short or damaged'],
    ] as const) {
      fs.writeFileSync(file, content);
      await expect(readImage(file)).rejects.toThrow(`Can't read the image ${file}: `);
      await expect(readImage(file)).rejects.toThrow(reason);
    }
  });
});

describe('resizeImage', () => {
  test('area: every target pixel is the mean of the source it covers (scalar double loop)', () => {
    const image = picture(17, 11);
    const [width, height] = [5, 4];
    const result = resizeImage(image, width, height, 'area');
    const [sx, sy] = [image.width / width, image.height / height];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let j = 0; j < image.height; j++) {
            for (let i = 0; i < image.width; i++) {
              const w = Math.max(0, Math.min((x + 1) * sx, i + 1) - Math.max(x * sx, i));
              const h = Math.max(0, Math.min((y + 1) * sy, j + 1) - Math.max(y * sy, j));
              sum += w * h * image.data[(j * image.width + i) * 3 + c];
            }
          }
          expect(Math.abs(result.data[(y * width + x) * 3 + c] - sum / (sx * sy))).toBeLessThan(0.51);
        }
      }
    }
  });

  test('bilinear: hand-computed; nearest: repeats; same size: the same', () => {
    const image = { width: 2, height: 1, data: Uint8Array.from([0, 0, 0, 100, 200, 40]) };
    // Centres at 0.25, 0.75, 1.25, 1.75 of the source: the outer two are clamped, the inner two a quarter and three quarters.
    expect([...resizeImage(image, 4, 1, 'bilinear').data]).toEqual([
      0, 0, 0, 25, 50, 10, 75, 150, 30, 100, 200, 40,
    ]);
    expect([...resizeImage(image, 4, 1, 'nearest').data]).toEqual([
      0, 0, 0, 0, 0, 0, 100, 200, 40, 100, 200, 40,
    ]);
    expect(resizeImage(image, 2, 1)).toBe(image);
    expect(() => resizeImage(image, 0, 4)).toThrow('0 x 4');
  });

  test('white stays white at any ratio', () => {
    for (const side of [7, 33, 100, 129]) {
      const white = { width: 50, height: 50, data: new Uint8Array(7500).fill(255) };
      expect(Math.min(...resizeImage(white, side, side).data)).toBe(255);
    }
  });

  test.each(resizeMethods)(
    '%s: white stays white from any length to any other, along both axes',
    (method) => {
      // Quotients are rounded: 11 * (45 / 33) is less than 15.
      const dark: string[] = [];
      for (let from = 1; from <= 120; from++) {
        const data = new Uint8Array(from * 3).fill(255);
        for (let to = 1; to <= 120; to++) {
          const wide = resizeImage({ width: from, height: 1, data }, to, 1, method);
          const tall = resizeImage({ width: 1, height: from, data }, 1, to, method);
          if (![...wide.data, ...tall.data].every((value) => value === 255)) dark.push(`${from} to ${to}`);
        }
      }
      expect(dark).toEqual([]);
    },
  );
});
