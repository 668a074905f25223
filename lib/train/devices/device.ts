/** One device's part of data-parallel training: its images, its copy of the network, and the sums that it shares with the others. */
import type { BatchStatistics, ForwardContext, Module, NamedVariable } from '../../nn/module';
import { compile, type CompiledStep } from '../../tensor/compile/compile';
import { tf } from '../../tensor/tf';
import type { Batch } from '../../data/loader';
import type { StateDict } from '../../weights/host-tensor';
import { firstNonFinite } from '../diagnosis';
import { gradientPass, releasePass } from '../gradient-pass';
import { GradientProbe } from '../gradient-probe';
import { nonFiniteProblem } from '../local-stepper';
import type { Optimizer } from '../optimizer';
import { loadState, type RunParts, saveState } from '../run-state';
import { hashTensors } from '../state-hash';
import { chooseOptimizer } from '../train-parts';
import { updatePass } from '../update-pass';
import { WeightAverage } from '../weight-average';
import { crossDeviceBatchNorm } from './cross-device-batch-norm';
import type { DeviceReading } from './device-reading';
import type { DeviceJob, UpdateReport } from './messages';
import { Meter, MeteredTransport } from './metered-transport';
import type { Replica } from './replica';
import { ShardRandom } from './shard-random';
import type { Shard } from './shards';
import { sharedMemoryTransport } from './shared-memory';
import type { Transport } from './transport';

/** A compiled function from tensors to a vector. */
type VectorStep = CompiledStep<Record<string, tf.Tensor>, tf.Tensor1D>;

/** How a step's vector is made up: the loss, its parts, all gradients, and the mean and variance of each normalisation. */
interface VectorLayout {
  readonly parts: readonly string[];
  readonly layers: readonly BatchStatistics['layer'][];
  /** Channels of each layer. */
  readonly channels: readonly number[];
}

/**
 * A device. A step is two calls: `gradient`, in which it meets the others and nothing changes, and `update`. In between
 * the leading thread makes sure that everybody has come so far.
 */
export class Device {
  private readonly meter = new Meter();
  private readonly everybody: Transport;
  private readonly batchNorm: ForwardContext['batchNorm'];
  private readonly random: ShardRandom | undefined;
  private readonly optimizer: Optimizer;
  private readonly average: WeightAverage | undefined;
  private readonly probe: GradientProbe | undefined;
  private readonly own: { dispose(): unknown }[] = [];
  private readonly gradients = new Map<string, VectorStep>();
  private readonly updates: VectorStep;
  private layout: VectorLayout = { parts: [], layers: [], channels: [] };
  /** The sum over all devices, between the two halves of a step. */
  private sum: Float32Array | undefined;
  /** Of the random numbers, before the step. */
  private before: Int32Array | undefined;

  constructor(
    private readonly replica: Replica,
    private readonly job: DeviceJob,
  ) {
    const { rank, everybody, together, gradientChange, average } = job;
    this.everybody = new MeteredTransport(sharedMemoryTransport(everybody, rank), this.meter);
    this.batchNorm =
      together &&
      crossDeviceBatchNorm(
        new MeteredTransport(sharedMemoryTransport(together.memory, rank), this.meter),
        together.method,
      );
    this.random = replica.seed === undefined ? undefined : new ShardRandom(replica.seed);
    this.optimizer = chooseOptimizer(replica.model, replica.optimizer, this.own);
    this.average = average && new WeightAverage(replica.model, average);
    this.probe = gradientChange
      ? new GradientProbe(this.optimizer.parameters.map(({ variable }) => variable))
      : undefined;
    this.updates = this.compiled((inputs) => this.applyVector(inputs), job.compile);
  }

  /** Takes over the leading thread's state. */
  load(tensors: StateDict): void {
    loadState(this.state, { file: 'the leading thread’s state', tensors });
  }

  /** Forward, backward, and the sum with all others. @throws TransportAborted where they gave up; then nothing has changed. */
  async gradient(batch: Batch, shard: Shard): Promise<DeviceReading> {
    const { meter, random, replica, job } = this;
    const started = performance.now();
    meter.reset();
    if (random) {
      random.shard = shard;
      this.before = Int32Array.from(await random.state.data());
    }
    const inputs = tf.tidy(() => replica.prepare(batch));
    try {
      const vector = this.vectorStep(shard)(inputs);
      const values = Float32Array.from(await vector.data<'float32'>());
      vector.dispose();
      const loss = (values[0] * shard.total) / shard.count;
      this.everybody.allReduce(values);
      const reading: DeviceReading = {
        rank: job.rank,
        images: shard.count,
        loss,
        computing: (performance.now() - started) / 1000 - meter.waiting,
        waiting: meter.waiting,
        bytes: meter.bytes,
      };
      this.sum = values;
      if (meter.nonFiniteAt === undefined) return reading;
      const { parameters } = this.optimizer;
      // As a device of its own: the others do not meet it now.
      const first = await firstNonFinite(replica.model, parameters, inputs, replica.loss, { random });
      const nonFinite = nonFiniteProblem({ loss, gradientNorm: NaN }, first);
      return { ...reading, nonFiniteAt: meter.nonFiniteAt, nonFinite };
    } catch (error) {
      this.forget();
      throw error;
    } finally {
      tf.dispose(inputs);
    }
  }

  /** The second half: the update, unless something was not finite. */
  async update(rate: number): Promise<UpdateReport> {
    const { sum, layout } = this;
    if (!sum) throw new Error(`device ${this.job.rank}: there is no gradient to update by`);
    const vector = tf.tensor1d(sum);
    const scalar = tf.scalar(rate);
    const report = this.updates({ vector, rate: scalar });
    tf.dispose([vector, scalar]);
    const [finite, loss, gradientNorm, gradientChange] = await report.data<'float32'>();
    report.dispose();
    this.sum = undefined;
    const parts = Object.fromEntries(layout.parts.map((name, i) => [name, sum[1 + i]]));
    return { finite: finite === 1, loss, parts, gradientNorm, gradientChange };
  }

  /** Forgets the first half of a step, its random numbers, too. */
  forget(): void {
    this.sum = undefined;
    if (!this.before || !this.random) return;
    const before = tf.tensor1d(this.before, 'int32');
    this.random.state.assign(before);
    before.dispose();
  }

  save(): Promise<StateDict> {
    return saveState(this.state);
  }

  async hash(): Promise<string> {
    return hashTensors(await this.save());
  }

  private get state(): RunParts & { readonly model: Module } {
    const { replica, optimizer, random, average, probe } = this;
    const slots = (): NamedVariable[] => probe?.slots(optimizer.parameters) ?? [];
    return { model: replica.model, optimizer, random, average, step: { slots } };
  }

  /** The first half for shards like this one: where images lie in the batch is part of a compiled step. */
  private vectorStep(shard: Shard): VectorStep {
    const { compile: wanted } = this.job;
    const key = `${shard.from} ${shard.count} ${shard.total}`;
    let step = this.gradients.get(key);
    if (!step) {
      // What meets others in the middle can't be a graph.
      step = this.compiled((inputs) => this.vectorOf(inputs, shard), wanted && !this.batchNorm);
      this.gradients.set(key, step);
    }
    return step;
  }

  private compiled(step: (inputs: Record<string, tf.Tensor>) => tf.Tensor1D, wanted: boolean): VectorStep {
    if (wanted) return compile(step);
    return ((inputs: Record<string, tf.Tensor>) => tf.tidy(() => step(inputs))) as VectorStep;
  }

  /** This device's share of everything that is summed. */
  private vectorOf(inputs: Record<string, tf.Tensor>, { count, total }: Shard): tf.Tensor1D {
    const { replica, optimizer, random, batchNorm } = this;
    // The loss is weighted, not its gradient: cross-device normalisation lets one device's gradient depend on others' losses.
    const weight = count / total;
    const pass = gradientPass(
      optimizer.parameters,
      (context) => {
        const loss = replica.loss(inputs, context);
        return { total: tf.mul<tf.Scalar>(loss.total, weight), parts: loss.parts };
      },
      { random, batchNorm },
    );
    const { value, gradients, statistics, parts } = pass;
    this.layout = {
      parts: Object.keys(parts),
      layers: statistics.map(({ layer }) => layer),
      channels: statistics.map(({ mean }) => mean.size),
    };
    const share = (tensor: tf.Tensor): tf.Tensor => tf.mul(tensor, weight);
    const all = [
      ...[value, ...Object.values(parts).map(share)],
      ...gradients,
      ...statistics.flatMap(({ mean, variance }) => [share(mean), share(variance)]),
    ].map((tensor) => tf.reshape(tensor, [-1]));
    releasePass(pass);
    return tf.concat(all) as tf.Tensor1D;
  }

  /** The update by the sums of all devices' shares. */
  private applyVector({ vector, rate }: Record<string, tf.Tensor>): tf.Tensor1D {
    const { optimizer, average, probe, layout } = this;
    const { parameters } = optimizer;
    const sizes = [
      ...[1, ...layout.parts.map(() => 1)],
      ...parameters.map(({ variable }) => variable.size),
      ...layout.channels.flatMap((channels) => [channels, channels]),
    ];
    const pieces = tf.split(vector, sizes) as tf.Tensor1D[];
    const value = pieces[0].reshape<tf.Scalar>([]);
    const first = 1 + layout.parts.length;
    const gradients = parameters.map(({ variable }, i) => pieces[first + i].reshape(variable.shape));
    const rest = pieces.slice(first + parameters.length);
    const statistics = layout.layers.map((layer, i) => ({
      layer,
      mean: rest[2 * i],
      variance: rest[2 * i + 1],
    }));
    const { clipNorm } = this.job;
    const { finite, norm, change } = updatePass(
      { optimizer, clipNorm, average, probe },
      { value, gradients, statistics, rate: rate as tf.Scalar },
    );
    return tf.stack([tf.cast(finite, 'float32'), value, norm, change]) as tf.Tensor1D;
  }
}
