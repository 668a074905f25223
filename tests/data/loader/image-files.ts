/** Small sets of image files, and transforms that tests can watch in other threads. */
import fs from 'node:fs';
import path from 'node:path';
import { encodePng, readImage } from '../../../lib/data/image';
import { encodeJpeg } from '../../../lib/data/jpeg-encode';
import { withRecipe, type Transform } from '../../../lib/data/transforms/transform';
import type { DetectionDataset, Example } from '../../../lib/data/types';
import { createRandom } from '../../../lib/tensor/random';

/** Writes `count` JPEG and PNG files of different sizes; every third image has no objects. */
export async function writeImages(folder: string, count: number): Promise<DetectionDataset> {
  const random = createRandom('image-files');
  const examples: Example[] = [];
  for (let i = 0; i < count; i++) {
    const [width, height] = [20 + random.integer(20), 16 + random.integer(20)];
    const data = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
    const file = path.join(folder, `${i}.${i % 4 === 3 ? 'png' : 'jpg'}`);
    const image = { width, height, data };
    fs.writeFileSync(file, file.endsWith('png') ? await encodePng(image) : encodeJpeg(image, 90));
    const objects = Array.from({ length: i % 3 === 2 ? 0 : 1 + (i % 3) }, (_, o) => ({
      box: [o, 1, 12 + o, 13] as const,
      label: o,
    }));
    examples.push(fileExample(`image-${i}`, file, width, height, objects));
  }
  return { name: 'files', classes: ['a', 'b'], examples };
}

export function fileExample(
  id: string,
  file: string,
  width: number,
  height: number,
  objects: Example['objects'] = [],
): Example {
  return {
    id,
    width,
    height,
    objects,
    file: { path: file, orientation: 'stored' },
    image: () => readImage(file),
  };
}

/** Counts images that were begun and finished, in any thread. */
export type Counter = Int32Array;

export function createCounter(): Counter {
  return new Int32Array(new SharedArrayBuffer(8));
}

const probeSource = `
exports.probe = ({ counter, mode, milliseconds = 0 }) => (sample) => {
  Atomics.add(counter, 0, 1);
  if (milliseconds > 0) pause(milliseconds);
  const empty = sample.objects.length === 0;
  if (mode === 'throw' && empty) throw new RangeError('no objects here');
  if (mode === 'exit' && empty) process.exit(3);
  if (mode === 'uncaught' && empty) setImmediate(() => { throw new Error('thrown from nowhere'); });
  if (mode === 'unsendable' && empty) throw Object.assign(new Error('holds a function'), { cause: () => 0 });
  return sample;
};
function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
`;

/** What a probe does with an image without objects, beside counting. */
export interface ProbeOptions {
  readonly counter?: Counter;
  readonly mode?: 'throw' | 'exit' | 'uncaught' | 'unsendable';
  /** How long it takes for each image. */
  readonly milliseconds?: number;
}

/** A transform of a user's own module. */
export function probe(folder: string, { counter = createCounter(), ...rest }: ProbeOptions = {}): Transform {
  const module = path.join(folder, 'probe.cjs');
  fs.writeFileSync(module, probeSource);
  const options = { counter, ...rest };
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { probe: make } = require(module) as { probe: (given: typeof options) => Transform };
  return withRecipe(make(options), { module, export: 'probe', options });
}
