/** Every kernel of this folder. */
import { copyElements } from './copy-kernels';
import { depthwise, depthwiseFilterGradient, sumPieces } from './depthwise-kernels';
import type { Kernel } from './kernel';
import { maxPoolGradient } from './max-pool-kernels';
import { binary, comparisons, gradients, unary } from './map-kernels';
import * as norm from './norm-kernels';
import { reducers } from './reduce-kernels';
import { adam, blend, momentum, squares } from './optimizer-kernels';
import { convolve, filterGradient, packPanels, packPieces } from './product-kernels';

export const allKernels: readonly Kernel[] = [
  packPanels,
  convolve,
  packPieces,
  filterGradient,
  ...depthwise.map(({ kernel }) => kernel),
  ...depthwiseFilterGradient.map(({ kernel }) => kernel),
  sumPieces,
  copyElements,
  maxPoolGradient,
  ...Object.values(reducers).flatMap(({ rows, numbers }) => [rows, numbers]),
  ...Object.values(unary),
  ...Object.values(gradients),
  ...Object.values(binary).flatMap((layouts) => Object.values(layouts)),
  ...Object.values(comparisons).flatMap((types) =>
    Object.values(types).flatMap((layouts) => Object.values(layouts)),
  ),
  momentum,
  adam,
  blend,
  squares,
  norm.batchStatistics,
  norm.combineStatistics,
  norm.normalize,
  norm.normGradientSums,
  norm.combineGradient,
  norm.normGradient,
] as unknown as Kernel[];
