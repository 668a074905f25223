import { expand, flipHorizontal, mosaic, photometricDistortion, transformSheet, type Sample } from 'detlab';
import { describe, expect, test } from 'vitest';

const plain = (value: number): Sample => ({
  image: { width: 16, height: 8, data: new Uint8Array(16 * 8 * 3).fill(value) },
  objects: [{ box: [2, 2, 10, 6], label: 0 }],
});
const sample = plain(90);
const classes = ['thing'];

describe('transformSheet', () => {
  test('shows the original and one of each, or several draws of one', async () => {
    const several = await transformSheet(
      sample,
      { flipped: flipHorizontal(1), larger: expand({ probability: 1 }), four: mosaic({ size: 8 }) },
      { classes, partners: [plain(1), plain(2), plain(3)], cell: 64, columns: 4, title: 'All' },
    );
    expect(several.width).toBe(4 * 64 + 3 * 12 + 12);
    const lines = several.description.split('\n').filter((line) => /\d x \d/.test(line));
    expect(lines.map((line) => line.replace(/:.*/, ''))).toEqual([
      '16 x 8, 1 object',
      '16 x 8, 1 object',
      expect.stringMatching(/^\d+ x \d+, 1 object$/),
      expect.stringMatching(/^16 x 16, 4 objects/),
    ]);
    const one = await transformSheet(sample, photometricDistortion(), { classes, draws: 5, cell: 64 });
    expect(one.description.match(/16 x 8, 1 object/g)).toHaveLength(6);
  });

  test('the same seed gives the same sheet, another one another', async () => {
    const png = async (seed: number): Promise<Buffer> =>
      (await transformSheet(sample, expand({ probability: 1 }), { classes, draws: 2, cell: 48, seed })).png();
    expect((await png(1)).equals(await png(1))).toBe(true);
    expect((await png(1)).equals(await png(2))).toBe(false);
  });

  test('tells what is wrong', async () => {
    await expect(transformSheet(sample, flipHorizontal(), { classes, draws: 0 })).rejects.toThrow(
      'draws is 0',
    );
    await expect(transformSheet(sample, mosaic({ size: 8 }), { classes })).rejects.toThrow(
      'takes 3 other samples',
    );
  });
});
