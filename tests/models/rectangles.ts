/** A task small enough to be learnt by heart. */
import { createRandom, type DetectionDataset } from 'detlab';

/** Red and blue rectangles on grey, side by side; the first image has none. @param side the shortest side, and how many lengths there are from it on. */
export function rectangles(
  count: number,
  { size = 40, side: [from, spread] = [8, 9] }: { size?: number; side?: readonly [number, number] } = {},
): DetectionDataset {
  const random = createRandom('rectangles');
  const examples = Array.from({ length: count }, (_, i) => {
    const data = new Uint8Array(size * size * 3).fill(110);
    const objects = (i === 0 ? [] : [0, 1]).map((label) => {
      const [w, h] = [from + random.integer(spread), from + random.integer(spread)];
      const [x, y] = [random.integer(size / 2 - w + 1) + (label * size) / 2, random.integer(size - h + 1)];
      for (let row = y; row < y + h; row++) {
        for (let column = x; column < x + w; column++) data[(row * size + column) * 3 + 2 * label] = 250;
      }
      return { box: [x, y, x + w, y + h] as const, label };
    });
    return {
      id: `r${i}`,
      width: size,
      height: size,
      objects,
      image: () => Promise.resolve({ width: size, height: size, data }),
    };
  });
  return { name: 'rectangles', classes: ['red', 'blue'], examples };
}
