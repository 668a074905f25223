/** Finds `detlab` and the project's packages at run time, in whatever folder the kernel was started. */
import Module from 'node:module';
import path from 'node:path';

type ResolveFilename = (
  request: string,
  parent: { filename?: string | null } | undefined,
  ...rest: unknown[]
) => string;
const loader = Module as unknown as { _resolveFilename: ResolveFilename };

let installed = false;

/**
 * `require('detlab')` gives the project's own build; a package that is not found from the notebook's folder is looked for
 * among the project's. The declarations are found in the same order (engine/typescript.ts).
 */
export function installResolution(root: string): void {
  if (installed) return;
  installed = true;
  const original = loader._resolveFilename;
  const library = path.join(root, 'dist', 'index.js');
  const fromProject = {
    filename: path.join(root, 'lib', 'index.ts'),
    paths: [path.join(root, 'node_modules')],
  };
  loader._resolveFilename = function resolve(request, parent, ...rest) {
    if (request === 'detlab') return library;
    try {
      return original.call(this, request, parent, ...rest);
    } catch (error) {
      const bare = !request.startsWith('.') && !path.isAbsolute(request);
      const ofPackage = parent?.filename?.includes(`${path.sep}node_modules${path.sep}`);
      if (!bare || ofPackage || (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      try {
        return original.call(this, request, fromProject, ...rest);
      } catch {
        throw error;
      }
    }
  };
}
