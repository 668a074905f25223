/** ScratchDet's networks: their costs by an independent count, their maps and anchors, and a step of each at a tiny size. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  createRandom,
  createSsdDetector,
  gridAnchors,
  scratchDetNetwork,
  scratchDetNetworks,
  type ScratchDetNetworkOptions,
  scratchDetPublishedAnchors,
  type ScratchDetTrunk,
  Ssd,
  ssd300Config,
  ssd512Config,
  ssdCosts,
  tf,
  useBackend,
} from 'detlab';
import { zeroRandom } from '../../../lib/tensor/random';
import { on } from '../../tensor/kernels/backends';

/** Adds up convolutions: weights, biases or batch norms, multiply-adds. */
class Count {
  parameters = 0;
  multiplyAdds = 0;

  /** @param extra parameters an output channel: 1 for a bias, 2 for a batch norm. */
  convolution(size: number, kernel: number, before: number, after: number, extra: 1 | 2): this {
    this.parameters += kernel * kernel * before * after + extra * after;
    this.multiplyAdds += size * size * kernel * kernel * before * after;
    return this;
  }

  /** 3x3 and 3x3 with batch norm, and a 1x1 where the map or its channels change. `size` is the second convolution's. */
  block(size: number, before: number, after: number, shortcut: boolean): this {
    this.convolution(size, 3, before, after, 2).convolution(size, 3, after, after, 2);
    return shortcut ? this.convolution(size, 1, before, after, 2) : this;
  }
}

/** VGG16, fc6 and fc7, at 300 or 512 pixels. */
function vgg(extra: 1 | 2, sizes: readonly number[]): Count {
  const count = new Count();
  const widths = [[3, 64, 64], [64, 128, 128], [128, 256, 256, 256], [256, 512, 512, 512], [512, 512, 512, 512]]; // prettier-ignore
  widths.forEach((chain, stage) =>
    chain.slice(1).forEach((after, i) => count.convolution(sizes[stage], 3, chain[i], after, extra)),
  );
  return count.convolution(sizes[4], 3, 512, 1024, extra).convolution(sizes[4], 1, 1024, 1024, extra);
}

function heads(
  sources: readonly (readonly [channels: number, size: number, anchors: number])[],
  classes: number,
  extra: 1 | 2,
): Count {
  const count = new Count();
  for (const [channels, size, anchors] of sources) {
    count.convolution(size, 3, channels, anchors * (classes + 1), extra);
    count.convolution(size, 3, channels, anchors * 4, extra);
  }
  return count;
}

/** SSD's extra layers behind a map of so many cells. */
function ssdExtras(
  before: number,
  size: number,
  extra: 1 | 2,
  layers: readonly [squeeze: number, after: number, size: number, kernel?: number][],
): Count {
  const count = new Count();
  for (const [squeeze, after, next, kernel = 3] of layers) {
    count.convolution(size, 1, before, squeeze, extra).convolution(next, kernel, squeeze, after, extra);
    [before, size] = [after, next];
  }
  return count;
}

const rootSources = [[256, 38, 4], [512, 19, 6], [128, 10, 6], [128, 5, 6], [128, 3, 4], [128, 1, 4]] as const; // prettier-ignore
const vggSources = [[512, 38, 4], [1024, 19, 6], [512, 10, 6], [256, 5, 6], [256, 3, 4], [256, 1, 4]] as const; // prettier-ignore
const vggExtras: [number, number, number][] = [[256, 512, 10], [128, 256, 5], [128, 256, 3], [128, 256, 1]]; // prettier-ignore
const residual = new Count()
  .block(10, 512, 128, true)
  .block(5, 128, 128, true)
  .block(3, 128, 128, true)
  .block(1, 128, 128, false);

const millions = (value: number): string => (value / 1e6).toFixed(2);

describe('costs at the published size', () => {
  beforeAll(() => useBackend());

  /** Builds, counts by a forward pass, and gives the parts by name. */
  function costs(options: ScratchDetNetworkOptions) {
    const model = new Ssd(scratchDetNetwork(options), zeroRandom);
    const parts = ssdCosts(model);
    const total = parts.reduce((sum, { parameters }) => sum + parameters, 0);
    expect(total).toBe(model.parameterCount());
    const sizes = model.mapSizes();
    model.dispose();
    const of = (part: string) => {
      const { parameters, multiplyAdds } = parts.find((entry) => entry.part === part)!;
      return { parameters, multiplyAdds };
    };
    return {
      backbone: of('backbone'),
      extras: of('extras'),
      adapters: of('adapters'),
      head: of('head'),
      total,
      sizes,
    };
  }

  const plain = ({ parameters, multiplyAdds }: Count) => ({ parameters, multiplyAdds });

  test('SSD300 on VGG16 without batch norm: 20.48 + 2.46 + 3.34 = 26.28 million', () => {
    const found = costs({ trunk: 'vgg16', classes: 20, batchNorm: 'none' });
    expect(found.backbone).toEqual(plain(vgg(1, [300, 150, 75, 38, 19])));
    expect(found.extras).toEqual(plain(ssdExtras(1024, 19, 1, vggExtras)));
    expect(found.head).toEqual(plain(heads(vggSources, 20, 1)));
    expect([found.backbone, found.extras, found.head].map(({ parameters }) => millions(parameters))).toEqual(['20.48', '2.46', '3.34']); // prettier-ignore
    // Accounts of SSD300 say 26.29: that is with the 512 scales of the L2 normalisation, which ScratchDet has not.
    expect([found.total, found.total + 512].map(millions)).toEqual(['26.28', '26.29']);
  });

  test('SSD300 on Root-ResNet-34 with residual extra layers: 23.07 million and 32.70 G before the heads', () => {
    const voc = costs({ ...scratchDetNetworks['ssd300-root-resnet34'], classes: 20, batchNorm: 'backbone' });
    expect(voc.sizes).toEqual([38, 19, 10, 5, 3, 1]);
    expect(voc.extras).toEqual(plain(residual));
    expect(millions(voc.backbone.parameters + voc.extras.parameters)).toBe('23.07');
    expect(((voc.backbone.multiplyAdds + voc.extras.multiplyAdds) / 1e9).toFixed(2)).toBe('32.70');
    expect(voc.head).toEqual(plain(heads(rootSources, 20, 1)));
    expect(millions(voc.head.parameters)).toBe('1.50');
    expect(voc.adapters).toEqual({ parameters: 0, multiplyAdds: 0 });
  });

  test('COCO’s 80 classes make its heads 5.09 million, and the convolutional layers of VGG16’s size cost more', () => {
    // without a pass: the head alone
    const of = (options: ScratchDetNetworkOptions, part: string): number => {
      const model = new Ssd(scratchDetNetwork(options), zeroRandom);
      const names = model.parameters().filter(({ name }) => name.startsWith(part));
      model.dispose();
      return names.reduce((sum, { variable }) => sum + variable.size, 0);
    };
    const root = { trunk: 'root-resnet34', classes: 80, batchNorm: 'backbone' } as const;
    expect(of({ ...root, extras: 'residual' }, 'head')).toBe(heads(rootSources, 80, 1).parameters);
    expect(millions(heads(rootSources, 80, 1).parameters)).toBe('5.09');
    const sources = [[256, 38, 4], [512, 19, 6], ...vggSources.slice(2)] as const;
    expect(of(root, 'head')).toBe(heads(sources, 80, 1).parameters);
    const extras = ssdExtras(512, 19, 2, vggExtras).parameters;
    expect(of(root, 'extras')).toBe(extras);
    expect(residual.parameters).toBeLessThan(extras);
  });

  test('ResNet-18, whose two finest maps are widened to what the other stems’ are', () => {
    const found = costs({ trunk: 'resnet18', classes: 20, batchNorm: 'backbone' });
    expect(found.sizes).toEqual([38, 19, 10, 5, 3, 1]);
    expect(found.adapters).toEqual(
      plain(new Count().convolution(38, 1, 128, 256, 2).convolution(19, 1, 256, 512, 2)),
    );
    expect(found.extras).toEqual(plain(ssdExtras(512, 10, 2, vggExtras.slice(1))));
    const sources = [[256, 38, 4], [512, 19, 6], ...vggSources.slice(2)] as const;
    expect(found.head).toEqual(plain(heads(sources, 20, 1)));
    expect([millions(found.backbone.parameters), (found.backbone.multiplyAdds / 1e9).toFixed(2)]).toEqual(['11.18', '3.39']); // prettier-ignore
  });

  test('batch norm in VGG16’s backbone, in the head, after the max-pools', () => {
    const parameters = (change: Partial<ScratchDetNetworkOptions>): number => {
      const model = new Ssd(scratchDetNetwork({ trunk: 'vgg16', classes: 20, ...change }), zeroRandom);
      const count = model.parameterCount();
      model.dispose();
      return count;
    };
    const table = (backbone: 1 | 2, head: 1 | 2): number =>
      vgg(backbone, [300, 150, 75, 38, 19]).parameters +
      ssdExtras(1024, 19, backbone, vggExtras).parameters +
      heads(vggSources, 20, head).parameters;
    expect(parameters({ batchNorm: 'none' })).toBe(table(1, 1));
    expect(parameters({ batchNorm: 'backbone' })).toBe(table(2, 1));
    expect(parameters({ batchNorm: 'head' })).toBe(table(1, 2));
    expect(parameters({ batchNorm: 'both' })).toBe(table(2, 2));
    expect(parameters({})).toBe(table(2, 2));
    expect(parameters({ poolNorm: true })).toBe(table(2, 2) + 2 * (64 + 128 + 256 + 512 + 512));
    expect(parameters({ poolNorm: true, batchNorm: 'head' })).toBe(table(1, 2));
  });
});

describe('maps and anchors', () => {
  on('cpu');

  const shape = (options: ScratchDetNetworkOptions) => {
    const config = scratchDetNetwork(options);
    const model = new Ssd(config, zeroRandom);
    const sizes = model.mapSizes();
    const sources = model.head.classification.map(({ conv }) => conv.weight.shape[2]);
    model.dispose();
    const anchors = sizes.reduce((sum, size, map) => sum + size * size * config.anchorsPerCell[map], 0);
    return { sizes, sources, anchors };
  };

  test.each([
    ['ssd300-vgg16', [512, 1024, 512, 256, 256, 256]],
    ['ssd300-resnet18', [256, 512, 512, 256, 256, 256]],
    ['ssd300-resnet18-a', [256, 512, 512, 256, 256, 256]],
    ['ssd300-resnet18-b', [256, 512, 512, 256, 256, 256]],
    ['ssd300-root-resnet18', [256, 512, 512, 256, 256, 256]],
    ['ssd300-root-resnet34-convolutional', [256, 512, 512, 256, 256, 256]],
    ['ssd300-root-resnet34', [256, 512, 128, 128, 128, 128]],
  ] as const)('%s', (name, sources) => {
    const found = shape({ ...scratchDetNetworks[name], classes: 20 });
    expect(found).toEqual({ sizes: [38, 19, 10, 5, 3, 1], sources, anchors: 8732 });
  });

  test.each([
    ['ssd512-vgg16', [512, 1024, 512, 256, 256, 256, 256]],
    ['ssd512-root-resnet34', [256, 512, 128, 128, 128, 128, 128]],
  ] as const)('%s', (name, sources) => {
    const found = shape({ ...scratchDetNetworks[name], classes: 20 });
    expect(found).toEqual({ sizes: [64, 32, 16, 8, 4, 2, 1], sources, anchors: 24_564 });
  });

  test('the VGG16 networks are SSD’s', () => {
    for (const batchNorm of ['none', 'both'] as const) {
      const norm = { backbone: batchNorm === 'both', head: batchNorm === 'both' };
      const options = { trunk: 'vgg16', classes: 20, batchNorm } as const;
      expect(scratchDetNetwork(options)).toEqual(ssd300Config(20, norm));
      expect(scratchDetNetwork({ ...options, inputSize: 512 })).toEqual(ssd512Config(20, norm));
    }
  });

  test('without equal channels ResNet-18’s maps have their own', () => {
    const found = shape({ trunk: 'resnet18', classes: 20, equalChannels: false });
    expect(found.sources).toEqual([128, 256, 512, 256, 256, 256]);
  });

  test('the released codes’ last maps, and where their anchors lie', () => {
    const root = { trunk: 'root-resnet34', classes: 20 } as const;
    const mmdetection = shape({ ...root, extras: 'residual-as-in-mmdetection' });
    const caffe = shape({ ...root, extras: 'residual-as-in-caffe' });
    expect(mmdetection).toMatchObject({ sizes: [38, 19, 10, 5, 3, 3], anchors: 8764 });
    expect(caffe).toMatchObject({ sizes: [38, 19, 10, 5, 5, 5], anchors: 8892 });
    const { boxes, levels } = scratchDetPublishedAnchors(300, mmdetection.sizes, 'voc');
    expect(boxes.length / 4).toBe(8764);
    const { start, count, shapes } = levels[5];
    const centres = Array.from({ length: count }, (_, i) => {
      const [x1, , x2] = boxes.slice(4 * (start + i), 4 * (start + i) + 4);
      return (x1 + x2) / 2;
    });
    expect(centres.filter((_, i) => i % shapes.length === 0)).toEqual([150, 450, 750, 150, 450, 750, 150, 450, 750]); // prettier-ignore
  });

  test('published anchors fit the published networks, and no others', () => {
    for (const [name, dataset] of [
      ['ssd300-root-resnet18', 'coco'],
      ['ssd512-root-resnet34', 'voc'],
    ] as const) {
      const model = new Ssd(scratchDetNetwork({ ...scratchDetNetworks[name], classes: 2 }), zeroRandom);
      const anchors = scratchDetPublishedAnchors(model.config.inputSize, model.mapSizes(), dataset);
      expect(createSsdDetector(model, anchors).anchors).toBe(anchors);
      model.dispose();
    }
    expect(() => scratchDetPublishedAnchors(96, [12, 6, 3, 1], 'voc')).toThrow(/not for 4 at 96/);
    expect(() => scratchDetPublishedAnchors(300, [38, 19], 'voc')).toThrow(/not for 2 at 300/);
  });
});

const stems: readonly ScratchDetTrunk[] = ['resnet18', 'resnet18-a', 'resnet18-b', 'root-resnet18'];
const tiny = { widths: [4, 6, 8, 8], classes: 3 } as const;
const one = (trunk: ScratchDetTrunk): number[] => (trunk === 'vgg16' ? [1, 1, 1, 1, 1] : [1, 1, 1, 1]);

describe('the same networks, smaller', () => {
  on('wasm');

  test.each([64, 80, 96, 112, 128])(
    'stems differ in nothing but the trunk and what widens its maps: %i pixels',
    (inputSize) => {
      for (const finestStride of [4, 8] as const) {
        for (const extras of ['convolutional', 'residual'] as const) {
          const found = stems.map((trunk) => {
            const blocks = one(trunk);
            const config = scratchDetNetwork({ ...tiny, trunk, blocks, inputSize, finestStride, extras });
            const model = new Ssd(config, zeroRandom);
            const heads = model.parameters().filter(({ name }) => name.startsWith('head'));
            const description = {
              sizes: model.mapSizes(),
              anchorsPerCell: config.anchorsPerCell,
              heads: heads.map(({ name, variable }) => `${name} ${variable.shape}`),
            };
            model.dispose();
            return description;
          });
          expect(found[0].sizes[0]).toBe(inputSize / finestStride);
          expect(found[0].sizes.at(-1)).toBe(1);
          for (const other of found.slice(1)) expect(other).toEqual(found[0]);
        }
      }
    },
  );

  test('at every size from 49 pixels on', () => {
    for (let inputSize = 49; inputSize <= 520; inputSize++) {
      const counts = stems.map(
        (trunk) => scratchDetNetwork({ ...tiny, trunk, inputSize, extras: 'residual' }).anchorsPerCell.length,
      );
      expect(new Set(counts).size, `${inputSize} pixels`).toBe(1);
    }
    expect(() => scratchDetNetwork({ ...tiny, trunk: 'resnet18', inputSize: 48 })).toThrow(
      /take 49 pixels or more/,
    );
  });

  const arms = [...stems, 'root-resnet34', 'vgg16'] as const;
  test.each(arms)('%s learns in all its parts', (trunk) => {
    for (const extras of ['convolutional', 'residual'] as const) {
      const inputSize = 64;
      const config = scratchDetNetwork({
        ...tiny,
        trunk,
        blocks: one(trunk),
        inputSize,
        extras,
        poolNorm: trunk === 'vgg16',
      });
      const model = new Ssd(config, createRandom(7));
      const random = createRandom(8);
      const before = tf.memory().numTensors;
      tf.tidy(() => {
        const pixels = Float32Array.from({ length: 2 * inputSize * inputSize * 3 }, () => random.normal());
        const x = tf.tensor4d(pixels, [2, inputSize, inputSize, 3]);
        const loss = (): tf.Scalar => {
          const { classLogits, boxDeltas } = model.forward(x, { training: true });
          // Not means of values or of squares alone: the head's batch norm fixes both.
          return tf.add(tf.mean(tf.softplus(classLogits)), tf.mean(tf.square(tf.sub(boxDeltas, 1))));
        };
        const parameters = model.parameters();
        const { value, grads } = tf.variableGrads(
          loss,
          parameters.map(({ variable }) => variable),
        );
        const rate = 0.01;
        for (const { name, variable } of parameters) {
          const gradient = grads[variable.name];
          const size = (tf.max(tf.abs(gradient)).dataSync() as Float32Array)[0];
          expect(Number.isFinite(size), name).toBe(true);
          // A map of one cell reaches only the middle of a window, but no weight tensor is without gradient.
          if (variable.rank === 4) expect(size, name).toBeGreaterThan(0);
          variable.assign(variable.sub(gradient.mul(rate)));
        }
        expect((loss().dataSync() as Float32Array)[0]).toBeLessThan((value.dataSync() as Float32Array)[0]);
      });
      expect(tf.memory().numTensors).toBe(before);
      model.dispose();
    }
  });

  test('a small network is a detector', async () => {
    const model = new Ssd(
      scratchDetNetwork({
        ...tiny,
        trunk: 'resnet18',
        blocks: [1, 1, 1, 1],
        inputSize: 64,
        extras: 'residual',
      }),
      createRandom(1),
    );
    const maps = model.mapSizes().map((size): [number, number] => [size, size]);
    const ratios = model.config.anchorsPerCell.map((count) => (count === 6 ? [2, 3] : [2]));
    const detector = createSsdDetector(
      model,
      gridAnchors({ imageWidth: 64, imageHeight: 64, maps, scales: [0.15, 0.9], ratios }),
    );
    const images = tf.zeros<tf.Rank.R4>([1, 64, 64, 3]);
    expect(await detector.detect(images)).toHaveLength(1);
    images.dispose();
    model.dispose();
  });
});

describe('names and errors', () => {
  on('cpu');

  test('ScratchDet300’s state has the names of its parts', () => {
    const options = { ...scratchDetNetworks['ssd300-root-resnet34'], ...tiny, blocks: [1, 1, 1, 1] };
    const model = new Ssd(scratchDetNetwork(options), zeroRandom);
    const names = model.namedVariables().map(({ name }) => name);
    expect(names.filter((name) => name.endsWith('conv1.weight') || /conv[23]\.weight/.test(name))).toEqual([
      'backbone.conv1.weight',
      'backbone.conv2.weight',
      'backbone.conv3.weight',
      ...[1, 2, 3, 4].flatMap((n) => [1, 2].map((c) => `backbone.layer${n}.0.conv${c}.weight`)),
      ...[0, 1, 2, 3].flatMap((n) => [1, 2].map((c) => `extras.${n}.0.conv${c}.weight`)),
    ]);
    expect(names).toContain('extras.2.0.downsample.1.running_var');
    expect(names).not.toContain('extras.3.0.downsample.0.weight');
    expect(names.filter((name) => name.startsWith('head.regression.5'))).toEqual(
      ['conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'].map((end) => `head.regression.5.${end}`), // prettier-ignore
    );
    model.dispose();
  });

  const bad: [change: Partial<Record<keyof ScratchDetNetworkOptions, unknown>>, message: RegExp][] = [
    [{ trunk: 'resnet50' }, /no trunk "resnet50"; there are vgg16, resnet18/],
    [{ trunk: 'resnet18-a', batchNorm: 'none' }, /resnet18-a has batch norm of its own: .* not "none"/],
    [{ batchNorm: 'head', extras: 'residual' }, /residual extra layers have batch norm: .* not "head"/],
    [{ trunk: 'root-resnet18', poolNorm: true }, /poolNorm is for vgg16, not for root-resnet18/],
    [{ extras: 'residual-as-in-caffe', inputSize: 512 }, /is for 300 pixels, not 512/],
    [{ widths: [4, 8] }, /widths are four whole numbers, got \[4, 8\]/],
    [{ blocks: [1, 1, 1, 1] }, /blocks of vgg16 are 5 whole numbers, got \[1, 1, 1, 1\]/],
    [{ inputSize: 0 }, /inputSize is 0, not whole pixels/],
  ];
  test.each(bad)('refuses %o', (change, message) => {
    const options = { trunk: 'vgg16', classes: 20, ...change } as ScratchDetNetworkOptions;
    expect(() => scratchDetNetwork(options)).toThrow(message);
  });
});
