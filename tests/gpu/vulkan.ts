/** Finds variables under which WebGPU works in a process: Vulkan's loader, and a driver for it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findWebgpu } from '../../lib/tensor/ladder';

/** Variables to start a process with, and what they bring. */
export interface VulkanCandidate {
  readonly what: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A candidate that works, or why none does. */
export type FoundVulkan =
  | {
      readonly env: Readonly<Record<string, string>>;
      readonly what: string;
      readonly adapter: string;
      readonly software: boolean;
    }
  | { readonly reasons: readonly string[] };

/** The candidate, with a folder before those in which libraries are looked for. */
export function withLibraries({ what, env }: VulkanCandidate, folder: string): VulkanCandidate {
  const before = env.LD_LIBRARY_PATH ?? process.env.LD_LIBRARY_PATH;
  const value = [folder, before].filter(Boolean).join(path.delimiter);
  return { what: `${what}, libraries of ${folder}`, env: { ...env, LD_LIBRARY_PATH: value } };
}

/** SwiftShader as Chromium brings it: a program in place of a GPU, with Vulkan's loader beside it. */
export function swiftShader(folder: string): VulkanCandidate | undefined {
  const icd = path.join(folder, 'vk_swiftshader_icd.json');
  if (!fs.existsSync(icd)) return undefined;
  return withLibraries({ what: 'SwiftShader', env: { VK_ICD_FILENAMES: icd } }, folder);
}

/** Where NVIDIA's driver is mounted into containers, beside the places where the loader looks by itself. */
const nvidiaFolders = ['/usr/local/nvidia', '/usr', '/run/nvidia/driver/usr'];
const libraryFolders = [
  'lib64',
  'lib',
  path.join('lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`),
];

/**
 * NVIDIA's driver: by the description that its installation left behind where the loader does not look, else by one of our own,
 * written to `folder`. Both of its libraries speak Vulkan; the one made for EGL does so where no X libraries are.
 */
export function nvidiaCandidates(folder: string): VulkanCandidate[] {
  const found: VulkanCandidate[] = [];
  for (const base of nvidiaFolders) {
    const icd = path.join(base, 'share', 'vulkan', 'icd.d', 'nvidia_icd.json');
    if (fs.existsSync(icd)) found.push({ what: icd, env: { VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd } });
  }
  for (const name of ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0']) {
    for (const base of nvidiaFolders) {
      for (const below of libraryFolders) {
        const library = path.join(base, below, name);
        if (!fs.existsSync(library)) continue;
        const icd = path.join(folder, `${found.length}-${name.split('.')[0]}.json`);
        const description = {
          file_format_version: '1.0.0',
          ICD: { library_path: library, api_version: '1.3.0' },
        };
        fs.mkdirSync(folder, { recursive: true });
        fs.writeFileSync(icd, JSON.stringify(description));
        found.push({ what: library, env: { VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd } });
      }
    }
  }
  return found;
}

/** The first candidate under which WebGPU computes, each tried in a process of its own. A real GPU goes before a program. */
export async function tryVulkan(
  candidates: readonly VulkanCandidate[],
  software: boolean,
): Promise<FoundVulkan> {
  const reasons: string[] = [];
  let program: FoundVulkan | undefined;
  for (const { what, env } of candidates) {
    const saved = { ...process.env };
    Object.assign(process.env, env); // the attempt's process gets them
    const found = await findWebgpu(true);
    for (const name of Object.keys(env)) {
      if (saved[name] === undefined) delete process.env[name];
      else process.env[name] = saved[name];
    }
    if (!found.usable && found.reason.startsWith('not installed')) {
      return { reasons: [`${found.reason} (${found.remedy})`] };
    }
    if (!found.usable) reasons.push(`${what}: ${found.reason} (${found.remedy})`);
    else if (!found.software) return { env, what, adapter: found.adapter, software: false };
    else if (software) program ??= { env, what, adapter: found.adapter, software: true };
    else reasons.push(`${what}: ${found.adapter} is a program, not a GPU`);
  }
  return program ?? { reasons: [...new Set(reasons)] };
}

/** A folder of its own for a process's files. */
export function temporaryFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-gpu-'));
}
