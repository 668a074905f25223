/** Which anchors count in the loss: hard negative mining (Liu et al., ECCV 2016, section 2.2), on plain arrays. */
import { backgroundLabel } from './matching';
import { topScores } from './nms';

/** Options of `hardNegatives`, and of the mining inside `multiboxLoss`. */
export interface HardNegativeOptions {
  /** Negatives for each positive. Default 3. */
  readonly ratio?: number;
  /**
   * Negatives an image keeps when `ratio` gives fewer, as in an image without objects. Default 0, the references' rule: such an
   * image then adds nothing to the loss.
   */
  readonly minNegatives?: number;
}

/**
 * Marks an image's hardest negatives: of the background anchors, the `ratio * positives` with the highest loss; equal losses in
 * the order of the anchors. There may be fewer background anchors than that; then all are marked.
 * @param losses `[A]` classification loss of each anchor
 * @param labels `[A]` as `matchAnchors` gives them: class id, or -1 background, or -2 ignored
 * @param eligible `[A]`, optional: 0 takes a background anchor out (Caffe's rule: IoU with any object of 0.5 or more)
 * @returns `[A]`, 1 for the negatives to train on, 0 elsewhere; positives are not marked
 */
export function hardNegatives(
  losses: Float32Array,
  labels: Int32Array,
  options: HardNegativeOptions = {},
  eligible?: Uint8Array,
): Uint8Array {
  const { ratio = 3, minNegatives = 0 } = options;
  if (losses.length !== labels.length) {
    throw new RangeError(
      `hardNegatives: ${losses.length} losses, but ${labels.length} labels; give one of each an anchor`,
    );
  }
  const candidates = new Float32Array(losses.length).fill(NaN);
  let positives = 0;
  for (let a = 0; a < labels.length; a++) {
    if (labels[a] >= 0) positives++;
    else if (labels[a] === backgroundLabel && (!eligible || eligible[a])) candidates[a] = losses[a];
  }
  const wanted = Math.max(Math.floor(ratio * positives), minNegatives);
  const mask = new Uint8Array(losses.length);
  for (const a of topScores(candidates, 0, 1, candidates.length, -Infinity, wanted)) mask[a] = 1;
  return mask;
}
