/** The cost model against arithmetic done by hand, and its orders' statistics against a simulation. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  calibrated,
  type ClusterAssumptions,
  clusterTime,
  createRandom,
  exchangeOf,
  expectedMaximum,
  explainTime,
  FasterRcnn,
  fitAmdahl,
  freezeBatchNorm,
  megDetAssumptions,
  megDetTimes,
  predictTimes,
  ResNet,
  resNet50,
  ringSeconds,
  stragglerFactor,
  timeSensitivity,
  useBackend,
} from 'detlab';
import { zeroRandom } from '../../../lib/tensor/random';

const known = { devices: 8, hours: megDetTimes[8].value! };
const target = { devices: 128, hours: megDetTimes[128].value! };

describe('the slowest of several', () => {
  test('has the expectation that tables of order statistics give', () => {
    // closed forms for 1, 2, 3; Teichroew (1956) for the rest
    const table = { 1: 0, 2: 1 / Math.sqrt(Math.PI), 3: 1.5 / Math.sqrt(Math.PI), 5: 1.16296447, 10: 1.53875273, 20: 1.86747506, 100: 2.50759364 }; // prettier-ignore
    for (const [count, value] of Object.entries(table)) {
      expect(expectedMaximum(Number(count))).toBeCloseTo(value, 7);
    }
  });

  test('takes as long as in a simulation', () => {
    const random = createRandom('stragglers');
    const steps = 4000;
    for (const devices of [8, 128]) {
      let [sum, squares] = [0, 0];
      for (let step = 0; step < steps; step++) {
        let slowest = -Infinity;
        for (let d = 0; d < devices; d++) slowest = Math.max(slowest, 1 + 0.1 * random.normal());
        sum += slowest;
        squares += slowest * slowest;
      }
      const mean = sum / steps;
      const error = Math.sqrt((squares / steps - mean * mean) / steps);
      expect(Math.abs(stragglerFactor(devices, 0.1) - mean)).toBeLessThan(4 * error);
    }
  });

  test('refuses what is no number of devices', () => {
    expect(() => expectedMaximum(0)).toThrow('whole number');
    expect(() => stragglerFactor(2, -1)).toThrow('variation');
  });
});

/** Round numbers: a step of 100 images whose parts can be computed in the head. */
const simple: ClusterAssumptions = {
  imagesPerDevice: 5,
  imagesPerSecond: 10,
  trainingImages: 36_000,
  epochs: 2,
  gradientBytes: 1e8,
  batchNormLayers: 10,
  batchNormChannels: 1000,
  devicesPerMachine: 4,
  bandwidthWithin: 1e10,
  bandwidthBetween: 1e9,
  latencyWithin: 1e-5,
  latencyBetween: 1e-4,
  overlap: 0.25,
  batchNormDevices: 5,
  synchronisation: 'two-pass',
  variation: 0,
  otherSeconds: 0.01,
};

describe('the model', () => {
  test('adds up what it says it does', () => {
    const { parts, ...time } = clusterTime(20, simple);
    expect(parts.compute).toBeCloseTo(0.5, 12);
    expect(parts.straggling).toBe(0);
    // 38 messages of 5 MB between machines, a quarter of it hidden
    expect(parts.gradients).toBeCloseTo(0.75 * 38 * (1e-4 + 5e6 / 1e9), 12);
    // 30 all-reduces of 5 devices, two machines: 8 messages each; 16,000 bytes in all
    expect(parts.batchNorm).toBeCloseTo(30 * 8 * 1e-4 + (8 / 5) * (16_000 / 1e9), 12);
    expect(parts.other).toBe(0.01);
    const step = parts.compute + parts.gradients + parts.batchNorm + parts.other;
    expect(time).toMatchObject({ devices: 20, batchSize: 100, updates: 720 });
    expect(time.stepSeconds).toBeCloseTo(step, 12);
    expect(time.imagesPerSecond).toBeCloseTo(100 / step, 9);
    expect(time.hours).toBeCloseTo((720 * step) / 3600, 12);
  });

  test('knows one machine, one pass and one device', () => {
    const machine = clusterTime(4, simple).parts;
    expect(machine.gradients).toBeCloseTo(0.75 * 6 * (1e-5 + 2.5e7 / 1e10), 12);
    expect(machine.other).toBe(0);
    const onePass = clusterTime(4, { ...simple, synchronisation: 'one-pass' }).parts.batchNorm;
    expect(machine.batchNorm - onePass).toBeCloseTo(10 * 6 * 1e-5, 12);
    const alone = clusterTime(1, { ...simple, variation: 0.3 });
    expect(alone.parts).toEqual({
      compute: 0.5,
      straggling: expect.closeTo(0, 12),
      gradients: 0,
      batchNorm: 0,
      other: 0,
    });
    expect(ringSeconds(2, 100, { bandwidth: 50, latency: 1 })).toBe(4);
  });

  test('gives the time back that it was calibrated by', () => {
    for (const assumptions of [simple, { ...simple, variation: 0.2, devicesPerMachine: 32 }]) {
      expect(clusterTime(16, calibrated({ devices: 16, hours: 0.5 }, assumptions)).hours).toBeCloseTo(
        0.5,
        12,
      );
    }
    const frozen = { ...megDetAssumptions, batchNormDevices: 1 };
    const [same] = predictTimes(known, [8], frozen);
    expect([same.hours, same.speedUp, same.efficiency]).toEqual(
      [33.2, 1, 1].map((v) => expect.closeTo(v, 9)),
    );
  });

  test('says which assumption is impossible', () => {
    expect(() => clusterTime(2.5, simple)).toThrow('2.5');
    expect(() => clusterTime(2, { ...simple, epochs: 0 })).toThrow('epochs must be above 0');
    expect(() => clusterTime(2, { ...simple, overlap: 1.5 })).toThrow('overlap');
    expect(() => calibrated({ devices: 16, hours: 0.001 }, simple)).toThrow('faster links');
  });
});

describe('MegDet’s cluster', () => {
  beforeAll(() => useBackend());

  test('exchanges what Faster R-CNN with FPN on ResNet-50 has', () => {
    const backbone = (): ResNet => new ResNet(resNet50, zeroRandom);
    const model = new FasterRcnn({ backbone, classes: 80 }, zeroRandom);
    const { gradientBytes, batchNormLayers, batchNormChannels } = megDetAssumptions;
    expect(exchangeOf(model)).toEqual({ gradientBytes, batchNormLayers, batchNormChannels });
    freezeBatchNorm(model);
    const frozen = exchangeOf(model);
    expect(frozen).toEqual({
      gradientBytes: gradientBytes - 8 * batchNormChannels,
      batchNormLayers: 0,
      batchNormChannels: 0,
    });
    model.dispose();
  });

  test('is predicted faster than it was, and one assumption at a time explains by how much', () => {
    const predictions = predictTimes(known, [8, 16, 32, 64, 128], megDetAssumptions);
    const efficiencies = predictions.map(({ efficiency }) => efficiency);
    expect(efficiencies).toEqual([...efficiencies].sort((a, b) => b - a));
    expect(predictions[4].hours).toBeGreaterThan(33.2 / 16);
    expect(predictions[4].hours).toBeLessThan(target.hours);

    const other = explainTime(known, target, 'otherSeconds', [1e-6, 100], megDetAssumptions)!;
    const updates = predictions[4].updates;
    expect(other).toBeCloseTo(((target.hours - predictions[4].hours) * 3600) / updates, 9);
    for (const [name, range] of [
      ['bandwidthBetween', [1e6, 1e10]],
      ['latencyBetween', [1e-6, 1]],
    ] as const) {
      const value = explainTime(known, target, name, range, megDetAssumptions)!;
      const [explained] = predictTimes(known, [128], { ...megDetAssumptions, [name]: value });
      expect(explained.hours).toBeCloseTo(4.1, 9);
      expect(explained.efficiency).toBeCloseTo(0.506, 3);
    }
    // However unequal the devices' times, the slowest of 128 is not twice as late as the slowest of 8.
    expect(explainTime(known, target, 'variation', [1e-6, 10], megDetAssumptions)).toBeUndefined();
    expect(explainTime(known, target, 'overlap', [1e-6, 1], megDetAssumptions)).toBeUndefined();
    expect(() => explainTime(known, target, 'overlap', [0, 1], megDetAssumptions)).toThrow('above 0');
  });

  test('owes most to the assumption whose range moves it most', () => {
    const ranges = {
      variation: [0, 0.2],
      bandwidthBetween: [1e9, 1e10],
      epochs: [6, 18],
      bandwidthWithin: [5e9, 2e10],
    } as const;
    const found = timeSensitivity(known, 128, ranges, megDetAssumptions);
    const spreads = found.map(({ hours: [a, b] }) => Math.abs(a - b));
    expect(spreads).toEqual([...spreads].sort((a, b) => b - a));
    for (const { name, range, hours } of found) {
      expect(ranges[name as keyof typeof ranges]).toEqual(range);
      const [low] = predictTimes(known, [128], { ...megDetAssumptions, [name]: range[0] });
      expect(hours[0]).toBe(low.hours);
    }
    expect(found.find(({ name }) => name === 'bandwidthBetween')!.hours[0]).toBeGreaterThan(
      found.find(({ name }) => name === 'bandwidthBetween')!.hours[1],
    );
  });
});

describe('Amdahl’s law', () => {
  const measured = (serial: number, parallel: number, workers: readonly number[]) =>
    workers.map((n) => ({ workers: n, imagesPerSecond: 1 / (serial + parallel / n) }));

  test('is found in times that follow it', () => {
    const fit = fitAmdahl(measured(0.02, 0.08, [1, 2, 4]));
    expect([fit.serialSeconds, fit.parallelSeconds, fit.serialFraction]).toEqual(
      [0.02, 0.08, 0.2].map((v) => expect.closeTo(v, 12)),
    );
    expect(fit.error).toBeLessThan(1e-12);
    expect(fit.imagesPerSecond(8)).toBeCloseTo(1 / 0.03, 9);
  });

  test('is fitted where no other line has smaller relative errors', () => {
    const noisy = [
      { workers: 1, imagesPerSecond: 10 },
      { workers: 1, imagesPerSecond: 11 },
      { workers: 2, imagesPerSecond: 17 },
      { workers: 3, imagesPerSecond: 26 },
      { workers: 4, imagesPerSecond: 25 },
    ];
    const fit = fitAmdahl(noisy);
    const error = (a: number, b: number): number =>
      Math.sqrt(
        noisy.reduce((sum, m) => sum + ((a + b / m.workers) * m.imagesPerSecond - 1) ** 2, 0) / noisy.length,
      );
    expect(fit.error).toBeCloseTo(error(fit.serialSeconds, fit.parallelSeconds), 12);
    for (const [da, db] of [
      [1e-4, 0],
      [-1e-4, 0],
      [0, 1e-4],
      [0, -1e-4],
      [1e-4, -1e-4],
    ]) {
      // prettier-ignore
      expect(error(fit.serialSeconds + da, fit.parallelSeconds + db)).toBeGreaterThan(fit.error);
    }
  });

  test('needs two numbers of workers, and throughput', () => {
    expect(() => fitAmdahl(measured(0.1, 0.1, [2, 2]))).toThrow('at least two');
    expect(() => fitAmdahl([{ workers: 1, imagesPerSecond: 0 }])).toThrow('above 0');
  });
});
