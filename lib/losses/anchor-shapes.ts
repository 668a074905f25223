/** What the losses over anchors ask of their inputs. */
import type { MultiboxTargets } from './multibox-targets';
import type { tf } from '../tensor/tf';

/** @throws RangeError that names the loss and all four shapes, unless predictions and targets are of the same images and anchors. */
export function checkAnchorShapes(
  loss: string,
  predictions: { readonly classLogits: tf.Tensor; readonly boxDeltas: tf.Tensor },
  targets: MultiboxTargets,
  columns: 'C' | 'C + 1',
): void {
  const logits = predictions.classLogits.shape;
  const deltas = predictions.boxDeltas.shape;
  const classes = targets.classTargets.shape;
  const boxes = targets.boxTargets.shape;
  const [b, a] = logits;
  const fits =
    logits.length === 3 &&
    String(deltas) === String([b, a, 4]) &&
    String(classes) === String([b, a]) &&
    String(boxes) === String([b, a, 4]);
  if (fits) return;
  throw new RangeError(
    `${loss}: shapes do not go together: classLogits [${logits}], boxDeltas [${deltas}], classTargets [${classes}], ` +
      `boxTargets [${boxes}]; wanted [B, A, ${columns}], [B, A, 4], [B, A], [B, A, 4]`,
  );
}
