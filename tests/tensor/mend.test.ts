import { afterEach, expect, test } from 'vitest';
import { mendEngine } from '../../lib/tensor/mend';
import { tf } from '../../lib/tensor/tf';

afterEach(() => mendEngine());

test('closes scopes and drops a recording that were left open', async () => {
  await tf.setBackend('cpu');
  const outside = tf.scalar(1);
  const before = tf.memory().numTensors;
  const engine = tf.engine();
  // What is left of nested tidy calls, a gradient and a kernel that were ended half-way.
  engine.startScope('outer');
  tf.ones([4]);
  engine.startScope('inner');
  tf.ones([5]);
  const state = engine.state as unknown as Record<string, unknown>;
  Object.assign(state, { gradientDepth: 2, kernelDepth: 1, activeTape: [] });
  expect(tf.memory().numTensors).toBe(before + 2);

  mendEngine();
  expect(tf.memory().numTensors).toBe(before);
  expect(outside.isDisposed).toBe(false);
  // Nothing is recorded any more, and what is made now belongs to nobody's scope.
  const sum = tf.tidy(() => tf.add(outside, 1));
  expect(tf.memory().numTensors).toBe(before + 1);
  expect(state).toMatchObject({ gradientDepth: 0, kernelDepth: 0, activeTape: null });
  expect(
    (
      await tf
        .grad((x) => tf.square(x))(tf.scalar(3))
        .data()
    )[0],
  ).toBe(6);
  tf.dispose([sum, outside]);
});
