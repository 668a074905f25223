/** Separable convolutions against the two layers that they are made of, first weights, and modules by key. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  Conv2d,
  createRandom,
  inference,
  lecunNormal,
  ModuleDict,
  SeparableConv2d,
  type SeparableConv2dOptions,
  tf,
  useBackend,
} from 'detlab';
import { expectClose, randomTensor } from '../tensor/kernels/backends';

beforeAll(() => useBackend());

const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync<'float32'>();

describe('SeparableConv2d', () => {
  const make = (options: Partial<SeparableConv2dOptions> = {}): SeparableConv2d =>
    new SeparableConv2d({ inChannels: 3, outChannels: 2, ...options }, createRandom(1));

  test('is a window a channel, then a mixture of the channels', () => {
    const layer = make();
    const [rows, columns, from, to] = [4, 5, 3, 2];
    tf.tidy(() => {
      const x = randomTensor<tf.Rank.R4>([1, rows, columns, from], 2);
      layer.conv_pw.bias!.assign(tf.tensor1d([0.5, -1]));
      const [input, dw, pw] = [x, layer.conv_dw.weight, layer.conv_pw.weight].map(values);
      const wanted: number[] = [];
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          for (let o = 0; o < to; o++) {
            let sum = [0.5, -1][o];
            for (let c = 0; c < from; c++) {
              for (let a = 0; a < 3; a++) {
                for (let b = 0; b < 3; b++) {
                  const [y, z] = [i + a - 1, j + b - 1];
                  if (y < 0 || y >= rows || z < 0 || z >= columns) continue;
                  sum += input[(y * columns + z) * from + c] * dw[(a * 3 + b) * from + c] * pw[c * to + o];
                }
              }
            }
            wanted.push(sum);
          }
        }
      }
      expectClose(values(layer.forward(x, inference)), wanted, 1e-6, 'output');
    });
    layer.dispose();
  });

  test('has a bias unless batch norm follows, and timm’s names', () => {
    const names = (options?: Partial<SeparableConv2dOptions>): string[] => {
      const layer = make(options);
      const found = layer.parameters().map(({ name }) => name);
      layer.dispose();
      return found;
    };
    expect(names()).toEqual(['conv_dw.weight', 'conv_pw.weight', 'conv_pw.bias']);
    expect(names({ norm: {} })).toEqual(['conv_dw.weight', 'conv_pw.weight', 'bn.weight', 'bn.bias']);
    expect(names({ norm: {}, bias: true })).toContain('conv_pw.bias');
  });

  test('begins within Xavier’s bounds, or with a variance of 1 / fan-in', () => {
    const uniform = make({ inChannels: 60, outChannels: 40 });
    const largest = (variable: tf.Tensor): number => Math.max(...values(variable).map(Math.abs));
    // windows: 9 connections in and 9 out; 1x1: 60 in and 40 out
    const bounds = [Math.sqrt(6 / 18), Math.sqrt(6 / 100)];
    [uniform.conv_dw.weight, uniform.conv_pw.weight].forEach((weight, i) => {
      expect(largest(weight)).toBeLessThanOrEqual(bounds[i] * 1.000001);
      expect(largest(weight)).toBeGreaterThan(bounds[i] * 0.97);
    });
    uniform.dispose();
    const gaussian = make({ inChannels: 100, outChannels: 100, initializer: lecunNormal });
    [gaussian.conv_dw.weight, gaussian.conv_pw.weight].forEach((weight, i) => {
      const all = values(weight);
      const variance = all.reduce((sum, value) => sum + value * value, 0) / all.length;
      expect(variance * [9, 100][i]).toBeGreaterThan(0.85);
      expect(variance * [9, 100][i]).toBeLessThan(1.15);
    });
    gaussian.dispose();
  });
});

test('ModuleDict names its modules by their keys, and says which there are', () => {
  const conv = (): Conv2d =>
    new Conv2d({ inChannels: 1, outChannels: 1, kernel: 1, bias: false }, createRandom(1));
  const dict = new ModuleDict({ 3: conv(), five: conv() });
  expect(dict.namedVariables('resample.').map(({ name }) => name)).toEqual([
    'resample.3.weight',
    'resample.five.weight',
  ]);
  expect(dict.at(3)).toBe(dict.at('3'));
  expect(() => dict.at(4)).toThrow('ModuleDict: there is no "4"; there are 3, five');
  expect(() => dict.at('dispose')).toThrow('there is no "dispose"');
  dict.dispose();
});
