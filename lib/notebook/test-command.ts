/** `npm test`: prepares the backend, runs Vitest, and gives files whose process died a second try. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectRoot } from '../tensor/packages';
import { runChild } from './run-child';

const help: string =
  'npm test: prepares the backend, then runs vitest. npm test -- tests/boxes -t "iou" passes words on to vitest.';

/** What tests/reporters/unfinished.ts writes down. */
interface TestOutcome {
  /** Test files whose process died. */
  readonly neverEnded: readonly string[];
  /** Test files with failures. */
  readonly failed: number;
  /** Errors outside of tests; each process that died is one. */
  readonly errors: number;
}

/** Words are Vitest's, but `--help` says first what this command adds. */
export async function testCommand(words: string[]): Promise<number> {
  if (words.includes('--help') || words.includes('-h')) {
    console.log(help);
    return 0;
  }
  if (!process.env.DETLAB_BACKEND || process.env.DETLAB_BACKEND === 'tensorflow') {
    const { prepareTensorFlow } = await import('../tensor/prepare/prepare.js');
    const prepared = await prepareTensorFlow();
    if (!prepared.ok)
      console.log(
        `TensorFlow can't be used: ${prepared.reason}. Tests run on wasm and cpu. ${prepared.remedy}`,
      );
  }
  return runTests(words, projectRoot);
}

/**
 * Runs Vitest in a folder. Native libraries (TensorFlow, ZeroMQ, Skia) can take their process along, once in many runs; where that is all
 * that went wrong, the files it happened to are run once more, and it is said. A file that dies twice fails.
 * @returns the exit code
 */
export async function runTests(words: readonly string[], folder: string): Promise<number> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-test-'));
  const file = path.join(scratch, 'outcome.json');
  const vitest = path.join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const env = { ...process.env, DETLAB_TEST_OUTCOME: file };
  try {
    const code = await runChild(process.execPath, [vitest, 'run', ...words], { cwd: folder, env });
    const outcome = code === 1 ? readOutcome(file) : undefined;
    if (!outcome || outcome.failed > 0) return code;
    const { neverEnded, errors } = outcome;
    if (neverEnded.length === 0 || errors > neverEnded.length) return code;
    console.error(
      `Everything else passed. Run once more, in processes of their own: ${neverEnded.join(', ')}`,
    );
    const options = words.filter((word, i) => word.startsWith('-') || words[i - 1]?.startsWith('-'));
    return await runChild(process.execPath, [vitest, 'run', ...neverEnded, ...options], { cwd: folder, env });
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

function readOutcome(file: string): TestOutcome | undefined {
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as TestOutcome) : undefined;
}
