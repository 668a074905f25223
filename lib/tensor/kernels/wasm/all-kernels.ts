/** Every kernel of this folder. */
import { copyElements } from './copy-kernels';
import { depthwise, depthwiseFilterGradient, sumPieces } from './depthwise-kernels';
import type { Kernel } from './kernel';
import { maxPoolGradient } from './max-pool-kernels';
import { binary, gradients, unary } from './map-kernels';
import * as norm from './norm-kernels';
import { sumNumbers, sumRows } from './sum-kernels';
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
  sumRows,
  sumNumbers,
  ...Object.values(unary),
  ...Object.values(gradients),
  ...Object.values(binary).flatMap((layouts) => Object.values(layouts)),
  norm.batchStatistics,
  norm.combineStatistics,
  norm.normalize,
  norm.normGradientSums,
  norm.combineGradient,
  norm.normGradient,
] as unknown as Kernel[];
