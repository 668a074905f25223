/** Threads run compiled code, so these tests bring dist/ up to date first. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createLoader, type Batch, type Loader, type LoaderOptions } from '../../../lib/data/loader';
import { chooseWorkers } from '../../../lib/data/loader/workers';
import { copyPaste } from '../../../lib/data/transforms/copy-paste';
import { expand, iouCrop } from '../../../lib/data/transforms/crop';
import { flipHorizontal } from '../../../lib/data/transforms/geometric';
import { mosaic } from '../../../lib/data/transforms/mosaic';
import { photometricDistortion } from '../../../lib/data/transforms/photometric';
import { compose, defineTransform, withRecipe, type Transform } from '../../../lib/data/transforms/transform';
import type { DetectionDataset } from '../../../lib/data/types';
import { buildLibrary, projectRoot } from '../../notebook/helpers';
import { temporaryFolder } from '../temporary';
import { createCounter, fileExample, probe, writeImages } from './image-files';

let compiled: { createLoader: typeof createLoader };

beforeAll(() => {
  buildLibrary();
  const load = createRequire(path.join(projectRoot, 'package.json'));
  compiled = load('./dist/data/loader.js') as typeof compiled;
});

const made: Loader[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((loader) => loader.close()));
});

function loaderOf(data: DetectionDataset, options: Partial<LoaderOptions>, make = createLoader): Loader {
  const loader = make(data, { size: 16, batchSize: 3, ...options });
  made.push(loader);
  return loader;
}

async function collect(loader: Loader, epoch = 0, from = 0): Promise<Batch[]> {
  const all: Batch[] = [];
  for await (const batch of loader.epoch(epoch, from)) all.push(batch);
  return all;
}

/** The batches of an epoch until it fails, and the failure's message. */
async function untilFailure(loader: Loader): Promise<{ batches: Batch[]; message: string; error?: unknown }> {
  const batches: Batch[] = [];
  try {
    for await (const batch of loader.epoch(0)) batches.push(batch);
  } catch (error) {
    return { batches, message: (error as Error).message, error };
  }
  return { batches, message: '' };
}

const ssd = compose(photometricDistortion(), expand(), iouCrop(), flipHorizontal());
const colours = compose(photometricDistortion(), flipHorizontal());

/** Blends in other samples; the second is turned round, so that their order counts. */
const blend = (count: number): Transform =>
  defineTransform(
    ({ image, objects }, random, partners) => {
      const weight = random.next();
      const data = image.data.map((value, i) => {
        const others = partners.map(({ image: { data: other } }, p) =>
          other.at((p === 1 ? -1 - i : i) % other.length)!,
        );
        return (
          weight * value + ((1 - weight) * others.reduce((a, b) => a + b, 0)) / Math.max(1, others.length)
        );
      });
      return { image: { ...image, data }, objects: [...objects, ...partners.flatMap((p) => p.objects)] };
    },
    { partners: count },
  );

describe('the same to the bit', () => {
  const cases: Record<string, Partial<LoaderOptions>> = {
    plain: {},
    'shuffled, as SSD': { shuffle: 3, augment: ssd },
    'shrunk first, letterbox, normalised': {
      shuffle: 'x',
      augment: colours,
      fit: 'letterbox',
      size: [14, 18],
      mean: [123, 117, 104],
      std: [58, 57, 56],
    },
    'in the corner, by another filter': {
      fit: 'letterbox',
      size: [14, 18],
      position: 'corner',
      fill: [1, 2, 3],
      method: 'antialias',
    },
    'dropLast, nothing kept': { dropLast: true, cacheImages: false, augment: ssd, shuffle: 0 },
    'some kept': { cacheBytes: 5000, augment: ssd, shuffle: 1 },
    'one batch, larger than the set': { batchSize: 40, augment: colours },
    'with partners': { shuffle: 2, augment: compose(mosaic({ size: 40 }), copyPaste(), colours) },
    'some images more than once': {
      shuffle: 4,
      repeat: [1, 3.5, 1, 1.2, 2, 1, 1, 1, 4, 1, 1],
      augment: compose(mosaic({ size: 40 }), ssd),
    },
    'a batch ahead': { prefetch: 1, augment: ssd },
    'ten ahead': { prefetch: 10, batchSize: 1, augment: ssd },
  };

  test.each(Object.entries(cases))('%s', async (_, options) => {
    const data = await writeImages(temporaryFolder(), 11);
    const reference = loaderOf(data, { ...options, workers: 0 });
    const expected = [await collect(reference), await collect(reference, 1), await collect(reference, 2, 2)];
    expect(new Set(expected[0].flatMap(({ ids }) => ids)).size).toBe(options.dropLast ? 9 : 11);
    for (const workers of [1, 2, 3]) {
      const loader = loaderOf(data, { ...options, workers });
      expect([await collect(loader), await collect(loader, 1), await collect(loader, 2, 2)]).toEqual(
        expected,
      );
      if (workers === 1) {
        await loader.preload();
        expect(await collect(loader, 1)).toEqual(expected[1]);
      }
    }
  });

  test('whatever the options', async () => {
    const data = await writeImages(temporaryFolder(), 7);
    const option = fc.record({
      batchSize: fc.integer({ min: 1, max: 9 }),
      shuffle: fc.option(fc.nat(5), { nil: undefined }),
      augment: fc.constantFrom(undefined, ssd, colours, blend(2)),
      fit: fc.constantFrom('stretch' as const, 'letterbox' as const),
      dropLast: fc.boolean(),
      cacheBytes: fc.constantFrom(0, 4000, 1e6),
      prefetch: fc.integer({ min: 1, max: 4 }),
      workers: fc.integer({ min: 1, max: 3 }),
    });
    const check = async ({
      workers,
      ...options
    }: typeof option extends fc.Arbitrary<infer T> ? T : never) => {
      const quiet = { ...options, warn: () => undefined };
      const expected = await collect(loaderOf(data, { ...quiet, workers: 0 }), 1);
      const threaded = loaderOf(data, { ...quiet, workers });
      expect(await collect(threaded, 1)).toEqual(expected);
      await threaded.close();
    };
    await fc.assert(fc.asyncProperty(option, check), { numRuns: 8, seed: 1 });
  });

  test('compiled as from its sources', async () => {
    const data = await writeImages(temporaryFolder(), 11);
    const options = { shuffle: 3, augment: ssd };
    const expected = await collect(loaderOf(data, { ...options, workers: 0 }));
    for (const workers of [0, 2, 'auto'] as const) {
      const loader = loaderOf(data, { ...options, workers }, compiled.createLoader);
      expect(await collect(loader)).toEqual(expected);
    }
  });

  test('epochs side by side, on one loader', async () => {
    const data = await writeImages(temporaryFolder(), 8);
    const reference = loaderOf(data, { augment: ssd, workers: 0 });
    const loader = loaderOf(data, { augment: ssd, workers: 2 });
    const both = await Promise.all([collect(loader, 0), collect(loader, 1)]);
    expect(both).toEqual([await collect(reference, 0), await collect(reference, 1)]);
  });

  test('a batch is the caller’s: later ones leave it as it is', async () => {
    const data = await writeImages(temporaryFolder(), 12);
    const loader = loaderOf(data, { workers: 2, batchSize: 2 });
    const buffers = (await collect(loader)).map(({ images }) => images.buffer);
    expect(new Set(buffers).size).toBe(6);
    expect(buffers.every((buffer) => buffer instanceof ArrayBuffer)).toBe(true);
  });
});

describe('what threads can’t do stays on the main thread', () => {
  test('a transform without a recipe: told once, the same batches, images read by threads', async () => {
    const data = await writeImages(temporaryFolder(), 9);
    let readHere = 0;
    const counted = {
      ...data,
      examples: data.examples.map((one) => ({ ...one, image: () => (readHere++, one.image()) })),
    };
    for (const options of [{ augment: blend(2) }, { augment: blend(0), cacheImages: false }]) {
      const lines: string[] = [];
      const expected = await collect(loaderOf(data, { ...options, workers: 0 }));
      const loader = loaderOf(counted, { ...options, workers: 2, warn: (line) => lines.push(line) });
      expect(await collect(loader)).toEqual(expected);
      expect(await collect(loader)).toEqual(expected);
      expect(lines).toEqual([
        "files: worker threads can't do everything: the augmentation has no recipe (withRecipe gives it one); " +
          'that part stays on the main thread.',
      ]);
    }
    expect(readHere).toBe(0);
  });

  test('images without a file, all or some of them', async () => {
    const data = await writeImages(temporaryFolder(), 9);
    for (const without of [3, 1]) {
      const examples = data.examples.map((one, i) => (i % without === 0 ? { ...one, file: undefined } : one));
      for (const cacheBytes of [0, 1e6]) {
        const lines: string[] = [];
        const options = { augment: ssd, cacheBytes, warn: (line: string) => lines.push(line) };
        const expected = await collect(loaderOf(data, { ...options, workers: 0 }));
        const loader = loaderOf({ ...data, examples }, { ...options, workers: 2 });
        expect([await collect(loader), await collect(loader)]).toEqual([expected, expected]);
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain(`${9 / without} of 9 images have no file`);
      }
    }
  });

  test('neither file nor recipe: no thread at all', async () => {
    const data = await writeImages(temporaryFolder(), 3);
    const examples = data.examples.map((one) => ({ ...one, file: undefined }));
    const lines: string[] = [];
    const options = { augment: blend(1), warn: (line: string) => lines.push(line) };
    await collect(loaderOf({ ...data, examples }, { ...options, workers: 2 }));
    expect(lines[0]).toContain('all work stays on the main thread');
    await collect(loaderOf({ ...data, examples: [] }, { ...options, workers: 2 }));
    await collect(loaderOf({ ...data, examples }, { ...options, workers: 'auto' }));
    expect(lines).toHaveLength(1);
  });
});

describe('memory and overlap', () => {
  test('works ahead while the main thread is blocked, by the batches of prefetch and no more', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 12);
    for (const [prefetch, workers] of [
      [2, 1],
      [1, 3],
      [3, 2],
    ]) {
      const counter = createCounter();
      const loader = loaderOf(data, { batchSize: 2, prefetch, workers, augment: probe(folder, { counter }) });
      const epoch = loader.epoch(0);
      await epoch.next();
      // The first batch is here, and `prefetch` more are made without this thread.
      const bound = 2 * (1 + prefetch);
      for (let tries = 0; Atomics.load(counter, 0) < bound && tries < 3000; tries++)
        Atomics.wait(counter, 1, 0, 10);
      expect(counter[0]).toBe(bound);
      await sleep(50);
      expect(counter[0]).toBe(bound);
      await epoch.next();
      await epoch.return();
    }
  });

  test('a consumer that is faster than the threads gets all batches, in order', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 9);
    const loader = loaderOf(data, { workers: 2, augment: probe(folder, { milliseconds: 5 }) });
    expect((await collect(loader)).flatMap(({ ids }) => ids)).toEqual(data.examples.map(({ id }) => id));
  });
});

describe('left half-way', () => {
  test('break, return and an unused iterator end the work; the next epoch is whole', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 12);
    const counter = createCounter();
    const options = { batchSize: 2, augment: probe(folder, { counter, milliseconds: 2 }) };
    const loader = loaderOf(data, { ...options, workers: 2, prefetch: 4 });
    const expected = await collect(loaderOf(data, { ...options, workers: 0 }));
    for (let round = 0; round < 5; round++) {
      for await (const batch of loader.epoch(round)) {
        expect(batch.ids).toHaveLength(2);
        break;
      }
    }
    await loader.epoch(0).return();
    const before = counter[0];
    await sleep(60);
    expect(counter[0] - before).toBeLessThanOrEqual(4); // two lanes of two threads
    expect(await collect(loader)).toEqual(expected);
  });

  test('the stop button rejects while it waits', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 6);
    const counter = createCounter();
    const loader = loaderOf(data, { workers: 1, augment: probe(folder, { counter, milliseconds: 40 }) });
    const controller = new AbortController();
    const place = globalThis as Record<symbol, unknown>;
    const symbol = Symbol.for('detlab.abort');
    place[symbol] = controller.signal;
    try {
      const waiting = loader.epoch(0).next();
      while (counter[0] === 0) await sleep(1);
      controller.abort(new Error('stopped by hand'));
      await expect(waiting).rejects.toThrow('stopped by hand');
      await expect(loader.epoch(0).next()).rejects.toThrow('stopped by hand');
      await expect(loaderOf(data, { workers: 0 }).epoch(0).next()).rejects.toThrow('stopped by hand');
    } finally {
      delete place[symbol];
    }
    expect((await collect(loader)).flatMap(({ ids }) => ids)).toHaveLength(6);
  });

  test('close ends it at once; a later epoch begins anew', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 6);
    const loader = loaderOf(data, { workers: 2, augment: probe(folder, { milliseconds: 20 }) });
    const waiting = loader.epoch(0).next();
    await Promise.all([
      expect(waiting).rejects.toThrow('files: the loader was closed while it made batches'),
      loader.close(),
    ]);
    await loader.close();
    expect(await collect(loader)).toHaveLength(2);
  });

  test.each([
    ['after a whole epoch', 'for await (const batch of loader.epoch(0)) count += batch.ids.length;', '11'],
    [
      'after a break',
      'for await (const batch of loader.epoch(0)) { count += batch.ids.length; break; }',
      '3',
    ],
    ['with an iterator left hanging', 'count = (await loader.epoch(0).next()).value.ids.length;', '3'],
    ['with batches begun and never asked for', 'void loader.epoch(0).next();', '0'],
    ['after the threads were closed', 'await loader.preload(); await loader.close();', '0'],
  ])('the process ends by itself %s', async (_, body, expected) => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 11);
    const script = `
      import { createLoader, readImage, compose, expand, flipHorizontal } from 'detlab';
      const examples = ${JSON.stringify(data.examples)}.map((one) => ({ ...one, image: () => readImage(one.file.path) }));
      const augment = compose(expand(), flipHorizontal());
      const loader = createLoader({ name: 'files', classes: [], examples }, { size: 16, batchSize: 3, workers: 2, augment });
      let count = 0;
      ${body}
      process.on('exit', (code) => console.log(count, code));`;
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', script],
      { cwd: projectRoot, timeout: 50_000 },
    );
    expect([stdout.trim(), stderr]).toEqual([`${expected} 0`, '']);
  });

  test('the process ends by itself where threads were begun and nothing has waited for them', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 6);
    const script = `
      import { createLoader, readImage } from 'detlab';
      const examples = ${JSON.stringify(data.examples)}.map((one) => ({ ...one, image: () => readImage(one.file.path) }));
      // slow enough for "auto" to begin threads after the first batch
      const augment = (sample) => {
        for (const end = performance.now() + 300; performance.now() < end; );
        return sample;
      };
      const options = { size: 16, batchSize: 3, workers: 'auto', augment, warn: (line) => console.log(line) };
      for await (const batch of createLoader({ name: 'files', classes: [], examples }, options).epoch(0)) {
        console.log(batch.ids.length);
        break;
      }
      process.on('exit', (code) => console.log('end', code));`;
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', script],
      { cwd: projectRoot, timeout: 50_000, env: { ...process.env, DETLAB_THREADS: '2' } },
    );
    // The line is written when threads begin.
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringContaining('the augmentation has no recipe'),
      '3',
      'end 0',
    ]);
    expect(stderr).toBe('');
  });
});

describe('what goes wrong', () => {
  /** Eight images; the sixth is broken in one way or another. */
  async function withBad(kind: string): Promise<{ data: DetectionDataset; file: string }> {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 8);
    const file = path.join(folder, '5.jpg');
    const { width, height } = data.examples[5];
    if (kind === 'missing') fs.rmSync(file);
    if (kind === 'cut') fs.truncateSync(file, 200);
    if (kind === 'empty') fs.truncateSync(file, 0);
    if (kind === 'text') fs.writeFileSync(file, 'no picture at all');
    const bad = fileExample('image-5', file, kind === 'size' ? width + 1 : width, height);
    return { data: { ...data, examples: data.examples.map((one, i) => (i === 5 ? bad : one)) }, file };
  }

  test.each([
    ['missing', 'missing-image'],
    ['cut', 'broken-image'],
    ['empty', 'broken-image'],
    ['text', 'broken-image'],
    ['size', 'image-size'],
  ])('an image that is bad (%s): told at its place, or left out', async (kind, problem) => {
    const { data, file } = await withBad(kind);
    for (const augment of [ssd, blend(2)]) {
      const quiet = { augment, warn: () => undefined };
      const here = await untilFailure(loaderOf(data, { ...quiet, workers: 0 }));
      // With partners, an earlier batch may take the bad image in.
      if (!augment?.partners) expect(here.batches).toHaveLength(1);
      expect(here.message).toContain(kind === 'size' ? 'image image-5: it is' : file);
      const there = await untilFailure(loaderOf(data, { ...quiet, workers: 2 }));
      expect([there.message, there.batches]).toEqual([here.message, here.batches]);
      const lines: string[] = [];
      const drop = { ...quiet, onProblem: 'drop' as const };
      const first = loaderOf(data, { ...drop, workers: 0, warn: (line) => lines.push(line) });
      const expected = [await collect(first), await collect(first, 1)];
      expect(expected[0].map(({ ids }) => ids.length)).toEqual([3, 2, 2]);
      expect(expected[0].every(({ images, shape }) => images.length === shape[0] * 16 * 16 * 3)).toBe(true);
      expect(first.problems).toHaveLength(1);
      expect(first.problems[0]).toMatchObject({ kind: problem, file, id: 'image-5', action: 'dropped' });
      expect(lines).toEqual([
        `${here.message} It is left out; the loader's "problems" lists all such images.`,
      ]);
      const second = loaderOf(data, { ...drop, workers: 2 });
      expect([await collect(second), await collect(second, 1)]).toEqual(expected);
      expect(second.problems).toEqual(first.problems);
    }
    const preloaded = loaderOf(data, { workers: 2 });
    await expect(preloaded.preload()).rejects.toThrow(kind === 'size' ? 'image image-5' : file);
  });

  test('a batch without any good image is left out', async () => {
    const folder = temporaryFolder();
    const examples = [0, 1, 2].map((i) => fileExample(`gone-${i}`, path.join(folder, `${i}.jpg`), 9, 9));
    const data = { name: 'gone', classes: [], examples };
    const memory = { ...data, examples: examples.map((one) => ({ ...one, file: undefined })) };
    for (const [set, workers] of [
      [data, 0],
      [data, 2],
      [memory, 2],
    ] as const) {
      const loader = loaderOf(set, { workers, onProblem: 'drop', warn: () => undefined, batchSize: 2 });
      expect(await collect(loader)).toEqual([]);
      expect(loader.problems.map(({ id }) => id)).toEqual(['gone-0', 'gone-1', 'gone-2']);
    }
  });

  test('a bad image without a file beside good ones with', async () => {
    const { data } = await withBad('cut');
    const mixed = {
      ...data,
      examples: data.examples.map((one, i) => (i === 5 ? { ...one, file: undefined } : one)),
    };
    const quiet = { augment: ssd, warn: () => undefined };
    const here = await untilFailure(loaderOf(mixed, { ...quiet, workers: 0 }));
    const there = await untilFailure(loaderOf(mixed, { ...quiet, workers: 2 }));
    expect(there).toEqual(here);
    const drop = { ...quiet, onProblem: 'drop' as const };
    expect(await collect(loaderOf(mixed, { ...drop, workers: 2 }))).toEqual(
      await collect(loaderOf(mixed, { ...drop, workers: 0 })),
    );
  });

  test('what a transform throws is thrown, of the same class, where its batch is', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 8);
    const augment = probe(folder, { mode: 'throw' });
    for (const workers of [0, 2]) {
      const { batches, error } = await untilFailure(
        loaderOf(data, { augment, workers, batchSize: 2, onProblem: 'drop' }),
      );
      expect(batches).toHaveLength(1);
      expect(error).toBeInstanceOf(RangeError);
      expect((error as Error).message).toBe('no objects here');
    }
    const odd = await untilFailure(
      loaderOf(data, { augment: probe(folder, { mode: 'unsendable' }), workers: 2 }),
    );
    expect(odd.message).toBe('holds a function');
  });

  test.each([
    ['exit', 'exit code 3'],
    ['uncaught', 'thrown from nowhere'],
  ] as const)('a thread that dies (%s) is told, and nothing hangs', async (mode, reason) => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 8);
    const loader = loaderOf(data, {
      augment: probe(folder, { mode, milliseconds: 5 }),
      workers: 2,
      batchSize: 2,
    });
    for (let round = 0; round < 2; round++) {
      const { message } = await untilFailure(loader);
      expect(message).toBe(
        `files: a thread that makes batches ended early (${reason}). ` +
          'With workers: 0 the same work is done without threads, and shows where it fails.',
      );
    }
  });

  test('a recipe that threads can’t follow', async () => {
    const data = await writeImages(temporaryFolder(), 3);
    const augment = withRecipe((sample) => sample, { module: '/nowhere/at-all.cjs', export: 'x' });
    const { message } = await untilFailure(loaderOf(data, { augment, workers: 1 }));
    expect(message).toContain('/nowhere/at-all.cjs');
  });

  test('options that make no sense', async () => {
    const data = await writeImages(temporaryFolder(), 1);
    expect(() => loaderOf(data, { workers: -1 })).toThrow(
      "workers is -1; it must be 'auto' or a whole number",
    );
    expect(() => loaderOf(data, { workers: 1.5 })).toThrow('workers is 1.5');
    expect(() => loaderOf(data, { prefetch: 0 })).toThrow('prefetch is 0');
    expect(() => loaderOf(data, { onProblem: 'skip' as never })).toThrow("onProblem is 'skip'");
  });
});

describe('small sets', () => {
  test.each([0, 1, 2, 'auto'] as const)('none, one, and larger batches, workers %s', async (workers) => {
    const folder = temporaryFolder();
    const one = await writeImages(folder, 1);
    expect(await collect(loaderOf({ ...one, examples: [] }, { workers }))).toEqual([]);
    const options = { workers, batchSize: 16, augment: blend(3), warn: () => undefined };
    const [batch] = await collect(loaderOf(one, options));
    expect(batch.shape).toEqual([1, 16, 16, 3]);
    // Its own partner, three times.
    expect(batch.groundTruth[0]).toHaveLength(4 * one.examples[0].objects.length);
    expect(await collect(loaderOf(one, { ...options, dropLast: true }))).toEqual([]);
  });
});

describe('auto', () => {
  afterEach(() => vi.unstubAllEnvs());

  const choose = (data: DetectionDataset, threads: string, make = chooseWorkers) => {
    vi.stubEnv('DETLAB_THREADS', threads);
    const settings = {
      dataset: data.name,
      height: 16,
      width: 16,
      fit: 'stretch' as const,
      mean: [0, 0, 0] as const,
      std: [1, 1, 1] as const,
      channels: 'rgb' as const,
      shrinkFirst: true,
    };
    return make('auto', { dataset: data, settings, augment: undefined, batchSize: 3, warn: () => undefined });
  };

  test('no thread on one core, nor for batches that are made in no time; else once it took long', async () => {
    const data = await writeImages(temporaryFolder(), 3);
    const load = createRequire(path.join(projectRoot, 'package.json'));
    const { chooseWorkers: compiledChoice } = load('./dist/data/loader/workers.js') as {
      chooseWorkers: typeof chooseWorkers;
    };
    const lonely = choose(data, '1', compiledChoice);
    lonely.spent(10_000);
    await sleep(20);
    expect(lonely.threads()).toBeUndefined();

    const workers = choose(data, '3', compiledChoice);
    for (let i = 0; i < 1000; i++) workers.spent(1);
    await sleep(20);
    expect(workers.threads()).toBeUndefined();
    workers.spent(50);
    await vi.waitFor(() => expect(workers.threads()?.running).toBe(2), { timeout: 20_000 });
    await workers.close();
    expect(workers.threads()).toBeUndefined();
  });

  test('starts by itself in the midst of an epoch, and the batches stay the same', async () => {
    const folder = temporaryFolder();
    const data = await writeImages(folder, 60);
    const counter = createCounter();
    const options = { batchSize: 1, augment: probe(folder, { milliseconds: 10 }) };
    vi.stubEnv('DETLAB_THREADS', '2');
    const slow = compose(options.augment, probe(folder, { counter }), ssd);
    const auto = loaderOf(data, { ...options, augment: slow, prefetch: 5 }, compiled.createLoader);
    const ids: string[] = [];
    let ahead = false;
    for (let epoch = 0; epoch < 40 && !ahead; epoch++) {
      for await (const batch of auto.epoch(0)) {
        ids.push(...batch.ids);
        if (!ahead) await sleep(30); // longer than a thread takes for an image
        ahead ||= counter[0] > ids.length + 2;
      }
    }
    expect(ahead).toBe(true);
    expect(ids.slice(-60)).toEqual(data.examples.map(({ id }) => id));
    expect(await collect(auto, 1)).toEqual(
      await collect(loaderOf(data, { ...options, augment: slow, workers: 0 }), 1),
    );
  });
});
