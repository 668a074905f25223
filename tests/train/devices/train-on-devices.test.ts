/** Training on several devices, with compiled code: threads run nothing else. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as Detlab from 'detlab';
import { type Batch, createRandom } from 'detlab';
import { buildLibrary, projectRoot, temporaryFolder } from '../../notebook/helpers';

buildLibrary();
const detlab = createRequire(path.join(projectRoot, 'package.json'))('./dist/index.js') as typeof Detlab;
const { loadReplica, stateDict, train, trainOnDevices } = detlab;
const { tf } = detlab;

const module = path.join(__dirname, 'replicas.cjs');
const folder = temporaryFolder();
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  await detlab.useBackend();
});

/** Eight batches of seeded noise, over and over. */
function batches(size: number, side: number = 8, objects: boolean = false) {
  return async function* (from: number): AsyncGenerator<Batch> {
    for (let number = from; ; number++) {
      const random = createRandom(`batch ${number % 8}`);
      const shade = Array.from({ length: size }, () => random.uniform(-1, 1));
      yield {
        images: Float32Array.from(
          { length: size * side * side * 3 },
          (_, i) => random.normal() + shade[Math.floor(i / (side * side * 3))],
        ),
        shape: [size, side, side, 3],
        groundTruth: shade.map((value) =>
          objects ? [{ box: [8, 8, 40 + 10 * value, 44], label: value > 0 ? 1 : 0 }] : [],
        ),
        ids: shade.map((_, i) => `image ${number % 8}.${i}`),
        fits: shade.map(() => ({ scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 })) as unknown as Batch['fits'],
      };
    }
  };
}

const replica = (settings: object = {}): ReturnType<typeof loadReplica> =>
  loadReplica({ module, name: 'createReplica', settings });

type Options = Parameters<typeof trainOnDevices>[0];
const common = {
  steps: 5,
  schedule: (step: number): number => 0.02 / (1 + step),
  onNotice: () => undefined,
  timeoutSeconds: 60,
};

/** What one thread makes of it. */
async function alone(settings: object, size: number, more: object = {}) {
  const { model, prepare, loss, optimizer, seed } = await replica(settings);
  const random = seed === undefined ? undefined : new detlab.RandomStream(seed);
  const result = await train({
    ...common,
    ...{ model, prepare, loss, optimizer, random },
    batches: batches(size),
    ...more,
  });
  return { result, state: await stateDict(model) };
}

async function onDevices(settings: object, size: number, more: Partial<Options>) {
  const own = await replica(settings);
  const result = await trainOnDevices({
    ...common,
    replica: own,
    devices: 2,
    batches: batches(size),
    ...more,
  });
  return { result, state: await stateDict(own.model) };
}

type State = Awaited<ReturnType<typeof stateDict>>;

/** The largest difference between two states, in units of the largest value of each tensor. */
function difference(a: State, b: State): number {
  let worst = 0;
  for (const [name, { values }] of a) {
    const other = Array.from(b.get(name)!.values);
    const largest = other.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    values.forEach((value, i) => {
      worst = Math.max(worst, Math.abs(value - other[i]) / largest);
    });
  }
  return worst;
}

describe('the same network', () => {
  test.each<{ title: string; size: number; more: Partial<Options> }>([
    { title: 'two devices, mean then variance', size: 6, more: { batchNorm: { devices: 'all' } } },
    { title: 'two devices, sums', size: 6, more: { batchNorm: { devices: 2, method: 'sums' } } },
    {
      title: 'three devices with 4, 1 and 2 images',
      size: 7,
      more: { devices: 3, shares: [4, 1, 2], batchNorm: { devices: 'all' } },
    },
    { title: 'one device', size: 4, more: { devices: 1 } },
  ])('as one thread trains, where normalisation goes across devices: $title', async ({ size, more }) => {
    const [one, many] = [await alone({}, size), await onDevices({}, size, more)];
    many.result.logs.forEach((log, i) => {
      expect(log.loss).toBeCloseTo(one.result.logs[i].loss, 5);
      expect(log.parts.absolute).toBeCloseTo(one.result.logs[i].parts.absolute, 5);
      expect(log.gradientNorm / one.result.logs[i].gradientNorm).toBeCloseTo(1, 4);
    });
    // They went somewhere, or nothing would have been compared.
    expect(difference(one.state, await stateDict((await replica()).model))).toBeGreaterThan(0.1);
    expect(difference(many.state, one.state)).toBeLessThan(1e-4);
    expect(new Set(many.result.hashes).size).toBe(1);
  });

  test('as one thread trains that normalises as many images at a time, compiled or not', async () => {
    const batchNorm = detlab.batchNormByImages(3);
    const one = await alone({}, 6, { batchNorm });
    const compiled = await onDevices({}, 6, {});
    const eager = await onDevices({}, 6, { compile: false });
    expect(difference(compiled.state, one.state)).toBeLessThan(1e-4);
    expect(difference(eager.state, one.state)).toBeLessThan(1e-4);
    // Not the same as normalising all six.
    expect(difference(compiled.state, (await alone({}, 6)).state)).toBeGreaterThan(1e-3);
  });

  test('groups of devices normalise together', async () => {
    const pairs = await onDevices({}, 8, { devices: 4, batchNorm: { devices: 2 } });
    const one = await alone({}, 8, { batchNorm: detlab.batchNormByImages(4) });
    expect(difference(pairs.state, one.state)).toBeLessThan(1e-4);
  });

  test('random numbers are those of the whole batch, clipping and averages are as on one thread', async () => {
    const more = { clipNorm: 0.5, average: { decay: 0.5 }, gradientChange: true };
    const [one, many] = [
      await alone({ random: 7 }, 6, { ...more, batchNorm: detlab.batchNormByImages(3) }),
      await onDevices({ random: 7 }, 6, more),
    ];
    many.result.logs.forEach((log, i) => {
      expect(log.loss).toBeCloseTo(one.result.logs[i].loss, 5);
      if (i > 0) expect(log.gradientChange / one.result.logs[i].gradientChange).toBeCloseTo(1, 3);
    });
    expect(difference(many.state, one.state)).toBeLessThan(1e-4);
  });

  test('every device has the leading thread’s weights, whatever its own copy began with', async () => {
    const [same, other] = [await onDevices({}, 4, {}), await onDevices({ own: true }, 4, {})];
    expect(difference(other.state, same.state)).toBe(0);
  });

  test('a two-stage detector samples the same regions', async () => {
    const source = { module, name: 'fasterRcnn' };
    const { model, prepare, loss, optimizer, seed } = await loadReplica(source);
    const random = new detlab.RandomStream(seed!);
    // Its graph takes long to build, and three would be; that threads compute with graphs the other tests show.
    const run = { ...common, steps: 2, batches: batches(4, 64, true), schedule: () => 1e-3, compile: false };
    const one = await train({
      ...run,
      ...{ model, prepare, loss, optimizer, random },
      batchNorm: detlab.batchNormByImages(2),
    });
    const own = await loadReplica(source);
    const many = await trainOnDevices({ ...run, replica: own, devices: 2 });
    many.logs.forEach((log, i) => {
      for (const [name, part] of Object.entries(log.parts))
        expect(part).toBeCloseTo(one.logs[i].parts[name], 3);
    });
    expect(difference(await stateDict(own.model), await stateDict(model))).toBeLessThan(1e-2);
  });
});

describe('a run', () => {
  test('is resumed to the bit', async () => {
    const whole = await onDevices({ random: 3 }, 4, { steps: 6 });
    const checkpoint = path.join(folder, 'resumed');
    await onDevices({ random: 3 }, 4, { steps: 3, checkpoint });
    const rest = await onDevices({ random: 3 }, 4, { steps: 6, checkpoint });
    expect(rest.result.resumedAt).toBe(3);
    expect(difference(rest.state, whole.state)).toBe(0);
    // A finished run needs no device.
    const finished = await onDevices({ random: 3 }, 4, { steps: 6, checkpoint });
    expect(finished.result.hashes).toEqual([]);
    await expect(onDevices({ random: 3 }, 4, { steps: 7, checkpoint, devices: 1 })).rejects.toThrow(
      'devices',
    );
  });

  test('tells what each device did', async () => {
    const seen: Detlab.DeviceReading[] = [];
    await onDevices({}, 6, { steps: 2, shares: [2, 1], onDevices: (readings) => seen.push(...readings) });
    expect(seen.map(({ rank, images }) => [rank, images])).toEqual([
      [0, 4],
      [1, 2],
      [0, 4],
      [1, 2],
    ]);
    for (const { computing, waiting, bytes, nonFiniteAt } of seen) {
      expect(computing).toBeGreaterThan(0);
      expect(waiting).toBeGreaterThanOrEqual(0);
      expect(bytes).toBeGreaterThan(4 * (3 * 9 * 6 + 6 * 9 * 4));
      expect(nonFiniteAt).toBeUndefined();
    }
  });
});

describe('a device that fails is named, and the run can go on', () => {
  const whole = new Map<boolean, ReturnType<typeof onDevices>>();
  /** The run where nothing fails. */
  const wholeRun = (compile: boolean): ReturnType<typeof onDevices> => {
    if (!whole.has(compile)) whole.set(compile, onDevices({}, 4, { steps: 4, compile }));
    return whole.get(compile)!;
  };

  test.each([
    {
      kind: 'throw',
      message: /^device 1 of 2 failed: out of luck\. The run is saved as it was after 2 steps/,
    },
    { kind: 'exit', message: /^device 1 of 2 died: its thread ended with exit code 3\. The run is saved/ },
    {
      kind: 'hang',
      message: /^device 1 of 2 hangs: it has not answered for 3 s, while device 0 waited for it/,
    },
  ])('$kind', async ({ kind, message }) => {
    const checkpoint = path.join(folder, kind);
    const fault = { kind, rank: 1, step: 2 };
    const failing = onDevices({ fault }, 4, {
      steps: 4,
      checkpoint,
      timeoutSeconds: kind === 'hang' ? 3 : 60,
      compile: kind !== 'hang',
    });
    await expect(failing).rejects.toMatchObject({ ranks: [1], message: expect.stringMatching(message) });
    const rest = await onDevices({}, 4, { steps: 4, checkpoint, compile: kind !== 'hang' });
    expect(rest.result.resumedAt).toBe(2);
    expect(difference(rest.state, (await wholeRun(kind !== 'hang')).state)).toBe(0);
  });

  test.each([{ batchNorm: undefined }, { batchNorm: { devices: 'all' as const } }])(
    'NaN, normalisation $batchNorm',
    async ({ batchNorm }) => {
      const fault = { kind: 'nan', rank: 1, step: 2 };
      const checkpoint = path.join(folder, `nan ${batchNorm?.devices}`);
      const { result, state } = await onDevices({ fault }, 4, { batchNorm, checkpoint });
      expect(result.divergedAt).toBe(2);
      const { problem } = result.logs[2];
      expect(problem).toMatch(
        /^step 2, learning rate 0\.0066\d*: device 1 \(images image 2\.2, image 2\.3\): the loss is NaN/,
      );
      expect(problem).toContain('the batch itself (images)');
      expect(problem).not.toContain('device 0');
      // Nothing of it is in the parameters.
      const before = await onDevices({}, 4, { batchNorm, steps: 2 });
      expect(difference(state, before.state)).toBe(0);
    },
  );

  test('a device whose parameters are others', async () => {
    const fault = { kind: 'stray', rank: 0, step: 1 };
    await expect(onDevices({ fault }, 4, { steps: 3, compile: false })).rejects.toThrow(
      /device 1 and device 0 have parameters that differ/,
    );
  });

  test('one that can’t be made', async () => {
    const { model, prepare, loss } = await replica();
    const source = { module, name: 'nothing' };
    const broken = { model, prepare, loss, source };
    await expect(
      trainOnDevices({ ...common, replica: broken, devices: 2, batches: batches(4) }),
    ).rejects.toThrow(/device 0 of 2 failed: loadReplica: .* exports no function 'nothing'/);
  });
});

describe('what makes no sense is refused', () => {
  test.each<[Partial<Options>, string]>([
    [{ devices: 0 }, 'devices must be a whole number from 1 to 256, got 0'],
    [{ shares: [1] }, '1 shares for 2 devices'],
    [{ devices: 4, batchNorm: { devices: 3 } }, 'batchNorm.devices is 3, which does not divide 4 devices'],
    [{ devices: 5 }, 'a batch of 4 images leaves a device of 5 without one'],
  ])('%j', async (more, message) => {
    await expect(onDevices({}, 4, more)).rejects.toThrow(message);
  });

  test('a replica that is not there or not whole', async () => {
    await expect(loadReplica({ module: '/nowhere.cjs', name: 'a' })).rejects.toThrow('/nowhere.cjs can');
    await expect(loadReplica({ module, name: 'createReplika' })).rejects.toThrow(
      "did you mean 'createReplica'?",
    );
    await expect(loadReplica({ module, name: 'incomplete' })).rejects.toThrow(
      'returned has no prepare, no loss',
    );
  });

  test('random draws that are not so many an image', async () => {
    const { ShardRandom } = createRequire(path.join(projectRoot, 'package.json'))(
      './dist/train/devices/shard-random.js',
    ) as { ShardRandom: new (seed: number) => Detlab.RandomStream & { shard: Detlab.Shard } };
    const [whole, part] = [new detlab.RandomStream(9), new ShardRandom(9)];
    part.shard = { from: 2, count: 2, total: 6 };
    tf.tidy(() => {
      // Three rows an image, as of regions.
      expect(part.uniform([6, 4]).arraySync()).toEqual(
        (whole.uniform([18, 4]).arraySync() as number[][]).slice(6, 12),
      );
      expect(part.normal([2, 3]).arraySync()).toEqual(
        (whole.normal([6, 3]).arraySync() as number[][]).slice(2, 4),
      );
      expect([...part.state.dataSync()]).toEqual([...whole.state.dataSync()]);
      expect(() => part.uniform([3])).toThrow('not one of so many numbers an image');
    });
    whole.dispose();
    part.dispose();
  });
});
