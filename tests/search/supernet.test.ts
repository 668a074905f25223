/** A supernet: each path is the network that it stands for, and training a path touches that path alone, compiled or not. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Architecture,
  Classifier,
  compile,
  createRandom,
  DetNasNet,
  type DetNasSize,
  DetNasSupernet,
  inference,
  pathTensor,
  pathTraining,
  Sgd,
  softmaxCrossEntropy,
  type StepParts,
  tf,
  train,
  uniformPath,
  useBackend,
  withPaths,
} from 'detlab';
import { temporaryFolder } from '../data/temporary';

beforeAll(async () => {
  await useBackend();
});

const size: DetNasSize = { stem: 4, widths: [8, 16], blocks: [2, 2], last: 8 };
const paths: Architecture[] = [
  [0, 1, 2, 3],
  [3, 0, 0, 1],
  [1, 1, 3, 2],
];
const side = 16;

interface Pictures {
  ids: readonly string[];
  images: Float32Array;
  labels: Int32Array;
}
const batchSize = 6;
/** Noise whose mean tells the class: something that can be learnt. */
const pictures = (number: number): Pictures => {
  const random = createRandom(`pictures/${number}`);
  const labels = Int32Array.from({ length: batchSize }, () => random.integer(3));
  const pixels = side * side * 3;
  const images = Float32Array.from(
    { length: batchSize * pixels },
    (_, i) => random.normal() + labels[Math.floor(i / pixels)] - 1,
  );
  return { ids: [...labels].map((_, i) => `${number}/${i}`), images, labels };
};
function build(): { supernet: DetNasSupernet; parts: StepParts<Pictures, Record<string, tf.Tensor>> } {
  const random = createRandom(1);
  const supernet = new DetNasSupernet(size, random);
  const model = new Classifier(supernet, { classes: 3 }, random);
  const parts: StepParts<Pictures, Record<string, tf.Tensor>> = {
    model,
    prepare: ({ images, labels }) => ({
      images: tf.tensor4d(images, [batchSize, side, side, 3]),
      labels: tf.tensor1d(labels, 'int32'),
    }),
    loss: ({ images, labels }, context) => {
      const scores = model.forward(images as tf.Tensor4D, context);
      const total = tf.mean(softmaxCrossEntropy(scores, labels as tf.Tensor1D)) as tf.Scalar;
      return { total, parts: {} };
    },
  };
  return { supernet, parts };
}
async function* batchesFrom(start: number): AsyncGenerator<Pictures> {
  for (let number = start; ; number++) yield Promise.resolve(pictures(number));
}
/** The choice that a variable belongs to: block and kind. */
const choiceOf = (name: string): [block: number, kind: number] | undefined => {
  const found = /stages\.(\d)\.(\d)\.choices\.(\d)\./.exec(name);
  return found ? [Number(found[1]) * 2 + Number(found[2]), Number(found[3])] : undefined;
};
const onPath = (name: string, path: Architecture): boolean => {
  const choice = choiceOf(name);
  return choice === undefined || path[choice[0]] === choice[1];
};

describe('a path', () => {
  test.each(paths.map((path) => [path]))('%j is the network that it stands for', (path) => {
    const supernet = new DetNasSupernet(size, createRandom(1));
    const net = supernet.extract(path);
    expect(net).toBeInstanceOf(DetNasNet);
    const x = tf.randomNormal<tf.Rank.R4>([2, 24, 24, 3], 0, 1, 'float32', 1);
    const chosen = pathTensor(path, supernet.space);
    for (const training of [false, true]) {
      const [ours, theirs] = [supernet.forward(x, { training, path: chosen }), net.forward(x, { training })];
      ours.forEach((map, i) => {
        expect(map.shape).toEqual(theirs[i].shape);
        expect(Array.from(map.dataSync())).toEqual(Array.from(theirs[i].dataSync()));
      });
      tf.dispose([ours, theirs]);
    }
    tf.dispose([x, chosen]);
    net.dispose();
    supernet.dispose();
  });

  test('all paths are one graph in inference', () => {
    const supernet = new DetNasSupernet(size, createRandom(1));
    const run = compile(({ x, path }: { x: tf.Tensor4D; path: tf.Tensor1D }) =>
      supernet.forward(x, { ...inference, path }),
    );
    const x = tf.randomNormal<tf.Rank.R4>([2, 24, 24, 3], 0, 1, 'float32', 1);
    for (const path of [...paths, ...paths]) {
      const net = supernet.extract(path);
      const chosen = pathTensor(path, supernet.space);
      const [ours, theirs] = [run({ x, path: chosen }), net.forward(x, inference)];
      ours.forEach((map, i) => {
        const expected = theirs[i].dataSync();
        map.dataSync().forEach((value, j) => expect(value).toBeCloseTo(expected[j], 4));
      });
      tf.dispose([ours, theirs, chosen]);
      net.dispose();
    }
    if (run.mode === 'graph') expect(run.graphs).toBe(1);
    run.dispose();
    x.dispose();
    supernet.dispose();
  });

  test('must be given, and be one of the space', () => {
    const supernet = new DetNasSupernet(size, createRandom(1));
    const x = tf.zeros<tf.Rank.R4>([1, 16, 16, 3]);
    expect(() => supernet.forward(x, inference)).toThrow(/give the forward pass `context.path`/);
    expect(() => pathTensor([0, 1, 2, 4], supernet.space)).toThrow(/block 3 has choice 4/);
    x.dispose();
    supernet.dispose();
  });
});

describe('training', () => {
  const random = createRandom(5);
  const sequence = [
    ...paths,
    paths[0],
    ...Array.from({ length: 4 }, () => uniformPath({ choices: [4, 4, 4, 4] }, random)),
  ];

  interface Trained {
    readonly losses: number[];
    readonly norms: number[];
    readonly weights: number[][];
    /** All numbers by name, before the first step and after each. */
    readonly states: Map<string, number[]>[];
    /** Those that a step on their path must change. */
    readonly large: ReadonlySet<string>;
  }
  const trained = async (compiled: boolean): Promise<Trained> => {
    const { supernet, parts } = build();
    const optimizer = new Sgd(parts.model.parameters(), { momentum: 0.9, weightDecay: 0.01 });
    const variables = [...parts.model.namedVariables(), ...optimizer.slots()];
    const state = (): Map<string, number[]> =>
      new Map(variables.map(({ name, variable }) => [name, Array.from(variable.dataSync())]));
    const large = new Set(variables.filter(({ variable }) => variable.rank > 1).map(({ name }) => name));
    const states = [state()];
    const { logs } = await train({
      ...pathTraining(parts, supernet.space),
      batches: withPaths(batchesFrom, (number) => sequence[number]),
      steps: sequence.length,
      schedule: () => 0.05,
      optimizer,
      clipNorm: 1,
      compile: compiled,
      onStep: () => void states.push(state()),
    });
    const weights = parts.model.namedVariables().map(({ variable }) => Array.from(variable.dataSync()));
    optimizer.dispose();
    parts.model.dispose();
    const [losses, norms] = [logs.map(({ loss }) => loss), logs.map(({ gradientNorm }) => gradientNorm)];
    return { losses, norms, weights, states, large };
  };
  const runs = new Map<boolean, Promise<Trained>>();
  /** The run, compiled or not, which is made once. */
  const run = (compiled: boolean): Promise<Trained> => {
    if (!runs.has(compiled)) runs.set(compiled, trained(compiled));
    return runs.get(compiled)!;
  };

  test.each([true, false])(
    'touches the sampled path alone: weights, momentum, decay and statistics (compiled: %s)',
    { timeout: 240_000 },
    async (compiled) => {
      const { states, large } = await run(compiled);
      expect(states).toHaveLength(sequence.length + 1);
      sequence.forEach((path, step) => {
        for (const [name, values] of states[step + 1]) {
          const before = states[step].get(name)!;
          const changed = values.some((value, i) => value !== before[i]);
          // Off the path nothing changes, to the bit. On it everything does but scales that a later normalisation takes out again.
          if (!onPath(name, path)) expect([name, changed]).toEqual([name, false]);
          else if (large.has(name) || name.endsWith('running_mean'))
            expect([name, changed]).toEqual([name, true]);
        }
      });
    },
  );

  test('compiled is eager, path after path', { timeout: 240_000 }, async () => {
    const [graph, eager] = [await run(true), await run(false)];
    graph.losses.forEach((loss, i) => expect(loss).toBeCloseTo(eager.losses[i], 4));
    graph.norms.forEach((norm, i) => expect(norm / eager.norms[i]).toBeCloseTo(1, 3));
    const wanted = eager.weights.flat();
    expect(wanted).toHaveLength(graph.weights.flat().length);
    graph.weights.flat().forEach((value, i) => expect(value).toBeCloseTo(wanted[i], 3));
  });

  test('is the same when it is broken off and taken up again', { timeout: 120_000 }, async () => {
    const sample = (number: number): Architecture =>
      uniformPath({ choices: [4, 4, 4, 4] }, createRandom(`path/${number}`));
    const run = async (folders: string | undefined, steps: number, at?: number): Promise<number[]> => {
      const { supernet, parts } = build();
      const stop = new Error('broken off');
      await train({
        ...pathTraining(parts, supernet.space),
        batches: withPaths(batchesFrom, sample),
        steps,
        schedule: () => 0.05,
        checkpoint: folders && { folder: folders, everySteps: 1 },
        compile: false,
        onStep: ({ step }) => {
          if (step === at) throw stop;
        },
      }).catch((error) => {
        if (error !== stop) throw error;
      });
      const values = parts.model.namedVariables().flatMap(({ variable }) => Array.from(variable.dataSync()));
      parts.model.dispose();
      return values;
    };
    const whole = await run(undefined, 6);
    const folder = temporaryFolder();
    await run(folder, 6, 3);
    expect(await run(folder, 6)).toEqual(whole);
  });

  test('without `partial` a path is an error that names a parameter left out', async () => {
    const { supernet, parts } = build();
    await expect(
      train({
        ...pathTraining(parts, supernet.space),
        partial: false,
        batches: withPaths(batchesFrom, () => paths[0]),
        steps: 1,
        schedule: () => 0.1,
        compile: false,
      }),
    ).rejects.toThrow(/does not depend on the parameter backbone\.stages\.0\.0\.choices\.1/);
    await expect(
      train({
        ...pathTraining(parts, supernet.space),
        accumulate: 2,
        batches: withPaths(batchesFrom, () => paths[0]),
        steps: 1,
        schedule: () => 0.1,
      }),
    ).rejects.toThrow(/added up \(accumulate\)/);
    parts.model.dispose();
  });
});
