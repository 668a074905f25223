/** What `require` means in a cell: local TypeScript from any folder, the library, packages of every kind. */
import fs from 'node:fs';
import Module, { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';
import { projectRoot } from '../../tensor/packages';
import { compiledPlace } from './folders';

interface LoadedModule {
  exports: unknown;
}
type Require = (id: string) => unknown;
type CompilingModule = NodeJS.Module & { _compile(code: string, file: string): void };

/** The modules of one session. */
export class CellModules {
  // Compiled local modules, by the path that a `.js` file beside the source would have.
  private readonly code: Map<string, string> = new Map();
  private readonly loaded: Map<string, LoadedModule> = new Map();
  // ES modules that only `import()` can load, by folder and specifier.
  private readonly imported: Map<string, unknown> = new Map();

  constructor(private readonly cwd: string) {}

  /** Takes up newly compiled modules; what was loaded of them before is loaded anew by the next import. */
  update(modules: readonly { file: string; code: string }[]): void {
    for (const { file, code } of modules) {
      this.code.set(file, code);
      this.loaded.delete(file);
    }
  }

  /**
   * Loads, before code runs, what its `require` could not: packages that are only there for `import`, or that await at their
   * top level. What fails here fails in the code, where it has a line.
   */
  async prepare(code: string, folder: string = this.cwd): Promise<void> {
    for (const [, id] of code.matchAll(/\brequire\("([^"]+)"\)/g)) {
      const key = importKey(folder, id!);
      if (this.imported.has(key) || !needsImport(id!, folder)) continue;
      const namespace = await importFrom(id!, folder);
      if (namespace) this.imported.set(key, withInterop(namespace));
    }
  }

  /** `require` for code that lies in a folder. */
  requireFrom(folder: string = this.cwd): Require {
    const plain = createRequire(path.join(folder, 'cell.js'));
    const require: Require = (id) => {
      const imported = this.imported.get(importKey(folder, id));
      if (imported) return imported;
      if (id === 'tslab') return createRequire(path.join(projectRoot, 'lib', 'index.ts'))('tslab');
      if (!id.startsWith('.') && !path.isAbsolute(id)) return plain(id) as unknown;
      const place = path.resolve(folder, id);
      for (const file of candidates(place)) {
        if (this.code.has(file)) return this.load(file).exports;
        const compiled = compiledPlace(file, '.js');
        if (compiled && fs.existsSync(compiled)) return plain(compiled) as unknown;
      }
      return plain(id) as unknown;
    };
    return Object.assign(require, { resolve: plain.resolve, cache: plain.cache, main: plain.main });
  }

  private load(file: string): LoadedModule {
    const known = this.loaded.get(file);
    if (known) return known;
    const made = new Module(file) as CompilingModule;
    const folder = path.dirname(file);
    made.filename = file;
    made.paths = (Module as unknown as { _nodeModulePaths(folder: string): string[] })._nodeModulePaths(
      folder,
    );
    made.require = this.requireFrom(folder) as NodeJS.Module['require'];
    // Before it runs: modules may import each other.
    this.loaded.set(file, made);
    try {
      made._compile(this.code.get(file)!, file);
    } catch (error) {
      this.loaded.delete(file);
      throw error;
    }
    return made;
  }
}

function importKey(folder: string, id: string): string {
  return `${folder}\0${id}`;
}

function candidates(place: string): string[] {
  const plain = place.replace(/\.[jt]s$/, '');
  return [`${plain}.js`, path.join(place, 'index.js')];
}

/** Whether `require` can't load a package, as far as that shows without loading it. */
function needsImport(id: string, folder: string): boolean {
  if (isBuiltin(id) || id === 'detlab' || id === 'tslab') return false;
  try {
    return isEsModule(createRequire(path.join(folder, 'cell.js')).resolve(id));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
  }
}

function isEsModule(file: string): boolean {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      const { type } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
        type?: string;
      };
      return type === 'module';
    } catch {
      if (path.dirname(folder) === folder) return false;
    }
  }
}

/** `import()` as from a file of the folder; then as from the project. `undefined` where neither finds or can load it. */
async function importFrom(id: string, folder: string): Promise<object | undefined> {
  for (const origin of [folder, projectRoot]) {
    const load = vm.runInThisContext('(id) => import(id)', {
      filename: path.join(origin, 'cell.mjs'),
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }) as (id: string) => Promise<object>;
    try {
      return await withoutWarnings(() => load(id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return undefined;
    }
  }
  return undefined;
}

/** Node calls this way of importing experimental, in the reader's output; it has been the same since it came. */
function withoutWarnings<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** TypeScript's code for `import x from` asks for `default` only of what is marked as compiled from an ES module. */
function withInterop(namespace: object): object {
  return Object.create(namespace, { __esModule: { value: true } }) as object;
}
