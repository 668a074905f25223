/** EfficientDet's input and detections against effdet's own (`tests/reference/effdet_evaluation.py`). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createLoader, efficientDetAnchors, type RgbImage, tf, useBackend } from 'detlab';
import { efficientDetNetwork } from '../../lib/evaluate/efficientdet';
import { hashed } from '../weights/hashed';

const fixture = JSON.parse(readFileSync(path.join(__dirname, 'fixtures', 'effdet.json'), 'utf8')) as {
  side: number;
  resized: {
    width: number;
    height: number;
    side: number;
    number: number;
    /** From the input back to the image. */
    scale: number;
    /** y1, x1, y2, x2 of what was a quarter to three quarters of the height, an eighth to a half of the width. */
    box: number[];
    pixels: string;
  }[];
  detections: { width: number; height: number; number: number; detections: number[][] }[];
};

beforeAll(() => useBackend());

function network(inputSize: number, maxLevel: number) {
  const trunk = { width: 0.25, depth: 0.2 };
  const plan = { inputSize, trunk, channels: 8, cells: 1, headDepth: 1, maxLevel };
  return efficientDetNetwork({ name: 'small', plan });
}

function picture(width: number, height: number, number: number): RgbImage {
  const values = hashed(width * height * 3, number, (u) => Math.floor((u + 1) * 128));
  return { width, height, data: Uint8Array.from(values) };
}

describe('the input', () => {
  test.each(fixture.resized)(
    '$width x $height into $side is effdet’s to the byte',
    async ({ width, height, side, number, scale, box, pixels }) => {
      const { mean, std, ...input } = network(side, 7).input;
      const image = picture(width, height, number);
      const objects = [{ box: [width / 8, height / 4, width / 2, (3 * height) / 4] as const, label: 0 }];
      const example = { id: 'a', width, height, objects, image: () => Promise.resolve(image) };
      const data = { name: 'one', classes: ['a'], examples: [example] };
      const [raw, normalised] = await Promise.all(
        [input, { ...input, mean, std }].map(async (options) => {
          const loader = createLoader(data, { ...options, batchSize: 1, workers: 0 });
          return (await loader.epoch(0).next()).value!;
        }),
      );
      const wanted = Buffer.from(pixels, 'base64');
      expect(raw.images.length).toBe(wanted.length);
      expect([...raw.images]).toEqual([...wanted]);
      // torchvision's and effdet's mean and deviation of values from 0 to 1
      const [m, s] = [
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
      ];
      normalised.images.forEach((value, i) =>
        expect(value).toBeCloseTo((wanted[i] / 255 - m[i % 3]) / s[i % 3], 4),
      );
      expect(raw.fits[0].scaleX).toBeCloseTo(1 / scale, 12);
      const [y1, x1, y2, x2] = box;
      raw.groundTruth[0][0].box.forEach((value, i) => expect(value).toBeCloseTo([x1, y1, x2, y2][i], 9));
    },
  );
});

test('detections of a batch are effdet’s, each in its own image’s pixels', async () => {
  const { side, detections: wanted } = fixture;
  const anchors = efficientDetAnchors({ imageWidth: side, imageHeight: side, minLevel: 3, maxLevel: 5 });
  const count = anchors.boxes.length / 4;
  const classLogits = tf.tensor3d(
    wanted.flatMap(({ number }) => [...hashed(count * 90, number, (u) => 6 * u - 3)]),
    [wanted.length, count, 90],
  );
  // effdet has y before x, as the network does.
  const boxDeltas = tf.tensor3d(
    wanted.flatMap(({ number }) => [...hashed(count * 4, number + 1, (u) => 0.7 * u)]),
    [wanted.length, count, 4],
  );
  const detector = network(side, 5).build();
  const found = await detector.detections({ classLogits, boxDeltas }, wanted);
  detector.model.dispose();
  expect(classLogits.isDisposed && boxDeltas.isDisposed).toBe(true);
  wanted.forEach(({ detections }, image) => {
    expect(found[image].length).toBe(100);
    detections.forEach(([x1, y1, x2, y2, score, category], i) => {
      const { box, label, score: own } = found[image][i];
      expect(label + 1).toBe(category);
      expect(own).toBeCloseTo(score, 6);
      box.forEach((value, side) => expect(value).toBeCloseTo([x1, y1, x2, y2][side], 3));
    });
  });
});
