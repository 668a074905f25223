/** Strips of architectures: every block is in the drawing, in its place, with its choice's colour and number. */
import { describe, expect, test } from 'vitest';
import { architectureChart, type ArchitectureStrip, chartColors, detNasReleases, detNasSizes } from 'detlab';
import { chartSvg } from '../../lib/plot/render';

const choices = ['3x3', '5x5', '7x7', 'Xception'];
const strips: ArchitectureStrip[] = [
  { name: 'a', architecture: [0, 1, 2, 3], stages: [1, 3], note: '10 million' },
  { name: 'b', architecture: [3, 3], stages: [1, 1] },
];

interface Block {
  name: string;
  from: number;
  to: number;
  number: number;
  choice: string;
}
const blocksOf = (spec: object): Block[] =>
  (spec as { layer: { data: { values: Block[] } }[] }).layer[0].data.values;

describe('a chart of architectures', () => {
  test('has a square a block, and a gap between stages', () => {
    const blocks = blocksOf(architectureChart(strips, { choices }));
    expect(blocks.filter(({ name }) => name === 'a').map(({ from, number }) => [from, number])).toEqual([
      [0, 0],
      [1.5, 1],
      [2.5, 2],
      [3.5, 3],
    ]);
    expect(blocks.filter(({ name }) => name === 'b').map(({ from, choice }) => [from, choice])).toEqual([
      [0, 'Xception'],
      [1.5, 'Xception'],
    ]);
  });

  test('says all of it in words', () => {
    expect(architectureChart(strips, { choices, title: 'Two' }).description).toBe(
      'Two. Architectures as strips of 3x3, 5x5, 7x7, Xception: a 0123 (10 million); b 33.',
    );
  });

  test('is drawn: colours, numbers, names and notes', async () => {
    const svg = await chartSvg(architectureChart(strips, { choices }));
    for (const text of ['>a<', '>b<', '>10 million<', '>Xception<', '>2<']) expect(svg).toContain(text);
    for (const color of chartColors.slice(0, 4)) expect(svg).toContain(color);
  });

  test('draws all released networks, of 20 and of 40 blocks', async () => {
    const released = detNasReleases.map(({ name, size, architecture }) => ({
      name,
      architecture,
      stages: detNasSizes[size].blocks,
    }));
    const chart = architectureChart(released, { choices });
    expect(blocksOf(chart)).toHaveLength(6 * 20 + 2 * 40);
    expect(await chartSvg(chart)).toContain('COCO-FPN-3.8G');
  });

  test('says what it cannot draw', () => {
    expect(() => architectureChart([], { choices })).toThrow(/no strips/);
    expect(() => architectureChart([strips[0], strips[0]], { choices })).toThrow(/two strips are called "a"/);
    expect(() => architectureChart([{ ...strips[0], stages: [1, 2] }], { choices })).toThrow(
      /"a" has 4 blocks, its stages 3/,
    );
    expect(() => architectureChart(strips, { choices: choices.slice(0, 3) })).toThrow(
      /block 3 of "a" has choice 3; there are names of 0 to 2/,
    );
  });
});
