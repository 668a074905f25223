/** Kept bytes by layer and part, against counting by hand. */
import { describe, expect, it } from 'vitest';
import {
  activationMemory,
  BasicBlock,
  ConvBlock,
  createRandom,
  detectorMemory,
  detectorPart,
  equalSegmentsPlan,
  type ForwardContext,
  liveBytes,
  memoryByPart,
  Module,
  runSegments,
  smallDetector,
  smallDetectorNames,
  tf,
} from 'detlab';
import { on, randomTensor } from '../tensor/kernels/backends';

const channels = 4;
const block = (batchNorm: boolean): ConvBlock =>
  new ConvBlock({ inChannels: channels, outChannels: channels, kernel: 3, batchNorm }, createRandom(1));

class Net extends Module {
  readonly first: ConvBlock = block(false);
  readonly second: ConvBlock = block(true);
  readonly stage: BasicBlock[] = [new BasicBlock(channels, 2 * channels, 2, createRandom(1))];

  forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
    return tf.tidy(() =>
      [this.first, this.second, ...this.stage].reduce((y, layer) => layer.forward(y, context), x),
    );
  }
}

describe('activationMemory', () => {
  on('tensorflow');

  it('names what every layer keeps', () => {
    const tensors = tf.memory().numTensors;
    const net = new Net();
    const x = randomTensor<tf.Rank.R4>([2, 8, 8, channels], 1);
    const map = 4 * 2 * 8 * 8 * channels;
    const rows = activationMemory(net, (context) => net.forward(x, context).square().sum());
    const bytes = Object.fromEntries(rows.map(({ layer, bytes: own }) => [layer, own]));
    // What batch norm reserves: a mean and a deviation a channel.
    const vectors = 2 * 4 * channels;
    const half = map / 2;
    expect(bytes).toEqual({
      '(input)': map,
      // Neither the convolution's output nor that with the bias is needed, only ReLU's, which the block computes.
      first: map,
      'second.conv': map,
      'second.bn': vectors,
      second: map,
      'stage.0.conv1': half,
      'stage.0.bn1': 2 * vectors,
      'stage.0.conv2': half,
      'stage.0.bn2': 2 * vectors,
      'stage.0.downsample.0': half,
      'stage.0.downsample.1': 2 * vectors,
      // Both ReLUs' outputs; the second is squared, which keeps it, too.
      'stage.0': 2 * half,
      // The squares, which the sum keeps.
      '(outside)': half,
    });
    expect(rows.find(({ layer }) => layer === 'second.bn')?.type).toBe('BatchNorm2d');
    expect(rows.find(({ layer }) => layer === '(input)')?.type).toBe('');
    expect(memoryByPart(rows, (layer) => layer.split('.')[0])).toEqual([
      { part: '(input)', bytes: map },
      { part: 'first', bytes: map },
      { part: 'second', bytes: 2 * map + vectors },
      { part: 'stage', bytes: 5 * half + 6 * vectors },
      { part: '(outside)', bytes: half },
    ]);
    // The methods are the classes' own again.
    expect(Object.hasOwn(net.first, 'forward')).toBe(false);
    net.dispose();
    x.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('gives a recomputed segment’s output to its last layer', () => {
    const blocks = [block(true), block(true), block(true), block(true)];
    class Chain extends Module {
      readonly blocks: ConvBlock[] = blocks;
      forward(x: tf.Tensor4D, context: ForwardContext): tf.Tensor4D {
        return runSegments(this.blocks, x, context, equalSegmentsPlan(4, 2));
      }
    }
    const chain = new Chain();
    const x = randomTensor<tf.Rank.R4>([2, 8, 8, channels], 1);
    const map = 4 * 2 * 8 * 8 * channels;
    const rows = activationMemory(chain, (context) => chain.forward(x, context));
    expect(memoryByPart(rows, (layer) => layer.split('.').slice(0, 2).join('.'))).toEqual([
      { part: '(input)', bytes: map },
      // The first segment leaves its output, the second, stored, two maps a block and batch norm's vectors.
      { part: 'blocks.1', bytes: map },
      { part: 'blocks.2', bytes: 2 * map + 8 * channels },
      { part: 'blocks.3', bytes: 2 * map + 8 * channels },
    ]);
    chain.dispose();
    x.dispose();
  });

  it('puts the methods back when the pass fails', () => {
    const net = new Net();
    const fail = (context: ForwardContext): never => {
      net.forward(tf.zeros([1, 8, 8, channels]), context);
      throw new Error('no loss');
    };
    expect(() => activationMemory(net, fail)).toThrow('no loss');
    expect(Object.hasOwn(net.first.conv, 'forward')).toBe(false);
    net.dispose();
  });
});

describe('detectorMemory', () => {
  on('tensorflow');

  const inputSize = { width: 64, height: 64 };
  it.each(smallDetectorNames)('counts all that %s keeps, by part', (name) => {
    const tensors = tf.memory().numTensors;
    const detector = smallDetector(name, { classes: 3, inputSize });
    const { parts, layers, bytes } = detectorMemory(detector, { batch: 2 });
    const sum = (rows: readonly { bytes: number }[]): number => rows.reduce((a, row) => a + row.bytes, 0);
    expect(sum(parts)).toBe(bytes);
    expect(sum(layers)).toBe(bytes);
    // A context without random numbers is none that takes them away.
    expect(detectorMemory(detector, { batch: 2, context: { random: undefined } }).bytes).toBe(bytes);
    const named = parts.map(({ part }) => part);
    expect(named.slice(0, 6)).toEqual(['input', 'stem', 'stage 1', 'stage 2', 'stage 3', 'stage 4']);
    const twoStage = ['FPN', 'RPN', 'loss', 'second stage'];
    const others = { ssd: ['extras', 'head', 'loss'], retinanet: ['FPN', 'head', 'loss'] };
    expect(named.slice(6).sort()).toEqual(name in others ? others[name as 'ssd'] : twoStage);
    // The input is the images, and the targets that the loss keeps.
    expect(parts[0].bytes).toBeGreaterThanOrEqual(4 * 2 * 64 * 64 * 3);

    const large = smallDetector(name, { classes: 3, inputSize: { width: 128, height: 128 } });
    const more = detectorMemory(large, { batch: 2 }).parts;
    const of = (rows: typeof parts, part: string): number =>
      rows.find((row) => row.part === part)?.bytes ?? 0;
    // Maps grow with the area; batch norm's vectors don't.
    for (const part of ['stage 1', 'stage 3']) {
      expect(of(more, part) / of(parts, part)).toBeGreaterThan(3.8);
      expect(of(more, part) / of(parts, part)).toBeLessThanOrEqual(4);
    }
    detector.model.dispose();
    large.model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('agrees with the bytes alive when the loss has been computed', () => {
    const detector = smallDetector('retinanet', { classes: 3, inputSize });
    const { bytes, parts } = detectorMemory(detector, { batch: 2 });
    const images = tf.zeros<tf.Rank.R4>([2, 64, 64, 3]);
    const targets = detector.targets([[], []]);
    let alive = 0;
    liveBytes((added) =>
      tf.variableGrads(() => {
        const before = added();
        const total = tf.tidy(() => detector.loss(images, targets, { training: true }).total);
        alive = added() - before;
        return total;
      }),
    );
    // The input was there before; the loss itself, one number, is alive but not kept.
    const input = parts.find(({ part }) => part === 'input')?.bytes ?? 0;
    expect(alive).toBe(bytes - input + 4);
    tf.dispose([images, targets]);
    detector.model.dispose();
  });

  it('refuses objects of another number of images', () => {
    const detector = smallDetector('ssd', { classes: 3, inputSize });
    expect(() => detectorMemory(detector, { batch: 2, groundTruth: [[]] })).toThrow(
      'objects of 1 images for a batch of 2',
    );
    detector.model.dispose();
  });
});

it('knows the parts by the names of layers', () => {
  const names = [
    '(input)',
    '',
    '(outside)',
    'backbone.body.bn1',
    'backbone.body',
    'backbone.body.layer3.0.conv1',
  ];
  expect(names.map(detectorPart)).toEqual(['input', 'loss', 'loss', 'stem', 'stem', 'stage 3']);
  const more = [
    'backbone.fpn.inner_blocks.0.0',
    'rpn.head.conv',
    'roi_heads',
    'backbone.features.1',
    'backbone.stages.0.1',
  ];
  expect(more.map(detectorPart)).toEqual(['FPN', 'RPN', 'second stage', 'trunk', 'stage 1']);
});
