/** Latencies: known durations of the parts add up to known durations of networks; nothing here depends on how fast the machine is. */
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  createRandom,
  DetNasNet,
  type DetNasSize,
  detNasSpace,
  type EvolutionSettings,
  inference,
  type LatencyPiece,
  measureLatencies,
  pathLatency,
  type PathLatencies,
  searchArchitectures,
  ShuffleBlock,
  shuffleBlockKinds,
  tf,
  uniformPath,
  useBackend,
  zeroRandom,
} from 'detlab';

beforeAll(async () => {
  await useBackend();
});

const size: DetNasSize = { stem: 4, widths: [8, 16], blocks: [3, 2], last: 8 };
const space = detNasSpace(size);
const call = 0.25;
/** What a unit takes: a number that tells its place and kind. */
const unitTime = (stage: number, stride: number, kind: number): number =>
  2 ** (kind + 1) + 32 * stage + 128 * stride;

/** Durations of the parts, as a machine would show them that calls a graph in `call` milliseconds. */
const known =
  (seen: LatencyPiece[] = []) =>
  (piece: LatencyPiece): Promise<number> => {
    seen.push(piece);
    if (piece.part !== 'unit') return Promise.resolve(piece.part === 'stem' ? call + 5 : call);
    const kind = shuffleBlockKinds.indexOf(piece.kind);
    return Promise.resolve(call + piece.copies * unitTime(piece.stage, piece.stride, kind));
  };
const measure = (): Promise<PathLatencies> => measureLatencies(size, 32, { rounds: 1, stopwatch: known() });

describe('latencies', () => {
  test('are what each part took, the call of a graph taken off and copies shared out', async () => {
    const { fixed, blocks, measured, space: own } = await measure();
    expect(own).toEqual(space);
    expect(fixed).toBe(call + 5);
    expect(measured).toEqual({ inputSize: 32, batch: 1, backend: tf.getBackend() });
    const places = [0, 0, 0, 1, 1].map((stage, i) => [stage, i === 0 || i === 3 ? 2 : 1]);
    expect(blocks).toEqual(
      places.map(([stage, stride]) => shuffleBlockKinds.map((_, kind) => unitTime(stage, stride, kind))),
    );
  });

  test('each kind is timed once at each place that differs, in turns', async () => {
    const seen: LatencyPiece[] = [];
    await measureLatencies(size, 32, { rounds: 4, copies: 5, stopwatch: known(seen) });
    const parts = new Map<string, number>();
    for (const piece of seen) {
      const key = JSON.stringify(piece);
      parts.set(key, (parts.get(key) ?? 0) + 1);
    }
    // Two stages with two strides of four kinds each, the first convolution, and a graph that does nothing.
    expect(parts.size).toBe(18);
    // Two rounds of warm-up, four that count.
    expect([...parts.values()]).toEqual(new Array(18).fill(6));
    expect(seen.filter((piece) => piece.part === 'unit').every(({ copies }) => copies === 5)).toBe(true);
  });

  test('a network’s is the sum over its blocks', async () => {
    const latencies = await measure();
    const random = createRandom(1);
    for (let i = 0; i < 20; i++) {
      const path = uniformPath(space, random);
      const sum = path.reduce((total, kind, block) => total + latencies.blocks[block][kind], latencies.fixed);
      expect(pathLatency(latencies, path)).toBe(sum);
    }
    expect(pathLatency(latencies, [0, 0, 0, 0, 0])).toBe(
      call + 5 + unitTime(0, 2, 0) + 2 * unitTime(0, 1, 0) + unitTime(1, 2, 0) + unitTime(1, 1, 0),
    );
    expect(() => pathLatency(latencies, [0, 0, 0, 0])).toThrow(/pathLatency: the architecture has 4 blocks/);
    expect(() => pathLatency(latencies, [0, 0, 4, 0, 0])).toThrow(/block 2 has choice 4/);
  });

  test('come back from JSON as they were', async () => {
    const latencies = await measure();
    const back = JSON.parse(JSON.stringify(latencies)) as PathLatencies;
    expect(back).toEqual(latencies);
    expect(pathLatency(back, [3, 1, 2, 0, 3])).toBe(pathLatency(latencies, [3, 1, 2, 0, 3]));
  });

  test('a part that the clock cannot tell from nothing takes no time', async () => {
    const { blocks } = await measureLatencies(size, 32, {
      rounds: 1,
      stopwatch: ({ part }) => Promise.resolve(part === 'unit' ? 1 : 2),
    });
    expect(blocks.flat().every((time) => time === 0)).toBe(true);
  });

  test('are the limit of a search', async () => {
    const latencies = await measure();
    const settings: EvolutionSettings = {
      population: 8,
      parents: 3,
      generations: 4,
      mutants: 3,
      mutationProbability: 0.3,
      crossovers: 3,
    };
    const cost = (path: readonly number[]): number => pathLatency(latencies, path);
    const middle = cost([1, 2, 1, 2, 1]);
    // The dearer the better: only the limit holds it back.
    const search = (limit?: { cost: typeof cost; most: number }) =>
      searchArchitectures({
        ...{ space, settings, seed: 1, limit },
        evaluate: ({ architecture }) => Promise.resolve(cost(architecture)),
      });
    const { history } = await search({ cost, most: middle });
    expect(history.length).toBeGreaterThan(8);
    for (const { architecture } of history) expect(cost(architecture)).toBeLessThanOrEqual(middle);
    expect((await search()).best.fitness).toBeGreaterThan(middle);
    await expect(search({ cost, most: latencies.fixed })).rejects.toThrow(/raise the limit/);
  });
});

describe('measured here', () => {
  test('every part runs, and nothing is left behind', { timeout: 120_000 }, async () => {
    const before = tf.memory().numTensors;
    const progress: [number, number][] = [];
    const latencies = await measureLatencies(size, 24, {
      ...{ batch: 2, rounds: 1, copies: 2 },
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(progress.at(-1)).toEqual([54, 54]);
    expect(latencies.measured.batch).toBe(2);
    expect(latencies.blocks.map((kinds) => kinds.length)).toEqual([4, 4, 4, 4, 4]);
    for (const time of [latencies.fixed, ...latencies.blocks.flat()]) {
      expect(Number.isFinite(time)).toBe(true);
      expect(time).toBeGreaterThanOrEqual(0);
    }
    // Blocks at the same place have the same numbers.
    expect(latencies.blocks[1]).toEqual(latencies.blocks[2]);
  });

  test.each([
    [{ batch: 0 }, 32, /batch is 0/],
    [{ copies: 1.5 }, 32, /copies is 1.5/],
    [{ rounds: 0 }, 32, /rounds is 0/],
    [{}, 0, /inputSize is 0/],
  ])('refuses %o at %d px', async (options, inputSize, message) => {
    const before = tf.memory().numTensors;
    await expect(measureLatencies(size, inputSize, options)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a failed run leaves nothing behind', async () => {
    const before = tf.memory().numTensors;
    const stopwatch = (): Promise<number> => Promise.reject(new Error('the clock stood still'));
    await expect(measureLatencies(size, 32, { stopwatch })).rejects.toThrow('the clock stood still');
    expect(tf.memory().numTensors).toBe(before);
  });

  test('units get the maps that they get in the network', async () => {
    const seen = vi.spyOn(ShuffleBlock.prototype, 'forward');
    const shapes = (): Set<string> => new Set(seen.mock.calls.map(([x]) => x.shape.join()));
    // An odd size: maps of 21, 11 and 6 cells a side.
    await measureLatencies(size, 41, { rounds: 1, copies: 1 });
    const alone = shapes();
    seen.mockClear();
    const net = new DetNasNet(size, [0, 1, 2, 3, 0], zeroRandom);
    const x = tf.zeros<tf.Rank.R4>([1, 41, 41, 3]);
    tf.dispose([x, net.forward(x, inference)]);
    expect(alone).toEqual(shapes());
    seen.mockRestore();
    net.dispose();
  });
});
