/** What is frozen is not trained; what is shuffled has lost what it learnt; what runs off the tape is a constant. */
import { describe, expect, test } from 'vitest';
import {
  applyStatistics,
  BasicBlock,
  type BatchStatistics,
  createRandom,
  type ForwardContext,
  freezeBatchNorm,
  freezeModule,
  inference,
  isFrozen,
  Linear,
  Module,
  Sgd,
  shuffleWeights,
  tf,
} from 'detlab';
import { offTape, tapeState } from '../../lib/tensor/gradient-tape';
import { expectNoLeak, on, randomTensor } from '../tensor/kernels/backends';

/** Two blocks: the first 3x3x3x4 and 3x3x4x4 weights, a 1x1 of 3x4, and three batch norms of 4; the second two of 3x3x4x4, and two. */
class Net extends Module {
  readonly trunk: BasicBlock[] = [new BasicBlock(3, 4, 2, createRandom(1))];
  readonly head: BasicBlock = new BasicBlock(4, 4, 1, createRandom(2));

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() => this.head.forward(this.trunk[0].forward(x, context), context));
  }
}

const values = (module: Module): Map<string, number[]> =>
  new Map(module.namedVariables().map(({ name, variable }) => [name, [...variable.dataSync()]]));

describe('freezeModule', () => {
  on('cpu');

  test('leaves the part no parameters and its statistics alone', () => {
    const net = new Net();
    const [trunk] = net.trunk;
    const inTrunk = 3 * 3 * 3 * 4 + 3 * 3 * 4 * 4 + 3 * 4 + 3 * 2 * 4;
    const inHead = 2 * (3 * 3 * 4 * 4 + 2 * 4);
    expect(net.parameterCount()).toBe(inTrunk + inHead);
    expect([isFrozen(trunk), isFrozen(net)]).toEqual([false, false]);
    expect(freezeModule(trunk)).toBe(inTrunk);
    expect([isFrozen(trunk), isFrozen(net)]).toEqual([true, false]);
    expect(net.parameterCount()).toBe(inHead);
    expect(freezeModule(trunk)).toBe(0);

    const x = randomTensor<tf.Rank.R4>([2, 6, 6, 3], 1);
    const before = values(net);
    const optimizer = new Sgd(net.parameters());
    const statistics: BatchStatistics[] = [];
    const loss = (): tf.Scalar => net.forward(x, { training: true, statistics }).square().sum();
    const { value, grads } = tf.variableGrads(
      loss,
      optimizer.parameters.map(({ variable }) => variable),
    );
    optimizer.step(
      optimizer.parameters.map(({ variable }) => grads[variable.name]),
      0.1,
    );
    expect(statistics).toHaveLength(2);
    applyStatistics(statistics);
    for (const [name, after] of values(net)) {
      expect(
        after.every((number, i) => number === before.get(name)![i]),
        name,
      ).toBe(name.startsWith('trunk'));
    }
    tf.dispose([value, grads, x]);
    optimizer.dispose();
    net.dispose();
  });

  test('is neither frozen batch norm alone nor variables that are no parameters', () => {
    const block = new BasicBlock(3, 4, 2, createRandom(1));
    freezeBatchNorm(block);
    expect(isFrozen(block)).toBe(false);
    block.dispose();
    const other = new BasicBlock(3, 4, 2, createRandom(1));
    for (const { variable } of other.namedVariables()) variable.trainable = false;
    expect(other.parameterCount()).toBe(0);
    // Its running statistics would still follow the batches.
    expect(isFrozen(other)).toBe(false);
    other.dispose();
  });
});

describe('shuffleWeights', () => {
  on('cpu');

  test('keeps each variable’s numbers in another order, which the seed says', () => {
    const nets = [1, 1, 2].map((seed) => {
      const net = new BasicBlock(3, 8, 2, createRandom(5));
      for (const { variable } of net.namedVariables()) {
        const own = randomTensor(variable.shape, variable.size);
        variable.assign(tf.tidy(() => tf.abs(own)));
        own.dispose();
      }
      const before = values(net);
      expectNoLeak(() => shuffleWeights(net, createRandom(seed)));
      return { net, before, after: values(net) };
    });
    const [{ before, after }, again, other] = nets;
    const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
    for (const [name, numbers] of after) {
      expect(sorted(numbers), name).toEqual(sorted(before.get(name)!));
      expect(numbers, name).not.toEqual(before.get(name));
    }
    expect([...after.keys()].filter((name) => name.includes('running'))).toHaveLength(6);
    expect(again.after).toEqual(after);
    expect(other.after).not.toEqual(after);
    // Variables of one size are not shuffled alike.
    const moved = (name: string): number[] =>
      after.get(name)!.map((value) => before.get(name)!.indexOf(value));
    expect(moved('bn1.running_mean')).not.toEqual(moved('bn2.running_mean'));
    nets.forEach(({ net }) => net.dispose());
  });
});

describe('offTape', () => {
  on('cpu');

  test('makes a constant: no gradient, nothing noted', () => {
    const x = tf.tensor1d([1, 2, 3]);
    // d/dx sum(x^2 * c), c = x^2 as a constant: 2 x c, not 4 x^3.
    const gradient = tf.grad((y: tf.Tensor) => {
      const noted = tapeState().activeTape!.length;
      const constant = offTape(() => y.square());
      expect(tapeState().activeTape).toHaveLength(noted);
      return y.square().mul(constant).sum();
    });
    const found = gradient(x);
    expect([...found.dataSync()]).toEqual([2, 16, 54]);
    const before = tf.memory().numTensors;
    gradient(x).dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, found]);
  });

  test('puts the tape back when the computation fails, and one within the other', () => {
    const { kernelDepth } = tapeState();
    const fail = (): never => {
      throw new Error('no map');
    };
    expect(() => offTape(() => offTape(fail))).toThrow('no map');
    expect(tapeState().kernelDepth).toBe(kernelDepth);
    const linear = new Linear({ inFeatures: 2, outFeatures: 1 }, createRandom(1));
    const x = tf.ones<tf.Rank.R2>([1, 2]);
    const { value, grads } = tf.variableGrads(() => {
      offTape(() => offTape(() => linear.forward(x, inference)));
      return linear.forward(x, inference).sum();
    });
    expect(Object.values(grads).map((grad) => [...grad.dataSync()])).toEqual([[1, 1], [1]]);
    tf.dispose([x, value, grads]);
    linear.dispose();
  });
});
