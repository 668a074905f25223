/**
 * The prepared TensorFlow in the cache: where it lies, what its manifest says, and whether it is whole.
 * lib/tensor/prepare.ts makes it, lib/tensor/backend.ts loads it.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from './cache';
import { packageVersion, tfjsNodePackage } from './packages';

/** The TensorFlow whose libraries are fetched. */
export const wantedTensorFlow: string = '2.21.0';

/** The Node-API version the binding is compiled against; every Node since 12.22 has it. */
export const napiVersion: number = 8;

/** The compiled addons: the binding, and the one that is loaded before it to keep the loading quiet. */
export const addons: { readonly binding: string; readonly mute: string } = {
  binding: 'tfjs_binding.node',
  mute: 'tfjs_mute.node',
};

/** Raised when what is prepared changes in kind: older preparations are then made again. */
export const preparedFormat: number = 2;

/** `cpu`: the small wheel. `cuda`: the one for NVIDIA GPUs, with CUDA's own wheels beside it. */
export type Variant = 'cpu' | 'cuda';

/** What a prepared folder says of itself (`manifest.json`, written last). */
export interface Manifest {
  format: number;
  /** The version of the libraries. */
  tensorflow: string;
  /** The version that was asked for: differs where the package index did not have it. */
  requested: string;
  variant: Variant;
  /** `linux-x64`, … */
  platform: string;
  /** The version of the npm package whose binding was compiled. */
  tfjs: string;
  napi: number;
  compiler: string;
  created: string;
  /** Path in the folder to size in bytes; checked at each use. */
  sizes: Record<string, number>;
  /** SHA-256 of the compiled binding. */
  bindingSha256: string;
}

/** A prepared TensorFlow that passed its check. */
export interface Prepared {
  directory: string;
  binding: string;
  manifest: Manifest;
}

/** `<cache>/tensorflow`, which also holds the lock, the smoke results and the memory of a failed download. */
export function tensorflowCache(): string {
  return path.join(cacheDirectory(), 'tensorflow');
}

/** The folder's name says everything that makes two preparations differ, so that clones of other versions don't collide. */
export function preparedKey(variant: Variant, tensorflow: string = wantedTensorFlow): string {
  const tfjs = packageVersion(tfjsNodePackage) ?? 'none';
  return `${tensorflow}-${variant}-${process.platform}-${process.arch}-tfjs${tfjs}-napi${napiVersion}`;
}

/** SHA-256 of a small file, as hexadecimal digits. */
export function sha256(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Reads and checks one prepared folder: its manifest, the sizes of all files, the hash of the binding. */
export function checkPrepared(directory: string): Prepared | { problem: string } {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(fs.readFileSync(path.join(directory, 'manifest.json'), 'utf8')) as Manifest;
  } catch (error) {
    return {
      problem: `its manifest can't be read (${error instanceof Error ? error.message : String(error)})`,
    };
  }
  if (manifest.format !== preparedFormat || typeof manifest.sizes !== 'object' || manifest.sizes === null) {
    return { problem: 'it is of an older kind' };
  }
  for (const [name, size] of Object.entries(manifest.sizes)) {
    const stat = fs.statSync(path.join(directory, name), { throwIfNoEntry: false });
    if (!stat) return { problem: `${name} is missing` };
    if (stat.size !== size) return { problem: `${name} has ${stat.size} bytes instead of ${size}` };
  }
  const binding = path.join(directory, addons.binding);
  if (!(addons.binding in manifest.sizes)) return { problem: 'its manifest does not name the binding' };
  if (sha256(binding) !== manifest.bindingSha256)
    return { problem: `${addons.binding} is not the file that was compiled` };
  return { directory, binding, manifest };
}

/**
 * The prepared TensorFlow of this variant, or what is wrong with it. Where the index did not have the wanted version,
 * another one was prepared in its place; its manifest says so and it counts.
 */
export function findPrepared(variant: Variant): Prepared | { problem: string; damaged: boolean } {
  const root = tensorflowCache();
  const directory = path.join(root, preparedKey(variant));
  let problem: string | undefined;
  if (fs.existsSync(directory)) {
    const checked = checkPrepared(directory);
    if (!('problem' in checked)) return checked;
    problem = checked.problem;
  }
  const suffix = preparedKey(variant, '');
  const entries = fs.existsSync(root) ? fs.readdirSync(root) : [];
  const others = entries.filter((name) => /^\d/.test(name) && name.endsWith(suffix)).sort();
  for (const name of others.reverse()) {
    const checked = checkPrepared(path.join(root, name));
    if (!('problem' in checked) && checked.manifest.requested === wantedTensorFlow) return checked;
  }
  if (problem !== undefined)
    return { problem: `the prepared TensorFlow is damaged: ${problem}`, damaged: true };
  return { problem: 'TensorFlow is not prepared', damaged: false };
}
