import { beforeAll, describe, expect, test } from 'vitest';
import { gridAnchors, ssdAnchors } from '../../lib/boxes/anchors';
import { createBoxCoder, efficientDetCoder } from '../../lib/boxes/coders';
import { toBoxArray } from '../../lib/boxes/geometry';
import { efficientDetMatching, matchAnchors } from '../../lib/boxes/matching';
import { ssd300Voc } from '../../lib/boxes/ssd-presets';
import { ssdDetections } from '../../lib/boxes/ssd-detections';
import type { Box, GroundTruth } from '../../lib/boxes/types';
import { encodeTargets, targetTensors } from '../../lib/losses/multibox-targets';
import { createRandom } from '../../lib/tensor/random';
import { tf } from '../../lib/tensor/tf';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const anchors = gridAnchors({
  imageWidth: 100,
  imageHeight: 100,
  maps: [
    [5, 5],
    [2, 2],
  ],
});

describe('targets of a batch', () => {
  const random = createRandom('targets');
  const images = [4, 0, 1, 9].map((count) =>
    Array.from({ length: count }, (): GroundTruth => {
      const x = random.uniform(0, 80);
      const y = random.uniform(0, 80);
      const box: Box = [x, y, x + random.uniform(5, 20), y + random.uniform(5, 20)];
      return { box, label: random.integer(3) };
    }),
  );
  const targets = encodeTargets(images, anchors);
  const count = anchors.boxes.length / 4;

  test('are the matches of each image, classes from 1, and the encoded boxes of the positives', () => {
    const coder = createBoxCoder();
    images.forEach((objects, image) => {
      const matches = matchAnchors(anchors.boxes, objects);
      expect(targets.positives[image]).toBe(matches.positives);
      for (let a = 0; a < count; a++) {
        const at = image * count + a;
        expect(targets.classTargets[at]).toBe(matches.labels[a] + 1);
        const expected =
          matches.objects[a] < 0
            ? new Float32Array(4)
            : coder.encode(
                toBoxArray([objects[matches.objects[a]].box]),
                anchors.boxes.subarray(4 * a, 4 * a + 4),
              );
        expect(targets.boxTargets.subarray(4 * at, 4 * at + 4)).toEqual(expected);
      }
    });
    expect(targets.positives[1]).toBe(0);
    expect(targets.positives[3]).toBeGreaterThanOrEqual(5);
  });

  test('as EfficientDet matches and encodes: forced matches, y before x', () => {
    const other = encodeTargets(images, anchors, { ...efficientDetMatching, coder: efficientDetCoder });
    images.forEach((objects, image) => {
      const matches = matchAnchors(anchors.boxes, objects, efficientDetMatching);
      expect(other.positives[image]).toBe(matches.positives);
      const first = matches.objects.findIndex((object) => object >= 0);
      if (first < 0) return;
      const at = image * count + first;
      const box = toBoxArray([objects[matches.objects[first]].box]);
      const expected = efficientDetCoder.encode(box, anchors.boxes.subarray(4 * first, 4 * first + 4));
      expect(other.boxTargets.subarray(4 * at, 4 * at + 4)).toEqual(expected);
    });
  });

  test('as tensors', () => {
    const before = tf.memory().numTensors;
    const { classTargets, boxTargets } = targetTensors(targets);
    expect([classTargets.shape, classTargets.dtype]).toEqual([[4, count], 'int32']);
    expect([boxTargets.shape, boxTargets.dtype]).toEqual([[4, count, 4], 'float32']);
    expect([...classTargets.dataSync()]).toEqual([...targets.classTargets]);
    tf.dispose([classTargets, boxTargets]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('ignored anchors are -1', () => {
    const difficult = [{ box: [0, 0, 20, 20] as const, label: 0, difficult: true }];
    const { classTargets } = encodeTargets([difficult], anchors, { difficult: 'ignore' });
    expect(new Set(classTargets)).toEqual(new Set([-1, 0]));
  });

  test('an empty batch', () => {
    const { classTargets, boxTargets, batch } = encodeTargets([], anchors);
    expect([batch, classTargets.length, boxTargets.length]).toEqual([0, 0, 0]);
  });

  test('wrong objects are errors that name image and object; degenerate ones may be dropped', () => {
    const flat: GroundTruth = { box: [5, 5, 5, 9], label: 0 };
    const good: GroundTruth = { box: [10, 10, 30, 30], label: 2 };
    expect(() => encodeTargets([[], [good, flat]], anchors)).toThrow(
      /object 1 of image 1 .* \[5, 5, 5, 9\], has no area/,
    );
    expect(encodeTargets([[flat, good]], anchors, { degenerate: 'drop' })).toEqual(
      encodeTargets([[good]], anchors),
    );
    expect(() => encodeTargets([[{ ...good, label: -1 }]], anchors)).toThrow(
      'object 0 of image 0 in the batch has label -1',
    );
    expect(() => encodeTargets([[good]], anchors, { classes: 2 })).toThrow(
      'label 2; class ids are from 0 to 1',
    );
  });

  test('a model that answered with the targets themselves would detect exactly the objects', () => {
    const ssd = ssdAnchors(ssd300Voc);
    const objects: GroundTruth[] = [
      { box: [20, 30, 120, 180], label: 4 },
      { box: [150, 10, 290, 90], label: 0 },
      { box: [140, 200, 165, 240], label: 19 },
    ];
    const { classTargets, boxTargets } = encodeTargets([objects], ssd);
    const logits = new Float32Array(8732 * 21);
    classTargets.forEach((label, a) => (logits[a * 21 + label] = 20));
    const found = ssdDetections(logits, boxTargets, ssd).filter(({ score }) => score > 0.5);
    expect(found.map(({ label }) => label).sort((a, b) => a - b)).toEqual([0, 4, 19]);
    for (const { box, label } of found) {
      const object = objects.find((one) => one.label === label);
      object?.box.forEach((value, i) => expect(Math.abs(box[i] - value)).toBeLessThan(1e-2));
    }
  });
});
