/**
 * Where PyTorch lays a weight out otherwise than TensorFlow.js: convolutions `[out, in, KH, KW]` instead of `[KH, KW, in, out]`, depthwise
 * ones `[C * multiplier, 1, KH, KW]` instead of `[KH, KW, C, multiplier]`, fully connected ones `[out, in]` instead of `[in, out]`.
 */
import { Conv2d } from '../nn/conv';
import { DepthwiseConv2d } from '../nn/depthwise-conv';
import { Linear } from '../nn/linear';
import type { Module } from '../nn/module';
import { moduleNames } from '../nn/summary';
import type { tf } from '../tensor/tf';
import type { HostTensor } from './host-tensor';

/** What kind of layer a weight belongs to; every other variable is laid out alike. */
export type Layout = 'convolution' | 'depthwise' | 'linear';

/** The layouts of a network's weights; a variable that is not in it is laid out alike. */
export function layoutsOf(root: Module): Map<tf.Variable, Layout> {
  const found = new Map<tf.Variable, Layout>();
  for (const module of moduleNames(root).keys()) {
    if (module instanceof Conv2d) found.set(module.weight, 'convolution');
    else if (module instanceof DepthwiseConv2d) found.set(module.weight, 'depthwise');
    else if (module instanceof Linear) found.set(module.weight, 'linear');
  }
  return found;
}

/** The shape that PyTorch has for ours. */
export function torchShape(shape: readonly number[], layout: Layout | undefined): number[] {
  const [a, b, c, d] = shape;
  if (layout === 'convolution') return [d, c, a, b];
  if (layout === 'depthwise') return [c * d, 1, a, b];
  return layout === 'linear' ? [b, a] : [...shape];
}

/** A weight as PyTorch lays it out; a copy in any case. */
export function toTorch({ shape, values }: HostTensor, layout: Layout | undefined): HostTensor {
  const outer = layout && axes(shape, layout);
  return { shape: torchShape(shape, layout), values: outer ? exchanged(values, ...outer) : values.slice() };
}

/**
 * Values as TensorFlow.js wants them; a copy in any case.
 * @param values laid out as PyTorch does.
 * @param shape as TensorFlow.js has it.
 */
export function fromTorch(
  values: HostTensor['values'],
  shape: readonly number[],
  layout: Layout | undefined,
): HostTensor['values'] {
  if (!layout) return values.slice();
  const [a, b, c] = axes(shape, layout);
  return exchanged(values, c, b, a);
}

/** A weight as three axes, of which the outer ones change places: window, in, out; or window, 1, channel; or in, 1, out. */
function axes(shape: readonly number[], layout: Layout): [number, number, number] {
  const [a, b, c, d] = shape;
  if (layout === 'convolution') return [a * b, c, d];
  return layout === 'depthwise' ? [a * b, 1, c * d] : [a, 1, b];
}

/** `[a, b, c]` as `[c, b, a]`, in blocks that keep reading and writing near what was just touched. */
function exchanged(values: HostTensor['values'], a: number, b: number, c: number): HostTensor['values'] {
  const result =
    values instanceof Float32Array ? new Float32Array(values.length) : new Int32Array(values.length);
  const block = 32;
  for (let start = 0; start < c; start += block) {
    const end = Math.min(c, start + block);
    for (let j = 0; j < b; j++) {
      for (let i = 0; i < a; i++) {
        const from = (i * b + j) * c;
        for (let k = start; k < end; k++) result[(k * b + j) * a + i] = values[from + k];
      }
    }
  }
  return result;
}
