/** A folder that a detector can learn by heart: red and blue rectangles on grey, in Pascal VOC's layout. */
import { createRandom, type Example, writeVoc } from 'detlab';

function example(id: string, index: number): Example {
  const random = createRandom(id);
  const [width, height] = [96, 64];
  const data = new Uint8Array(width * height * 3).fill(110);
  // one image in five has nothing in it
  const objects = (index % 5 === 4 ? [] : [0, 1]).map((label) => {
    const [w, h] = [18 + random.integer(14), 18 + random.integer(14)];
    const [x, y] = [random.integer(width / 2 - w + 1) + (label * width) / 2, random.integer(height - h + 1)];
    for (let row = y; row < y + h; row++)
      for (let column = x; column < x + w; column++) data[(row * width + column) * 3 + 2 * label] = 250;
    return { box: [x, y, x + w, y + h] as const, label };
  });
  return { id, width, height, objects, image: () => Promise.resolve({ width, height, data }) };
}

/** Writes lists of so many images each. */
export async function writeRectangles(
  folder: string,
  lists: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [split, count] of Object.entries(lists)) {
    const examples = Array.from({ length: count }, (_, i) => example(`${split}-${i}`, i));
    await writeVoc(folder, { name: split, classes: ['blue', 'red'], examples }, { split });
  }
}
