/** State dictionaries by PyTorch's names and in its layouts; PyTorch loads ours (`tests/reference/safetensors_files.py`). */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  BatchNorm2d,
  Conv2d,
  createRandom,
  DepthwiseConv2d,
  type ForwardContext,
  type HostTensor,
  inference,
  Linear,
  loadStateDict,
  Module,
  readSafetensors,
  relu,
  type StateDict,
  stateDict,
  tf,
  writeSafetensors,
} from 'detlab';
import { backends, expectClose, on } from '../tensor/kernels/backends';

/** One layer of each kind; numbers that differ everywhere, exact in float32. */
class Network extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;
  readonly blocks: [DepthwiseConv2d, Conv2d];
  readonly fc: Linear;

  constructor(seed: number) {
    super();
    const random = createRandom(seed);
    this.conv = new Conv2d({ inChannels: 3, outChannels: 4, kernel: 3, stride: 2 }, random);
    this.bn = new BatchNorm2d({ channels: 4 });
    this.blocks = [
      new DepthwiseConv2d({ channels: 4, kernel: 3, multiplier: 2 }, random),
      new Conv2d({ inChannels: 8, outChannels: 6, kernel: 1, bias: false }, random),
    ];
    this.fc = new Linear({ inFeatures: 6, outFeatures: 5 }, random);
    for (const { name, variable } of this.namedVariables()) {
      const positive = name.endsWith('running_var');
      const values = Float32Array.from(
        { length: variable.size },
        () => (random.integer(64) + (positive ? 8 : -32)) / 32,
      );
      tf.tidy(() => void variable.assign(tf.tensor(values, variable.shape)));
    }
  }

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor2D {
    return tf.tidy(() => {
      let y = relu(this.bn.forward(this.conv.forward(x, context), context));
      for (const block of this.blocks) y = block.forward(y, context);
      return this.fc.forward(tf.mean(y, [1, 2]), context);
    });
  }
}

const input = (): tf.Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: 2 * 8 * 6 * 3 }, (_, i) => Math.sin(i)),
    [2, 8, 6, 3],
  );
const fixtures = path.join(__dirname, 'fixtures');

const floats = (shape: number[], ...values: number[]): HostTensor => ({
  shape,
  values: Float32Array.from(values),
});

/** The dictionary with some entries changed; `undefined` takes one out. */
function changed(dict: StateDict, changes: Record<string, HostTensor | undefined>): Map<string, HostTensor> {
  const copy = new Map(dict);
  for (const [name, tensor] of Object.entries(changes)) {
    if (tensor) copy.set(name, tensor);
    else copy.delete(name);
  }
  return copy;
}

describe.each(backends)('on %s', (backend) => {
  on(backend);

  test('PyTorch loads the file of our network, and computes the same', async () => {
    const net = new Network(1);
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-state-')), 'network.safetensors');
    await writeSafetensors(file, await stateDict(net));
    expect(fs.readFileSync(file).equals(fs.readFileSync(path.join(fixtures, 'network.safetensors')))).toBe(
      true,
    );
    fs.rmSync(path.dirname(file), { recursive: true });
    const expected = JSON.parse(fs.readFileSync(path.join(fixtures, 'network.json'), 'utf8')) as number[][];
    tf.tidy(() => expectClose(net.forward(input(), inference).dataSync(), expected.flat(), 1e-5, 'output'));
    net.dispose();
  });

  test('what was saved is loaded, exactly, into a network of other values, which leaves nothing behind', async () => {
    const [from, to] = [new Network(1), new Network(2)];
    const before = tf.memory().numTensors;
    const dict = await stateDict(from);
    expect(loadStateDict(to, dict)).toEqual({ missing: [], unexpected: [] });
    expect(tf.memory().numTensors).toBe(before);
    for (const [i, { name, variable }] of from.namedVariables().entries()) {
      const loaded = to.namedVariables()[i].variable;
      expect(loaded.dataSync(), name).toEqual(variable.dataSync());
      expect(loaded.trainable, name).toBe(variable.trainable);
    }
    from.dispose();
    to.dispose();
  });
});

describe('a state dictionary', () => {
  on('cpu');

  test('has the network’s order, PyTorch’s names and its layouts', async () => {
    const net = new Network(1);
    const dict = await stateDict(net);
    expect([...dict].map(([name, { shape }]) => [name, shape])).toEqual([
      ['conv.weight', [4, 3, 3, 3]],
      ['conv.bias', [4]],
      ['bn.weight', [4]],
      ['bn.bias', [4]],
      ['bn.running_mean', [4]],
      ['bn.running_var', [4]],
      ['blocks.0.weight', [8, 1, 3, 3]],
      ['blocks.0.bias', [8]],
      ['blocks.1.weight', [6, 8, 1, 1]],
      ['fc.weight', [5, 6]],
      ['fc.bias', [5]],
    ]);
    const at = (weight: number[][][][], a: number, b: number, c: number, d: number): number =>
      weight[a][b][c][d];
    const conv = net.conv.weight.arraySync();
    const depthwise = net.blocks[0].weight.arraySync();
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 3; column++) {
        for (let out = 0; out < 8; out++) {
          expect(dict.get('blocks.0.weight')!.values[(out * 3 + row) * 3 + column]).toBe(
            at(depthwise, row, column, Math.floor(out / 2), out % 2),
          );
        }
        for (let out = 0; out < 4; out++) {
          for (let i = 0; i < 3; i++) {
            const index = ((out * 3 + i) * 3 + row) * 3 + column;
            expect(dict.get('conv.weight')!.values[index]).toBe(at(conv, row, column, i, out));
          }
        }
      }
    }
    expect(dict.get('fc.weight')!.values[2 * 6 + 5]).toBe(net.fc.weight.arraySync()[5][2]);
    net.dispose();
  });

  test('is a copy: the network does not see what happens to it, nor it what happens to the network', async () => {
    const net = new Network(1);
    const dict = await stateDict(net);
    const first = net.bn.weight.dataSync()[0];
    dict.get('bn.weight')!.values[0] = 77;
    expect(net.bn.weight.dataSync()[0]).toBe(first);
    loadStateDict(net, dict);
    dict.get('bn.weight')!.values[0] = 78;
    expect(net.bn.weight.dataSync()[0]).toBe(77);
    net.dispose();
  });

  test('large weights, whose layout is changed in blocks', async () => {
    const layer = new Conv2d({ inChannels: 37, outChannels: 70, kernel: 3 }, createRandom(5));
    const { values } = (await stateDict(layer)).get('weight')!;
    const own = layer.weight.dataSync();
    for (let k = 0; k < 9; k++) {
      for (let i = 0; i < 37; i++) {
        for (let o = 0; o < 70; o++) {
          if (values[(o * 37 + i) * 9 + k] !== own[(k * 37 + i) * 70 + o]) expect.fail(`${k} ${i} ${o}`);
        }
      }
    }
    layer.dispose();
  });
});

describe('loading', () => {
  on('cpu');

  test('lists all that does not fit at once, with near names, and changes nothing', async () => {
    const net = new Network(1);
    const before = net.conv.weight.dataSync().slice();
    const dict = await stateDict(new Network(2));
    const wrong = changed(dict, {
      'blocks.1.weight': undefined,
      'block.1.weight': dict.get('blocks.1.weight'),
      'bn.running_mean': undefined,
      extra: floats([1], 0),
      'fc.weight': floats([7, 6], ...new Array<number>(42).fill(0)),
      'conv.bias': floats([2, 2], 0, 0, 0, 0),
    });
    let message = '';
    try {
      loadStateDict(net, wrong);
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message.split('\n')).toEqual([
      "loadStateDict: the weights don't fit this Network",
      'missing in the weights (2):',
      '  bn.running_mean',
      '  blocks.1.weight (they have block.1.weight)',
      'unexpected in the weights (2):',
      '  block.1.weight',
      '  extra',
      "of another shape (2), in PyTorch's order of dimensions:",
      '  conv.bias: the network has [4], the weights have [2, 2]',
      '  fc.weight: the network has [5, 6], the weights have [7, 6]',
      "to keep the network's own values there, name them by the option keep",
      'to load what there is and leave the rest as it is: strict: false',
    ]);
    expect(net.conv.weight.dataSync()).toEqual(before);
    expect(() => loadStateDict(net, wrong, { strict: false })).toThrow(/of another shape \(2\)/);
    net.dispose();
  });

  test('says which prefix stands in the way', async () => {
    const net = new Network(1);
    const dict = await stateDict(net);
    const parallel = new Map([...dict].map(([name, tensor]) => [`module.${name}`, tensor]));
    expect(() => loadStateDict(net, parallel)).toThrow(
      'their names begin with "module.": try rename: (name) => (name.startsWith(\'module.\') ? name.slice(7) : name)',
    );
    class Outer extends Module {
      readonly backbone: Network = net;
    }
    expect(() => loadStateDict(new Outer(), dict)).toThrow(
      "the network's names begin with \"backbone.\": try rename: (name) => 'backbone.' + name",
    );
    expect(loadStateDict(net, parallel, { rename: (name) => name.slice(7) }).missing).toEqual([]);
    net.dispose();
  });

  test('where it is not strict, loads what is there and reports the rest', async () => {
    const net = new Network(1);
    const bias = net.fc.bias!.dataSync().slice();
    const dict = changed(await stateDict(new Network(2)), { 'fc.bias': undefined, old: floats([1], 1) });
    const rename = (name: string): string => (name === 'old' ? 'new' : name);
    expect(loadStateDict(net, dict, { strict: false, rename })).toEqual({
      missing: ['fc.bias'],
      unexpected: ['old'],
    });
    expect(net.fc.bias!.dataSync()).toEqual(bias);
    expect(Array.from(net.bn.bias.dataSync())).toEqual(Array.from(dict.get('bn.bias')!.values));
    net.dispose();
  });

  test('renames, leaves out, and keeps', async () => {
    const net = new Network(1);
    const [weight, bias] = [net.fc.weight.dataSync().slice(), net.bn.bias.dataSync().slice()];
    const source = new Map(
      [...(await stateDict(new Network(2)))].map(([name, tensor]) => [`x.${name}`, tensor]),
    );
    source.set('x.fc.weight', floats([1], 0));
    source.set('y', floats([1], 0));
    const rename = (name: string): string | undefined => (name === 'y' ? undefined : name.slice(2));
    const report = loadStateDict(net, source, { rename, keep: (name) => name.startsWith('fc.') });
    expect(report).toEqual({ missing: [], unexpected: [] });
    expect(net.fc.weight.dataSync()).toEqual(weight);
    expect(net.bn.bias.dataSync()).not.toEqual(bias);
    expect(() => loadStateDict(net, source, { rename: () => 'bn.bias' })).toThrow(
      'both "x.conv.weight" and "x.conv.bias" are renamed to "bn.bias"',
    );
    net.dispose();
  });

  test('passes over PyTorch’s count of batches, copies a running variance as it is, and takes integers', async () => {
    const net = new Network(1);
    const dict = changed(await stateDict(net), {
      'bn.num_batches_tracked': { shape: [], values: Int32Array.of(7) },
      'bn.running_var': floats([4], 1, 2, 3, 4),
      'bn.bias': { shape: [4], values: Int32Array.of(1, 2, 3, 4) },
    });
    loadStateDict(net, dict);
    expect(Array.from(net.bn.running_var.dataSync())).toEqual([1, 2, 3, 4]);
    expect(net.bn.bias.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4));
    net.dispose();
  });

  test('takes a fully connected layer for a convolution over the whole map', async () => {
    const layer = new Conv2d(
      { inChannels: 2, outChannels: 3, kernel: 2, padding: 0, bias: false },
      createRandom(1),
    );
    // PyTorch flattens a map channel by channel: output o is the sum of weight[o][(c * 2 + y) * 2 + x] * map[y][x][c].
    const values = Float32Array.from({ length: 24 }, (_, i) => i);
    loadStateDict(layer, new Map([['weight', { shape: [3, 8], values }]]));
    tf.tidy(() => {
      const map = tf.tensor4d([1, 10, 100, 1000, 2, 20, 200, 2000], [1, 2, 2, 2]);
      const channelFirst = [1, 100, 2, 200, 10, 1000, 20, 2000];
      const expected = [0, 1, 2].map((o) =>
        channelFirst.reduce((sum, value, i) => sum + values[o * 8 + i] * value, 0),
      );
      expect(Array.from(layer.forward(map, inference).dataSync())).toEqual(expected);
    });
    expect(() => loadStateDict(layer, new Map([['weight', { shape: [8, 3], values }]]))).toThrow(
      /weight: the network has \[3, 2, 2, 2\], the weights have \[8, 3\]/,
    );
    layer.dispose();
  });

  test('refuses a tensor whose values don’t fill its shape', () => {
    const net = new Network(1);
    expect(() => loadStateDict(net, new Map([['bn.bias', floats([4], 1)]]))).toThrow(
      /"bn\.bias" has the shape \[4\] and 1 values/,
    );
    net.dispose();
  });

  test('a file goes into a network in two lines', async () => {
    const net = new Network(2);
    const { tensors } = await readSafetensors(path.join(fixtures, 'network.safetensors'));
    loadStateDict(net, tensors);
    expect(await stateDict(net)).toEqual(await stateDict(new Network(1)));
    net.dispose();
  });
});
