/** The anchors of TensorFlow's SSD on MobileNet, as MediaPipe's graph for the Open Images detector sets them. */
import { type AnchorSet, boxAnchors } from '../../boxes/anchors';
import { type BoxCoder, createBoxCoder } from '../../boxes/coders';

/** What makes the anchors. The defaults are the Open Images detector's. */
export interface MobileNetAnchorOptions {
  /** Side of the input, pixels. Default 300. */
  readonly inputSize?: number;
  /** Scale of the finest and of the coarsest map, as a share of the input's side; evenly spaced between. Default 0.2 to 0.95. */
  readonly scales?: readonly [finest: number, coarsest: number];
  /** Pixels from cell to cell of each map; a map has `ceil(inputSize / stride)` cells a side. Default 16, 32, …, 512. */
  readonly strides?: readonly number[];
  /** Width to height. Default 1, 2, 1/2, 3 and 0.3333 (so in the graph). */
  readonly ratios?: readonly number[];
}

/**
 * For every cell, boxes of the map's scale in each ratio and a square of `sqrt(scale_k scale_k+1)`; on the finest map only three, the first
 * of scale 0.1: "reduced boxes in the lowest layer". Centres are in the middle of cells, which are `inputSize / cells` wide. Nothing is cut.
 */
export function mobileNetAnchors(options: MobileNetAnchorOptions = {}): AnchorSet {
  const { inputSize = 300, scales = [0.2, 0.95], strides = [16, 32, 64, 128, 256, 512] } = options;
  const { ratios = [1, 2, 0.5, 3, 0.3333] } = options;
  const last = strides.length - 1;
  const scale = (level: number): number =>
    level > last
      ? 1
      : last === 0
        ? (scales[0] + scales[1]) / 2
        : scales[0] + ((scales[1] - scales[0]) * level) / last;
  const shape = (size: number, ratio: number): [number, number] => [
    inputSize * size * Math.sqrt(ratio),
    (inputSize * size) / Math.sqrt(ratio),
  ];
  const levels = strides.map((stride, level) => {
    const cells = Math.ceil(inputSize / stride);
    const shapes =
      level === 0
        ? [shape(0.1, 1), shape(scale(0), 2), shape(scale(0), 0.5)]
        : [
            ...ratios.map((ratio) => shape(scale(level), ratio)),
            shape(Math.sqrt(scale(level) * scale(level + 1)), 1),
          ];
    return { rows: cells, cols: cells, shapes };
  });
  return boxAnchors({ imageWidth: inputSize, imageHeight: inputSize, levels });
}

/** How the detector writes boxes: ty, tx, th, tw, scaled by 10, 10, 5, 5; sizes without limit. */
export const mobileNetSsdCoder: BoxCoder = createBoxCoder({
  weights: [10, 10, 5, 5],
  order: 'yxhw',
  maxLogScale: Infinity,
});
