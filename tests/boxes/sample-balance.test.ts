/** Positives and negatives on cases done by hand, against `balancedSample`, and against what a detector's step draws. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  anchorCounts,
  balancedSample,
  createRandom,
  fasterRcnnCoder,
  type GroundTruth,
  inference,
  positiveShare,
  proposedBoxes,
  RandomStream,
  regionCounts,
  sampleBalance,
  sampleCounts,
  sampleRegions,
  tf,
  toBoxArray,
  useBackend,
  wholeSample,
} from 'detlab';
import { fixture, referenceDetector, referenceImages, referenceObjects } from '../models/two-stage/tiny';
import { expectClose } from '../tensor/kernels/backends';

test('a sample has as many of each as the one that is drawn', () => {
  const random = createRandom('counts');
  for (let run = 0; run < 200; run++) {
    const labels = Int32Array.from({ length: random.integer(60) }, () => random.integer(5) - 2);
    const sample = { size: random.integer(40), positiveFraction: random.next() };
    const drawn = balancedSample(labels, { ...sample, random });
    expect(sampleCounts(labels, sample)).toEqual({
      positives: drawn.positives.length,
      negatives: drawn.negatives.length,
    });
  }
  const labels = Int32Array.of(3, 0, -1, -2, -1, -1);
  expect(sampleCounts(labels, wholeSample)).toEqual({ positives: 2, negatives: 3 });
  expect(sampleCounts(labels, { size: 4, positiveFraction: 0.25 })).toEqual({ positives: 1, negatives: 3 });
});

/** Ten squares of 10 pixels side by side. */
const squares = toBoxArray(Array.from({ length: 10 }, (_, i) => [10 * i, 0, 10 * i + 10, 10] as const));

describe('an image’s counts', () => {
  const objects: GroundTruth[] = [
    { box: [0, 0, 10, 10], label: 0 },
    // IoU 1/3 with two squares: neither positive at 0.7 nor background at 0.3, but both the object's best
    { box: [35, 0, 45, 10], label: 1 },
    // IoU 0.6 with one square, its best, and 0.6 / 1.4 with nothing else
    { box: [70, 0, 80, 6], label: 0 },
  ];

  test('anchors as region proposals match them', () => {
    // squares 0, 3, 4 and 7 are positive
    expect(anchorCounts(squares, objects)).toEqual({ positives: 4, negatives: 6 });
    expect(anchorCounts(squares, objects, { sample: { size: 6, positiveFraction: 0.5 } })).toEqual({
      positives: 3,
      negatives: 3,
    });
    const matching = { positiveIou: 0.5, negativeIou: 0.3, bipartite: 'none' } as const;
    expect(anchorCounts(squares, objects, { matching, sample: wholeSample })).toEqual({
      positives: 2,
      negatives: 6,
    });
    expect(anchorCounts(squares, [])).toEqual({ positives: 0, negatives: 10 });
  });

  test('regions, with the objects’ own boxes; crowds and boxes without area are no objects', () => {
    // squares 0 and 7, and three objects
    expect(regionCounts(squares, objects)).toEqual({ positives: 5, negatives: 8 });
    const more = [
      ...objects,
      { box: [10, 0, 20, 10], label: 0, crowd: true } as const,
      { box: [5, 5, 5, 9], label: 1 } as const,
    ];
    expect(regionCounts(squares, more)).toEqual({ positives: 5, negatives: 8 });
    // As an object like others, the crowd has square 1, and its own box.
    const matching = { positiveIou: 0.5, bipartite: 'none', crowd: 'use' } as const;
    expect(regionCounts(squares, more, { matching })).toEqual({ positives: 7, negatives: 7 });
    expect(regionCounts(squares, objects, { sample: { size: 8, positiveFraction: 0.25 } })).toEqual({
      positives: 2,
      negatives: 6,
    });
    expect(regionCounts(squares.slice(0, 0), [])).toEqual({ positives: 0, negatives: 0 });
  });
});

test('the balance of batches: mean, spread, and how many have too few', () => {
  const counts = [
    { positives: 8, negatives: 8 },
    { positives: 0, negatives: 16 },
    { positives: 4, negatives: 12 },
    { positives: 0, negatives: 0 },
  ];
  expect(positiveShare(counts)).toBe(12 / 48);
  const single = sampleBalance(counts, [[0], [1], [2], [3]]);
  // shares 1/2, 0, 1/4, 0
  expect(single).toEqual({
    mean: 0.1875,
    deviation: expect.closeTo(Math.sqrt((0.3125 ** 2 + 2 * 0.1875 ** 2 + 0.0625 ** 2) / 4), 12),
    variation: expect.closeTo(Math.sqrt(0.04296875) / 0.1875, 12),
    belowHalf: 0.5,
  });
  // shares 1/4 and 1/4
  expect(sampleBalance(counts, [[0, 1], [2, 2, 3]])).toEqual({ mean: 0.25, deviation: 0, variation: 0, belowHalf: 0 }); // prettier-ignore
  expect(() => sampleBalance(counts, [])).toThrow('no batches');
});

describe('a detector’s proposals', () => {
  beforeAll(() => useBackend());

  test('are torchvision’s, and balanced as the second stage draws them', async () => {
    const detector = await referenceDetector();
    const images = referenceImages();
    const before = tf.memory().numTensors;
    const inferred = await proposedBoxes(detector, images, 'inference');
    const proposals = await proposedBoxes(detector, images);
    expect(tf.memory().numTensors).toBe(before);
    expectClose(
      inferred.flatMap((boxes) => [...boxes]),
      fixture.faster.proposals.flat(2),
      1e-5,
      'proposals',
    );
    for (const sample of [
      { size: 20, positiveFraction: 0.25 },
      { size: 12, positiveFraction: 1 },
      { size: 1000, positiveFraction: 0.5 },
    ]) {
      const drawn = tf.tidy(() => {
        const own = detector.model.propose(detector.model.firstStage(images, inference), 'training');
        const targets = detector.targets(referenceObjects);
        const keys = new RandomStream(3).uniform([2, own.valid.shape[1] + targets.objectLabels.shape[1]]);
        const { valid, classTargets } = sampleRegions(own, targets, keys, { ...sample, coder: fasterRcnnCoder }); // prettier-ignore
        const positive = classTargets.greater(0).cast('float32');
        const counts = [positive.sum(1), valid.sub(positive).sum(1)].map((sums) => [...sums.dataSync()]);
        return [0, 1].map((i) => ({ positives: counts[0][i], negatives: counts[1][i] }));
      });
      expect(drawn[0].positives).toBeGreaterThan(2);
      expect(proposals.map((boxes, i) => regionCounts(boxes, referenceObjects[i], { sample }))).toEqual(
        drawn,
      );
    }
    images.dispose();
    detector.model.dispose();
  });
});
