import { describe, expect, it } from 'vitest';
import { compile } from '../../lib/tensor/compile/compile';
import { Module, parameter } from '../../lib/nn/module';
import { tf } from '../../lib/tensor/tf';
import { WeightAverage } from '../../lib/train/weight-average';
import { backends, on } from '../tensor/kernels/backends';

class Weights extends Module {
  readonly weight: tf.Variable = parameter(tf.tensor1d([1, -2]));
  readonly running_mean: tf.Variable = parameter(tf.tensor1d([0]), false);
}

for (const backend of backends) {
  describe(`a weight average on ${backend}`, () => {
    on(backend);

    for (const dynamic of [false, true]) {
      it(`follows the scalar rule, compiled or not${dynamic ? ', faster at first' : ''}`, async () => {
        const tensors = tf.memory().numTensors;
        const model = new Weights();
        const average = new WeightAverage(model, { decay: 0.9, dynamic });
        const step = compile(({ x }: { x: tf.Tensor }) => {
          model.weight.assign(model.weight.add(x));
          model.running_mean.assign(model.running_mean.sub(x.sum()));
          average.update();
        });
        const now = [1, -2, 0];
        const expected = [...now];
        for (let t = 0; t < 6; t++) {
          const x = tf.tensor1d([t, 1]);
          step({ x });
          x.dispose();
          now[0] += t;
          now[1] += 1;
          now[2] -= t + 1;
          const decay = dynamic ? Math.min(0.9, (1 + t) / (10 + t)) : 0.9;
          now.forEach((value, i) => (expected[i] = decay * expected[i] + (1 - decay) * value));
        }
        const read = (): number[] => [...model.weight.dataSync(), ...model.running_mean.dataSync()];
        await average.withAverages(() =>
          read().forEach((value, i) => expect(value).toBeCloseTo(expected[i], 4)),
        );
        expect(read()).toEqual(now);
        await expect(average.withAverages(() => Promise.reject(new Error('stop')))).rejects.toThrow('stop');
        expect(read()).toEqual(now);
        expect(average.slots().map(({ name }) => name)).toEqual([
          'average.weight',
          'average.running_mean',
          'average.step',
        ]);
        step.dispose();
        average.dispose();
        model.dispose();
        expect(tf.memory().numTensors).toBe(tensors);
      });
    }
  });
}
