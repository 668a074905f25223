/**
 * The anchors of the published SSD models (Liu et al., ECCV 2016, and the authors' Caffe configuration). Sizes are cut to whole
 * pixels, as Caffe's layer does.
 */
import type { SsdAnchorConfig, SsdAnchorLevel } from './anchors';

/** The rule behind the published sizes. */
export interface SsdSizeRule {
  /** Side of the square input, pixels. */
  readonly imageSize: number;
  readonly levels: number;
  /** Sizes of the second and the last level, in whole percent of the input. */
  readonly minPercent: number;
  readonly maxPercent: number;
  /** Size of the first level, in percent: conv4_3 stands outside the even spacing. */
  readonly firstPercent: number;
}

/**
 * Minimum and maximum size of every level, pixels, as the Caffe configuration computes them: percentages from `minPercent` on,
 * evenly spaced by a step that is rounded down to a whole percent; a level's maximum is the next one's minimum.
 */
export function ssdSizes(rule: SsdSizeRule): { min: number; max: number }[] {
  const { imageSize, levels, minPercent, maxPercent, firstPercent } = rule;
  if (!(Number.isInteger(levels) && levels >= 3)) {
    throw new RangeError(
      `ssdSizes: the rule needs at least 3 levels, got ${levels}; gridAnchors has no such limit`,
    );
  }
  const step = Math.floor((maxPercent - minPercent) / (levels - 2));
  const percents = [firstPercent];
  for (let k = 0; k < levels; k++) percents.push(minPercent + k * step);
  return Array.from({ length: levels }, (_, k) => ({
    min: (imageSize * percents[k]) / 100,
    max: (imageSize * percents[k + 1]) / 100,
  }));
}

function preset(
  rule: Omit<SsdSizeRule, 'levels'>,
  cells: readonly number[],
  steps: readonly number[],
  ratios: readonly (readonly number[])[],
): SsdAnchorConfig {
  const sizes = ssdSizes({ ...rule, levels: cells.length });
  const levels = cells.map((side, k): SsdAnchorLevel => {
    return {
      rows: side,
      cols: side,
      step: steps[k],
      minSize: sizes[k].min,
      maxSize: sizes[k].max,
      ratios: ratios[k],
    };
  });
  return { imageWidth: rule.imageSize, imageHeight: rule.imageSize, levels, wholeSizes: true };
}

const cells300 = [38, 19, 10, 5, 3, 1];
const steps300 = [8, 16, 32, 64, 100, 300];
const ratios300 = [[2], [2, 3], [2, 3], [2, 3], [2], [2]];
const cells512 = [64, 32, 16, 8, 4, 2, 1];
const steps512 = [8, 16, 32, 64, 128, 256, 512];
const ratios512 = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]];

/** SSD300 on VOC: 8732 anchors, sizes 30, 60, 111, 162, 213, 264, 315. Not clipped; ssd.pytorch sets `clip: 'center-size'`. */
export const ssd300Voc: SsdAnchorConfig = preset(
  { imageSize: 300, minPercent: 20, maxPercent: 90, firstPercent: 10 },
  cells300,
  steps300,
  ratios300,
);

/** SSD300 on COCO: 8732 anchors, sizes 21, 45, 99, 153, 207, 261, 315. */
export const ssd300Coco: SsdAnchorConfig = preset(
  { imageSize: 300, minPercent: 15, maxPercent: 90, firstPercent: 7 },
  cells300,
  steps300,
  ratios300,
);

/** SSD512 on VOC: 24564 anchors, from 35.84 to 537.6 pixels, of which Caffe makes 35 to 537. */
export const ssd512Voc: SsdAnchorConfig = preset(
  { imageSize: 512, minPercent: 15, maxPercent: 90, firstPercent: 7 },
  cells512,
  steps512,
  ratios512,
);

/** SSD512 on COCO: 24564 anchors, from 20.48 to 542.72 pixels, of which Caffe makes 20 to 542. */
export const ssd512Coco: SsdAnchorConfig = preset(
  { imageSize: 512, minPercent: 10, maxPercent: 90, firstPercent: 4 },
  cells512,
  steps512,
  ratios512,
);
