/** `npm run bench`: how long the parts of training and evaluation take here. Speed and memory are judged by this, not by tests. */
import { parseArgs } from 'node:util';
import { classwiseNms } from '../boxes/nms';
import { ssdAnchors } from '../boxes/anchors';
import { ssd300Voc } from '../boxes/ssd-presets';
import type { Box, Detection, GroundTruth } from '../boxes/types';
import { evaluateVoc } from '../eval/voc';
import { multiboxLoss } from '../losses/multibox';
import { encodeTargets, targetTensors } from '../losses/multibox-targets';
import { applyStatistics, type BatchStatistics } from '../nn/module';
import { buildScratchDet, type NormPlacement, scratchDetRecipes } from '../papers/scratchdet';
import { useBackend } from '../tensor/backend';
import { createRandom, type Random } from '../tensor/random';
import { tf } from '../tensor/tf';
import { Sgd } from '../train/sgd';
import { type Measurement, printMeasurements, time } from './measure';

const help: string = `Times the parts of training and evaluation, or of the kernel, on this machine.

  npm run bench                        training and evaluation, on the fastest backend
  npm run bench -- kernel              the notebook's kernel: start, cells, completion, memory
  npm run bench -- --backend wasm      on another one: tensorflow, wasm, cpu
  npm run bench -- --rounds 9          measurements of each part (5 unless told); the least and the median are shown
`;

/** Runs the benchmark and prints a table. Returns the exit code. */
export async function benchCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      backend: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    console.error(`bench: --rounds is a whole number from 1, got ${values.rounds}`);
    return 2;
  }
  const [what = 'compute', ...more] = positionals;
  if ((what !== 'compute' && what !== 'kernel') || more.length > 0) {
    console.error(`bench: there is 'compute' (the default) and 'kernel', got '${positionals.join(' ')}'`);
    return 2;
  }
  if (what === 'kernel') {
    const { benchKernel } = await import('./kernel.js');
    await benchKernel(rounds);
    return 0;
  }
  const backend = await useBackend({ backend: values.backend });
  console.log(backend.line);
  const measured: Measurement[] = [];
  for (const batchSize of [8, 16]) {
    for (const norm of ['none', 'backbone'] as const)
      measured.push(await trainingStep(norm, batchSize, rounds));
  }
  measured.push(
    await detection(16, rounds),
    await targets(rounds),
    await suppression(rounds),
    await evaluation(rounds),
  );
  printMeasurements(measured);
  const { rss } = process.memoryUsage();
  console.log(
    `memory of the process: ${(rss / 2 ** 20).toFixed(0)} MiB; tensors left: ${tf.memory().numTensors}`,
  );
  return 0;
}

const size = scratchDetRecipes.default.network.inputSize;
const classes = 6;

function scenes(count: number, objects: number, random: Random, side: number): GroundTruth[][] {
  return Array.from({ length: count }, () =>
    Array.from({ length: objects }, () => ({ label: random.integer(classes), box: randomBox(random, side) })),
  );
}

function randomBox(random: Random, side: number): Box {
  const [w, h] = [random.uniform(0.1, 0.5) * side, random.uniform(0.1, 0.5) * side];
  const [x, y] = [random.uniform(0, side - w), random.uniform(0, side - h)];
  return [x, y, x + w, y + h];
}

async function trainingStep(norm: NormPlacement, batchSize: number, rounds: number): Promise<Measurement> {
  const { model, anchors } = buildScratchDet(scratchDetRecipes.default, norm, classes, 1);
  const images = tf.randomNormal([batchSize, size, size, 3], 0, 1, 'float32', 1) as tf.Tensor4D;
  const targets = targetTensors(encodeTargets(scenes(batchSize, 3, createRandom(1), size), anchors));
  const parameters = model.parameters();
  const variables = parameters.map(({ variable }) => variable);
  const optimizer = new Sgd(parameters, { weightDecay: 5e-4 });
  const times = await time(rounds, async () => {
    const statistics: BatchStatistics[] = [];
    const { value, grads } = tf.variableGrads(
      () => multiboxLoss(model.forward(images, { training: true, statistics }), targets).total,
      variables,
    );
    optimizer.step(
      variables.map(({ name }) => grads[name]),
      0.001,
    );
    applyStatistics(statistics);
    await value.data();
    tf.dispose([value, grads]);
  });
  optimizer.dispose();
  model.dispose();
  tf.dispose([images, targets.classTargets, targets.boxTargets]);
  const what = norm === 'none' ? 'without batch norm' : 'with batch norm';
  return {
    part: `training step ${what}`,
    size: `${batchSize} images of ${size} px`,
    rounds: times,
    images: batchSize,
  };
}

async function detection(batchSize: number, rounds: number): Promise<Measurement> {
  const detector = buildScratchDet(scratchDetRecipes.default, 'backbone', classes, 1);
  const images = tf.randomNormal([batchSize, size, size, 3], 0, 1, 'float32', 1) as tf.Tensor4D;
  const times = await time(rounds, () => detector.detect(images));
  detector.model.dispose();
  images.dispose();
  return {
    part: 'detection, NMS included',
    size: `${batchSize} images of ${size} px`,
    rounds: times,
    images: batchSize,
  };
}

async function targets(rounds: number): Promise<Measurement> {
  const anchors = ssdAnchors(ssd300Voc);
  const groundTruth = scenes(32, 10, createRandom(2), 300);
  const times = await time(rounds, () => encodeTargets(groundTruth, anchors));
  return {
    part: 'matching and encoding',
    size: '32 images x 10 objects x 8732 anchors',
    rounds: times,
    images: 32,
  };
}

async function suppression(rounds: number): Promise<Measurement> {
  const random = createRandom(3);
  const { boxes } = ssdAnchors(ssd300Voc);
  const scores = Float32Array.from({ length: (boxes.length / 4) * 20 }, () => random.next() ** 8);
  const times = await time(rounds, () => classwiseNms(boxes, scores, 20));
  return { part: 'class-wise NMS', size: '8732 boxes x 20 classes', rounds: times, images: 1 };
}

async function evaluation(rounds: number): Promise<Measurement> {
  const random = createRandom(4);
  const images = 1000;
  const groundTruth = scenes(images, 3, random, 300);
  const detections = groundTruth.map(() =>
    Array.from({ length: 100 }, (): Detection => {
      return { label: random.integer(classes), box: randomBox(random, 300), score: random.next() };
    }),
  );
  const names = Array.from({ length: classes }, (_, label) => `class ${label}`);
  const times = await time(rounds, () => evaluateVoc({ groundTruth, detections, classes: names }));
  return { part: 'VOC evaluation', size: `${images} images x 100 detections`, rounds: times, images };
}
