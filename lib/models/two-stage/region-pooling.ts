/** Regions of a pyramid as maps of one size: torchvision's `MultiScaleRoIAlign`. */
import { fpnLevelsTensor } from '../../boxes/fpn-levels-tensor';
import { multiLevelRoiAlign, type RoiAlignOptions } from '../../boxes/roi-align';
import { tf } from '../../tensor/tf';

/** Options of `poolRegions`; the defaults are torchvision's. */
export interface RegionPoolingOptions {
  /** Rows and columns of a pooled region. Default 7. */
  readonly outputSize?: number;
  /** Samples for each row and for each column of an output cell. Default 2. */
  readonly samplingRatio?: RoiAlignOptions['samplingRatio'];
  /**
   * A region of this size, the square root of its area in pixels, is read from the level of stride 16 (Lin et al., CVPR 2017,
   * equation 1). Default 224, for inputs of about 800 pixels; a share of that for smaller ones.
   */
  readonly canonicalSize?: number;
}

/**
 * Pools regions, each from the level that fits its size: `[B R, outputSize, outputSize, C]`, an image's regions one after another. A
 * level's stride is the power of two next to image size / cells. Differentiable in the maps alone. The caller disposes the result.
 * @param maps `[B, H_i, W_i, C]` a level, from fine to coarse
 * @param boxes `[B, R, 4]` xyxy in pixels of the network's input
 * @param height of the network's input, pixels
 */
export function poolRegions(
  maps: readonly tf.Tensor4D[],
  boxes: tf.Tensor3D,
  height: number,
  options: RegionPoolingOptions = {},
): tf.Tensor4D {
  const { outputSize = 7, samplingRatio = 2, canonicalSize = 224 } = options;
  const [batch, count] = boxes.shape;
  const exponents = maps.map((map) => Math.round(Math.log2(height / map.shape[1])));
  return tf.tidy(() => {
    const flat = boxes.reshape<tf.Tensor2D>([-1, 4]);
    const levels = fpnLevelsTensor(flat, {
      minLevel: exponents[0],
      maxLevel: exponents[exponents.length - 1],
      canonicalSize,
    });
    const images = tf.tile(tf.range(0, batch, 1, 'int32').expandDims(1), [1, count]).reshape([-1]);
    return multiLevelRoiAlign(
      maps,
      flat,
      images as tf.Tensor1D,
      tf.sub<tf.Tensor1D>(levels, tf.scalar(exponents[0], 'int32')),
      { outputSize, samplingRatio, spatialScales: exponents.map((exponent) => 2 ** -exponent) },
    );
  });
}
