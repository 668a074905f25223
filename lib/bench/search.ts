/**
 * `npm run bench -- search`: a training step of a supernet whose path changes, as one graph of all paths, as a graph for each path, and
 * without graphs.
 */
import type { Batch } from '../data/loader';
import type { Architecture } from '../models/architecture';
import { DetNasNet, type DetNasSize, detNasSpace } from '../models/backbones/detnas';
import { createRetinaNetDetector, RetinaNet } from '../models/retinanet';
import { uniformPath } from '../search/sample-paths';
import { DetNasSupernet } from '../search/supernet';
import { type PathBatch, pathTraining, type StepParts } from '../search/train-paths';
import { nodeBackend } from '../tensor/compile/node-backend';
import { createRandom } from '../tensor/random';
import { RandomStream } from '../tensor/random-stream';
import type { tf } from '../tensor/tf';
import { createLocalStepper } from '../train/local-stepper';
import { Sgd } from '../train/sgd';
import { detectorTraining } from '../train/train-detector';
import { breakEven, leads, type StepCost } from './break-even';
import { type Comparison, type Contestant, takeTurns, type Way } from './measure';
import { randomBatch } from './random-batch';

/** Eight blocks of four kinds of unit: the smallest space that is still one. */
const size: DetNasSize = { stem: 8, widths: [16, 32, 64, 128], blocks: [2, 2, 2, 2], last: 128 };
const space = detNasSpace(size);
const side = 64;
const images = 8;
const classes = 3;
/** Paths whose graphs are built, each from nothing. */
const builds = 2;
/** A graph is compared with its function at the second and at the eighth call: neither is timed as a step. The 32nd is: see the most. */
const warmUp = 8;

/** Rounds for each one that is asked for: a step is short. */
const roundsEach = 3;

const names = {
  all: 'one graph for all paths',
  same: 'the same graph, one path',
  own: 'that path, its own graph',
  none: 'without graphs',
} as const;

/**
 * Steps of a RetinaNet on a supernet, each on a path that was not met before; and of one path in the graph of all and in its own. What the
 * graphs cost to build, and after how many steps that has paid, is told to `note`.
 */
export async function compareSearch(rounds: number, note: (line: string) => void): Promise<Comparison[]> {
  const batch = randomBatch(images, side);
  const random = createRandom('bench/search');
  const paths = Array.from({ length: builds }, () => uniformPath(space, random));
  const on = (path: Architecture): PathBatch<Batch> => ({ ids: batch.ids, batch, path });
  const fresh = (): PathBatch<Batch> => on(uniformPath(space, random));
  const steps: { dispose(): void }[] = [];
  const supernetStep = (compiled: boolean): BatchStep<PathBatch<Batch>> => {
    const step = batchStep(pathTraining(training(), space), compiled);
    steps.push(step);
    return step;
  };
  const ownStep = (path: Architecture): BatchStep<Batch> => {
    const step = batchStep(training(path), true);
    steps.push(step);
    return step;
  };
  const reported = (contestants: readonly Contestant[]): Comparison[] => [
    { part: 'step of a supernet', size: `8 blocks, ${side} px`, images, contestants },
  ];
  try {
    const none = supernetStep(false);
    const eager: Way = { name: names.none, run: () => none.run(fresh()) };
    if (!nodeBackend()) {
      note('this backend has no graphs: there is one way only');
      return reported(await takeTurns(rounds, [eager]));
    }
    const all = supernetStep(true);
    const supernet = await callTimes(warmUp, () => all.run(fresh()));
    const own: number[][] = [];
    const plain = paths.map(ownStep);
    for (const [i, step] of plain.entries())
      own.push(await callTimes(i === 0 ? warmUp : 1, () => step.run(batch)));
    const contestants = await takeTurns(rounds * roundsEach, [
      { name: names.all, run: () => all.run(fresh()) },
      { name: names.same, run: () => all.run(on(paths[0])) },
      { name: names.own, run: () => plain[0].run(batch) },
      eager,
    ]);
    const missing = contestants.find((one) => one.missing !== undefined);
    if (!missing) for (const line of findings(contestants, supernet, own)) note(line);
    return reported(contestants);
  } finally {
    for (const step of steps) step.dispose();
  }
}

/** What was found, in words. @param supernet, own: milliseconds of the first calls, of each graph. */
function findings(
  contestants: readonly Contestant[],
  supernet: readonly number[],
  own: readonly (readonly number[])[],
): string[] {
  // The least, as other programs only add: what is compared here differs by less than they add to a median.
  const [all, same, alone, none] = contestants.map(({ rounds }) => Math.min(...rounds));
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
  const build = ([first]: readonly number[], step: number): number => first - step;
  const checks = ([_, ...later]: readonly number[], step: number): number =>
    later.reduce((sum, call) => sum + call - step, 0);
  const builds = own.map((calls) => build(calls, alone));
  const ownBuild = builds.reduce((sum, time) => sum + time, 0) / builds.length;
  const once = build(supernet, all) + checks(supernet, all);
  const forAll: StepCost = { name: names.all, once, each: all };
  const forEach: StepCost = { name: 'a graph for each path', once: 0, each: ownBuild + alone };
  const without: StepCost = { name: names.none, once: 0, each: none };
  const order = leads([without, forAll, forEach]).map(
    ({ name, from }) => `${name} leads from step ${from} on`,
  );
  const again = same - alone;
  return [
    `${names.all}: built in ${seconds(build(supernet, all))}, ` +
      `compared with its function at the 2nd and the 8th step in ${seconds(checks(supernet, all))}`,
    `a path's own graph: built in ${builds.map(seconds).join(' and ')}, compared with its function in ${seconds(checks(own[0], alone))}`,
    `a new path every step: ${order.join(', ')}; ` +
      `${names.all} is ahead of a graph for each from step ${breakEven(forAll, forEach)} on`,
    again > 0
      ? `a path's own graph is ahead of the one for all once the path has been taken ${Math.ceil(ownBuild / again)} times`
      : "a path's own graph was no faster than the one for all",
  ];
}

/** Milliseconds of each of so many calls. */
async function callTimes(calls: number, run: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < calls; i++) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return times;
}

/** A training step on a batch that it is given. */
interface BatchStep<B> {
  run(batch: B): Promise<unknown>;
  dispose(): void;
}

function batchStep<B extends { readonly ids: readonly string[] }, I extends Record<string, tf.Tensor>>(
  parts: StepParts<B, I> & { readonly partial?: boolean },
  compiled: boolean,
): BatchStep<B> {
  const optimizer = new Sgd(parts.model.parameters(), { momentum: 0.9, weightDecay: 1e-4 });
  const random = new RandomStream(1);
  const stepper = createLocalStepper({
    ...{ ...parts, optimizer, compiled },
    context: { random },
    clipNorm: 5,
    change: false,
  });
  let step = 0;
  return {
    run: (batch) => stepper.run(batch, { step: step++, learningRate: 1e-3, last: true }),
    dispose() {
      void stepper.dispose();
      optimizer.dispose();
      random.dispose();
      parts.model.dispose();
    },
  };
}

/** A small RetinaNet's training: on the network of an architecture, or on the supernet. */
function training(architecture?: Architecture): ReturnType<typeof detectorTraining> {
  const model = new RetinaNet(
    {
      backbone: (random) =>
        architecture ? new DetNasNet(size, architecture, random) : new DetNasSupernet(size, random),
      taps: [1, 2, 3],
      classes,
      outChannels: 32,
      extraLevels: 'p6p7',
      batchNorm: true,
      anchorsPerCell: 3,
      depth: 2,
      groupNorm: { groups: 8 },
    },
    createRandom(1),
  );
  const detector = createRetinaNetDetector(model, {
    inputSize: { width: side, height: side },
    sizes: [9, 19, 32, 45, 59].map((anchor) => [anchor]),
    ratios: [0.6, 1, 1.6],
  });
  return detectorTraining(detector);
}
