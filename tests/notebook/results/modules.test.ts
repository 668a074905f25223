import { beforeAll, describe, expect, test } from 'vitest';
import {
  BatchNorm2d,
  Conv2d,
  ConvBlock,
  createRandom,
  createSsdDetector,
  type ForwardContext,
  gridAnchors,
  Linear,
  Module,
  Ssd,
  summarize,
  tf,
} from 'detlab';
import { shownResult, valueText } from '../../../lib/notebook/engine/result';
import { cleanHtml } from '../../../lib/notebook/page/html';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const random = createRandom(1);

async function formsOf(value: unknown): Promise<{ text: string[]; html: string }> {
  const { bundle, metadata } = (await shownResult(value))!;
  expect(metadata).toEqual({});
  const html = String(bundle['text/html'] ?? '');
  expect(cleanHtml(html, 'output')).toBe(html);
  return { text: String(bundle['text/plain']).split('\n'), html };
}

class Deep extends Module {
  readonly stem: ConvBlock = new ConvBlock(
    { inChannels: 3, outChannels: 4, kernel: 3, batchNorm: true },
    random,
  );
  readonly blocks: Conv2d[];

  constructor(depth: number) {
    super();
    this.blocks = Array.from(
      { length: depth },
      () => new Conv2d({ inChannels: 4, outChannels: 4, kernel: 1 }, random),
    );
  }
}

describe('a network', () => {
  test('is shown by its layers', async () => {
    const before = tf.memory().numTensors;
    const network = new Deep(1);
    const made = tf.memory().numTensors;
    expect((await formsOf(network)).text).toEqual([
      'Deep: 3 layers, 136 parameters, 8 numbers that are not trained, 576 bytes',
      'layer      type         variables                                  parameters  not trained',
      '─────────  ───────────  ─────────────────────────────────────────  ──────────  ───────────',
      'stem.conv  Conv2d       weight 3 x 3 x 3 x 4                              108',
      'stem.bn    BatchNorm2d  weight, bias, running_mean, running_var 4           8            8',
      'blocks.0   Conv2d       weight 1 x 1 x 4 x 4, bias 4                       20',
    ]);
    expect(tf.memory().numTensors).toBe(made);
    network.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect((await formsOf(network)).text[0]).toMatch(/^Deep \(disposed\): 3 layers/);
  });

  test('of one layer names itself', async () => {
    const { text } = await formsOf(
      new Conv2d({ inChannels: 1, outChannels: 2, kernel: 3, bias: false }, random),
    );
    expect(text[0]).toBe('Conv2d: 1 layer, 18 parameters, 72 bytes');
    expect(text[3]).toBe('itself  Conv2d  weight 3 x 3 x 1 x 2          18');
  });

  test('of many layers opens part by part', async () => {
    const { text, html } = await formsOf(new Deep(250));
    expect(html).toMatch(
      /^<div>Deep: 252 layers, 5,116 parameters, 8 numbers that are not trained, 20.5 kB<\/div>/,
    );
    const parts = [...html.matchAll(/<summary[^>]*>(.*?)<\/summary>/g)].map((part) => part[1]);
    expect(parts).toEqual([
      '<b>stem</b>: 2 layers, 116 parameters, 8 numbers that are not trained, 496 bytes',
      '<b>blocks</b>: 250 layers, 5,000 parameters, 20.0 kB',
    ]);
    expect(html.match(/<tr>/g)).toHaveLength(2 + 2 + 200);
    expect(html).toContain('the first 200 of 250 layers</caption>');
    expect(text).toHaveLength(3 + 60 + 1);
    expect(text.at(-1)).toBe('… and 192 layers more');
  });

  test('in a detector is shown with its anchors', async () => {
    const model = new Ssd(
      {
        inputSize: 16,
        backbone: { stages: [[4], [4]] },
        taps: [0, 1],
        extras: [],
        anchorsPerCell: [4, 4],
        classes: 2,
        batchNorm: { backbone: false, head: false },
      },
      random,
    );
    const anchors = gridAnchors({
      imageWidth: 16,
      imageHeight: 16,
      maps: [
        [16, 16],
        [8, 8],
      ],
    });
    const { text, html } = await formsOf(createSsdDetector(model, anchors));
    expect(text[0]).toBe('Detector with 1,280 anchors: Ssd: 6 layers, 2,332 parameters, 9.3 kB');
    expect(html).not.toContain('<details');
    expect(valueText({ model })).toBe('{ model: Ssd (2,332 parameters) }');
  });

  test('that was summarised is shown with what it computes', async () => {
    class Chain extends Module {
      readonly conv: Conv2d = new Conv2d({ inChannels: 3, outChannels: 8, kernel: 3 }, random);
      forward(x: tf.Tensor4D, context: Parameters<Conv2d['forward']>[1]): tf.Tensor4D {
        return this.conv.forward(x, context);
      }
    }
    const { text } = await formsOf(summarize(new Chain(), [100, 50, 3]));
    expect(text).toEqual([
      '224 parameters, 1.1 M multiply-adds an image (convolutions and fully connected layers only)',
      'layer  input         output        parameters  multiply-adds',
      '─────  ────────────  ────────────  ──────────  ─────────────',
      'conv   100 x 50 x 3  100 x 50 x 8         224      1,080,000',
    ]);
  });
});

test('a summary says what has no row, what did not run, and what ran more than once', async () => {
  class Net extends Module {
    readonly conv: Conv2d = new Conv2d({ inChannels: 3, outChannels: 4, kernel: 1, bias: false }, random);
    readonly bn: BatchNorm2d = new BatchNorm2d({ channels: 4 });
    readonly spare: Conv2d = new Conv2d({ inChannels: 4, outChannels: 4, kernel: 1, bias: false }, random);
    readonly fc: Linear = new Linear({ inFeatures: 4, outFeatures: 1 }, random);
    forward(x: tf.Tensor4D, context: ForwardContext): unknown {
      const y = this.bn.forward(this.conv.forward(x, context), context);
      this.conv.forward(x.slice(0, [1, 1, 1, 3]), context);
      return this.fc.forward(y.reshape<tf.Tensor2D>([-1, 4]), context);
    }
  }
  const { text } = await formsOf(summarize(new Net(), [2, 3, 3]));
  expect(text).toEqual([
    '41 parameters, 108 multiply-adds an image (convolutions and fully connected layers only); 8 numbers not trained; ' +
      'no row for 1 BatchNorm2d (8 parameters); not run: 1 Conv2d (16 parameters); layers that run again have no parameters there',
    'layer  input      output     times  parameters  multiply-adds',
    '─────  ─────────  ─────────  ─────  ──────────  ─────────────',
    'conv   2 x 3 x 3  2 x 3 x 4      1          12             72',
    'conv   1 x 1 x 3  1 x 1 x 4      1                         12',
    'fc     4          1              6           5             24',
  ]);
});

test('a model of TensorFlow.js prints its summary', async () => {
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [4] })] });
  const { text } = await formsOf(model);
  expect(text).toContain('Total params: 15');
  // Before it is built there is nothing to sum up, and no error either.
  expect((await formsOf(tf.sequential())).text.length).toBeGreaterThan(0);
});

test('a batch norm that stands alone tells what is trained', async () => {
  expect((await formsOf(new BatchNorm2d({ channels: 3 }))).text[3]).toBe(
    'itself  BatchNorm2d  weight, bias, running_mean, running_var 3           6            6',
  );
});
