/** Evaluation of a whole test set's detections, one contestant a metric. */
import type { Detection } from '../boxes/types';
import { evaluateVoc } from '../eval/voc';
import { createRandom } from '../tensor/random';
import { randomBox, randomObjects } from './case-files';
import { type Comparison, takeTurns } from './measure';

/** A metric that is measured: a new one is a line here, beside its rivals. */
const metrics: readonly { part: string; name: string; evaluate: typeof evaluateVoc }[] = [
  { part: 'VOC evaluation', name: 'detlab', evaluate: evaluateVoc },
];

const [classCount, side, perImage] = [20, 300, 100];

/** Measures each metric on the same detections. */
export async function compareEvaluation(rounds: number): Promise<Comparison[]> {
  const classes = Array.from({ length: classCount }, (_, label) => `class ${label}`);
  const comparisons: Comparison[] = [];
  for (const images of [500, 5000]) {
    const random = createRandom('bench/evaluation');
    const groundTruth = randomObjects(images, 3, classCount, random, side);
    const detections = groundTruth.map(() =>
      Array.from({ length: perImage }, (): Detection => ({
        label: random.integer(classCount),
        box: randomBox(random, side),
        score: random.next(),
      })),
    );
    for (const { part, name, evaluate } of metrics) {
      const ways = [{ name, run: () => evaluate({ groundTruth, detections, classes }) }];
      const size = `${images} images x ${perImage} detections`;
      comparisons.push({ part, size, images, contestants: await takeTurns(rounds, ways) });
    }
  }
  return comparisons;
}
