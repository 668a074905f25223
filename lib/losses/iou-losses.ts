/**
 * Losses on boxes as they are, not on their encoded offsets: 1 less IoU, and with it GIoU (Rezatofighi et al., CVPR 2019), DIoU and
 * CIoU (Zheng et al., AAAI 2020). Values and gradients are those of torchvision's `generalized_box_iou_loss`,
 * `distance_box_iou_loss` and `complete_box_iou_loss`.
 *
 * Boxes are xyxy, `[..., 4]`, in one unit, each prediction beside its target, with x1 < x2 and y1 < y2; the losses have the shape
 * `[...]`, are differentiable in both, and are the caller's to dispose. Empty in, empty out. `decodeTensor` turns offsets into boxes.
 */
import { withoutGradient } from '../tensor/stop-gradient';
import { tf } from '../tensor/tf';

/** Added to the denominators, as torchvision does by default. */
const defaultEpsilon = 1e-7;

/** `1 - IoU`, in [0, 1]; without gradient where the boxes do not overlap. */
export function iouLoss<T extends tf.Tensor>(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  epsilon: number = defaultEpsilon,
): T {
  return tf.tidy(() => {
    const pairs = boxPairs(predictions, targets, 'iouLoss');
    return tf.sub(1, overlap(pairs, epsilon).iou) as T;
  });
}

/** `1 - GIoU`, in [0, 2]: also pulls at boxes apart, by the part of the box around both that neither covers. */
export function giouLoss<T extends tf.Tensor>(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  epsilon: number = defaultEpsilon,
): T {
  return tf.tidy(() => {
    const pairs = boxPairs(predictions, targets, 'giouLoss');
    const { iou, union } = overlap(pairs, epsilon);
    const { width, height } = enclosing(pairs);
    const area = tf.mul(width, height);
    const uncovered = tf.div(tf.sub(area, union), tf.add(area, epsilon));
    return tf.sub(1, tf.sub(iou, uncovered)) as T;
  });
}

/** `1 - DIoU`: pulls the centres together, by their squared distance over the squared diagonal of the box around both. */
export function diouLoss<T extends tf.Tensor>(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  epsilon: number = defaultEpsilon,
): T {
  return tf.tidy(() => distanceLoss(boxPairs(predictions, targets, 'diouLoss'), epsilon).loss as T);
}

/**
 * `1 - CIoU`: `diouLoss` and `alpha v`, where v is the difference in aspect ratio and `alpha = v / (1 - IoU + v)` its weight, which
 * has no gradient. A box without height has no NaN here, unlike in torchvision.
 */
export function ciouLoss<T extends tf.Tensor>(
  predictions: tf.Tensor,
  targets: tf.Tensor,
  epsilon: number = defaultEpsilon,
): T {
  return tf.tidy(() => {
    const pairs = boxPairs(predictions, targets, 'ciouLoss');
    const { loss, iou } = distanceLoss(pairs, defaultEpsilon); // torchvision's own: its eps stands in alpha alone
    const angle = ([x1, y1, x2, y2]: tf.Tensor[]): tf.Tensor => tf.atan2(tf.sub(x2, x1), tf.sub(y2, y1));
    const v = tf.mul(tf.square(tf.sub(angle(pairs.targets), angle(pairs.predictions))), 4 / Math.PI ** 2);
    const alpha = withoutGradient(
      (difference, share) => tf.div(difference, tf.add(tf.add(tf.sub(1, share), difference), epsilon)),
      v,
      iou,
    );
    return tf.add(loss, tf.mul(alpha, v)) as T;
  });
}

/** The four edges of each box, `[...]` each. */
interface BoxPairs {
  readonly predictions: tf.Tensor[];
  readonly targets: tf.Tensor[];
}

function boxPairs(predictions: tf.Tensor, targets: tf.Tensor, where: string): BoxPairs {
  if (predictions.shape.at(-1) !== 4 || String(predictions.shape) !== String(targets.shape)) {
    throw new RangeError(
      `${where}: predictions [${predictions.shape}] and targets [${targets.shape}] must have one shape, [..., 4]`,
    );
  }
  const shape = predictions.shape.slice(0, -1);
  const columns = (boxes: tf.Tensor): tf.Tensor[] =>
    tf.split(boxes, 4, boxes.rank - 1).map((column) => column.reshape(shape));
  return { predictions: columns(predictions), targets: columns(targets) };
}

function overlap({ predictions, targets }: BoxPairs, epsilon: number): { iou: tf.Tensor; union: tf.Tensor } {
  const [x1, y1, x2, y2] = predictions;
  const [tx1, ty1, tx2, ty2] = targets;
  // Rectified: boxes that touch or lie apart have no intersection, and none that a gradient could see.
  const width = tf.relu(tf.sub(extreme(x2, tx2, 'smaller'), extreme(x1, tx1, 'larger')));
  const height = tf.relu(tf.sub(extreme(y2, ty2, 'smaller'), extreme(y1, ty1, 'larger')));
  const intersection = tf.mul(width, height);
  const area = tf.mul(tf.sub(x2, x1), tf.sub(y2, y1));
  const targetArea = tf.mul(tf.sub(tx2, tx1), tf.sub(ty2, ty1));
  const union = tf.sub(tf.add(area, targetArea), intersection);
  return { iou: tf.div(intersection, tf.add(union, epsilon)), union };
}

function enclosing({ predictions, targets }: BoxPairs): { width: tf.Tensor; height: tf.Tensor } {
  const [x1, y1, x2, y2] = predictions;
  const [tx1, ty1, tx2, ty2] = targets;
  return {
    width: tf.sub(extreme(x2, tx2, 'larger'), extreme(x1, tx1, 'smaller')),
    height: tf.sub(extreme(y2, ty2, 'larger'), extreme(y1, ty1, 'smaller')),
  };
}

function distanceLoss(pairs: BoxPairs, epsilon: number): { loss: tf.Tensor; iou: tf.Tensor } {
  const { iou } = overlap(pairs, epsilon);
  const { width, height } = enclosing(pairs);
  const diagonal = tf.add(tf.add(tf.square(width), tf.square(height)), epsilon);
  const [x1, y1, x2, y2] = pairs.predictions;
  const [tx1, ty1, tx2, ty2] = pairs.targets;
  const half = (sum: tf.Tensor): tf.Tensor => tf.mul(sum, 0.5);
  const dx = tf.sub(half(tf.add(x1, x2)), half(tf.add(tx1, tx2)));
  const dy = tf.sub(half(tf.add(y1, y2)), half(tf.add(ty1, ty2)));
  const distance = tf.add(tf.square(dx), tf.square(dy));
  return { loss: tf.add(tf.sub(1, iou), tf.div(distance, diagonal)), iou };
}

/**
 * The larger or the smaller of two numbers, element by element. Where they are equal each gets half the gradient, as in PyTorch;
 * tf.maximum and tf.minimum give it all to one.
 */
function extreme(a: tf.Tensor, b: tf.Tensor, which: 'larger' | 'smaller'): tf.Tensor {
  const operation = tf.customGrad((...args) => {
    const [x, y, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const larger = which === 'larger';
    const side = tf.sign(larger ? tf.sub(x, y) : tf.sub(y, x)); // 1 where it is x
    save([side]);
    return {
      value: larger ? tf.maximum(x, y) : tf.minimum(x, y),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
        const half = tf.mul(dy, 0.5);
        const lean = tf.mul(half, saved);
        return [tf.add(half, lean), tf.sub(half, lean)];
      },
    };
  });
  return operation(a, b);
}
