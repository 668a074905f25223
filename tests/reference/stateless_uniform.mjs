// Numbers of TensorFlow's own op StatelessRandomUniform, by calling it here. Writes tests/tensor/fixtures/stateless-uniform.json.
// npm run build && node tests/reference/stateless_uniform.mjs
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { useBackend } = require('../../dist/tensor/backend.js');
const { runOp } = require('../../dist/tensor/kernels/tensorflow-ops.js');
const { tf } = require('../../dist/tensor/tf.js');

const { version } = await useBackend({ backend: 'tensorflow' });
const seeds = [
  [0, 0],
  [1, 0],
  [0, 1],
  [42, 1000000],
  [-1, 5],
  [-2147483648, 2147483647],
  [2147483647, -2147483648],
];
const cases = seeds.map((seed, i) => {
  const [values] = runOp('StatelessRandomUniform', { dtype: 'float32', T: 'int32', Tseed: 'int32' }, [
    tf.tensor1d([10 + i], 'int32'),
    tf.tensor1d(seed, 'int32'),
  ]);
  // multiples of 2^-23, exactly
  return { seed, multiples: Array.from(values.dataSync(), (v) => v * 0x800000) };
});
const lines = cases.map((c) => `    ${JSON.stringify(c)}`).join(',\n');
fs.writeFileSync(
  new URL('../tensor/fixtures/stateless-uniform.json', import.meta.url),
  `{\n  "tensorflow": "${version}",\n  "cases": [\n${lines}\n  ]\n}\n`,
);
