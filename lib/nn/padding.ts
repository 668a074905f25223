/** How many zeros stand around an image before a window slides over it. */

/**
 * Pixels on every side, or `same`: as many as give an output of ceil(size / stride), an odd one at the bottom and right. `same`
 * is what TensorFlow calls so, and what networks that were published for it (EfficientNet) are made of; the two differ where a
 * stride of 2 meets an even size.
 */
export type Padding = number | 'same';

/** A padding for an image of `height` x `width`: pixels of all sides, or [top, bottom, left, right]. */
export function paddingAround(
  padding: Padding,
  [height, width]: readonly [height: number, width: number],
  { kernel, stride, dilation }: { kernel: number; stride: number; dilation: number },
): number | [top: number, bottom: number, left: number, right: number] {
  if (padding !== 'same') return padding;
  const sides = (size: number): [number, number] => {
    const span = (Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1;
    const total = Math.max(0, span - size);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  return [...sides(height), ...sides(width)];
}
