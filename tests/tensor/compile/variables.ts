/** Variables and values for the tests of compiled steps. */
import { afterEach } from 'vitest';
import { tf } from '../../../lib/tensor/tf';

let made: tf.Variable[] = [];

/** Variables that are disposed of after the test, where it has not done so itself. To be called once in a file of tests. */
export function testVariables(): (values: number[]) => tf.Variable<tf.Rank.R1> {
  afterEach(() => {
    for (const variable of made) if (!variable.isDisposed) variable.dispose();
    made = [];
  });
  return (values) => {
    const variable = tf.tidy(() => tf.variable(tf.tensor1d(values)));
    made.push(variable);
    return variable;
  };
}

export const values = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());

/** The values of a tensor that is not needed any more. */
export const read = (tensor: tf.Tensor): number[] => {
  const numbers = values(tensor);
  tensor.dispose();
  return numbers;
};
