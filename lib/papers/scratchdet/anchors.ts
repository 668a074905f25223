/** The anchors of ScratchDet's networks, which are SSD's. */
import { type AnchorSet, gridAnchors, ssdAnchors } from '../../boxes/anchors';
import { ssd300Coco, ssd300Voc, ssd512Coco, ssd512Voc } from '../../boxes/ssd-presets';

/**
 * Anchors for a network's maps: SSD's own at 300 and 512 pixels, else anchors by the same rule, sizes evenly spaced and ratios of 1/2
 * and 2, and with 6 a cell also 1/3 and 3.
 */
export function scratchDetAnchors(
  inputSize: number,
  mapSizes: readonly number[],
  anchorsPerCell: readonly number[],
  dataset: 'voc' | 'coco' = 'voc',
): AnchorSet {
  if (inputSize === 300 || inputSize === 512) return scratchDetPublishedAnchors(inputSize, mapSizes, dataset);
  return gridAnchors({
    imageWidth: inputSize,
    imageHeight: inputSize,
    maps: mapSizes.map((size) => [size, size]),
    scales: [0.1, 0.9],
    ratios: anchorsPerCell.map((count) => (count === 6 ? [2, 3] : [2])),
  });
}

/**
 * SSD's published anchors for a network of 300 or 512 pixels. A map that has other cells than SSD's keeps the published step: of the codes'
 * last maps of 3x3 and 5x5 cells, 300 pixels apart, all but one cell lie outside the image, as they do there.
 * @param mapSizes the network's, `model.mapSizes()`.
 * @throws RangeError for other sizes or another number of maps; `gridAnchors` places anchors for any.
 */
export function scratchDetPublishedAnchors(
  inputSize: number,
  mapSizes: readonly number[],
  dataset: 'voc' | 'coco',
): AnchorSet {
  const config =
    inputSize === 300
      ? { voc: ssd300Voc, coco: ssd300Coco }[dataset]
      : inputSize === 512
        ? { voc: ssd512Voc, coco: ssd512Coco }[dataset]
        : undefined;
  if (config?.levels.length !== mapSizes.length) {
    throw new RangeError(
      `scratchDetPublishedAnchors: SSD has anchors for 6 maps at 300 pixels and 7 at 512, not for ${mapSizes.length} at ${inputSize}`,
    );
  }
  const levels = config.levels.map((level, map) => ({ ...level, rows: mapSizes[map], cols: mapSizes[map] }));
  return ssdAnchors({ ...config, levels });
}
