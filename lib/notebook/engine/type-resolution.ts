/** Finds the types of what cells import: the library, packages in whatever way they state their types, local files. */
import fs from 'node:fs';
import path from 'node:path';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { projectRoot } from '../../tensor/packages';
import { compiledPlace, distFolder, slashes } from './folders';

type ResolutionHost = TypeScript.ModuleResolutionHost & { getCurrentDirectory(): string };

/** tslab resolves as Node 10 did, from the notebook's folder only. Where that finds no types, two more ways are tried. */
export function moduleResolution(
  ts: typeof TypeScript,
  host: ResolutionHost,
  isOurs: (file: string) => boolean,
): object {
  const cache = ts.createModuleResolutionCache(host.getCurrentDirectory(), (name) => name);
  const fromProject = slashes(path.join(projectRoot, 'lib', 'index.ts'));
  const library: TypeScript.ResolvedModuleFull = {
    resolvedFileName: `${distFolder}index.d.ts`,
    extension: ts.Extension.Dts,
    isExternalLibraryImport: true,
  };
  function resolve(
    name: string,
    from: string,
    options: TypeScript.CompilerOptions,
  ): TypeScript.ResolvedModuleFull | undefined {
    // A file of the notebook's folder may appear later, so only what packages import is remembered.
    const known = isOurs(from) ? cache : undefined;
    const plain = ts.resolveModuleName(name, from, options, host, known).resolvedModule;
    const compiled = plain && compiledPlace(plain.resolvedFileName, '.d.ts');
    // A source of the library, imported by its path, is the module that runs and not a second copy of it.
    if (compiled && fs.existsSync(compiled)) return { ...library, resolvedFileName: compiled };
    const bare = !name.startsWith('.') && !path.isAbsolute(name);
    if (!bare || isOurs(from) || (plain && hasTypes(plain))) return plain;
    // Packages that state their types only in "exports" are invisible to Node 10's rules.
    const modern = { ...options, moduleResolution: ts.ModuleResolutionKind.Bundler };
    for (const [origin, way] of [
      [from, modern],
      [fromProject, options],
      [fromProject, modern],
    ] as const) {
      const found = ts.resolveModuleName(name, origin, way, host).resolvedModule;
      if (found && hasTypes(found)) return found;
    }
    return plain;
  }
  return {
    resolveModuleNames: (
      names: string[],
      from: string,
      _reused: unknown,
      _redirect: unknown,
      options: TypeScript.CompilerOptions,
    ) => names.map((name) => (name === 'detlab' ? library : resolve(name, from, options))),
    hasInvalidatedResolutions: (file: string) => !isOurs(file),
  };
}

function hasTypes(module: TypeScript.ResolvedModuleFull): boolean {
  return !module.isExternalLibraryImport || /^\.(d\.[cm]?ts|[cm]?tsx?|json)$/.test(module.extension);
}
