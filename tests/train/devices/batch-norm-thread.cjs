/** A device of the test: normalises its share, and answers with everything that comes of it. */
const { parentPort, workerData } = require('node:worker_threads');
const { crossDeviceBatchNorm, sharedMemoryTransport, tf, useBackend } = require('detlab');

void (async () => {
  const { memory, rank, method, backend, x, dy, shape, scale, shift, epsilon } = workerData;
  await useBackend({ backend });
  const normalise = crossDeviceBatchNorm(sharedMemoryTransport(memory, rank), method);
  const given = [tf.tensor4d(x, shape), tf.tensor1d(scale), tf.tensor1d(shift)];
  let kept;
  const before = tf.memory().numTensors;
  const [dx, dScale, dShift] = tf.grads((...xs) => {
    const { output, mean, variance } = normalise(...xs, epsilon);
    kept = [output, mean, variance].map((tensor) => tf.keep(tensor.clone()));
    tf.dispose([mean, variance]);
    return output.mul(tf.tensor4d(dy, shape)).sum();
  })(given);
  const all = [...kept, dx, dScale, dShift];
  const values = all.map((tensor) => Float32Array.from(tensor.dataSync()));
  tf.dispose(all);
  parentPort.postMessage({ values, left: tf.memory().numTensors - before });
})();
