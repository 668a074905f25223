/** The values that tests/reference/detection.py wrote: torchvision's, and those of the EfficientDet release's rules. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Box } from '../../lib/boxes/types';

/** Every `step`-th of a set of anchors, and the sum of all. */
export interface Sampled {
  readonly count: number;
  readonly sum: readonly number[];
  readonly step: number;
  readonly boxes: readonly Box[];
}

interface Fixture {
  readonly measures: Record<'iou' | 'giou' | 'diou' | 'ciou', number[][]> & {
    readonly a: Box[];
    readonly b: Box[];
    readonly large: number[];
  };
  readonly coders: {
    readonly boxes: Box[];
    readonly anchors: Box[];
    readonly deltas: Box[];
    readonly cases: { weights: [number, number, number, number]; encoded: number[][]; decoded: Box[] }[];
    readonly efficientDet: { deltas: number[][]; encoded: number[][]; decoded: Box[] };
    readonly distances: {
      points: number[][];
      stride: number;
      encoded: number[][];
      deltas: number[][];
      decoded: Box[];
    };
  };
  readonly anchors: Record<
    'ssd' | 'retinaNet' | 'rpn' | 'efficientDet' | 'efficientDetOdd' | 'efficientDetD7x',
    Sampled
  >;
  readonly matching: {
    readonly width: number;
    readonly height: number;
    readonly cases: {
      rule: 'retinaNet' | 'rpn' | 'roi' | 'ssd' | 'efficientDet';
      truths: Box[];
      matches: [anchor: number, object: number][];
      proposals?: Box[];
    }[];
  };
  readonly suppression: {
    readonly boxes: Box[];
    readonly scores: number[];
    readonly classes: number[];
    readonly cases: { threshold: number; nms: number[]; batched: number[] }[];
  };
  readonly softening: {
    readonly boxes: Box[];
    readonly scores: number[];
    readonly cases: {
      options: {
        method: 'gaussian' | 'linear';
        sigma: number;
        iouThreshold: number;
        scoreThreshold: number;
        pixelOffset: number;
      };
      indices: number[];
      scores: number[];
    }[];
  };
  readonly regions: {
    readonly shape: [number, number, number, number];
    readonly features: number[];
    readonly boxes: Box[];
    readonly images: number[];
    readonly cases: {
      aligned: boolean;
      size: [number, number];
      ratio: number;
      scale: number;
      pooled: number[];
      dy: number[];
      gradient: number[];
    }[];
    readonly pyramid: {
      maps: { shape: [number, number, number, number]; values: number[] }[];
      boxes: Box[];
      images: number[];
      levels: number[];
      pooled: number[];
    };
    readonly mapper: { boxes: Box[]; levels: number[] };
  };
}

export const fixture = JSON.parse(
  readFileSync(path.join(__dirname, 'fixtures', 'detection.json'), 'utf8'),
) as Fixture;
