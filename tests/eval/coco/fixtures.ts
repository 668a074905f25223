/** Reads what tests/reference/coco_ap.py wrote. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CocoDetectionJson, CocoGroundTruthJson } from '../../../lib/eval/coco/json-types';

type Numbers = number[];

/** A data set: `[id, image, category, x, y, w, h, area, crowd]` and `[image, category, x, y, w, h, score]`. */
export interface FixtureData {
  images: number[];
  categories: number[];
  annotations: Numbers[];
  results: Numbers[];
}

export interface FixtureCase extends FixtureData {
  name: string;
  options: { max_detections?: [number, number, number]; thresholds?: number[]; class_agnostic?: boolean };
  expected: {
    stats: Numbers;
    shape: Numbers;
    precision: Numbers;
    recall: Numbers;
    curves: Numbers;
    scores: Numbers;
  };
}

export const cocoFixtures = JSON.parse(
  readFileSync(path.join(__dirname, '..', 'fixtures', 'coco.json'), 'utf8'),
) as {
  cases: FixtureCase[];
  random: (FixtureData & { stats: Numbers })[];
  summary: string;
  iouThresholds: Numbers;
  recallThresholds: Numbers;
};

/** The data set as COCO's two files. */
export function cocoFiles(data: FixtureData): {
  groundTruth: CocoGroundTruthJson;
  detections: CocoDetectionJson[];
} {
  return {
    groundTruth: {
      images: data.images.map((id) => ({ id, width: 400, height: 400 })),
      categories: data.categories.map((id) => ({ id, name: `class ${id}` })),
      annotations: data.annotations.map(([id, image_id, category_id, x, y, w, h, area, iscrowd]) => ({
        id,
        image_id,
        category_id,
        bbox: [x, y, w, h],
        area,
        iscrowd,
      })),
    },
    detections: data.results.map(([image_id, category_id, x, y, w, h, score]) => ({
      image_id,
      category_id,
      bbox: [x, y, w, h],
      score,
    })),
  };
}
