/** A thread that makes images of batches: takes one, answers, and takes the next. */
import { parentPort, workerData } from 'node:worker_threads';
import { readImage } from '../image';
import { transformFromRecipe } from '../transforms/recipe';
import type { Sample } from '../transforms/transform';
import { shareSample } from './image-cache';
import {
  controlWords,
  endMessage,
  readyMessage,
  type Job,
  type JobMessage,
  type ThreadSettings,
} from './job';
import { createImageMaker, isProblem, loadTask, type ImageProblem, type ImageSource } from './make-image';

const port = parentPort!;
const { image: settings, recipe, busy } = workerData as ThreadSettings;
const maker = createImageMaker(settings, recipe && transformFromRecipe(recipe));
const values = settings.height * settings.width * 3;

/** Images in work at a time: while one is being read, another is computed. */
const lanes = 2;
let active = 0;
const jobs: Job[] = [];

port.on('message', (job: Job | typeof endMessage) => {
  if (job === endMessage) return port.close();
  jobs.push(job);
  for (let lane = active; lane < lanes; lane++) void runLane();
});
port.postMessage(readyMessage);

async function runLane(): Promise<void> {
  active++;
  while (jobs.length > 0) {
    const [job] = jobs;
    // Said before it is taken: whoever ends the process waits for images in work.
    Atomics.add(busy, 0, 1);
    const place = Atomics.add(job.control, controlWords.taken, 1);
    if (place < job.tasks.length) await makeImage(job, place);
    else if (jobs[0] === job) jobs.shift();
    Atomics.sub(busy, 0, 1);
    Atomics.notify(busy, 0);
  }
  active--;
}

async function makeImage(job: Job, place: number): Promise<void> {
  const { number, seed, tasks, keep, images, control } = job;
  const read: [number, Sample][] = [];
  const load = async (source: ImageSource): Promise<Sample | ImageProblem> => {
    if (source.sample) return source.sample;
    const { path, orientation } = source.file!;
    const sample = await maker.read(source, () => readImage(path, { orientation }));
    if (isProblem(sample) || (!keep && images)) return sample;
    const sent = keep ? shareSample(sample) : sample;
    read.push([source.index, sent]);
    return sent;
  };
  const loaded = await loadTask(tasks[place], load);
  const problems = loaded.problems.map((problem) => ({ ...problem, error: sendable(problem.error) }));
  const message: { -readonly [Key in keyof JobMessage]: JobMessage[Key] } = { number, place, read, problems };
  if (images && loaded.sample) {
    try {
      message.made = maker.make(tasks[place], loaded, seed, images, place * values);
      control[controlWords.made + place] = 1;
    } catch (error) {
      message.failed = { error: sendable(error) };
    }
  }
  const transfer = keep ? [] : read.map(([, { image }]) => image.data.buffer as ArrayBuffer);
  // The thread that comes last hands the batch over, in memory of its own: nothing is left to do for the main thread, which may
  // keep it, while the shared memory serves the next batch.
  const done = Atomics.add(control, controlWords.done, 1) + 1;
  if (images && done === tasks.length) {
    message.images = gather(job, images);
    transfer.push(message.images.buffer as ArrayBuffer);
  }
  port.postMessage(message, transfer);
}

/** The images of a batch that were made, one after the other. */
function gather({ tasks, control }: Job, images: Float32Array): Float32Array {
  const made = [...tasks.keys()].filter((place) => control[controlWords.made + place] === 1);
  if (made.length === tasks.length) return images.slice(0, made.length * values);
  const gathered = new Float32Array(made.length * values);
  made.forEach((place, i) => {
    gathered.set(images.subarray(place * values, (place + 1) * values), i * values);
  });
  return gathered;
}

/** What a user's transform throws may hold what can't be sent. */
function sendable(error: unknown): unknown {
  try {
    return structuredClone(error);
  } catch {
    return new Error(error instanceof Error ? error.message : String(error));
  }
}
