// A small training run with everything that has a state, for resume.test.ts to kill and to make again:
//
//     node resumable-run.mjs FOLDER BACKEND sgd|adamw [--die WHERE]
//
// Prints `step N` after each step, at the end `done` and the resumption's step. With --die it kills itself, as `kill -9` would, while it
// writes a checkpoint (opened, header, tensors, synced, renamed) or a line of the log (log).
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';

const detlab = createRequire(import.meta.url)('detlab');
const { tf } = detlab;
const [folder, backend, kind, , where] = process.argv.slice(2);

const die = () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal comes before anything else can happen.
  for (;;);
};
const open = fs.open;
let written = 0;
fs.open = async (...words) => {
  const handle = await open.apply(fs, words);
  const [file] = words;
  const isCheckpoint = /step-0000000[4-9]\.safetensors.*tmp$/.test(file);
  const isLog = /log\.jsonl$/.test(file);
  const write = handle.write.bind(handle);
  const sync = handle.sync.bind(handle);
  if (isCheckpoint && where === 'opened') die();
  handle.write = async (bytes, from, length, position) => {
    if (isCheckpoint && ++written === { header: 2, tensors: 9 }[where]) {
      await write(bytes, from, Math.ceil(length / 2));
      die();
    }
    if (isLog && where === 'log' && bytes.toString().startsWith('{"type":"step","step":6')) {
      await write(bytes, from, 20, position);
      die();
    }
    return write(bytes, from, length, position);
  };
  handle.sync = async () => {
    await sync();
    if (isCheckpoint && where === 'synced') die();
  };
  return handle;
};
const rename = fs.rename;
fs.rename = async (from, to) => {
  await rename(from, to);
  if (where === 'renamed' && /step-0000000[4-9]\.safetensors$/.test(to)) die();
};

class Net extends detlab.Module {
  constructor(random) {
    super();
    this.first = new detlab.ConvBlock(
      { inChannels: 3, outChannels: 6, kernel: 3, stride: 2, batchNorm: true },
      random,
    );
    this.dropout = new detlab.Dropout(0.3);
    this.last = new detlab.Conv2d({ inChannels: 6, outChannels: 2, kernel: 3, padding: 1 }, random);
  }

  forward(x, context) {
    return tf.tidy(() =>
      this.last.forward(this.dropout.forward(this.first.forward(x, context), context), context),
    );
  }
}

await detlab.useBackend({ backend });
const random = detlab.createRandom('pixels');
const examples = Array.from({ length: 7 }, (_, i) => {
  const data = Uint8Array.from({ length: 10 * 10 * 3 }, () => random.integer(256));
  return {
    id: `image-${i}`,
    width: 10,
    height: 10,
    objects: [{ box: [1, 2, 8, 9], label: 0 }],
    image: async () => ({ width: 10, height: 10, data }),
  };
});
const loader = detlab.createLoader(
  { name: 'noise', classes: ['x'], examples },
  {
    size: 8,
    batchSize: 2,
    shuffle: 'order',
    augment: (sample, r) => detlab.flipHorizontal()(detlab.photometricDistortion()(sample, r), r),
    mean: [128, 128, 128],
    std: [60, 60, 60],
  },
);
const model = new Net(detlab.createRandom(1));
const optimizer =
  kind === 'sgd'
    ? new detlab.Sgd(model.parameters(), { momentum: 0.9, weightDecay: 1e-3, dampening: 0.1 })
    : new detlab.AdamW(model.parameters());
const stream = new detlab.RandomStream(5);
const result = await detlab.train({
  model,
  optimizer,
  random: stream,
  batches: loader,
  steps: 14,
  accumulate: kind === 'sgd' ? 2 : 1,
  average: { decay: 0.9 },
  gradientChange: true,
  clipNorm: 5,
  schedule: detlab.cosineSchedule({ base: kind === 'sgd' ? 0.05 : 0.01, steps: 14, warmupSteps: 3 }),
  prepare: (batch) => ({ images: detlab.batchTensor(batch) }),
  loss: ({ images }, context) => {
    const y = model.forward(images, context);
    return { total: y.sub(1).square().mean(), parts: { size: y.abs().mean() } };
  },
  checkpoint: { folder, everySteps: 2 },
  evaluate: {
    everySteps: 3,
    best: 'score',
    run: async () => {
      const x = tf.ones([1, 8, 8, 3]);
      const y = model.forward(x, detlab.inference);
      const [score] = await y.mean().data();
      tf.dispose([x, y]);
      return { score };
    },
  },
  onStep: async ({ step }) => {
    process.stdout.write(`step ${step}\n`);
    // Time to be killed in, between steps too.
    await new Promise((resolve) => setTimeout(resolve, 5));
  },
});
process.stdout.write(`done ${result.logs.length} steps, resumed at ${result.resumedAt}\n`);
