import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import type { RgbImage } from '../../lib/data/types';
import { drawBoxes } from '../../lib/plot/boxes';
import { classColor, hexToRgb } from '../../lib/plot/colors';
import { bundleOf, displaySymbol } from '../../lib/plot/display';
import { imageGrid } from '../../lib/plot/image-grid';
import { createRandom } from '../../lib/tensor/random';

const classes = ['cat', 'dog', 'teapot'];

function plain(width: number, height: number, color: [number, number, number] = [40, 60, 80]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = color[i % 3];
  return { width, height, data };
}

function pixel(png: PNG, x: number, y: number): [number, number, number] {
  const i = (y * png.width + x) * 4;
  return [png.data[i], png.data[i + 1], png.data[i + 2]];
}

const read = (picture: { png(): Buffer }): PNG => PNG.sync.read(picture.png());

describe('drawBoxes', () => {
  it('enlarges a small image by whole pixels, without blur', async () => {
    const image = plain(96, 96);
    image.data.set([255, 0, 0], (10 * 96 + 20) * 3);
    const picture = await drawBoxes(image, { classes });
    const png = read(picture);
    expect([picture.width, picture.height, picture.pixelRatio]).toEqual([384, 384, 2]);
    expect([png.width, png.height]).toEqual([768, 768]);
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 8; x++) expect(pixel(png, 160 + x, 80 + y)).toEqual([255, 0, 0]);
    expect(pixel(png, 159, 80)).toEqual([40, 60, 80]);
    expect(pixel(png, 168, 87)).toEqual([40, 60, 80]);
  });

  it('shrinks a large image to 720 pixels and follows width and scale', async () => {
    expect((await drawBoxes(plain(1440, 700), { classes })).width).toBe(720);
    expect((await drawBoxes(plain(100, 50), { classes, width: 300 })).width).toBe(300);
    expect((await drawBoxes(plain(100, 50), { classes, scale: 1, upscale: 'smooth' })).width).toBe(100);
  });

  it('draws detections solid and ground truth dashed, in the colour of the class', async () => {
    const picture = await drawBoxes(plain(400, 400), {
      classes,
      scale: 1,
      detections: [{ box: [40, 50, 160, 150], label: 1, score: 0.87 }],
      groundTruth: [{ box: [220, 250, 360, 350], label: 2 }],
    });
    const png = read(picture);
    const along = (y: number, x1: number, x2: number): [number, number, number][] =>
      Array.from({ length: x2 - x1 }, (_, i) => pixel(png, x1 + i, y));
    const dog = hexToRgb(classColor(1));
    const teapot = hexToRgb(classColor(2));
    // The bottom edges, at twice the coordinates; labels are above.
    expect(along(300, 90, 310).every((c) => String(c) === String(dog))).toBe(true);
    const dashed = along(700, 450, 710);
    const colored = dashed.filter((c) => String(c) === String(teapot)).length / dashed.length;
    expect(colored).toBeGreaterThan(0.4);
    expect(colored).toBeLessThan(0.8);
    expect(picture.description).toContain('dog 0.87');
    expect(picture.description).toContain('Ground truth: teapot');
    // The detection's label: its colour fills the ground left of the text, above the box.
    expect(pixel(png, 84, 2 * (50 - 8))).toEqual(dog);
  });

  it('draws each number the same way twice', async () => {
    const make = (): Promise<{ png(): Buffer }> =>
      drawBoxes(plain(64, 64), { classes, detections: [{ box: [8, 20, 50, 60], label: 0, score: 0.5 }] });
    expect((await make()).png().equals((await make()).png())).toBe(true);
  });

  it('leaves out what is below the threshold and labels only what was missed', async () => {
    const box = [10, 30, 50, 60] as const;
    const picture = await drawBoxes(plain(96, 96), {
      classes,
      groundTruth: [{ box, label: 0 }],
      detections: [
        { box, label: 0, score: 0.9 },
        { box, label: 1, score: 0.29 },
      ],
    });
    expect(picture.description).toContain('Detections: cat 0.90.');
    expect(picture.shows).toEqual({ groundTruth: true, detections: true });
  });

  it('keeps a box on the picture edge visible', async () => {
    const picture = await drawBoxes(plain(100, 100), {
      classes,
      scale: 2,
      detections: [{ box: [-20, -20, 130, 130], label: 0, score: 1 }],
    });
    const png = read(picture);
    expect(pixel(png, png.width - 4, png.height / 2)).toEqual(hexToRgb(classColor(0)));
    expect(pixel(png, 4, png.height / 2)).toEqual(hexToRgb(classColor(0)));
  });

  it('draws letters without asking the machine for fonts', async () => {
    const { GlobalFonts } = await import('canvas');
    await drawBoxes(plain(8, 8), { classes });
    expect(GlobalFonts.has('Inter')).toBe(true);
    expect(GlobalFonts.has('Inter Greek')).toBe(true);
  });

  it('survives a crowd', async () => {
    const random = createRandom(7);
    const detections = Array.from({ length: 60 }, () => {
      const [x, y] = [random.uniform(0, 80), random.uniform(0, 80)];
      const box = [x, y, x + random.uniform(4, 30), y + random.uniform(4, 30)] as const;
      return { box, label: random.integer(3), score: random.uniform(0.3, 1) };
    });
    const picture = await drawBoxes(plain(96, 96), { classes, detections });
    if (picture.hiddenLabels > 0) expect(picture.description).toContain(`${picture.hiddenLabels} label`);
    expect(picture.hiddenLabels).toBeLessThan(30);
  });

  it('names the box that is wrong', async () => {
    const image = plain(32, 32);
    await expect(
      drawBoxes(image, { classes, groundTruth: [{ box: [0, 0, 9, 9], label: 3 }] }),
    ).rejects.toThrow(/groundTruth\[0\].*label 3.*3 names/);
    await expect(
      drawBoxes(image, {
        classes,
        detections: [
          { box: [0, 0, 9, 9], label: 0, score: 0.4 },
          { box: [0, NaN, 9, 9], label: 0, score: 0.9 },
        ],
      }),
    ).rejects.toThrow(/detections\[1\].*NaN/);
    await expect(drawBoxes({ ...image, width: 31 }, { classes })).rejects.toThrow(/31x32/);
  });

  it('shows itself as a picture of its natural size', async () => {
    const shown = await bundleOf(await drawBoxes(plain(48, 24), { classes }));
    expect(shown?.metadata).toEqual({ 'image/png': { width: 384, height: 192 } });
    expect(Object.keys(shown?.bundle ?? {})).toEqual(['image/png', 'text/plain']);
    const png = PNG.sync.read(Buffer.from(String(shown?.bundle['image/png']), 'base64'));
    expect([png.width, png.height]).toEqual([768, 384]);
  });

  it('sends a photograph as JPEG, which is far smaller', async () => {
    const random = createRandom(1);
    const image = plain(480, 360);
    for (let i = 0; i < image.data.length; i++) image.data[i] = 100 + random.integer(80);
    const bundle = (await drawBoxes(image, { classes }))[displaySymbol]();
    const bytes = Buffer.from(String(bundle['image/jpeg']), 'base64');
    expect(bytes.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
  });
});

describe('imageGrid', () => {
  it('lays pictures out in rows, pixel for pixel', async () => {
    const pictures = await Promise.all(
      (
        [
          [255, 0, 0],
          [0, 255, 0],
          [0, 0, 255],
        ] as [number, number, number][]
      ).map((color) => drawBoxes(plain(40, 40, color), { classes, scale: 2 })),
    );
    const grid = await imageGrid(pictures, { columns: 2, gap: 10 });
    expect([grid.width, grid.height]).toEqual([2 * 80 + 10 + 12, 2 * 80 + 10 + 12]);
    const png = read(grid);
    expect(pixel(png, 20, 20)).toEqual([255, 0, 0]);
    expect(pixel(png, 2 * (6 + 90 + 5), 20)).toEqual([0, 255, 0]);
    expect(pixel(png, 20, 2 * (6 + 90 + 5))).toEqual([0, 0, 255]);
    expect(pixel(png, 2 * (6 + 90 + 5), 2 * (6 + 90 + 5))).toEqual([255, 255, 255]);
    expect(pixel(png, 12, 12)).toEqual([255, 0, 0]);
    expect(pixel(png, 11, 12)).toEqual([255, 255, 255]);
  });

  it('wraps captions, grows with them, and keeps to a width', async () => {
    const picture = await drawBoxes(plain(50, 50), { classes, scale: 2 });
    const bare = await imageGrid([picture]);
    const long = await imageGrid([picture], { captions: ['one two three four five six seven eight nine'] });
    expect(long.height).toBeGreaterThan(bare.height + 32);
    expect(long.width).toBe(bare.width);
    expect(
      (await imageGrid([picture, picture, picture], { columns: 3, width: 200 })).width,
    ).toBeLessThanOrEqual(200);
  });

  it('explains the lines where both kinds are drawn', async () => {
    const box = [10, 10, 30, 30] as const;
    const both = await drawBoxes(plain(50, 50), {
      classes,
      groundTruth: [{ box, label: 0 }],
      detections: [{ box, label: 0, score: 1 }],
    });
    const only = await drawBoxes(plain(50, 50), { classes, groundTruth: [{ box, label: 0 }] });
    expect((await imageGrid([both])).height).toBe((await imageGrid([only])).height + 24);
  });

  it('says what is wrong', async () => {
    await expect(imageGrid([])).rejects.toThrow(/no pictures/);
    const picture = await drawBoxes(plain(8, 8), { classes });
    await expect(imageGrid([picture], { captions: ['a', 'b'] })).rejects.toThrow(/2 captions for 1/);
    await expect(imageGrid([{ ...picture }])).rejects.toThrow(/await/);
  });
});
