import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const tests: string = fileURLToPath(new URL('./tests', import.meta.url));

/**
 * Files of more than about half a minute on two cores, longest first; the browser's, whose pages wait for what the machine is slow at, begins
 * when that of the notebooks is nearly done. Vitest knows durations of earlier runs alone, and without them begins with the largest files.
 */
const longest: readonly string[] = [
  'notebook/notebooks.test.ts',
  'notebook/jupyter/tools.test.ts',
  'train/devices/train-on-devices.test.ts',
  'runs/run.test.ts',
  'notebook/browser/lab.test.ts',
  'notebook/protocol/command.test.ts',
  'train/resume.test.ts',
  'notebook/session.test.ts',
  'notebook/cells/cell-process.test.ts',
  'models/trunk-reuse.test.ts',
  'notebook/new-notebook.test.ts',
  'models/retinanet.test.ts',
  'evidence/runner.test.ts',
  'papers/efficientdet/experiment.test.ts',
  'weights/import.test.ts',
  'notebook/runner.test.ts',
  'data/loader/threads.test.ts',
  'models/two-stage/training.test.ts',
  'models/two-stage/faster-rcnn.test.ts',
  'notebook/jupyter/conformance.test.ts',
  'search/supernet.test.ts',
  'models/classifier.test.ts',
  'models/efficientdet-training.test.ts',
  'tensor/kernels/crop-and-resize.test.ts',
  'papers/scratchdet/experiment.test.ts',
  'models/open-images/detector.test.ts',
];

/** Sorts test files for Vitest: the long ones, then the others as Vitest does. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    return others
      .map((file) => ({ file, rank: rankOf(file.moduleId) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ file }) => file);
  }
}

function rankOf(file: string): number {
  const rank = longest.indexOf(path.relative(tests, file).split(path.sep).join('/'));
  return rank < 0 ? longest.length : rank;
}

const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: [
      { find: /^detlab$/, replacement: fileURLToPath(new URL('./lib/index.ts', import.meta.url)) },
      { find: /^@tensorflow\/tfjs$/, replacement: path.join(tests, 'tfjs.cjs') },
    ],
  },
  test: {
    include: ['tests/**/*.test.ts'],
    reporters: ['default', './tests/reporters/unfinished.ts'],
    testTimeout: 60_000,
    // The first load of TensorFlow's library, 600 MB, takes its time on a busy disk.
    hookTimeout: 120_000,
    // Native backends keep global state: a process a file, and two at a time on small machines.
    pool: 'forks',
    server: { deps: { external: [/\/tests\/tfjs\.cjs$/] } },
    maxWorkers: 2,
    // No process works at a long file while the other has nothing left to do.
    sequence: { sequencer: LongestFirst },
  },
});

export default config;
