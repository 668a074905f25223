/** What the kernel says about itself (`kernel_info_reply`). */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { projectRoot } from '../../tensor/packages';
import { languageInfo } from '../nbformat';
import { protocolVersion } from './wire';

/** The version of the TypeScript that checks and compiles cells: tslab's own, not the project's. */
export function cellTypeScriptVersion(): string {
  const fromProject = createRequire(path.join(projectRoot, 'lib', 'index.ts'));
  const fromTslab = createRequire(fromProject.resolve('tslab/package.json'));
  return versionIn(fromTslab.resolve('@tslab/typescript-for-tslab/package.json'));
}

let known: Record<string, unknown> | undefined;

/** The content of the reply. */
export function kernelInfo(): Record<string, unknown> {
  return (known ??= gather());
}

function gather(): Record<string, unknown> {
  const version = versionIn(path.join(projectRoot, 'package.json'));
  const typescript = cellTypeScriptVersion();
  return {
    status: 'ok',
    protocol_version: protocolVersion,
    implementation: 'detlab',
    implementation_version: version,
    language_info: { ...languageInfo, version: typescript },
    banner: `detlab ${version}: TypeScript ${typescript} on Node ${process.version}`,
    help_links: [
      { text: 'TypeScript handbook', url: 'https://www.typescriptlang.org/docs/handbook/intro.html' },
      { text: 'TensorFlow.js API', url: 'https://js.tensorflow.org/api/latest/' },
      { text: 'Node.js API', url: 'https://nodejs.org/api/' },
    ],
    debugger: false,
    supported_features: ['iopub_welcome'],
  };
}

function versionIn(file: string): string {
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string }).version;
}
