import { describe, expect, test } from 'vitest';
import { Module, parameter } from '../../lib/nn/module';
import { tf } from '../../lib/tensor/tf';
import { rememberWeights } from '../../lib/train/weight-distance';
import { backends, normals, on } from '../tensor/kernels/backends';

class Layer extends Module {
  readonly weight: tf.Variable;
  readonly mean: tf.Variable;
  readonly count: tf.Variable;
  constructor(seed: string, size: number = 12) {
    super();
    this.weight = parameter(tf.tensor2d(normals(size, seed), [size / 3, 3]));
    this.mean = parameter(tf.tensor1d(normals(5, `${seed}-mean`)), false);
    this.count = parameter(tf.scalar(3, 'int32'), false);
  }
}

class Net extends Module {
  readonly trunk: Layer;
  readonly head: Layer;
  constructor(seed: string, size?: number) {
    super();
    this.trunk = new Layer(`${seed}-trunk`, size);
    this.head = new Layer(`${seed}-head`, size);
  }
}

/** Norms in doubles, as the definition has it. */
function byHand(before: readonly number[], after: readonly number[]): Record<string, number> {
  const distance = Math.sqrt(before.reduce((sum, value, i) => sum + (after[i] - value) ** 2, 0));
  const norm = Math.sqrt(before.reduce((sum, value) => sum + value * value, 0));
  return { distance, norm, relative: distance / norm };
}

function expectDistance(found: object, expected: Record<string, number>): void {
  for (const [name, value] of Object.entries(found)) {
    expect(Math.abs((value as number) - expected[name]), name).toBeLessThan(1e-5 * (1 + expected[name]));
  }
}

const read = (...variables: tf.Variable[]): number[] => variables.flatMap((one) => [...one.dataSync()]);

for (const backend of backends) {
  describe(`rememberWeights on ${backend}`, () => {
    on(backend);

    test('norms of parameters and of buffers, of the whole and by part', async () => {
      const tensors = tf.memory().numTensors;
      const net = new Net('a');
      const { trunk, head } = net;
      const start = rememberWeights(net);
      const before = [trunk, head].map(({ weight, mean }) => [read(weight), read(mean)]);
      const still = await start.distance();
      expect([still.trainable.distance, still.fixed.distance, still.parts.size]).toEqual([0, 0, 0]);
      expectDistance(
        still.trainable,
        byHand([...before[0][0], ...before[1][0]], [...before[0][0], ...before[1][0]]),
      );

      tf.tidy(() => {
        trunk.weight.assign(trunk.weight.mul(1.5));
        trunk.mean.assign(trunk.mean.add(0.25));
        head.weight.assign(head.weight.sub(2));
        head.count.assign(tf.scalar(9, 'int32'));
      });
      const after = [trunk, head].map(({ weight, mean }) => [read(weight), read(mean)]);
      const moved = await start.distance({ part: (name) => name.split('.')[0] });
      const both = (kind: number): [number[], number[]] => [
        [...before[0][kind], ...before[1][kind]],
        [...after[0][kind], ...after[1][kind]],
      ];
      expectDistance(moved.trainable, byHand(...both(0)));
      expectDistance(moved.fixed, byHand(...both(1)));
      expect([...moved.parts.keys()]).toEqual(['trunk', 'head']);
      ['trunk', 'head'].forEach((name, i) => {
        expectDistance(moved.parts.get(name)!.trainable, byHand(before[i][0], after[i][0]));
        expectDistance(moved.parts.get(name)!.fixed, byHand(before[i][1], after[i][1]));
      });
      expect(moved.parts.get('trunk')!.trainable.relative).toBeCloseTo(0.5, 5);
      expect(moved.parts.get('head')!.fixed.distance).toBe(0);

      start.dispose();
      await expect(start.distance()).rejects.toThrow('after dispose');
      net.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    });

    test('another network; one that is frozen later; some of the parts alone', async () => {
      const [net, other] = [new Net('a'), new Net('b')];
      const start = rememberWeights(net);
      net.trunk.weight.trainable = false;
      const found = await start.distance({
        module: other,
        part: (name) => (name.startsWith('head') ? 'head' : undefined),
      });
      const weights = ({ trunk, head }: Net): number[] => read(trunk.weight, head.weight);
      expectDistance(found.trainable, byHand(weights(net), weights(other)));
      expect([...found.parts.keys()]).toEqual(['head']);
      start.dispose();
      net.dispose();
      other.dispose();
    });

    test('refuses a network of another form', async () => {
      const net = new Net('a');
      const start = rememberWeights(net);
      const larger = new Net('a', 24);
      await expect(start.distance({ module: larger })).rejects.toThrow('trunk.weight is [8,3], but [4,3]');
      await expect(start.distance({ module: net.trunk })).rejects.toThrow('no variable trunk.weight');
      const part = rememberWeights(net.trunk);
      await expect(part.distance({ module: net })).rejects.toThrow('no variable weight');
      const more = Object.assign(new Layer('a'), { extra: parameter(tf.scalar(1)) });
      await expect(part.distance({ module: more })).rejects.toThrow('has extra, which was not remembered');
      start.dispose();
      part.dispose();
      for (const one of [net, larger, more]) one.dispose();
    });
  });
}

test('a part without weights has no relative distance', async () => {
  class Zeros extends Module {
    readonly weight: tf.Variable = parameter(tf.zeros([3]));
  }
  const net = new Zeros();
  const start = rememberWeights(net);
  const { trainable, fixed } = await start.distance();
  expect([trainable.relative, fixed.norm, fixed.relative]).toEqual([NaN, 0, NaN]);
  net.weight.assign(tf.tensor1d([3, 0, 4]));
  expect((await start.distance()).trainable).toEqual({ distance: 5, norm: 0, relative: Infinity });
  start.dispose();
  net.dispose();
});
