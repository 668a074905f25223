/** Where the benchmark's PyTorch comes from: an interpreter that the user names, or a private environment in the cache. */
import { spawnSync } from 'node:child_process';
import {
  type EnvironmentSpec,
  findEnvironment,
  preparePythonEnvironment,
} from '../notebook/jupyter/python-environment';

/** PyTorch's release that the project's fixtures are made with, its CPU build: the other one brings gigabytes of CUDA. */
const torchEnvironment: EnvironmentSpec = {
  name: 'torch',
  title: 'PyTorch 2.13.0',
  requirements: [process.platform === 'linux' ? 'torch==2.13.0+cpu' : 'torch==2.13.0'],
  megabytes: 900,
};

/** An interpreter with PyTorch, or why there is none. */
export type FoundTorch = { python: string; about: string } | { missing: string };

/**
 * Finds PyTorch: `DETLAB_BENCH_PYTHON` names an interpreter that has it; else the environment in the cache serves.
 * @param prepare make that environment where it is missing.
 */
export async function findTorch(prepare: boolean, env: NodeJS.ProcessEnv = process.env): Promise<FoundTorch> {
  const named = env.DETLAB_BENCH_PYTHON;
  if (named) return ask(named, 'DETLAB_BENCH_PYTHON');
  const ready = prepare
    ? await preparePythonEnvironment(torchEnvironment)
    : findEnvironment(torchEnvironment);
  if (!ready)
    return { missing: '--rivals fetches PyTorch, or DETLAB_BENCH_PYTHON names a Python that has it' };
  if (ready.ok) return ask(ready.python, ready.directory);
  const index = 'Where pip’s index has no CPU build, PIP_EXTRA_INDEX_URL adds the one that pytorch.org names';
  return {
    missing: `${ready.reason}. ${ready.remedy} ${index}, or DETLAB_BENCH_PYTHON a Python that has it`,
  };
}

function ask(python: string, whence: string): FoundTorch {
  const run = spawnSync(python, ['-I', '-c', 'import torch; print(torch.__version__)'], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (run.status === 0) return { python, about: `PyTorch ${run.stdout.trim()}` };
  const words = (run.error?.message ?? run.stderr.trim().split('\n').at(-1) ?? '').slice(0, 200);
  return { missing: `${python} (${whence}) can't import torch: ${words}` };
}
