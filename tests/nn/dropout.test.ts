import { describe, expect, it } from 'vitest';
import { Dropout, StochasticDepth } from '../../lib/nn/dropout';
import { inference } from '../../lib/nn/module';
import { RandomStream } from '../../lib/tensor/random-stream';
import { tf } from '../../lib/tensor/tf';
import { backends, expectNoLeak, on, randomTensor } from '../tensor/kernels/backends';

describe.each(backends)('dropout on %s', (backend) => {
  on(backend);

  it('drops the asked share of the values, and scales the others', () => {
    const random = new RandomStream(3);
    const y = new Dropout(0.25).forward(tf.ones([200, 100]), { training: true, random });
    const values = Array.from(y.dataSync());
    expect(new Set(values)).toEqual(new Set([0, Math.fround(4 / 3)]));
    const kept = values.filter((v) => v > 0).length / values.length;
    expect(Math.abs(kept - 0.75)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / values.length));
    tf.dispose(y);
    random.dispose();
  });

  it('stochastic depth drops whole samples', () => {
    const random = new RandomStream(4);
    const y = new StochasticDepth(0.4).forward(tf.ones<tf.Rank.R4>([500, 2, 3, 2]), {
      training: true,
      random,
    });
    expect(y.shape).toEqual([500, 2, 3, 2]);
    const samples = Array.from({ length: 500 }, (_, i) => y.dataSync().slice(12 * i, 12 * i + 12));
    for (const sample of samples) expect(sample.every((v) => v === sample[0])).toBe(true);
    const kept = samples.filter((sample) => sample[0] > 0);
    expect(kept[0][0]).toBeCloseTo(1 / 0.6, 6);
    expect(Math.abs(kept.length / 500 - 0.6)).toBeLessThan(4 * Math.sqrt((0.4 * 0.6) / 500));
    tf.dispose(y);
    random.dispose();
  });

  it.each([
    ['Dropout', new Dropout(0.5)],
    ['StochasticDepth', new StochasticDepth(0.5)],
  ] as const)('%s: the gradient passes where the value does, and only there', (_, layer) => {
    const random = new RandomStream(5);
    tf.tidy(() => {
      const x = randomTensor<tf.Rank.R2>([6, 4], 'x');
      const dy = randomTensor<tf.Rank.R2>([6, 4], 'dy');
      const at = random.state.clone();
      const y = layer.forward(x, { training: true, random }).dataSync();
      const gradient = random.withState(at, () =>
        tf.grad((a) => layer.forward(a, { training: true, random }))(x, dy),
      );
      const [xs, dys] = [x.dataSync(), dy.dataSync()];
      expect(Array.from(gradient.dataSync())).toEqual(
        Array.from(dys, (d, i) => (y[i] === 0 ? 0 : (y[i] / xs[i]) * d)).map((v) => expect.closeTo(v, 5)),
      );
    });
    random.dispose();
  });

  it('draws anew at each pass, and the same again from the same seed', () => {
    const passes = (): string[] => {
      const random = new RandomStream(6);
      const layer = new Dropout(0.5);
      const found = [1, 2].map(() =>
        tf.tidy(() =>
          layer
            .forward(tf.ones([64]), { training: true, random })
            .dataSync()
            .join(),
        ),
      );
      random.dispose();
      return found;
    };
    const [first, second] = passes();
    expect(first).not.toBe(second);
    expect(passes()).toEqual([first, second]);
  });

  it('passes x on in inference and at a rate of 0, and leaks nothing', () => {
    const x = randomTensor<tf.Rank.R2>([3, 4], 'x');
    const random = new RandomStream(7);
    for (const layer of [new Dropout(0.5), new StochasticDepth(0.5)]) {
      const y = layer.forward(x, inference);
      expect(y.dataSync()).toEqual(x.dataSync());
      y.dispose();
      expect(x.isDisposed).toBe(false);
      expectNoLeak(() => layer.forward(x, { training: true, random }).dispose());
    }
    const y = new Dropout(0).forward(x, { training: true });
    expect(y.dataSync()).toEqual(x.dataSync());
    expect(new Dropout(0.5).namedVariables()).toEqual([]);
    tf.dispose([x, y]);
    random.dispose();
  });
});

it('names what is missing or out of range', () => {
  const x = tf.ones([2, 3]);
  expect(() => new Dropout(0.5).forward(x, { training: true })).toThrow(
    /Dropout: training with a rate of 0.5 .* random: new RandomStream\(seed\)/,
  );
  expect(() => new StochasticDepth(0.1).forward(x, { training: true })).toThrow(/StochasticDepth: training/);
  expect(() => new Dropout(1)).toThrow(/rate .* below 1, got 1/);
  expect(() => new StochasticDepth(-0.1)).toThrow(/got -0.1/);
  x.dispose();
});
