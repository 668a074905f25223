/** A batch that is there at once. */
import type { Batch } from '../data/loader';
import { createRandom } from '../tensor/random';

/** A batch to time steps with: noise, two objects an image. @param side of the images, pixels */
export function randomBatch(images: number, side: number): Batch {
  const random = createRandom('bench/devices');
  const object = (): [number, number, number, number] => {
    const [x, y] = [random.uniform(0, side / 2), random.uniform(0, side / 2)];
    return [x, y, x + random.uniform(side / 6, side / 2), y + random.uniform(side / 6, side / 2)];
  };
  return {
    images: Float32Array.from({ length: images * side * side * 3 }, () => random.normal()),
    shape: [images, side, side, 3],
    groundTruth: Array.from({ length: images }, () => [0, 1].map((label) => ({ box: object(), label }))),
    ids: Array.from({ length: images }, (_, i) => `image ${i}`),
    fits: Array.from({ length: images }, () => ({ scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 })),
  };
}
