/** Every kernel of this folder. */
import { depthwise, depthwiseFilterGradient, sumPieces } from './depthwise-kernels';
import type { Kernel } from './kernel';
import { convolve, filterGradient, packPanels, packPieces } from './product-kernels';

export const allKernels: readonly Kernel[] = [
  packPanels,
  convolve,
  packPieces,
  filterGradient,
  ...depthwise.map(({ kernel }) => kernel),
  ...depthwiseFilterGradient.map(({ kernel }) => kernel),
  sumPieces,
] as unknown as Kernel[];
