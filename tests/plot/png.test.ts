import { PNG } from 'pngjs';
import { describe, expect, test } from 'vitest';
import { palettePng } from '../../lib/plot/png';

/** White with a few thousand shades of grey-blue at random, and a strip that goes from white to black. */
function picture(width: number, height: number): Uint8Array {
  const rgba = new Uint8Array(4 * width * height).fill(255);
  let state = 1;
  for (let i = 0; i < width * height; i++) {
    const x = i % width;
    state = (state * 48271) % 2147483647;
    if (x < 4) rgba.fill(Math.floor((255 * i) / (width * height)), 4 * i, 4 * i + 3);
    else if (x > 60 && state % 3 === 0) rgba.set([state % 251, state % 241, 200], 4 * i);
  }
  return rgba;
}

describe('PNG files with a palette', () => {
  test('keep few colours exactly', () => {
    const rgba = Uint8Array.from({ length: 4 * 256 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(i / 4)));
    expect([...PNG.sync.read(palettePng(rgba, 16, 16)).data]).toEqual([...rgba]);
  });

  test('change no colour much, however rare it is', () => {
    const rgba = picture(100, 255);
    const { data } = PNG.sync.read(palettePng(rgba, 100, 255));
    let [worst, strip] = [0, 0];
    for (let i = 0; i < rgba.length; i++) {
      const error = Math.abs(data[i] - rgba[i]);
      worst = Math.max(worst, error);
      if ((i >> 2) % 100 < 4) strip = Math.max(strip, error);
    }
    expect(worst).toBeLessThan(40);
    expect(strip).toBeLessThan(20);
    expect(palettePng(rgba, 100, 255)).toEqual(palettePng(rgba, 100, 255));
  });

  test('of another size are an error', () => {
    expect(() => palettePng(new Uint8Array(8), 2, 2)).toThrow('2x2 RGBA pixels are 16 bytes, got 8');
  });
});
