/** How long the networks of a search space take on this machine: an alternative to multiply-adds as the limit of a search. */
import { type Architecture, checkArchitecture, type SearchSpace } from '../models/architecture';
import {
  detNasBlocks,
  detNasMapSizes,
  type DetNasSize,
  detNasSpace,
  detNasStem,
} from '../models/backbones/detnas';
import { inference } from '../nn/module';
import { runLayers } from '../nn/sequential';
import { ShuffleBlock, type ShuffleBlockKind, shuffleBlockKinds } from '../nn/shuffle-block';
import { compile } from '../tensor/compile/compile';
import { zeroRandom } from '../tensor/random';
import { tf } from '../tensor/tf';
import { type Stopwatch, type TimedPiece, timeInTurns } from './time-in-turns';

/**
 * Measured times of a space's parts: numbers and text alone, so that JSON keeps them and a resumed search has the limit that it began with.
 */
export interface PathLatencies {
  readonly space: SearchSpace;
  /** What every architecture has, the call of a graph included: milliseconds for a batch. */
  readonly fixed: number;
  /** `blocks[block][choice]`, milliseconds for a batch. */
  readonly blocks: readonly (readonly number[])[];
  /** What they are of: the side of the square images in pixels, images a batch, the backend. */
  readonly measured: { readonly inputSize: number; readonly batch: number; readonly backend: string };
}

/** What is timed: a graph that does nothing, the first convolution, or copies of a unit in a row. */
export type LatencyPiece =
  | { readonly part: 'nothing' | 'stem' }
  | {
      readonly part: 'unit';
      readonly stage: number;
      readonly stride: 1 | 2;
      readonly kind: ShuffleBlockKind;
      readonly copies: number;
    };

/** Options of `measureLatencies`. */
export interface LatencyOptions {
  /** Images a run. Default 1, as a detector in use sees them. */
  readonly batch?: number;
  /** Times that are taken of each part. Default 15. */
  readonly rounds?: number;
  /** Units that are timed in a row, one graph: the more, the nearer to a whole network, and the longer to build. Default 3. */
  readonly copies?: number;
  /** How a run is timed. Default `wallClock`. */
  readonly stopwatch?: Stopwatch<LatencyPiece>;
  /** Called after every run of a part; the first two runs of each, which build its graph, take longest. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * How long an architecture's network takes for a batch in inference, milliseconds: the sum over its blocks. As the limit of a search:
 * `limit: { cost: (architecture) => pathLatency(latencies, architecture), most: 25 }`.
 * @throws RangeError on an architecture that the space does not have.
 */
export function pathLatency({ space, fixed, blocks }: PathLatencies, architecture: Architecture): number {
  checkArchitecture('pathLatency', architecture, space);
  return architecture.reduce((sum, choice, block) => sum + blocks[block][choice], fixed);
}

/**
 * Times every kind of unit once at every place that differs, a stage's first block or its later ones, and the first convolution; of the
 * trunk alone. Each is an inference graph, several copies of the unit in a row: one alone takes a fifth longer by itself than in a
 * network, whose graph is called once. What a call of a graph takes in any case is measured and taken off. The parts take turns, see
 * `timeInTurns`.
 *
 * Measured on two busy cores against a dozen whole networks: alike but for 1 to 3 %, where small ones at 64 pixels are in all as long as
 * they were and those of the small space at 160 some 6 % off; ranked alike with a Kendall tau of 0.7 to 0.9, where multiply-adds have -0.2
 * to 0.1. The times are those of the machine as busy as it was: choose a limit among them, not from another day's.
 * @param inputSize side of the square image, pixels.
 * @throws RangeError for counts and sizes that are none; the reason of the kernel's interrupt.
 */
export async function measureLatencies(
  size: DetNasSize,
  inputSize: number,
  options: LatencyOptions = {},
): Promise<PathLatencies> {
  const { batch = 1, rounds = 15, copies = 3, stopwatch, onProgress } = options;
  for (const [name, value] of Object.entries({ inputSize, batch, rounds, copies })) {
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`measureLatencies: ${name} is ${value}; it must be a whole number above 0`);
  }
  const bench = new Bench(batch);
  try {
    bench.add({ part: 'nothing' }, [1, 1, 1], (x) => tf.add(x, 1));
    const stem = bench.own(detNasStem(size, zeroRandom));
    bench.add({ part: 'stem' }, [inputSize, inputSize, 3], (x) => runLayers(stem, x, inference));
    const places = new Map<string, number>();
    const indices = detNasBlocks(size).map((block) => {
      const { stage, inChannels, outChannels, stride } = block;
      const side = inputSide(size, inputSize, block);
      return shuffleBlockKinds.map((kind) => {
        const key = `${stage} ${stride} ${kind}`;
        const known = places.get(key);
        if (known !== undefined) return known;
        const units = bench.own(
          Array.from(
            { length: copies },
            () => new ShuffleBlock({ inChannels, outChannels, stride, kind }, zeroRandom),
          ),
        );
        const piece: LatencyPiece = { part: 'unit', stage, stride, kind, copies };
        const index = bench.add(piece, [side, side, inChannels], (x) => inARow(units, x, stride));
        places.set(key, index);
        return index;
      });
    });
    const times = await timeInTurns(bench.pieces, { rounds, stopwatch, onProgress });
    const [nothing, fixed] = times;
    // A part that takes no time to speak of may come out below none.
    const blocks = indices.map((kinds) =>
      kinds.map((index) => Math.max(0, (times[index] - nothing) / copies)),
    );
    const measured = { inputSize, batch, backend: tf.getBackend() };
    return { space: detNasSpace(size), fixed, blocks, measured };
  } finally {
    bench.dispose();
  }
}

/** Cells a side of the map that a block takes. */
function inputSide(
  size: DetNasSize,
  inputSize: number,
  { stage, stride }: { readonly stage: number; readonly stride: 1 | 2 },
): number {
  const sides = detNasMapSizes(size, inputSize);
  if (stride === 1) return sides[stage];
  return stage === 0 ? Math.ceil(inputSize / 2) : sides[stage - 1];
}

/** The units one after another. Those of stride 2 can't take what the one before returned: they take `x`, but must wait for it. */
function inARow(units: readonly ShuffleBlock[], x: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  const [first, ...rest] = units;
  return rest.reduce(
    (y, unit) => unit.forward(stride === 1 ? y : tf.add(x, oneNumber(y)), inference),
    first.forward(x, inference),
  );
}

function oneNumber(x: tf.Tensor4D): tf.Tensor4D {
  return tf.slice4d(x, [0, 0, 0, 0], [1, 1, 1, 1]);
}

/** Graphs to be timed, and what they are made of. */
class Bench {
  readonly pieces: TimedPiece<LatencyPiece>[] = [];
  private readonly things: { dispose(): void }[] = [];

  constructor(private readonly batch: number) {}

  /** Disposes them in the end. */
  own<T extends { dispose(): void }>(things: T[]): T[] {
    this.things.push(...things);
    return things;
  }

  /** Returns the piece's number. @param shape of an image's map, `[H, W, C]`. */
  add(
    piece: LatencyPiece,
    shape: readonly [number, number, number],
    forward: (x: tf.Tensor4D) => tf.Tensor4D,
  ): number {
    const x = tf.randomNormal<tf.Rank.R4>([this.batch, ...shape], 0, 1, 'float32', 1);
    // One number: reading all of a map back takes time that a network's inner maps do not.
    const step = compile((inputs: { x: tf.Tensor4D }) => oneNumber(forward(inputs.x)), { check: false });
    this.things.push(x, step);
    const run = async (): Promise<void> => {
      const y = step({ x });
      await y.data();
      y.dispose();
    };
    return this.pieces.push({ piece, run }) - 1;
  }

  dispose(): void {
    for (const thing of this.things) thing.dispose();
  }
}
