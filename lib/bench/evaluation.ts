/** Evaluation of a whole test set's detections: Pascal VOC's by itself, COCO's beside the official code. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Box, Detection } from '../boxes/types';
import { evaluateCoco } from '../eval/coco/evaluate';
import { toCocoGroundTruth, toCocoResults } from '../eval/coco/json';
import type { EvaluationInput } from '../eval/problems';
import { evaluateVoc } from '../eval/voc';
import { projectRoot } from '../tensor/packages';
import { onSignals } from '../tensor/prepare/limits';
import { createRandom } from '../tensor/random';
import { randomBox, randomObjects } from './case-files';
import { type Comparison, type Contestant, takeTurns } from './measure';
import { cocoRivalName, Rival } from './rivals';

const perImage = 100;

/** Measures each metric on the same detections; `DETLAB_BENCH_PYTHON` names a Python that has pycocotools. */
export async function compareEvaluation(rounds: number): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const images of [500, 5000]) {
    const size = `${images} images x ${perImage} detections`;
    const voc = randomInput(images, 20, 300);
    const ways = [{ name: 'detlab', run: () => evaluateVoc(voc) }];
    comparisons.push({ part: 'VOC evaluation', size, images, contestants: await takeTurns(rounds, ways) });
    const contestants = await compareCoco(rounds, randomInput(images, 80, 640));
    comparisons.push({ part: 'COCO evaluation', size, images, contestants });
  }
  return comparisons;
}

function randomInput(images: number, classCount: number, side: number): EvaluationInput {
  const random = createRandom('bench/evaluation');
  const groundTruth = randomObjects(images, classCount > 20 ? 7 : 3, classCount, random, side);
  const detections = groundTruth.map((objects) =>
    Array.from({ length: perImage }, (_, i): Detection => {
      // A detector finds most objects several times over, and other things.
      const near = i < 3 * objects.length ? objects[i % objects.length] : undefined;
      const [x1, y1, x2, y2] = near?.box ?? randomBox(random, side);
      const moved = (value: number): number => value + random.uniform(-8, 8);
      const box: Box = near ? [moved(x1), moved(y1), moved(x2 + 20), moved(y2 + 20)] : [x1, y1, x2, y2];
      return { label: near?.label ?? random.integer(classCount), box, score: random.next() };
    }),
  );
  const classes = Array.from({ length: classCount }, (_, label) => `class ${label}`);
  return { groundTruth, detections, classes };
}

/** Ours in this process, theirs in its own, in turns; neither reads files while it is measured. */
async function compareCoco(rounds: number, input: EvaluationInput): Promise<Contestant[]> {
  const values: Record<string, number[]> = {};
  const ours = {
    name: 'detlab',
    run: () => {
      values.detlab = [evaluateCoco(input).ap];
    },
  };
  const python = process.env.DETLAB_BENCH_PYTHON;
  if (!python) {
    const missing = 'DETLAB_BENCH_PYTHON names a Python that has pycocotools';
    return [...(await takeTurns(rounds, [ours])), { name: cocoRivalName, rounds: [], missing }];
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-bench-'));
  const remove = (): void => fs.rmSync(folder, { recursive: true, force: true });
  const stopListening = onSignals(remove);
  let rival: Rival | undefined;
  try {
    const ids = input.groundTruth.map((_, i) => i + 1);
    const files = ['annotations', 'results'].map((name) => path.join(folder, `${name}.json`));
    fs.writeFileSync(files[0], JSON.stringify(toCocoGroundTruth({ ...input, ids })));
    fs.writeFileSync(files[1], JSON.stringify(toCocoResults({ ...input, ids })));
    const script = path.join(projectRoot, 'lib', 'bench', 'rivals', 'coco_rival.py');
    const program = { name: cocoRivalName, command: python, args: ['-I', script, ...files] };
    ({ rival } = await Rival.start(program));
    const running = rival;
    const theirs = {
      name: cocoRivalName,
      run: async () => {
        values[cocoRivalName] = [...(await running.request({ times: 1 })).values];
      },
    };
    const contestants = await takeTurns(rounds, [ours, theirs]);
    return contestants.map((one) => ({ ...one, values: values[one.name] }));
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    return [...(await takeTurns(rounds, [ours])), { name: cocoRivalName, rounds: [], missing }];
  } finally {
    await rival?.end();
    stopListening();
    remove();
  }
}
