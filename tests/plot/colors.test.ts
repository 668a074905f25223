import { describe, expect, it } from 'vitest';
import {
  chartColors,
  classColor,
  classColors,
  contrastRatio,
  luminance,
  textColorOn,
} from '../../lib/plot/colors';
import { ciede2000, colorBlindness, linearRgb, linearToLab, seenThrough } from './color-distance';

function least(colors: readonly string[], see: (color: string) => [number, number, number]): number {
  let result = Infinity;
  for (let i = 0; i < colors.length; i++) {
    for (let j = 0; j < i; j++) result = Math.min(result, ciede2000(see(colors[i]), see(colors[j])));
  }
  return result;
}

describe('colour distance', () => {
  // Pairs 1, 7, 17 and 25 of the test data in Sharma, Wu and Dalal (2005), table 1.
  it.each([
    [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
    [[50, 0, 0], [50, -1, 2], 2.3669],
    [[50, 2.5, 0], [73, 25, -18], 27.1492],
    [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
  ] as [[number, number, number], [number, number, number], number][])('%j to %j is %f', (a, b, distance) => {
    expect(ciede2000(a, b)).toBeCloseTo(distance, 4);
  });
});

describe('class colours', () => {
  it('are distinct for 20 classes', () => {
    expect(classColors).toHaveLength(20);
    expect(least(classColors, (color) => linearToLab(linearRgb(color)))).toBeGreaterThan(20);
  });

  it('are fixed by the class id, valid and unrepeated up to 80 classes', () => {
    const colors = Array.from({ length: 80 }, (_, i) => classColor(i));
    for (const color of colors) expect(color).toMatch(/^#[0-9a-f]{6}$/);
    expect(new Set(colors).size).toBe(80);
    expect(classColor(0)).toBe('#e6194b');
  });

  it('carry text that can be read', () => {
    for (let i = 0; i < 80; i++) {
      const color = classColor(i);
      expect(contrastRatio(color, textColorOn(color))).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('name a class id that is none', () => {
    expect(() => classColor(-1)).toThrow(/-1/);
    expect(() => classColor(1.5)).toThrow(/1\.5/);
  });
});

describe('chart colours', () => {
  it('are eight that readers of every colour vision can tell apart', () => {
    expect(chartColors).toHaveLength(8);
    expect(least(chartColors, (color) => linearToLab(linearRgb(color)))).toBeGreaterThan(19);
    for (const matrix of Object.values(colorBlindness)) {
      expect(
        least(chartColors, (color) => linearToLab(seenThrough(matrix, linearRgb(color)))),
      ).toBeGreaterThan(12);
    }
  });

  it('are seen on white', () => {
    for (const color of chartColors) expect(contrastRatio(color, '#ffffff')).toBeGreaterThan(2);
  });
});

it('computes luminance and contrast as WCAG defines them', () => {
  expect(luminance('#ffffff')).toBeCloseTo(1, 6);
  expect(luminance('#000000')).toBe(0);
  expect(luminance('#808080')).toBeCloseTo(0.2159, 4);
  expect(contrastRatio('#000000', '#ffffff')).toBeCloseTo(21, 6);
  expect(() => luminance('red')).toThrow(/"red"/);
});
