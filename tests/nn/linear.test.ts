import { describe, expect, test } from 'vitest';
import { createRandom, inference, Linear, Module, summarize, tf } from 'detlab';
import { backends, expectClose, expectNoLeak, on, randomTensor } from '../tensor/kernels/backends';

describe.each(backends)('Linear, on %s', (backend) => {
  on(backend);

  test('is x weight + bias, with its gradients, by scalar loops', () => {
    const layer = new Linear({ inFeatures: 3, outFeatures: 2 }, createRandom(1));
    tf.tidy(() => {
      layer.bias!.assign(tf.tensor1d([0.5, -2]));
      const x = randomTensor<tf.Rank.R2>([4, 3], 'x');
      const dy = randomTensor<tf.Rank.R2>([4, 2], 'dy');
      const [X, DY, W] = [x, dy, layer.weight].map((t) => t.arraySync() as number[][]);
      const sum = (count: number, term: (i: number) => number): number =>
        Array.from({ length: count }, (_, i) => term(i)).reduce((a, b) => a + b, 0);
      const grid = (rows: number, columns: number, value: (r: number, c: number) => number): number[] =>
        Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
      const near = (actual: tf.Tensor, expected: number[], what: string): void =>
        expectClose(actual.dataSync(), expected, 1e-5, what);

      const y = grid(4, 2, (r, c) => [0.5, -2][c] + sum(3, (i) => X[r][i] * W[i][c]));
      near(layer.forward(x, inference), y, 'value');
      const loss = (input: tf.Tensor2D): tf.Scalar => tf.sum(tf.mul(layer.forward(input, inference), dy));
      const dx = grid(4, 3, (r, i) => sum(2, (c) => DY[r][c] * W[i][c]));
      near(tf.grad((input) => loss(input as tf.Tensor2D))(x), dx, 'gradient of x');
      const { grads } = tf.variableGrads(() => loss(x), [layer.weight, layer.bias!]);
      const dw = grid(3, 2, (i, c) => sum(4, (r) => X[r][i] * DY[r][c]));
      near(grads[layer.weight.name], dw, 'gradient of the weight');
      near(
        grads[layer.bias!.name],
        grid(1, 2, (_, c) => sum(4, (r) => DY[r][c])),
        'gradient of the bias',
      );
    });
    layer.dispose();
  });

  test('takes no rows, needs no bias, leaves nothing behind', () => {
    const layer = new Linear({ inFeatures: 3, outFeatures: 2, bias: false }, createRandom(1));
    expect(layer.namedVariables().map(({ name }) => name)).toEqual(['weight']);
    const [none, two] = [tf.zeros<tf.Rank.R2>([0, 3]), tf.zeros<tf.Rank.R2>([2, 3])];
    const empty = layer.forward(none, inference);
    expect(empty.shape).toEqual([0, 2]);
    expectNoLeak(() => layer.forward(two, inference).dispose());
    tf.dispose([none, two, empty]);
    layer.dispose();
  });
});

describe('Linear', () => {
  on('cpu');
  test('counts a multiply-add for every weight and row', () => {
    class Net extends Module {
      readonly fc: Linear = new Linear({ inFeatures: 5, outFeatures: 7 }, createRandom(1));
      forward(x: tf.Tensor4D, context: Parameters<Linear['forward']>[1]): tf.Tensor2D {
        return this.fc.forward(tf.mean(x, [1, 2]), context);
      }
    }
    const net = new Net();
    const { rows, parameters, multiplyAdds } = summarize(net, [2, 2, 5]);
    expect(rows).toMatchObject([{ layer: 'fc', input: [5], output: [7], parameters: 42, multiplyAdds: 35 }]);
    expect([parameters, multiplyAdds]).toEqual([42, 35]);
    net.dispose();
  });
});
