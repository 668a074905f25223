import { describe, expect, it } from 'vitest';
import type { Box } from '../../lib/boxes/types';
import { type LabelPlace, type LabelRequest, placeLabels } from '../../lib/plot/label-placement';
import { createRandom } from '../../lib/tensor/random';

const overlaps = (a: LabelPlace, b: LabelPlace): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

function check(places: readonly (LabelPlace | undefined)[], width: number, height: number): void {
  const shown = places.filter((place) => place !== undefined);
  for (const place of shown) {
    expect(place.x).toBeGreaterThanOrEqual(0);
    expect(place.y).toBeGreaterThanOrEqual(0);
    expect(place.x + place.width).toBeLessThanOrEqual(width);
    expect(place.y + place.height).toBeLessThanOrEqual(height);
  }
  for (let i = 0; i < shown.length; i++) {
    for (let j = 0; j < i; j++) expect(overlaps(shown[i], shown[j])).toBe(false);
  }
}

const one = (box: Box, width = 60): LabelRequest => ({ box, sizes: [{ width, height: 16 }] });

describe('placeLabels', () => {
  it('puts a label above its box, left aligned', () => {
    const [place] = placeLabels([one([100, 100, 200, 200])], { width: 300, height: 300 });
    expect(place).toMatchObject({ x: 100, y: 84, leader: false, wording: 0 });
  });

  it('puts it inside where there is nothing above, and slides it off the right edge', () => {
    const [top, right] = placeLabels([one([20, 0, 290, 300]), one([270, 150, 300, 200])], {
      width: 300,
      height: 300,
    });
    expect(top).toMatchObject({ x: 20, y: 0 });
    expect(right).toMatchObject({ x: 240, y: 134 });
  });

  it('labels a box that fills the picture', () => {
    const [place] = placeLabels([one([0, 0, 100, 100])], { width: 100, height: 100 });
    expect(place).toMatchObject({ x: 0, y: 0, leader: false });
  });

  it('gives the first request the best place', () => {
    const box: Box = [100, 100, 200, 200];
    const places = placeLabels([one(box), one(box), one(box)], { width: 300, height: 300 });
    expect(places[0]).toMatchObject({ x: 100, y: 84 });
    check(places, 300, 300);
    expect(places.every((place) => place !== undefined)).toBe(true);
  });

  it('shortens the wording where the full one is wider than the picture', () => {
    const request = {
      box: [5, 5, 40, 40] as Box,
      sizes: [
        { width: 90, height: 16 },
        { width: 40, height: 16 },
      ],
    };
    expect(placeLabels([request], { width: 64, height: 64 })[0]).toMatchObject({ wording: 1, width: 40 });
  });

  it('leaves a label out only when nothing fits, and says so with undefined', () => {
    const box: Box = [0, 0, 40, 16];
    const places = placeLabels([one(box, 40), one(box, 40)], { width: 40, height: 16 });
    expect(places[0]).toBeDefined();
    expect(places[1]).toBeUndefined();
  });

  it('keeps labels inside and apart for any boxes', () => {
    const random = createRandom('labels');
    let total = 0;
    let shown = 0;
    for (let round = 0; round < 150; round++) {
      const width = random.uniform(60, 700);
      const height = random.uniform(60, 500);
      const requests = Array.from({ length: 1 + random.integer(40) }, (): LabelRequest => {
        const x = random.uniform(-40, width + 20);
        const y = random.uniform(-40, height + 20);
        const w = random.uniform(20, 110);
        return {
          box: [x, y, x + random.uniform(0, width / 2), y + random.uniform(0, height / 2)],
          sizes: [w, w * 0.6, w * 0.3].map((size) => ({ width: size, height: 17 })),
        };
      });
      const places = placeLabels(requests, { width, height });
      expect(places).toHaveLength(requests.length);
      check(places, width, height);
      total += places.length;
      shown += places.filter((place) => place !== undefined).length;
    }
    // Small pictures with 40 boxes have no room for 40 labels; most labels must still be there.
    expect(shown / total).toBeGreaterThan(0.8);
  });
});
