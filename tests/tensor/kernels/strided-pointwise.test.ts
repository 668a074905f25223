/** The gradient of a strided 1x1 convolution's filter, which ended the process on `tensorflow` for a few channels. */
import { describe, test } from 'vitest';
import { compile } from '../../../lib/tensor/compile/compile';
import { conv2d } from '../../../lib/tensor/kernels/conv';
import { tf } from '../../../lib/tensor/tf';
import { backends, expectClose, normals, on } from './backends';

describe.each(backends)('a strided 1x1 convolution on %s', (backend) => {
  on(backend);

  test.each([
    [3, 16, 12, 16],
    [1, 32, 8, 16],
    [3, 16, 16, 8],
  ])('batch %i, %i cells a side, %i to %i channels', (batch, side, inChannels, outChannels) => {
    const images = normals(batch * side * side * inChannels, 'images');
    const half = side / 2;
    const dy = normals(batch * half * half * outChannels, 'dy');
    const expected = new Float64Array(inChannels * outChannels);
    for (let cell = 0; cell < batch * half * half; cell++) {
      const [column, row] = [cell % half, Math.floor(cell / half) % half];
      const from = ((Math.floor(cell / half / half) * side + 2 * row) * side + 2 * column) * inChannels;
      for (let i = 0; i < inChannels; i++) {
        for (let o = 0; o < outChannels; o++) {
          expected[i * outChannels + o] += images[from + i] * dy[cell * outChannels + o];
        }
      }
    }
    const gradient = ({ x, slope }: { x: tf.Tensor4D; slope: tf.Tensor4D }): tf.Tensor =>
      tf.tidy(() =>
        tf.grad((filter: tf.Tensor) =>
          tf.mul(conv2d(x, filter as tf.Tensor4D, { stride: 2, padding: 0, dilation: 1 }), slope),
        )(tf.zeros([1, 1, inChannels, outChannels])),
      );
    const compiled = compile(gradient);
    const [x, slope] = [
      tf.tensor4d(images, [batch, side, side, inChannels]),
      tf.tensor4d(dy, [batch, half, half, outChannels]),
    ];
    // Memory that was written to by mistake shows after a while.
    const times = backend === 'tensorflow' ? 150 : 1;
    for (const run of [gradient, compiled]) {
      for (let k = 0; k < times; k++) {
        const found = run({ x, slope });
        if (k === times - 1) expectClose(found.dataSync(), expected, 1e-5, 'gradient');
        found.dispose();
      }
    }
    compiled.dispose();
    tf.dispose([x, slope]);
  });
});
