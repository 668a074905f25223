/** Residual adapters against the same sums in plain numbers. */
import { describe, expect, test } from 'vitest';
import { createRandom, inference, ResidualAdapter, tf } from 'detlab';
import { expectClose, expectNoLeak, normals, on, randomTensor } from '../tensor/kernels/backends';

const [batch, side, channels, hidden] = [2, 3, 4, 3];
const shape: [number, number, number, number] = [batch, side, side, channels];

/** Weights of an adapter by their names, in double precision. */
type Weights = Record<'down.weight' | 'down.bias' | 'up.weight' | 'up.bias', number[]>;

/** `h + up(relu(down(h)))`, cell by cell. */
function plain(h: readonly number[], weights: Weights): number[] {
  const linear = (x: readonly number[], weight: readonly number[], bias: readonly number[]): number[] =>
    bias.map((offset, out) =>
      x.reduce((sum, value, i) => sum + value * weight[i * bias.length + out], offset),
    );
  return Array.from({ length: h.length / channels }, (_, cell) => {
    const x = h.slice(cell * channels, (cell + 1) * channels);
    const inner = linear(x, weights['down.weight'], weights['down.bias']).map((value) => Math.max(0, value));
    return linear(inner, weights['up.weight'], weights['up.bias']).map((value, i) => value + x[i]);
  }).flat();
}

/** An adapter with seeded weights, and the numbers of these weights. */
function trained(): { adapter: ResidualAdapter; weights: Weights } {
  const adapter = new ResidualAdapter({ channels, hidden }, createRandom(1));
  const weights = Object.fromEntries(
    adapter.namedVariables().map(({ name, variable }, i) => {
      const values = randomTensor(variable.shape, 10 + i);
      variable.assign(values);
      const numbers = [...values.dataSync()];
      values.dispose();
      return [name, numbers];
    }),
  ) as Weights;
  return { adapter, weights };
}

describe.each(['cpu', 'wasm', 'tensorflow'])('ResidualAdapter on %s', (backend) => {
  on(backend);

  test('changes nothing at first, and is two 1x1 convolutions', () => {
    const adapter = new ResidualAdapter({ channels, hidden }, createRandom(1));
    expect(adapter.parameters().map(({ name, variable }) => [name, variable.shape])).toEqual([
      ['down.weight', [1, 1, channels, hidden]],
      ['down.bias', [hidden]],
      ['up.weight', [1, 1, hidden, channels]],
      ['up.bias', [channels]],
    ]);
    const h = randomTensor<tf.Rank.R4>(shape, 2);
    const output = adapter.forward(h, inference);
    expect([...output.dataSync()]).toEqual([...h.dataSync()]);
    expectNoLeak(() => adapter.forward(h, inference).dispose());
    expect(h.isDisposed).toBe(false);
    // The first one's weights are not zero, or neither would ever learn.
    expect(Math.max(...adapter.down.weight.dataSync())).toBeGreaterThan(0);
    tf.dispose([h, output]);
    adapter.dispose();
  });

  test('values and gradients are those of plain numbers', () => {
    const { adapter, weights } = trained();
    const h = [...normals(batch * side * side * channels, 3)];
    const upstream = [...normals(h.length, 4)];
    const input = tf.tensor4d(h, shape);
    const output = adapter.forward(input, { training: true });
    expectClose(output.dataSync(), plain(h, weights), 1e-6, 'output');

    const { value, grads } = tf.variableGrads(() =>
      adapter.forward(input, { training: true }).mul(tf.tensor4d(upstream, shape)).sum(),
    );
    const inputGradient = tf.tidy(() =>
      tf.grad((x) => adapter.forward(x as tf.Tensor4D, { training: true }))(
        input,
        tf.tensor4d(upstream, shape),
      ),
    );
    const loss = (at: readonly number[], own: Weights): number =>
      plain(at, own).reduce((sum, number, i) => sum + number * upstream[i], 0);
    const step = 1e-5;
    const differences = (numbers: number[]): number[] =>
      numbers.map((number, i) => {
        const at = (moved: number): number => {
          numbers[i] = moved;
          return loss(h, weights);
        };
        const slope = (at(number + step) - at(number - step)) / (2 * step);
        numbers[i] = number;
        return slope;
      });
    for (const { name, variable } of adapter.parameters()) {
      const wanted = differences(weights[name as keyof Weights]);
      expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.1);
      expectClose(grads[variable.name].dataSync(), wanted, 1e-5, name);
    }
    expectClose(inputGradient.dataSync(), differences(h), 1e-5, 'input');
    tf.dispose([input, output, value, grads, inputGradient]);
    adapter.dispose();
  });
});
