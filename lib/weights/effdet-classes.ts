/** Fewer classes, or in another order, out of an EfficientDet's weights. */
import type { HostTensor, StateDict } from './host-tensor';

/**
 * Effdet's weights for some of their classes: the last layer's rows for the others are left out, and what it predicts for those that stay
 * is the same to the bit.
 *
 * The published weights have 90 classes, category id less 1. As data sets have 80, by rising id:
 * `selectEffdetClasses(weights, cocoCategoryIds.map((id) => id - 1))`, into a network of 80 classes.
 * @param weights by effdet's names, without a wrapper's prefix; not changed.
 * @param classes for each class of the result its number in the weights.
 * @throws RangeError for weights without the heads' last layers, and for a class that they don't have.
 */
export function selectEffdetClasses(weights: StateDict, classes: readonly number[]): StateDict {
  const [layer, boxes] = ['class_net.predict.conv_pw', 'box_net.predict.conv_pw'];
  const rows = weights.get(`${layer}.bias`)?.values.length;
  const anchors = (weights.get(`${boxes}.bias`)?.values.length ?? 0) / 4;
  if (rows === undefined || anchors === 0) {
    throw new RangeError(
      `selectEffdetClasses: the weights have no ${layer}.bias or no ${boxes}.bias; are they effdet's?`,
    );
  }
  const known = rows / anchors;
  const wrong = classes.find((index) => !(Number.isInteger(index) && index >= 0 && index < known));
  if (classes.length === 0) throw new RangeError('selectEffdetClasses: classes is empty; name one or more');
  if (wrong !== undefined) {
    throw new RangeError(`selectEffdetClasses: class ${wrong} is not one of the weights' ${known}, from 0`);
  }
  const select = ({ shape, values }: HostTensor): HostTensor => {
    const width = values.length / rows;
    const count = anchors * classes.length;
    const chosen =
      values instanceof Float32Array ? new Float32Array(count * width) : new Int32Array(count * width);
    for (let row = 0; row < count; row++) {
      // all classes of the first anchor, then of the second
      const from = Math.floor(row / classes.length) * known + classes[row % classes.length];
      chosen.set(values.subarray(from * width, (from + 1) * width), row * width);
    }
    return { shape: [count, ...shape.slice(1)], values: chosen };
  };
  return new Map(
    [...weights].map(([name, tensor]) => [name, name.startsWith(`${layer}.`) ? select(tensor) : tensor]),
  );
}
