#!/usr/bin/env node
// The one entry of every command (npm start, npm test, npm run doctor, the kernel): checks what must be there before
// anything else can speak, brings dist/ up to date with lib/, then hands over to lib/notebook/cli.ts.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `detlab needs Node 20.19 or newer; this is ${process.version}. Install a current Node and try again.`,
  );
  process.exit(1);
}

const { build, root } = await import('./build.mjs');
if (!existsSync(path.join(root, 'node_modules', 'typescript'))) {
  console.error('detlab: the packages are not installed. Run `npm ci` in the project folder first.');
  process.exit(1);
}
try {
  build();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
process.setSourceMapsEnabled(true);
const { main } = createRequire(import.meta.url)('../dist/notebook/cli.js');
process.exitCode = await main(process.argv.slice(2));
