import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { compile } from '../../lib/tensor/compile/compile';
import { philox } from '../../lib/tensor/philox';
import { RandomStream } from '../../lib/tensor/random-stream';
import { tf } from '../../lib/tensor/tf';
import { backends, expectClose, expectNoLeak, on } from './kernels/backends';

const fixture = JSON.parse(
  fs.readFileSync(path.join(__dirname, 'fixtures', 'stateless-uniform.json'), 'utf8'),
) as { cases: { seed: [number, number]; multiples: number[] }[] };

/** The values of a tensor, which is disposed. */
function values(x: tf.Tensor): number[] {
  const found = Array.from(x.dataSync());
  x.dispose();
  return found;
}

/** A stream that has drawn so many times. */
function streamAt(seed: number, draws: number): RandomStream {
  const stream = new RandomStream(seed);
  tf.tidy(() => stream.state.assign(tf.tensor1d([seed, draws], 'int32')));
  return stream;
}

type Words = [number, number, number, number];

describe('Philox 4x32-10', () => {
  // The known answers that come with the paper's own library, Random123: counter, key, result.
  it.each<[string, Words, [number, number], Words]>([
    ['zeros', [0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      'ones',
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      'the digits of pi',
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('%s', (_, counter, key, expected) => {
    const words = new Int32Array(4);
    philox(...counter, ...key, words);
    expect(Array.from(words, (word) => word >>> 0)).toEqual(expected);
  });
});

describe.each(backends)('RandomStream on %s', (backend) => {
  on(backend);

  it.each(fixture.cases)('draws what TensorFlow draws for seed $seed, to the bit', ({ seed, multiples }) => {
    const stream = streamAt(...seed);
    expect(values(stream.uniform([multiples.length]))).toEqual(multiples.map((m) => m / 0x800000));
    // the shape does not matter, and fewer numbers are the same ones
    tf.tidy(() => stream.state.assign(tf.tensor1d(seed, 'int32')));
    expect(values(stream.uniform([2, 1, 3]))).toEqual(multiples.slice(0, 6).map((m) => m / 0x800000));
    stream.dispose();
  });

  it('counts its draws, and the largest count goes on below the smallest', () => {
    const stream = new RandomStream(-3);
    expect(Array.from(stream.state.dataSync())).toEqual([-3, 0]);
    tf.dispose([stream.uniform([2]), stream.normal([5]), stream.bernoulli([3], 0.5)]);
    expect(Array.from(stream.state.dataSync())).toEqual([-3, 3]);
    expect(stream.state.dtype).toBe('int32');
    expect(stream.state.trainable).toBe(false);
    const late = streamAt(1, 2147483647);
    const [a, b] = [values(late.uniform([4])), values(late.uniform([4]))];
    expect(Array.from(late.state.dataSync())).toEqual([1, -2147483647]);
    expect(a).not.toEqual(b);
    stream.dispose();
    late.dispose();
  });

  it('makes normal numbers of uniform ones as Box and Muller do', () => {
    const uniforms = streamAt(7, 4);
    const normals = streamAt(7, 4);
    const u = values(uniforms.uniform([2, 8]));
    const expected = Array.from({ length: 15 }, (_, i) => {
      const radius = Math.sqrt(-2 * Math.log(1 - u[i % 8]));
      const angle = 2 * Math.PI * u[8 + (i % 8)];
      return radius * (i < 8 ? Math.cos(angle) : Math.sin(angle));
    });
    const z = normals.normal([3, 5]);
    expect(z.shape).toEqual([3, 5]);
    expectClose(values(z), expected, 2e-6, 'normal numbers');
    uniforms.dispose();
    normals.dispose();
  });

  it('takes every shape, scalars and nothing too', () => {
    const stream = new RandomStream(1);
    for (const shape of [[], [1], [0], [3, 0], [2, 3, 1, 2]]) {
      for (const draw of [stream.uniform(shape), stream.normal(shape), stream.bernoulli(shape, 0.3)]) {
        expect(draw.shape).toEqual(shape);
        expect(draw.dtype).toBe('float32');
        draw.dispose();
      }
    }
    stream.dispose();
  });

  it('bernoulli is certain at 0 and 1', () => {
    const stream = new RandomStream(1);
    expect(new Set(values(stream.bernoulli([1000], 0)))).toEqual(new Set([0]));
    expect(new Set(values(stream.bernoulli([1000], 1)))).toEqual(new Set([1]));
    expect(() => stream.bernoulli([2], 1.5)).toThrow(/probability lies in \[0, 1\], got 1.5/);
    stream.dispose();
  });

  it('replays from a state and goes on where it was, also nested and after an error', () => {
    const stream = new RandomStream(5);
    const at = stream.state.clone();
    const first = [values(stream.uniform([4])), values(stream.normal([4]))];
    const then = stream.state.clone();
    const replay = (): number[][] => [values(stream.uniform([4])), values(stream.normal([4]))];
    expect(stream.withState(at, replay)).toEqual(first);
    expect(Array.from(stream.state.dataSync())).toEqual([5, 2]);
    const nested = stream.withState(at, () => {
      const one = values(stream.uniform([4]));
      const inner = stream.withState(at, () => values(stream.uniform([4])));
      return [one, inner, values(stream.normal([4]))];
    });
    expect(nested).toEqual([first[0], first[0], first[1]]);
    expect(() =>
      stream.withState(at, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(Array.from(stream.state.dataSync())).toEqual([5, 2]);
    const next = values(stream.uniform([4]));
    expect(stream.withState(then, () => values(stream.uniform([4])))).toEqual(next);
    expect(stream.withState(stream.state, () => values(stream.uniform([1])).length)).toBe(1);
    expect(Array.from(stream.state.dataSync())).toEqual([5, 3]);
    tf.dispose([at, then]);
    stream.dispose();
  });

  it('draws anew at each run of a compiled step, what the step would draw by itself', () => {
    const step = (stream: RandomStream) => (): { draw: tf.Tensor; again: tf.Tensor; normal: tf.Tensor } => {
      const at = stream.state.clone();
      return {
        draw: stream.uniform([4]),
        normal: stream.normal([3]),
        again: stream.withState(at, () => stream.uniform([4])),
      };
    };
    const [one, other] = [new RandomStream(9), new RandomStream(9)];
    const compiled = compile(step(one));
    for (let i = 0; i < 5; i++) {
      const found = compiled({});
      const expected = tf.tidy(step(other));
      const draw = values(found.draw);
      expect(draw).toEqual(values(expected.draw));
      expect(values(found.again)).toEqual(draw);
      expectClose(values(found.normal), values(expected.normal), 1e-6, 'normal numbers');
      expected.again.dispose();
      expect(Array.from(one.state.dataSync())).toEqual([9, 2 * (i + 1)]);
    }
    expect(compiled.graphs).toBe(backend === 'tensorflow' ? 1 : 0);
    compiled.dispose();
    one.dispose();
    other.dispose();
  });

  it('draws inside a differentiated function, and leaks nothing', () => {
    const stream = new RandomStream(2);
    const x = tf.ones([50]);
    const run = (): number[] => {
      const gradient = tf.grad((a) => tf.mul(a, stream.bernoulli([50], 0.5)))(x);
      return values(gradient);
    };
    const first = run();
    expect(new Set(first)).toEqual(new Set([0, 1]));
    expect(run()).not.toEqual(first);
    expectNoLeak(() => {
      stream.uniform([3]).dispose();
      stream.normal([3]).dispose();
      stream.withState(stream.state, () => run());
    });
    tf.dispose(x);
    stream.dispose();
  });
});

describe('the numbers', () => {
  on('wasm');

  const draws = 64;
  const perDraw = 4000;
  /** Many draws of one stream, one after another. */
  const sample = (draw: (stream: RandomStream) => tf.Tensor, seed: number): number[] => {
    const stream = new RandomStream(seed);
    const found = Array.from({ length: draws }, () => values(draw(stream))).flat();
    stream.dispose();
    return found;
  };
  /** Deviation of a sum of squared deviations from its mean, in its own standard deviations. */
  const chiSquare = (counts: ArrayLike<number>, expected: number, freedom: number): number => {
    let sum = 0;
    for (let i = 0; i < counts.length; i++) sum += (counts[i] - expected) ** 2 / expected;
    return Math.abs(sum - freedom) / Math.sqrt(2 * freedom);
  };

  it('are uniform, and so are neighbours within a draw, between draws and between seeds', () => {
    const u = sample((stream) => stream.uniform([perDraw]), 11);
    const other = sample((stream) => stream.uniform([perDraw]), 12);
    expect(Math.min(...u.slice(0, 1e5))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...u.slice(0, 1e5))).toBeLessThan(1);
    const bins = new Float64Array(256);
    for (const v of u) bins[Math.floor(v * 256)]++;
    expect(chiSquare(bins, u.length / 256, 255)).toBeLessThan(4);
    const pairs: Record<string, (i: number) => number> = {
      'the next number': (i) => u[i + 1],
      'the number after four, a block of the generator': (i) => u[i + 4],
      'the same place of the next draw': (i) => u[i + perDraw],
      'the same place under the next seed': (i) => other[i],
    };
    for (const [name, partner] of Object.entries(pairs)) {
      const table = new Float64Array(256);
      const count = u.length - perDraw;
      for (let i = 0; i < count; i++) table[Math.floor(u[i] * 16) * 16 + Math.floor(partner(i) * 16)]++;
      expect(chiSquare(table, count / 256, 255), name).toBeLessThan(4);
    }
  });

  it('have the moments of a normal distribution', () => {
    const z = sample((stream) => stream.normal([perDraw]), 13);
    const moment = (k: number): number => z.reduce((sum, v) => sum + v ** k, 0) / z.length;
    // E z^k, and the standard deviation of z^k
    const expected: [number, number, number][] = [
      [1, 0, 1],
      [2, 1, Math.sqrt(2)],
      [3, 0, Math.sqrt(15)],
      [4, 3, Math.sqrt(96)],
    ];
    for (const [k, mean, deviation] of expected) {
      expect(Math.abs(moment(k) - mean), `moment ${k}`).toBeLessThan((4 * deviation) / Math.sqrt(z.length));
    }
    const product = z.reduce((sum, v, i) => sum + v * (z[i + perDraw / 2] ?? 0), 0) / z.length;
    expect(Math.abs(product), 'cosine against sine').toBeLessThan(4 / Math.sqrt(z.length));
  });

  it('are 1 as often as asked', () => {
    const b = sample((stream) => stream.bernoulli([perDraw], 0.2), 14);
    const mean = b.reduce((sum, v) => sum + v, 0) / b.length;
    expect(Math.abs(mean - 0.2)).toBeLessThan((4 * Math.sqrt(0.16)) / Math.sqrt(b.length));
  });
});

it.each([0.5, NaN, 2 ** 31, -(2 ** 31) - 1])('refuses the seed %d', (seed) => {
  expect(() => new RandomStream(seed)).toThrow(/seed must be a whole number/);
});
