/** Non-maximum suppression of SSD300's boxes: this library's beside TensorFlow.js's own operation, a class at a time. */
import { ssdAnchors } from '../boxes/anchors';
import { classwiseNms } from '../boxes/nms';
import { ssd300Voc } from '../boxes/ssd-presets';
import { createRandom } from '../tensor/random';
import { tf } from '../tensor/tf';
import { type Comparison, takeTurns } from './measure';

const classes = 20;
/** SSD's, and `classwiseNms`'s by default: a score above 0.01, an overlap below 0.45, the best 400 of a class, 200 of an image. */
const [scoreThreshold, iouThreshold, perClass, perImage] = [0.01, 0.45, 400, 200];

/** Most scores are 0, nearly as a trained detector's are; a few, then several hundred of a class pass the threshold. */
export async function compareSuppression(rounds: number): Promise<Comparison[]> {
  const { boxes } = ssdAnchors(ssd300Voc);
  const count = boxes.length / 4;
  const comparisons: Comparison[] = [];
  for (const share of [0.01, 0.04]) {
    const random = createRandom(`bench/nms/${share}`);
    const scores = Float32Array.from({ length: count * classes }, () =>
      random.next() < share ? scoreThreshold + random.next() * (1 - scoreThreshold) : 0,
    );
    const contestants = await takeTurns(rounds, [
      { name: 'detlab', run: () => classwiseNms(boxes, scores, classes) },
      { name: 'plain tfjs', run: () => plainClasswiseNms(boxes, scores, classes) },
    ]);
    const size = `${count} boxes x ${classes} classes, ${100 * share} % above ${scoreThreshold}`;
    comparisons.push({ part: 'class-wise NMS', size, images: 1, contestants });
  }
  return comparisons;
}

/**
 * What a user of TensorFlow.js writes: one class after another, then the best of all.
 * @param boxes `[N, 4]` xyxy.
 * @param scores `[N, classes]`.
 * @returns `[label, index of the box, score]`, highest score first.
 */
export async function plainClasswiseNms(
  boxes: Float32Array,
  scores: Float32Array,
  classes: number,
): Promise<[label: number, index: number, score: number][]> {
  const [all, table] = [
    tf.tensor2d(boxes, [boxes.length / 4, 4]),
    tf.tensor2d(scores, [boxes.length / 4, classes]),
  ];
  const kept: [number, number, number][] = [];
  for (let label = 0; label < classes; label++) {
    const column = tf.tidy(() => table.slice([0, label], [-1, 1]).squeeze<tf.Tensor1D>([1]));
    const indices = await tf.image.nonMaxSuppressionAsync(
      all,
      column,
      perClass,
      iouThreshold,
      scoreThreshold,
    );
    for (const index of await indices.data()) kept.push([label, index, scores[index * classes + label]]);
    tf.dispose([column, indices]);
  }
  tf.dispose([all, table]);
  return kept.sort((a, b) => b[2] - a[2]).slice(0, perImage);
}
