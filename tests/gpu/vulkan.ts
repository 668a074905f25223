/** A Vulkan for the tests: the machine's own, or the program that Chromium brings along (SwiftShader). */
import fs from 'node:fs';
import path from 'node:path';
import { findWebgpu } from '../../lib/tensor/ladder';
import { findChromium } from '../notebook/browser/chromium';

const folders = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium',
  '/opt/google/chrome',
];

/** Variables under which programs find SwiftShader, and Vulkan's loader beside it. */
function swiftShader(folder: string): NodeJS.ProcessEnv | undefined {
  const icd = path.join(folder, 'vk_swiftshader_icd.json');
  if (!fs.existsSync(icd)) return undefined;
  return {
    VK_ICD_FILENAMES: icd,
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(path.delimiter),
  };
}

/**
 * The variables that a program needs for WebGPU to work here, or why it can't. `DETLAB_TEST_WEBGPU`: `0` is a reason not to look,
 * and with `require` it is an error that there is none.
 */
export async function webgpuEnvironment(): Promise<NodeJS.ProcessEnv | string> {
  const wanted = process.env.DETLAB_TEST_WEBGPU ?? '';
  if (!['', '0', 'require'].includes(wanted)) {
    throw new Error(`DETLAB_TEST_WEBGPU is '${wanted}'; it may be 0 or require`);
  }
  if (wanted === '0') return 'DETLAB_TEST_WEBGPU is 0';
  const chromium = findChromium();
  const places = chromium === undefined ? folders : [...folders, path.dirname(fs.realpathSync(chromium))];
  const candidates = [{}, ...places.map(swiftShader).filter((env) => env !== undefined)];
  const reasons = new Set<string>();
  for (const env of candidates) {
    const saved = { ...process.env };
    Object.assign(process.env, env); // the attempt runs in a process of its own, which gets them
    const found = await findWebgpu(true);
    for (const name of Object.keys(env)) {
      if (saved[name] === undefined) delete process.env[name];
      else process.env[name] = saved[name];
    }
    if (found.usable) return env;
    reasons.add(`${found.reason} (${found.remedy})`);
  }
  const reason = [...reasons].join('; ');
  if (wanted === 'require') throw new Error(`DETLAB_TEST_WEBGPU=require, but ${reason}`);
  return reason;
}
