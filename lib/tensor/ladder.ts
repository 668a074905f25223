/** The ladder of backends, from fastest to slowest, and what is found of the two that npm alone does not bring. */
import fs from 'node:fs';
import path from 'node:path';
import { nearest } from './nearest';
import { packageDirectory, packageVersion, tfjsNodePackage } from './packages';
import { findNvidia } from './prepare/tools';
import { findPrepared, napiVersion, type Variant } from './prepared';
import { type Smoke, smokeBinding, smokeRun } from './smoke';

/** TensorFlow.js's name of a backend. */
export type BackendName = 'tensorflow' | 'webgpu' | 'wasm' | 'cpu';

/** A rung of the ladder: a backend on a device. */
export interface Rung {
  backend: BackendName;
  device: 'gpu' | 'cpu';
  /** As it is said to a reader. */
  title: string;
}

/** The order in which backends are tried. */
export const ladder: readonly Rung[] = [
  { backend: 'tensorflow', device: 'gpu', title: 'tensorflow on the GPU' },
  { backend: 'webgpu', device: 'gpu', title: 'webgpu on the GPU' },
  { backend: 'tensorflow', device: 'cpu', title: 'tensorflow on the CPU' },
  { backend: 'wasm', device: 'cpu', title: 'wasm' },
  { backend: 'cpu', device: 'cpu', title: 'cpu (plain JavaScript)' },
];

/** The backends' names, each once, in the ladder's order. */
export const backendNames: readonly BackendName[] = ['tensorflow', 'webgpu', 'wasm', 'cpu'];

/** The name as typed, checked. @throws with the valid names and the nearest one. */
export function parseBackendName(text: string, origin: string): BackendName {
  const name = text.trim().toLowerCase();
  const found = backendNames.find((valid) => valid === name);
  if (found) return found;
  const near = nearest(name, backendNames);
  throw new Error(
    `${origin}: there is no backend '${text}'. Valid: ${backendNames.join(', ')}.${near ? ` Did you mean '${near}'?` : ''}`,
  );
}

/** A rung that can be used, or why it can't and what would make it so. */
export type Finding<T> = ({ usable: true } & T) | { usable: false; reason: string; remedy: string };

/** A TensorFlow binding that has passed its smoke run. */
export interface NativeTensorFlow {
  binding: string;
  version: string;
  gpu: boolean;
  /** `official`: the npm package's own install script brought it. `prepared`: `prepareTensorFlow` did. */
  source: 'official' | 'prepared';
}

/** The binding that the user's own `npm install @tensorflow/tfjs-node-gpu` has put into the package, if it is complete. */
export function officialBinding(): string | undefined {
  const directory = packageDirectory(tfjsNodePackage);
  if (directory === undefined) return undefined;
  const binding = path.join(directory, 'lib', `napi-v${napiVersion}`, 'tfjs_binding.node');
  return fs.existsSync(binding) && fs.existsSync(path.join(directory, 'deps', 'lib')) ? binding : undefined;
}

/** Looks for a native TensorFlow: the user's own, then the prepared ones. Downloads nothing. */
export async function findTensorFlow(): Promise<Finding<NativeTensorFlow>> {
  const reasons: string[] = [];
  const tried = async (
    binding: string,
    source: NativeTensorFlow['source'],
  ): Promise<Finding<NativeTensorFlow> | undefined> => {
    const smoke = await smokeBinding(binding);
    if (smoke.ok) return { usable: true, binding, version: smoke.version, gpu: smoke.gpu, source };
    reasons.push(
      `${source === 'official' ? `the installed ${tfjsNodePackage}` : 'the prepared TensorFlow'} does not run: ${smoke.error}`,
    );
    return undefined;
  };
  const official = officialBinding();
  const own = official === undefined ? undefined : await tried(official, 'official');
  if (own) return own;
  const variants: Variant[] = findNvidia() === undefined ? ['cpu'] : ['cuda', 'cpu'];
  for (const variant of variants) {
    const prepared = findPrepared(variant);
    if ('problem' in prepared) {
      if (prepared.damaged || variant === 'cpu') reasons.push(prepared.problem);
      continue;
    }
    const found = await tried(prepared.binding, 'prepared');
    if (found) return found;
  }
  return { usable: false, reason: reasons.join('; '), remedy: 'npm run prepare-backend' };
}

/** The packages of the `webgpu` rung. They are not among the project's own: they serve few machines and are large (150 MB). */
export const webgpuPackages: readonly string[] = ['webgpu', '@tensorflow/tfjs-backend-webgpu'];

/** Looks for WebGPU: its packages, and a graphics adapter behind them. `software`: take an adapter that is only a program too. */
export async function findWebgpu(
  software: boolean = false,
): Promise<Finding<{ version: string; adapter: string; software: boolean }>> {
  const missing = webgpuPackages.filter((name) => packageDirectory(name) === undefined);
  const core = packageVersion('@tensorflow/tfjs') ?? '4.22.0';
  const install = `npm install --no-save webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@${core}`;
  if (missing.length > 0) {
    return { usable: false, reason: `not installed: ${missing.join(', ')}`, remedy: install };
  }
  const version = packageVersion('@tensorflow/tfjs-backend-webgpu');
  if (version !== core) {
    const reason = `@tensorflow/tfjs-backend-webgpu is ${version}, but TensorFlow.js is ${core}`;
    return { usable: false, reason, remedy: install };
  }
  const smoke: Smoke = await smokeRun({ backend: 'webgpu' });
  const driver = 'a graphics driver with Vulkan (Linux: vulkaninfo shows it)';
  if (!smoke.ok)
    return { usable: false, reason: smoke.error, remedy: smoke.adapter === '' ? driver : install };
  if (smoke.software && !software) {
    return {
      usable: false,
      reason: `the adapter is a program, not a GPU (${smoke.adapter})`,
      remedy: driver,
    };
  }
  return { usable: true, version: smoke.version, adapter: smoke.adapter, software: smoke.software };
}
