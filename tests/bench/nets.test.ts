/** The benchmark compares what is equal: the same network, step and detections, whoever computes them. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { classwiseNms, createRandom, inference, ssdAnchors, ssd300Voc, tf } from 'detlab';
import { type Case, readCase, writeCase } from '../../lib/bench/case-files';
import { buildNet, netAnchors, netNames, planNet } from '../../lib/bench/nets';
import { PlainNet } from '../../lib/bench/plain-tfjs';
import { plainClasswiseNms } from '../../lib/bench/suppression';
import { readTensors, writeTensors } from '../../lib/bench/tensor-file';
import { createTrainingStep, loadedNet } from '../../lib/bench/workloads';
import { expectClose, on } from '../tensor/kernels/backends';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-nets-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('on wasm', () => {
  on('wasm');

  describe.each(netNames)('%s', (name) => {
    test('plain TensorFlow.js takes the same steps', () => {
      writeCase(folder, planNet(name, 64), 2, 'training');
      const one: Case = readCase(folder);
      const tensor = (key: string, type: 'float32' | 'int32'): tf.Tensor =>
        tf.tensor(one.tensors[key].values, [...one.tensors[key].shape], type);
      const inputs = {
        images: tensor('images', 'float32') as tf.Tensor4D,
        classTargets: tensor('classTargets', 'int32') as tf.Tensor2D,
        boxTargets: tensor('boxTargets', 'float32') as tf.Tensor3D,
      };
      const model = loadedNet(one);
      const plain = new PlainNet(one);
      const rate = 1e-4;
      const train = createTrainingStep(model, { momentum: 0.9, compiled: false });
      const optimizer = tf.train.momentum(rate, 0.9);
      const predict = (): Float32Array[] =>
        [model.forward(inputs.images, inference), plain.predict(inputs.images)].map(
          ({ classLogits, boxDeltas }) =>
            Float32Array.from([...classLogits.dataSync(), ...boxDeltas.dataSync()]),
        );
      const before = predict();
      expectClose(before[1], before[0], 1e-5, 'predictions');
      for (let i = 0; i < 2; i++) {
        const [a, b] = [train.step({ ...inputs, rate }).loss, plain.step(inputs.images, inputs, optimizer)];
        expectClose(b.dataSync(), a.dataSync(), i === 0 ? 1e-5 : 1e-3, `loss of step ${i}`);
        tf.dispose([a, b]);
      }
      const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
        Math.sqrt(Array.from(a).reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0));
      for (const { name: key, variable } of model.namedVariables()) {
        const first = one.tensors[`model.${key}`].values;
        const [ours, theirs] = [variable.dataSync(), plain.variables.get(key)!.dataSync()];
        // Rounding turns the sign of a value before a ReLU now and then, and on maps of 2x2 one such value is felt. Where a bias
        // stands before a normalisation, its gradient is nothing but rounding.
        const moved = distance(ours, first) + 1e-6 * Math.sqrt(first.length);
        expect(distance(ours, theirs) / moved, key).toBeLessThan(0.2);
      }
    });

    test('twice the depth has twice the blocks; anchors fit the maps', () => {
      const plan = planNet(name, 96, 2);
      const counts = planNet(name, 96).stages.map((blocks) => 2 * blocks.length);
      expect(plan.stages.map((blocks) => blocks.length)).toEqual(counts);
      const model = buildNet(plan);
      const { levels } = netAnchors(plan, model.mapSizes());
      expect(levels.map(({ rows, shapes }) => [rows, shapes.length])).toEqual(
        model.mapSizes().map((size, level) => [size, plan.anchorsPerCell[level]]),
      );
      const maps = model.features(tf.zeros([1, 96, 96, 3]), inference);
      expect(maps.map((map) => map.shape[1])).toEqual(model.mapSizes());
      tf.dispose(maps);
      model.dispose();
    });
  });

  test('suppression by TensorFlow.js keeps the same boxes', async () => {
    const boxes = ssdAnchors(ssd300Voc).boxes.slice(0, 4 * 600);
    const random = createRandom(5);
    const scores = Float32Array.from({ length: 600 * 3 }, () => random.next());
    const ours = classwiseNms(boxes, scores, 3, { topK: 600 });
    const theirs = await plainClasswiseNms(boxes, scores, 3);
    expect(theirs.map(([label, index]) => [label, index])).toEqual(
      Array.from(ours.indices, (index, i) => [ours.labels[i], index]),
    );
  });
});

test('tensors come back from a file as they were', () => {
  const file = path.join(folder, 'tensors');
  const tensors = {
    'a.weight': { shape: [2, 2], values: new Float32Array([1.5, -2, NaN, 1e-30]) },
    labels: { shape: [3], values: new Int32Array([-1, 0, 2 ** 30]) },
    empty: { shape: [0, 4], values: new Float32Array(0) },
  };
  writeTensors(file, tensors);
  expect(readTensors(file)).toEqual(tensors);
  // The layout of safetensors: the header's length, JSON, then values that begin at a multiple of 8 bytes.
  const bytes = fs.readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  expect(length % 8).toBe(0);
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
  expect(header.labels).toEqual({ dtype: 'I32', shape: [3], data_offsets: [16, 28] });
});
