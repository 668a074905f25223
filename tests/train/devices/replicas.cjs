/** Replicas for the tests, as a user's file would have them; devices load it in their threads. */
const {
  BatchNorm2d,
  Conv2d,
  createRandom,
  detectorReplica,
  Linear,
  Module,
  smallDetector,
  tf,
} = require('detlab');

/** Convolution, batch norm, ReLU, mean over the map, one number an image. */
class Net extends Module {
  constructor(seed) {
    super();
    const random = createRandom(seed);
    this.conv = new Conv2d({ inChannels: 3, outChannels: 6, kernel: 3, padding: 1, bias: false }, random);
    this.bn = new BatchNorm2d({ channels: 6 });
    this.conv2 = new Conv2d({ inChannels: 6, outChannels: 4, kernel: 3, padding: 1, bias: false }, random);
    this.bn2 = new BatchNorm2d({ channels: 4 });
    this.fc = new Linear({ inFeatures: 4, outFeatures: 1 }, random);
  }

  forward(x, context) {
    return tf.tidy(() => {
      let y = tf.relu(this.bn.forward(this.conv.forward(x, context), context));
      y = tf.relu(this.bn2.forward(this.conv2.forward(y, context), context));
      return this.fc.forward(tf.mean(y, [1, 2]), context);
    });
  }
}

/** @param settings `seed` of the first weights (by rank too, where `own`); `fault`: what goes wrong, where and when. */
exports.createReplica = ({ seed = 1, own = false, random, optimizer, fault } = {}, place) => {
  const model = new Net(own ? seed + (place ? place.rank + 1 : 0) : seed);
  let steps = 0;
  return {
    model,
    seed: random,
    optimizer: optimizer ?? { momentum: 0.9, weightDecay: 1e-3 },
    prepare(batch) {
      const now = steps++;
      const images = tf.tensor4d(batch.images, [...batch.shape]);
      if (fault && place && place.rank === fault.rank && now === fault.step) {
        if (fault.kind === 'throw') throw new Error('out of luck');
        if (fault.kind === 'exit') process.exit(3);
        if (fault.kind === 'hang')
          for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
        if (fault.kind === 'nan') return { images: images.mul(NaN) };
        if (fault.kind === 'stray') model.fc.bias.assign(tf.tensor1d([5]));
      }
      return { images };
    },
    loss({ images }, context) {
      return tf.tidy(() => {
        const noise = context.random ? context.random.uniform([images.shape[0], 1]) : tf.scalar(0);
        const wanted = tf.mean(images, [1, 2, 3]).reshape([-1, 1]).mul(3).add(noise);
        const error = model.forward(images, context).sub(wanted);
        const square = tf.mean(tf.square(error));
        return { total: square, parts: { square, absolute: tf.mean(tf.abs(error)) } };
      });
    },
  };
};

/** A small Faster R-CNN, which samples at random. */
exports.fasterRcnn = () =>
  detectorReplica(
    smallDetector('faster-rcnn', { classes: 2, inputSize: { width: 64, height: 64 }, seed: 3 }),
    { optimizer: { momentum: 0.9 }, seed: 5 },
  );

exports.incomplete = () => ({ model: new Net(1) });
