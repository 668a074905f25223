/** Where the project and the npm packages lie on this disk, asked of Node's own resolution. */
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

/** The project's folder. This file is two folders below it, compiled (dist/tensor) or not (lib/tensor). */
export const projectRoot: string = path.resolve(__dirname, '..', '..');

/** `require` as a file in the project's root would have it. */
export const projectRequire: NodeJS.Require = createRequire(path.join(projectRoot, 'package.json'));

/** The folder of an installed npm package, or `undefined`. Nothing is loaded, so a broken package is found too. */
export function packageDirectory(name: string): string | undefined {
  for (const folder of projectRequire.resolve.paths(name) ?? []) {
    if (fs.existsSync(path.join(folder, name, 'package.json'))) return path.join(folder, name);
  }
  return undefined;
}

/** The version of an installed npm package, or `undefined`. */
export function packageVersion(name: string): string | undefined {
  const directory = packageDirectory(name);
  if (directory === undefined) return undefined;
  return (JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')) as { version?: string })
    .version;
}

/** The TensorFlow.js package whose JavaScript and C++ binding serve the `tensorflow` backend. */
export const tfjsNodePackage: string = '@tensorflow/tfjs-node-gpu';

/** The first executable of that name on PATH, or `undefined`: what a shell would run. */
export function which(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const endings = process.platform === 'win32' ? ['.exe', '.cmd', '.bat', ''] : [''];
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    for (const ending of endings) {
      const file = path.join(folder, name + ending);
      try {
        fs.accessSync(file, fs.constants.X_OK);
        if (fs.statSync(file).isFile()) return file;
      } catch {
        // not in this folder
      }
    }
  }
  return undefined;
}
