/** Choices within a step: which of several branches runs is a value, not the graph's shape. */
import { tf } from '../tf';
import { activeRecorder, type Recorder } from './recorder';
import type { Gate } from './recording';

/**
 * What one of `branches` makes of `x`; which one, a number in `path` says. In a compiled step all branches are in the graph, and a run computes the
 * chosen one alone, forward and backward: a supernet of 4^20 networks is one graph. Elsewhere the chosen branch is called, and no other.
 *
 * Gradients go through the chosen branch. What belongs to another has none: where the step is not compiled, `tf.variableGrads` does not name
 * its variables, and in a graph assignments of what hangs on such gradients are not carried out. A sum over all of them, such as a norm,
 * takes each by `whereChosen`.
 * @param path int32 `[n]`; not disposed. Its values are read where the step is not compiled.
 * @param position which number of `path` is meant.
 * @param branches return tensors of one shape and type. They may read and assign variables, but draw no random numbers, and choose nothing themselves.
 * @throws RangeError where the number is none of a branch.
 */
export function choose<In extends tf.Tensor, Out extends tf.Tensor>(
  path: tf.Tensor1D,
  position: number,
  x: In,
  branches: readonly ((x: In) => Out)[],
): Out {
  const recorder = activeRecorder();
  if (recorder) return chooseInGraph(recorder, path, position, x, branches);
  const choice = path.dataSync()[position];
  if (!(choice in branches)) {
    throw new RangeError(
      `choose: path[${position}] is ${choice}; there are branches 0 to ${branches.length - 1}`,
    );
  }
  return branches[choice](x);
}

/** `x` where the run has computed it; 0 where it belongs to a branch that was not chosen. Not differentiable. */
export function whereChosen(x: tf.Tensor): tf.Tensor {
  const recorder = activeRecorder();
  return recorder?.mayBeLeftOut(x) ? recorder.settle(x, tf.zeros(x.shape, x.dtype)) : x;
}

function chooseInGraph<In extends tf.Tensor, Out extends tf.Tensor>(
  recorder: Recorder,
  path: tf.Tensor1D,
  position: number,
  x: In,
  branches: readonly ((x: In) => Out)[],
): Out {
  const choice = tf.reshape(tf.slice(path, [position], [1]), []);
  const gates = branches.map((_, i): Gate => {
    const predicate = recorder.predicate(tf.equal(choice, tf.scalar(i, 'int32')));
    return { predicate, side: true };
  });
  const outputs = splitUp(recorder, x, gates).map((own, i) => branches[i](own));
  const operation = tf.customGrad((...args) => {
    const inputs = args.slice(0, -1) as tf.Tensor[];
    return {
      value: recorder.merge(inputs),
      gradFunc: (dy: tf.Tensor) => gates.map((gate) => recorder.gate(dy, gate)),
    };
  });
  return operation(...outputs) as Out;
}

/** `x` for each branch, as one operation: so that its gradient is the one that came back, not a sum with what was left out. */
function splitUp<T extends tf.Tensor>(recorder: Recorder, x: T, gates: readonly Gate[]): T[] {
  const engine = tf.engine() as unknown as {
    runKernelFunc(kernel: {
      inputs: { x: tf.Tensor };
      forwardFunc: () => tf.Tensor[];
      backwardsFunc: (dy: tf.Tensor[]) => { x: () => tf.Tensor };
      attrs: object;
    }): T[];
  };
  return engine.runKernelFunc({
    inputs: { x },
    forwardFunc: () => gates.map((gate) => recorder.gate(x, gate)),
    backwardsFunc: (dy) => ({ x: () => recorder.merge(dy) }),
    attrs: {},
  });
}
