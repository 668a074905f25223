import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom, tf } from 'detlab';
import { shownResult, valueText } from '../../../lib/notebook/engine/result';
import { cleanHtml } from '../../../lib/notebook/page/html';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

async function textOf(value: unknown): Promise<string> {
  const shown = await shownResult(value);
  expect(shown?.metadata).toEqual({});
  return String(shown?.bundle['text/plain']);
}

async function htmlOf(value: unknown): Promise<string> {
  return String((await shownResult(value))?.bundle['text/html']);
}

function normal(shape: number[]): tf.Tensor {
  const random = createRandom(1);
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => random.normal()),
    shape,
  );
}

describe('a tensor', () => {
  test.each<[string, () => tf.Tensor, string]>([
    ['a scalar', () => tf.scalar(0.1), 'Tensor float32: 0.1'],
    ['a large scalar', () => tf.scalar(16777215), 'Tensor float32: 16777215'],
    ['an integer', () => tf.scalar(-3, 'int32'), 'Tensor int32: -3'],
    ['a truth value', () => tf.scalar(true, 'bool'), 'Tensor bool: true'],
    ['a string', () => tf.scalar('a "b"'), 'Tensor string: "a \\"b\\""'],
    ['a complex number', () => tf.complex(1.5, -2), 'Tensor complex64: 1.5 - 2i'],
    [
      'whole numbers',
      () => tf.tensor([1, 2, 3]),
      'Tensor float32 [3] · 12 bytes · min 1 · max 3 · mean 2\n[1, 2, 3]',
    ],
    [
      'decimals, as many as needed',
      () =>
        tf.tensor2d([
          [0.5, -1],
          [10.25, 3],
        ]),
      'Tensor float32 [2, 2] · 16 bytes · min -1 · max 10.25 · mean 3.188\n[[ 0.50, -1.00],\n [10.25,  3.00]]',
    ],
    [
      'powers of ten',
      () => tf.tensor([1e-7, 2]),
      'Tensor float32 [2] · 8 bytes · min 1.00e-7 · max 2 · mean 1\n[1.000e-7, 2.000e+0]',
    ],
    [
      'what is not finite',
      () => tf.tensor([1, NaN, -Infinity, NaN, 4]),
      'Tensor float32 [5] · 20 bytes · 2 NaN, 1 infinite · of the others: min 1 · max 4 · mean 2.5\n' +
        '[        1,       NaN, -Infinity,       NaN,         4]',
    ],
    ['nothing finite', () => tf.tensor([NaN]), 'Tensor float32 [1] · 4 bytes · 1 NaN\n[NaN]'],
    [
      'truth values',
      () =>
        tf.tensor2d(
          [
            [true, false],
            [true, true],
          ],
          undefined,
          'bool',
        ),
      'Tensor bool [2, 2] · 4 bytes · 3 true of 4\n[[ true, false],\n [ true,  true]]',
    ],
    ['strings', () => tf.tensor(['a', 'x'.repeat(50)]), `Tensor string [2]\n["a", "${'x'.repeat(39)}…"]`],
    [
      'complex numbers',
      () => tf.complex([1, 2.5], [-1, 0]),
      'Tensor complex64 [2] · 16 bytes\n[1.0 - 1.0i, 2.5 + 0.0i]',
    ],
    ['nothing', () => tf.zeros([0, 4]), 'Tensor float32 [0, 4] · 0 bytes\n[]'],
    [
      'a frozen variable',
      () => tf.variable(tf.tensor([1, 2]), false, 'scale'),
      'Variable float32 [2] · 8 bytes · not trained · "scale" · min 1 · max 2 · mean 1.5\n[1, 2]',
    ],
  ])('of %s', async (_, make, text) => {
    expect(await textOf(make())).toBe(text);
  });

  test('has its ends shown where it is long', async () => {
    const lines = (await textOf(tf.range(0, 1000, 1, 'int32'))).split('\n');
    expect(lines).toHaveLength(8);
    expect(lines[1]).toBe('[  0,   1,   2,   3,   4,   5,   6,   7,   8,   9,  10,  11,  12,  13,  14,');
    expect(lines[4]).toBe(' …,');
    expect(lines[7]).toBe(' 985, 986, 987, 988, 989, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999]');
  });

  test('has its corners shown where it is large', async () => {
    const values = tf.tidy(() => tf.range(0, 3000).reshape([30, 100]));
    expect((await textOf(values)).split('\n')).toEqual([
      'Tensor float32 [30, 100] · 12.0 kB · min 0 · max 2999 · mean 1500',
      '[[   0,    1,    2,    3,    4,    5,    6, …,   93,   94,   95,   96,   97,   98,   99],',
      ' [ 100,  101,  102,  103,  104,  105,  106, …,  193,  194,  195,  196,  197,  198,  199],',
      ' [ 200,  201,  202,  203,  204,  205,  206, …,  293,  294,  295,  296,  297,  298,  299],',
      ' [ 300,  301,  302,  303,  304,  305,  306, …,  393,  394,  395,  396,  397,  398,  399],',
      ' [ 400,  401,  402,  403,  404,  405,  406, …,  493,  494,  495,  496,  497,  498,  499],',
      ' …,',
      ' [2500, 2501, 2502, 2503, 2504, 2505, 2506, …, 2593, 2594, 2595, 2596, 2597, 2598, 2599],',
      ' [2600, 2601, 2602, 2603, 2604, 2605, 2606, …, 2693, 2694, 2695, 2696, 2697, 2698, 2699],',
      ' [2700, 2701, 2702, 2703, 2704, 2705, 2706, …, 2793, 2794, 2795, 2796, 2797, 2798, 2799],',
      ' [2800, 2801, 2802, 2803, 2804, 2805, 2806, …, 2893, 2894, 2895, 2896, 2897, 2898, 2899],',
      ' [2900, 2901, 2902, 2903, 2904, 2905, 2906, …, 2993, 2994, 2995, 2996, 2997, 2998, 2999]]',
    ]);
  });

  test('has blocks in brackets, few of them and never wider than a page', async () => {
    expect((await textOf(tf.tidy(() => tf.range(0, 12).reshape([2, 3, 2])))).split('\n').slice(1)).toEqual([
      '[[[ 0,  1],',
      '  [ 2,  3],',
      '  [ 4,  5]],',
      '',
      ' [[ 6,  7],',
      '  [ 8,  9],',
      '  [10, 11]]]',
    ]);
    for (const shape of [
      [16, 96, 96, 3],
      [3, 3, 64, 128],
      [9, 9, 9, 9, 9, 2],
      [1, 1, 1, 1, 200],
      [100, 1, 50],
    ]) {
      const lines = (await textOf(normal(shape))).split('\n').slice(1);
      expect(lines.length, `lines of [${shape.join(', ')}]`).toBeLessThan(50);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
      const count = (letter: string): number => lines.join('').split(letter).length;
      expect(count('[')).toBe(count(']'));
    }
  });

  test('is read once and leaves no tensor behind', async () => {
    const tensor = normal([20, 20]);
    const variable = tf.variable(normal([4]));
    const { numTensors, numBytes } = tf.memory();
    let reads = 0;
    const { data } = tensor;
    tensor.data = ((...args: []) => (reads++, data.apply(tensor, args))) as typeof data;
    await shownResult(tensor);
    await shownResult(variable);
    valueText([tensor, { variable, loss: tf.scalar(1) }]);
    expect(reads).toBe(1);
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    expect(tf.memory().numBytes).toBe(numBytes + 4);
    expect(tensor.isDisposed).toBe(false);
  });

  test('that is disposed says so, and one too large to read says how to look at it', async () => {
    const gone = tf.ones([2, 2]);
    gone.dispose();
    expect(await textOf(gone)).toBe('Tensor float32 [2, 2] (disposed)');
    const huge = tf.zeros([11_000_000], 'bool');
    huge.data = () => Promise.reject(new Error('read'));
    expect(await textOf(huge)).toBe(
      'Tensor bool [11000000] · 11.0 MB\n11,000,000 values are not read to be shown; look at a part with slice() or gather()',
    );
  });

  test('whose backend fails is still named', async () => {
    const tensor = normal([3]);
    tensor.data = () => Promise.reject(new Error('device lost'));
    tensor.dataSync = () => {
      throw new Error('device lost');
    };
    expect(await textOf(tensor)).toBe('Tensor float32 [3]');
  });
});

describe('the histogram of a tensor', () => {
  test('opens without scripts and takes the colours of the text', async () => {
    const html = await htmlOf(tf.tidy(() => tf.range(0, 100)));
    expect(html).toMatch(/^<div>Tensor float32 \[100\] · 400 bytes · min 0 · max 99 · mean 49.5<\/div><pre /);
    expect(html).toContain('<summary style="cursor:pointer">histogram</summary>');
    expect(html).toContain('15 bins; the tallest holds 7 of 100');
    expect(html).toContain('<span>0</span><span>49.5</span><span>99</span>');
    expect(html).toContain('fill="currentColor"');
    expect(html).not.toMatch(/<script|#[0-9a-f]{3}|rgb\(/);
    // The page lets all of it through.
    expect(cleanHtml(html, 'output')).toBe(html);
  });

  test('has a bar for each of a few whole numbers, as high as their share', async () => {
    const values = [0, 0, 0, 0, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 1, 1];
    const html = await htmlOf(tf.tensor(values, [20], 'int32'));
    expect(html).toContain('4 bins; the tallest holds 8 of 20');
    const bars = [...html.matchAll(/M([\d.]+) 110v(-[\d.]+)h([\d.]+)/g)].map((bar) =>
      bar.slice(1).map(Number),
    );
    expect(bars).toEqual([
      [0.5, -108, 104],
      [105.5, -54, 104],
      [315.5, -108, 104],
    ]);
  });

  test('marks zero between negative and positive values', async () => {
    const values = tf.tidy(() => tf.range(-30, 90));
    expect(await htmlOf(values)).toContain('<path d="M106.8 0v110" stroke="currentColor"');
    expect(await htmlOf(tf.tidy(() => tf.range(1, 90)))).not.toContain('stroke-dasharray');
  });

  test('is left out where it says nothing', async () => {
    for (const tensor of [tf.range(0, 10), tf.ones([50]), tf.fill([50], NaN), tf.zeros([30], 'bool')]) {
      expect(await htmlOf(tensor)).not.toContain('<details');
    }
  });
});

test('a histogram of a tensor that is almost all NaN counts the rest', async () => {
  const values = Float32Array.from({ length: 60 }, (_, i) => (i < 30 ? NaN : i));
  const html = await htmlOf(tf.tensor(values));
  expect(html).toContain('<b>30 NaN</b> · of the others: min 30 · max 59');
  expect(html).toContain('of 30</div>');
});

test('strings in a tensor are escaped', async () => {
  expect(await htmlOf(tf.tensor(['<script>alert(1)</script>']))).not.toContain('<script');
});
