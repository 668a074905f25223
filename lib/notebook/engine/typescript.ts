/**
 * tslab's language engine, made fit for this project. tslab's converter and executor are used as they are; the TypeScript
 * that they load is a shallow copy of their own in which four things differ:
 *
 * - cells are checked in strict mode;
 * - `import … from 'detlab'`, and of the project's own dependencies, finds its types in whatever folder the kernel started;
 * - the steps from a cell's source to what V8 runs leave source maps, so that errors name the cell's lines;
 * - the thousands of files of node_modules are not watched, which costs time and crashes tslab when a package changes.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Converter, ConvertResult } from 'tslab/dist/converter';
import type { ConsoleInterface, Executor } from 'tslab/dist/executor';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { projectRoot } from '../../tensor/packages';
import { expandShorthand } from './shorthand';
import { type CompiledScript, SourceMaps } from './source-maps';

export { projectRoot };

/** What one cell's conversion gave, besides what tslab's executor needs. */
export type Diagnostics = ConvertResult['diagnostics'];

/** One notebook's compiler and executor. */
export interface Engine {
  executor: Executor;
  maps: SourceMaps;
  /** Names the script that the next conversion makes, and receives its diagnostics. */
  expect(scriptName: string, source: string, report: (diagnostics: Diagnostics) => void): void;
  quickInfoText(info: TypeScript.QuickInfo): string;
  isComplete(code: string): { completed: boolean; indent?: string };
  close(): void;
}

interface Loaded {
  createConverter: () => Converter;
  createExecutor: (rootDir: string, converters: unknown, console: ConsoleInterface) => Executor;
  isCompleteCode: (code: string) => { completed: boolean; indent?: string };
  printQuickInfo: (info: TypeScript.QuickInfo) => string;
  jupyter: { lastWriteDisplayData: TslabDisplay | null };
}

/** What tslab's own display functions call. */
export type TslabDisplay = (
  content: {
    data: Record<string, unknown>;
    metadata: Record<string, unknown>;
    transient: { display_id?: string };
  },
  update?: boolean,
) => void;

let loaded: Loaded | undefined;
// tslab reads the working directory when a converter is made; sessions may have different ones.
let workingDirectory: string = process.cwd();
// What `transpileModule` compiled since the last conversion ended.
let compiled: CompiledScript[] = [];
// The names that earlier cells of the session that converts declared.
let earlier: ReadonlySet<string> = new Set();

/** A converter and an executor whose relative imports start from `cwd`. */
export function createEngine(cwd: string, console: ConsoleInterface): Engine {
  const tslab = (loaded ??= loadTslab());
  workingDirectory = cwd.replace(/\\/g, '/');
  const converter = tslab.createConverter();
  const maps = new SourceMaps(projectRoot);
  let next: { name: string; source: string; report: (diagnostics: Diagnostics) => void } | undefined;

  const watching: Converter = {
    ...converter,
    convert(previous, source) {
      compiled = [];
      earlier = new Set(Object.keys(executor.locals));
      const result = converter.convert(previous, source);
      const scripts = compiled;
      compiled = [];
      for (const side of result.sideOutputs ?? []) {
        const script = scripts.find((s) => s.output === side.data);
        if (script) maps.addModule(side.path, script);
      }
      if (!next) return result;
      const { name, report } = next;
      next = undefined;
      report(result.diagnostics);
      const script = scripts.find((s) => s.output === result.output);
      if (!script || !result.output) return result;
      maps.addCell(name, script, source, result.hasToplevelAwait === true);
      // The name makes frames of this cell tell themselves apart from those of other cells.
      return { ...result, output: `${result.output}\n//# sourceURL=${name}` };
    },
    addModule(name, content, meta) {
      const diagnostics = converter.addModule(name, content, meta);
      next?.report(diagnostics);
      next = undefined;
      return diagnostics;
    },
  };
  const converters = { node: watching, browser: watching, close: () => converter.close() };
  const executor = tslab.createExecutor(cwd, converters, console);
  return {
    executor,
    maps,
    expect: (name, source, report) => {
      next = { name, source, report };
    },
    quickInfoText: tslab.printQuickInfo,
    isComplete: tslab.isCompleteCode,
    close: () => converter.close(),
  };
}

/** Routes `tslab.display.html(…)` and its kin. */
export function setTslabDisplay(show: TslabDisplay | null): void {
  if (loaded) loaded.jupyter.lastWriteDisplayData = show;
}

function loadTslab(): Loaded {
  const load = createRequire(path.join(projectRoot, 'lib', 'index.ts'));
  const fromTslab = createRequire(load.resolve('tslab/package.json'));
  const file = fromTslab.resolve('@tslab/typescript-for-tslab');
  const original = fromTslab(file) as typeof TypeScript;
  const cached = fromTslab.cache[file];
  if (cached) cached.exports = adapt(original);
  const converter = fromTslab('./dist/converter.js') as Pick<Loaded, 'createConverter' | 'isCompleteCode'>;
  const executor = fromTslab('./dist/executor.js') as Pick<Loaded, 'createExecutor'>;
  const inspect = fromTslab('./dist/inspect.js') as Pick<Loaded, 'printQuickInfo'>;
  const jupyter = fromTslab('./dist/jupyter.js') as Loaded['jupyter'];
  return { ...converter, ...executor, ...inspect, jupyter };
}

function adapt(ts: typeof TypeScript): typeof TypeScript {
  const isOurs = (file: string): boolean => file.includes('/node_modules/') || file.startsWith(distFolder);
  const sys: TypeScript.System = Object.assign(Object.create(ts.sys) as TypeScript.System, {
    getCurrentDirectory: () => workingDirectory,
    watchFile: (file: string, ...rest: [TypeScript.FileWatcherCallback, number?]) =>
      isOurs(file) ? { close: () => {} } : ts.sys.watchFile!(file, ...rest),
  });
  return Object.assign({}, ts, {
    sys,
    createWatchCompilerHost: (
      rootFiles: string[],
      options: TypeScript.CompilerOptions,
      system: TypeScript.System,
      ...rest: []
    ) => {
      system.watchDirectory = () => ({ close: () => {} });
      const adapted: TypeScript.CompilerOptions = {
        ...options,
        strict: true,
        // Module code is strict anyway; saying so again contradicts tslab's `noImplicitUseStrict`.
        alwaysStrict: false,
        inlineSourceMap: true,
        types: ['node'],
        typeRoots: [slashes(path.join(projectRoot, 'node_modules', '@types')), ...(options.typeRoots ?? [])],
      };
      const host = ts.createWatchCompilerHost(rootFiles, adapted, system, ...rest);
      return Object.assign(host, moduleResolution(ts, host, isOurs));
    },
    transpileModule: (input: string, options: TypeScript.TranspileOptions) => {
      const { code, map: first } = splitInlineMap(input);
      const compilerOptions = { ...options.compilerOptions, sourceMap: true };
      const before = [expandShorthand(ts, (name) => earlier.has(name))];
      const result = ts.transpileModule(code, { ...options, compilerOptions, transformers: { before } });
      const outputText = result.outputText.replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, '\n');
      if (first && result.sourceMapText) {
        compiled.push({ output: outputText, maps: [first, JSON.parse(result.sourceMapText)] });
      }
      return { ...result, outputText };
    },
  });
}

const distFolder: string = slashes(path.join(projectRoot, 'dist')) + '/';

type ResolutionHost = TypeScript.ModuleResolutionHost & { getCurrentDirectory(): string };

/** tslab resolves as Node 10 did, from the notebook's folder only. Where that finds no types, two more ways are tried. */
function moduleResolution(
  ts: typeof TypeScript,
  host: ResolutionHost,
  isOurs: (file: string) => boolean,
): object {
  const cache = ts.createModuleResolutionCache(workingDirectory, (name) => name);
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

function splitInlineMap(text: string): { code: string; map?: CompiledScript['maps'][0] } {
  const found = /\n?\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/.exec(text);
  if (!found) return { code: text };
  return {
    code: `${text.slice(0, found.index)}\n`,
    map: JSON.parse(Buffer.from(found[1]!, 'base64').toString('utf8')),
  };
}

/** A path as TypeScript writes it, on Windows too. */
export function slashes(file: string): string {
  return file.replace(/\\/g, '/');
}
