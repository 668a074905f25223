import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Box } from '../../../lib/boxes/types';
import type { EvaluationInputError } from '../../../lib/eval/problems';
import { evaluateCoco } from '../../../lib/eval/coco/evaluate';
import {
  cocoImageIds,
  evaluateCocoJson,
  fromCocoJson,
  toCocoGroundTruth,
  toCocoResults,
} from '../../../lib/eval/coco/json';
import type { CocoDetectionJson, CocoGroundTruthJson } from '../../../lib/eval/coco/json-types';

const files: { groundTruth: CocoGroundTruthJson; detections: CocoDetectionJson[] } = {
  groundTruth: {
    images: [
      { id: 900, width: 640, height: 480, file_name: 'b.jpg' },
      { id: 17, width: 320, height: 240, file_name: 'a.jpg' },
    ],
    categories: [
      { id: 90, name: 'toothbrush' },
      { id: 1, name: 'person' },
    ],
    annotations: [
      { id: 5, image_id: 900, category_id: 90, bbox: [10, 20, 30, 40], area: 700, iscrowd: 0 },
      { id: 4, image_id: 900, category_id: 1, bbox: [0, 0, 600, 400], area: 9000, iscrowd: 1 },
      { id: 9, image_id: 17, category_id: 1, bbox: [1.5, 2, 3, 4.25], ignore: 1 },
    ],
  },
  detections: [
    { image_id: 900, category_id: 1, bbox: [5, 5, 10, 10], score: 0.25 },
    { image_id: 17, category_id: 90, bbox: [0, 0, 8, 8], score: 0.75 },
    { image_id: 900, category_id: 90, bbox: [10, 20, 30, 40], score: 0.5 },
  ],
};

describe('reading', () => {
  test('images and classes in the order of their ids, everything kept', () => {
    const set = fromCocoJson(files.groundTruth, files.detections);
    expect(set).toEqual({
      ids: [17, 900],
      images: [files.groundTruth.images[1], files.groundTruth.images[0]],
      classes: ['person', 'toothbrush'],
      categoryIds: [1, 90],
      groundTruth: [
        [{ box: [1.5, 2, 4.5, 6.25], label: 0, difficult: true }],
        [
          { box: [10, 20, 40, 60], label: 1, area: 700 },
          { box: [0, 0, 600, 400], label: 0, area: 9000, crowd: true },
        ],
      ],
      detections: [
        [{ box: [0, 0, 8, 8], label: 1, score: 0.75 }],
        [
          { box: [5, 5, 15, 15], label: 0, score: 0.25 },
          { box: [10, 20, 40, 60], label: 1, score: 0.5 },
        ],
      ],
      problems: [],
    });
    expect(fromCocoJson(files.groundTruth).detections).toEqual([[], []]);
  });

  test('figures by class carry the category ids; ignore counts only when asked for', () => {
    const result = evaluateCocoJson(files);
    expect(result.perClass.map(({ name, categoryId, objects }) => [name, categoryId, objects])).toEqual([
      ['person', 1, 1],
      ['toothbrush', 90, 1],
    ]);
    expect(result.perClass[0].ap).toBe(0);
    // The detection of the other image comes first.
    expect(result.perClass[1].ap).toBeCloseTo(0.5, 12);
    expect(evaluateCocoJson({ ...files, difficult: 'ignore' }).perClass[0].ap).toBeNaN();
  });

  test('what is wrong is told all at once, with index and id', () => {
    const { groundTruth, detections } = files;
    const broken = {
      groundTruth: {
        images: [...groundTruth.images, { id: 17 }],
        categories: [...groundTruth.categories, { id: 1, name: 'again' }],
        annotations: [
          ...groundTruth.annotations,
          { id: 9, image_id: 17, category_id: 2, bbox: [0, 0, 5, 0] },
          { id: 10, image_id: 3, category_id: 1, bbox: [0, NaN, 5, 5], area: -1 },
          { id: 11, image_id: 17, category_id: 1, bbox: 'none' as never },
        ],
      },
      detections: [
        ...detections,
        { image_id: 3, category_id: 1, bbox: [0, 0, 5, 5], score: 0.5 },
        { image_id: 17, category_id: 7, bbox: [0, 0, 5, -5], score: NaN },
        { image_id: 17, category_id: 1, bbox: [0, 0, 0, 5], score: -0.5 },
        { image_id: 17, category_id: 1, bbox: [0, 0, 0, 5], score: 0.5 },
      ],
    };
    let error: EvaluationInputError | undefined;
    try {
      evaluateCocoJson(broken);
    } catch (thrown) {
      error = thrown as EvaluationInputError;
    }
    expect(error?.problems.map(({ problem }) => problem)).toEqual([
      'image 2 has id 17, which another has',
      'category 2 has id 1, which another has',
      'annotation 3 (id 9, image 17) has an id that another has and category_id 2, which is not among the categories and bbox [0, 0, 5, 0] (width and height must be above 0)',
      'annotation 4 (id 10, image 3) has image_id 3, which is not among the images and bbox [0, NaN, 5, 5] (a box is four numbers, [x, y, width, height]) and area -1',
      'annotation 5 (id 11, image 17) has bbox none (a box is four numbers, [x, y, width, height])',
      'detection 3 (image 3, category 1) has image_id 3, which is not among the images of the annotation file',
      'detection 4 (image 17, category 7) has category_id 7, which is not among the categories and bbox [0, 0, 5, -5] (width and height must be above 0) and score NaN',
      'detection 5 (image 17, category 1) has bbox [0, 0, 0, 5], without extent and score -0.5 (a score lies in [0, 1])',
    ]);
    const kept = evaluateCocoJson({ ...broken, invalid: 'drop' });
    expect(kept.stats).toEqual(
      evaluateCocoJson({ ...files, detections: [...detections, broken.detections[6]] }).stats,
    );
    expect(kept.problems).toHaveLength(9);
    expect(() => evaluateCocoJson({ ...files, groundTruth: detections as never })).toThrow(
      "no array 'images'",
    );
    expect(() => evaluateCocoJson({ ...files, detections: groundTruth as never })).toThrow('not an array');
  });

  test('the official code leaves out other classes and images of annotations, but fails on those of detections', () => {
    const { groundTruth, detections } = files;
    const stray = { id: 77, image_id: 4, category_id: 1, bbox: [0, 0, 5, 5] };
    const more = { ...groundTruth, annotations: [...groundTruth.annotations, stray] };
    const other = { image_id: 17, category_id: 3, bbox: [0, 0, 5, 5], score: 0.5 };
    const result = evaluateCocoJson({
      groundTruth: more,
      detections: [...detections, other],
      invalid: 'official',
    });
    expect(result.stats).toEqual(evaluateCocoJson(files).stats);
    expect(result.problems.map(({ kept }) => kept)).toEqual([false, false]);
    const unknown = [{ ...other, image_id: 4, category_id: 1 }];
    expect(() => evaluateCocoJson({ groundTruth, detections: unknown, invalid: 'official' })).toThrow(
      'detection 0 (image 4, category 1) has image_id 4, which is not among the images',
    );
  });
});

describe('writing', () => {
  test('there and back again', () => {
    const set = fromCocoJson(files.groundTruth, files.detections);
    const groundTruth = toCocoGroundTruth(set);
    expect(groundTruth.images).toEqual(set.images);
    expect(groundTruth.categories).toEqual([
      { id: 1, name: 'person' },
      { id: 90, name: 'toothbrush' },
    ]);
    expect(groundTruth.annotations[0]).toEqual({
      id: 1,
      image_id: 17,
      category_id: 1,
      bbox: [1.5, 2, 3, 4.25],
      area: 12.75,
      iscrowd: 0,
      ignore: 1,
    });
    const detections = toCocoResults(set);
    expect(detections).toHaveLength(3);
    expect(detections).toEqual(expect.arrayContaining(files.detections));
    expect(evaluateCocoJson({ groundTruth, detections }).stats).toEqual(evaluateCocoJson(files).stats);
    // What is written is JSON: read again it is the same.
    expect(JSON.parse(JSON.stringify({ groundTruth, detections }))).toEqual({ groundTruth, detections });
  });

  test('ids: numbers and digits are kept, anything else is numbered from 1', () => {
    expect(cocoImageIds(['000000000139', '285', 7])).toEqual([139, 285, 7]);
    expect(cocoImageIds(['2007_000027', '2007_000032'])).toEqual([1, 2]);
    expect(cocoImageIds(['7', '07'])).toEqual([1, 2]);
    const [row] = toCocoResults({ detections: [[], [{ box: [1, 2, 4, 6], label: 2, score: 0.5 }]] });
    expect(row).toEqual({ image_id: 2, category_id: 3, bbox: [1, 2, 3, 4], score: 0.5 });
    const named = toCocoGroundTruth({
      ids: ['scene-1'],
      groundTruth: [[]],
      classes: ['x'],
      images: [{ width: 4, height: 3 }],
    });
    expect(named).toEqual({
      images: [{ id: 1, file_name: 'scene-1', width: 4, height: 3 }],
      categories: [{ id: 1, name: 'x' }],
      annotations: [],
    });
  });

  test('what has no id is an error', () => {
    const detections = [[{ box: [1, 2, 4, 6] as Box, label: 2, score: 0.5 }]];
    expect(() => toCocoResults({ detections, categoryIds: [1, 2] })).toThrow('label 2 has no category id');
    expect(() => toCocoResults({ detections, ids: [] })).toThrow('0 ids for 1 images');
    expect(() => toCocoGroundTruth({ groundTruth: [], classes: ['x'], categoryIds: [] })).toThrow(
      '0 category ids for 1 classes',
    );
  });

  test('plain objects and the files made of them evaluate alike', () => {
    const box = fc
      .tuple(
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.nat(50),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(39),
      )
      .map(([x, y, w, h]): Box => [x, y, x + w, y + h + 1]);
    const items = fc.array(fc.record({ box, label: fc.nat(2), score: fc.nat(5).map((s) => s / 5) }));
    const images = fc.array(fc.tuple(items, items), { maxLength: 4 });
    fc.assert(
      fc.property(images, (pairs) => {
        const input = {
          groundTruth: pairs.map(([objects]) => objects.map(({ box, label }) => ({ box, label }))),
          detections: pairs.map(([, found]) => found),
          classes: ['x', 'y', 'z'],
        };
        const written = { groundTruth: toCocoGroundTruth(input), detections: toCocoResults(input) };
        expect(evaluateCocoJson(written).stats).toEqual(evaluateCoco(input).stats);
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});
