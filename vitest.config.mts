import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  resolve: { alias: { detlab: fileURLToPath(new URL('./lib/index.ts', import.meta.url)) } },
  test: {
    include: ['tests/**/*.test.ts'],
    reporters: ['default', './tests/reporters/unfinished.ts'],
    testTimeout: 60_000,
    // The first load of TensorFlow's library, 600 MB, takes its time on a busy disk.
    hookTimeout: 120_000,
    // Native backends keep global state: a process a file, and two at a time on small machines.
    pool: 'forks',
    maxWorkers: 2,
  },
});

export default config;
