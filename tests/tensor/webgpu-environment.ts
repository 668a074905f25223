/** A Vulkan for the tests: the machine's own, or the program that Chromium brings along. */
import fs from 'node:fs';
import path from 'node:path';
import { swiftShader, tryVulkan, type VulkanCandidate } from '../gpu/vulkan';
import { findChromium } from '../notebook/browser/chromium';

const folders = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium',
  '/opt/google/chrome',
];

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
  const places =
    chromium === undefined || !fs.existsSync(chromium)
      ? folders
      : [...folders, path.dirname(fs.realpathSync(chromium))];
  const candidates: VulkanCandidate[] = [{ what: 'this machine', env: {} }];
  for (const place of new Set(places)) {
    const program = swiftShader(place);
    if (program) candidates.push(program);
  }
  const found = await tryVulkan(candidates, true);
  if ('env' in found) return found.env;
  const reason = found.reasons.join('; ');
  if (wanted === 'require') throw new Error(`DETLAB_TEST_WEBGPU=require, but ${reason}`);
  return reason;
}
