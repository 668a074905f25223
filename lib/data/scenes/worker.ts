/** A thread that draws scenes: takes a range of indices, answers when it is written, and waits for the next. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSceneRenderer, writeScene, type SceneJob } from './work';

const job = workerData as SceneJob;
const renderer = createSceneRenderer(job);

parentPort?.on('message', (indices: number[]) => {
  void (async () => {
    try {
      for (const index of indices) await writeScene(await renderer, job, index);
      parentPort?.postMessage({ done: indices.length });
    } catch (error) {
      parentPort?.postMessage({ failed: error instanceof Error ? error.message : String(error) });
    }
  })();
});
