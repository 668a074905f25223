/** Makes the batches of one loader, on this thread or on others: the same bits, the same errors. */
import type { Batch } from '../loader';
import type { DatasetProblem } from '../problems';
import type { Sample, Transform } from '../transforms/transform';
import type { DetectionDataset } from '../types';
import type { ImageCache } from './image-cache';
import {
  createImageMaker,
  isProblem,
  loadTask,
  type ImageMaker,
  type ImageProblem,
  type ImageSettings,
  type ImageSource,
  type ImageTask,
  type LoadedTask,
  type MadeImage,
} from './make-image';
import type { PlannedImage } from './plan';
import type { JobOutcome, LoaderThreads, RunningJob } from './threads';

/** What a batch maker works with. */
export interface BatchMakerOptions {
  readonly dataset: DetectionDataset;
  readonly settings: ImageSettings;
  readonly augment: Transform | undefined;
  readonly cache: ImageCache;
  readonly onProblem: 'stop' | 'drop';
  readonly warn: (line: string) => void;
}

/** A batch that threads are making. */
export interface BegunBatch {
  /** Waits for it. `undefined` when no image of it is left. */
  batch(): Promise<Batch | undefined>;
  cancel(): void;
}

/** An image that was made. */
interface Outcome {
  readonly task: ImageTask;
  readonly made: MadeImage;
}

/** A task that can be sent, and what is known to be wrong already. */
interface Prepared {
  readonly task?: ImageTask;
  readonly problems: readonly ImageProblem[];
}

export class BatchMaker {
  /** Images that were left out, each once. */
  readonly problems: DatasetProblem[] = [];
  private readonly maker: ImageMaker;
  private readonly values: number;
  private readonly dropped = new Set<number>();
  /** Images that are being read, so that a partner is not read twice. */
  private readonly reading = new Map<number, Promise<Sample | ImageProblem>>();

  constructor(private readonly options: BatchMakerOptions) {
    const { settings, augment } = options;
    this.maker = createImageMaker(settings, augment);
    this.values = settings.height * settings.width * 3;
  }

  /** Makes a batch on this thread. `undefined` when no image of it is left. */
  async make(seed: string, planned: readonly PlannedImage[]): Promise<Batch | undefined> {
    const tasks = planned.map((one) => this.taskOf(one));
    const loaded = await Promise.all(tasks.map((task) => loadTask(task, this.load)));
    return this.assemble(tasks, loaded, seed);
  }

  /** Begins a batch on other threads. `readOnly`: they read, and this thread does the rest when the batch is asked for. */
  begin(
    threads: LoaderThreads,
    seed: string,
    planned: readonly PlannedImage[],
    readOnly: boolean,
  ): BegunBatch {
    const { sent, cancel } = this.send(threads, seed, planned, readOnly);
    sent.catch(() => undefined); // told when the batch is asked for
    return {
      batch: async () => {
        const { prepared, outcome } = await threads.wait(sent);
        return this.receive(prepared, outcome, seed, readOnly);
      },
      cancel,
    };
  }

  /** Reads images into the cache, on this thread or on others. */
  async read(indices: readonly number[], threads?: LoaderThreads): Promise<void> {
    const planned = indices.map((index) => ({ index, copy: 0, partners: [] }));
    if (threads === undefined) {
      const tasks = planned.map((one) => this.taskOf(one));
      const loaded = await Promise.all(tasks.map((task) => loadTask(task, this.load)));
      this.check(loaded.flatMap(({ problems }) => problems));
      return;
    }
    const { prepared, outcome } = await threads.wait(this.send(threads, '', planned, true).sent);
    this.accept(prepared, outcome);
  }

  private taskOf({ index, copy, partners }: PlannedImage, shared = false): ImageTask {
    const sourceOf = (one: number): ImageSource => {
      const { id, width, height, objects, file } = this.options.dataset.examples[one];
      const sample = shared ? this.options.cache.getShared(one) : this.options.cache.get(one);
      return { index: one, id, width, height, objects, file, sample };
    };
    return { source: sourceOf(index), copy, partners: partners.map(sourceOf) };
  }

  private readonly load = (source: ImageSource): Promise<Sample | ImageProblem> => {
    const { index, sample } = source;
    if (sample) return Promise.resolve(sample);
    let reading = this.reading.get(index);
    if (reading === undefined) {
      const example = this.options.dataset.examples[index];
      reading = this.maker
        .read(source, () => example.image())
        .then((read) => {
          if (!isProblem(read)) this.options.cache.add(index, read);
          return read;
        })
        .finally(() => this.reading.delete(index));
      this.reading.set(index, reading);
    }
    return reading;
  };

  private send(
    threads: LoaderThreads,
    seed: string,
    planned: readonly PlannedImage[],
    readOnly: boolean,
  ): { sent: Promise<Sent>; cancel(): void } {
    let job: RunningJob | undefined;
    let cancelled = false;
    const run = async (prepared: readonly Prepared[]): Promise<Sent> => {
      const tasks = prepared.flatMap(({ task }) => task ?? []);
      const needless = readOnly && tasks.every((task) => sourcesOf(task).every(({ sample }) => sample));
      if (cancelled || needless || tasks.length === 0) return { prepared, outcome: { messages: [] } };
      job = threads.run({ seed, tasks, keep: this.options.cache.open }, !readOnly);
      return { prepared, outcome: await job.outcome };
    };
    const cancel = (): void => {
      cancelled = true;
      job?.cancel();
    };
    const tasks = planned.map((one) => this.taskOf(one, true));
    // At once where nothing is to be read here: the consumer may block this thread from now on.
    const sent = tasks.every((task) => sourcesOf(task).every(canBeSent))
      ? run(tasks.map((task) => ({ task, problems: [] })))
      : Promise.all(tasks.map((task) => this.prepare(task))).then(run);
    return { sent, cancel };
  }

  /** Reads here what threads can't read. */
  private async prepare(task: ImageTask): Promise<Prepared> {
    const read = new Map<number, Sample | ImageProblem>();
    const here = sourcesOf(task).filter((source) => !canBeSent(source));
    await Promise.all(here.map(async (source) => read.set(source.index, await this.load(source))));
    const ready = (source: ImageSource): ImageSource | undefined => {
      const found = read.get(source.index);
      if (found === undefined) return source;
      if (isProblem(found)) return undefined;
      return { ...source, sample: this.options.cache.getShared(source.index) ?? found };
    };
    const problems = [...read.values()].filter(isProblem);
    const source = ready(task.source);
    if (source === undefined) return { problems };
    const partners = task.partners.map((one) => ready(one) ?? source);
    return { task: { ...task, source, partners }, problems };
  }

  /** Takes what threads have read into the cache, and throws what is to be thrown. */
  private accept(prepared: readonly Prepared[], outcome: JobOutcome): JobResults {
    if ('died' in outcome) throw outcome.died;
    for (const { read } of outcome.messages)
      for (const [index, sample] of read) this.options.cache.add(index, sample);
    // Messages count the tasks that were sent.
    let sent = 0;
    const problems = prepared.flatMap(({ task, problems: found }) => [
      ...found,
      ...((task && outcome.messages[sent++]?.problems) ?? []),
    ]);
    this.check(problems);
    return outcome;
  }

  private receive(
    prepared: readonly Prepared[],
    outcome: JobOutcome,
    seed: string,
    readOnly: boolean,
  ): Batch | undefined | Promise<Batch | undefined> {
    const { messages, images } = this.accept(prepared, outcome);
    const tasks = prepared.flatMap(({ task }) => task ?? []);
    if (readOnly) return this.finish(tasks, messages, seed);
    const failure = messages.find(({ failed }) => failed)?.failed;
    if (failure) throw failure.error;
    const outcomes = messages.flatMap(({ place, made }) => (made ? { task: tasks[place], made } : []));
    return this.batchOf(outcomes, images);
  }

  /** Makes here what threads have read. */
  private async finish(
    tasks: readonly ImageTask[],
    messages: JobResults['messages'],
    seed: string,
  ): Promise<Batch | undefined> {
    const loaded = tasks.map((task, place) => {
      const found = new Map<number, Sample | ImageProblem>(messages[place]?.read);
      for (const problem of messages[place]?.problems ?? []) found.set(problem.index, problem);
      return loadTask(task, (source) => Promise.resolve(source.sample ?? found.get(source.index)!));
    });
    return this.assemble(tasks, await Promise.all(loaded), seed);
  }

  private assemble(
    tasks: readonly ImageTask[],
    loaded: readonly LoadedTask[],
    seed: string,
  ): Batch | undefined {
    this.check(loaded.flatMap(({ problems }) => problems));
    const left = tasks.map((task, i) => ({ task, samples: loaded[i] })).filter((one) => one.samples.sample);
    const images = new Float32Array(left.length * this.values);
    const outcomes = left.map(({ task, samples }, i) => ({
      task,
      made: this.maker.make(task, samples, seed, images, i * this.values),
    }));
    return this.batchOf(outcomes, images);
  }

  private batchOf(outcomes: readonly Outcome[], images: Float32Array | undefined): Batch | undefined {
    if (outcomes.length === 0 || images === undefined) return undefined;
    const { height, width } = this.options.settings;
    return {
      images,
      shape: [outcomes.length, height, width, 3],
      groundTruth: outcomes.map(({ made }) => made.objects),
      ids: outcomes.map(({ task }) => task.source.id),
      fits: outcomes.map(({ made }) => made.fit),
    };
  }

  /** @throws the first problem, unless the images are to be left out. */
  private check(problems: readonly ImageProblem[]): void {
    for (const { index, kind, error } of problems) {
      if (this.options.onProblem === 'stop') throw error;
      if (this.dropped.has(index)) continue;
      this.dropped.add(index);
      const { id, file } = this.options.dataset.examples[index];
      const problem = error instanceof Error ? error.message : String(error);
      this.problems.push({ kind, file: file?.path ?? id, id, object: -1, problem, action: 'dropped' });
      if (this.problems.length === 1) {
        this.options.warn(`${problem} It is left out; the loader's "problems" lists all such images.`);
      }
    }
  }
}

/** What was sent to threads, and what came back. */
interface Sent {
  readonly prepared: readonly Prepared[];
  readonly outcome: JobOutcome;
}

type JobResults = Exclude<JobOutcome, { readonly died: Error }>;

function sourcesOf({ source, partners }: ImageTask): ImageSource[] {
  return [source, ...partners];
}

function canBeSent({ file, sample }: ImageSource): boolean {
  return file !== undefined || sample !== undefined;
}
