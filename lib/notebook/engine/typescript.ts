/**
 * tslab's language engine, made fit for this project. tslab's converter is used as it is; the TypeScript that it loads is a
 * shallow copy of its own in which some things differ:
 *
 * - cells are checked in strict mode;
 * - `import … from 'detlab'`, and of the project's own dependencies, finds its types in whatever folder the kernel started;
 * - the steps from a cell's source to what V8 runs leave source maps, so that errors name the cell's lines;
 * - TypeScript can be imported from any folder, and the project's own `lib/` by path is the library that runs;
 * - files are looked at when a cell is compiled instead of watched, which costs time and crashes tslab when a package changes.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Converter } from 'tslab/dist/converter';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { projectRoot } from '../../tensor/packages';
import { distFolder, slashes } from './folders';
import { liveNames } from './live-names';
import type { CompiledScript } from './source-maps';
import { moduleResolution } from './type-resolution';

/** tslab's parts, on the adapted TypeScript. */
export interface Tslab {
  ts: typeof TypeScript;
  createConverter: () => Converter;
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

/** A file that a compiler's program was made from; its callback takes note of a change. */
export interface WatchedFile {
  callback: TypeScript.FileWatcherCallback;
  stamp: string;
}

/** What the adapted TypeScript notes down while it works for one compiler. */
export interface Notes {
  cwd: string;
  // What `transpileModule` compiled since the last conversion began.
  compiled: CompiledScript[];
  // The names that earlier cells declared.
  earlier: ReadonlySet<string>;
  // Problems in files outside of the notebook's folder, which tslab drops.
  outside: TypeScript.Diagnostic[];
  watched: Map<string, WatchedFile>;
  program: TypeScript.Program | undefined;
}

let loaded: Tslab | undefined;
// tslab's functions are shared by all compilers of the process: this says whom they work for.
let notes: Notes = newNotes(process.cwd());

/** From now on the adapted TypeScript works for the compiler that these notes belong to. */
export function workFor(compiler: Notes): void {
  notes = compiler;
}

export function newNotes(cwd: string): Notes {
  return {
    cwd: slashes(cwd),
    compiled: [],
    earlier: new Set(),
    outside: [],
    watched: new Map(),
    program: undefined,
  };
}

/** Routes `tslab.display.html(…)` and its kin. */
export function setTslabDisplay(show: TslabDisplay | null): void {
  if (loaded) loaded.jupyter.lastWriteDisplayData = show;
}

/** Loads tslab, once. */
export function loadTslab(): Tslab {
  if (loaded) return loaded;
  const load = createRequire(path.join(projectRoot, 'lib', 'index.ts'));
  const fromTslab = createRequire(load.resolve('tslab/package.json'));
  const file = fromTslab.resolve('@tslab/typescript-for-tslab');
  const original = fromTslab(file) as typeof TypeScript;
  const cached = fromTslab.cache[file];
  if (cached) cached.exports = adapt(original);
  const { createConverter } = fromTslab('./dist/converter.js') as Pick<Tslab, 'createConverter'>;
  const jupyter = fromTslab('./dist/jupyter.js') as Tslab['jupyter'];
  loaded = { ts: original, createConverter, jupyter };
  return loaded;
}

/**
 * Tells TypeScript which files changed since they were read. Done when a cell is compiled: no watchers to wait for, none
 * that keep the process alive.
 */
export function refreshFiles(watched: ReadonlyMap<string, WatchedFile>): void {
  for (const [file, entry] of [...watched]) {
    if (file.startsWith(distFolder)) continue;
    const stamp = stampOf(file);
    if (stamp === entry.stamp) continue;
    entry.stamp = stamp;
    // Created 0, changed 1, deleted 2.
    entry.callback(file, stamp === '' ? 2 : 1);
  }
}

function stampOf(file: string): string {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.size} ${stat.mtimeMs}` : '';
}

function adapt(ts: typeof TypeScript): typeof TypeScript {
  const isPackage = (file: string): boolean => file.includes('/node_modules/');
  const isOurs = (file: string): boolean => isPackage(file) || file.startsWith(distFolder);
  const sys: TypeScript.System = Object.assign(Object.create(ts.sys) as TypeScript.System, {
    getCurrentDirectory: () => notes.cwd,
    watchFile: (file: string, callback: TypeScript.FileWatcherCallback) => {
      if (isPackage(file)) return { close: () => {} };
      const { watched } = notes;
      watched.set(file, { callback, stamp: stampOf(file) });
      return { close: () => void watched.delete(file) };
    },
  });
  return Object.assign({}, ts, {
    sys,
    createWatchCompilerHost: (
      rootFiles: string[],
      options: TypeScript.CompilerOptions,
      system: TypeScript.System,
      _createProgram: unknown,
      ...rest: []
    ) => {
      system.watchDirectory = () => ({ close: () => {} });
      const adapted: TypeScript.CompilerOptions = {
        ...options,
        strict: true,
        // Module code is strict anyway; saying so again contradicts tslab's `noImplicitUseStrict`.
        alwaysStrict: false,
        inlineSourceMap: true,
        // tslab recognises an `await` outside of functions by the error that it makes, which misses `await (…)` and
        // `for await`; the compiler proper knows them all.
        disableTopLevelAwait: false,
        types: ['node'],
        typeRoots: [slashes(path.join(projectRoot, 'node_modules', '@types')), ...(options.typeRoots ?? [])],
        // The whole disk, so that a cell can import TypeScript from any folder.
        rootDir: slashes(path.parse(notes.cwd).root),
      };
      // Without the builder's state, which takes four fifths of a cell's compilation to say what depends on what.
      const host = ts.createWatchCompilerHost(rootFiles, adapted, system, ts.createAbstractBuilder, ...rest);
      const { setTimeout: startRebuild, clearTimeout: stopRebuild } = host;
      const own = notes;
      let afterCreate: ((builder: TypeScript.BuilderProgram) => void) | undefined;
      // tslab knows one timer, the one that rebuilds, and throws at any other.
      const others = new Set<NodeJS.Timeout>();
      host.setTimeout = (callback, ms, ...args) => {
        if (callback.name === 'updateProgramWithWatchStatus') return startRebuild!(callback, ms, ...args);
        const timer = setTimeout(callback, ms, ...args).unref();
        others.add(timer);
        return timer;
      };
      host.clearTimeout = (timer) => {
        if (others.delete(timer as NodeJS.Timeout)) clearTimeout(timer as NodeJS.Timeout);
        else stopRebuild!(timer);
      };
      Object.defineProperty(host, 'afterProgramCreate', {
        get: () => (builder: TypeScript.BuilderProgram) => {
          own.program = builder.getProgram();
          bindCell(ts, own.program, own.cwd);
          afterCreate?.(relocating(builder, own.cwd));
        },
        set: (callback: typeof afterCreate) => (afterCreate = callback),
      });
      return Object.assign(host, moduleResolution(ts, host, isOurs));
    },
    getPreEmitDiagnosticsOfFiles: (program: TypeScript.Program, files: readonly TypeScript.SourceFile[]) => {
      const all = (ts as unknown as WithFork).getPreEmitDiagnosticsOfFiles(program, files);
      notes.outside = all.filter(({ file }) => file !== undefined && isOutside(file.fileName, notes.cwd));
      return all;
    },
    transpileModule: (input: string, options: TypeScript.TranspileOptions) => {
      const { code, map: first } = splitInlineMap(input);
      const compilerOptions = { ...options.compilerOptions, sourceMap: true };
      const isCell = first?.sources.some((source) => source.endsWith('__tslab__.ts'));
      const before = isCell ? [liveNames(ts, (name) => notes.earlier.has(name))] : [];
      const result = ts.transpileModule(code, { ...options, compilerOptions, transformers: { before } });
      const outputText = result.outputText.replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, '\n');
      if (first && result.sourceMapText) {
        notes.compiled.push({ output: outputText, maps: [first, JSON.parse(result.sourceMapText)] });
      }
      return { ...result, outputText };
    },
  });
}

/** What tslab's fork of TypeScript exports beyond its declared types. */
interface WithFork {
  bindSourceFile(file: TypeScript.SourceFile, options: TypeScript.CompilerOptions): void;
  getPreEmitDiagnosticsOfFiles(
    program: TypeScript.Program,
    files: readonly TypeScript.SourceFile[],
  ): readonly TypeScript.Diagnostic[];
}

const outFolder = 'outDir/';

/** Stands for the disk's root in the paths of files outside of the notebook's folder. */
export const elsewhere: string = '@elsewhere/';

/**
 * With the whole disk as `rootDir`, TypeScript writes each file under its full path; tslab expects paths from the
 * notebook's folder. Files outside of it keep their full path under a folder of their own (compiler.ts reads it).
 */
function relocating(builder: TypeScript.BuilderProgram, cwd: string): TypeScript.BuilderProgram {
  const { root } = path.parse(cwd);
  const emit: TypeScript.BuilderProgram['emit'] = (file, write, ...rest) =>
    builder.emit(
      file,
      (name, ...content) => {
        const full = root + name.slice(outFolder.length);
        const relative = full.startsWith(`${cwd}/`)
          ? full.slice(cwd.length + 1)
          : elsewhere + full.slice(root.length);
        write?.(outFolder + relative, ...content);
      },
      ...rest,
    );
  const getAllDependencies = (file: TypeScript.SourceFile): string[] =>
    localDependencies(builder.getProgram(), file);
  return Object.assign(Object.create(builder) as TypeScript.BuilderProgram, { emit, getAllDependencies });
}

/** tslab reads the names that a cell declares, which its kind of builder had found by then. */
function bindCell(ts: typeof TypeScript, program: TypeScript.Program, cwd: string): void {
  for (const name of ['__tslab__.ts', '__prev__.d.ts']) {
    const file = program.getSourceFile(`${cwd}/${name}`);
    if (file) (ts as unknown as WithFork).bindSourceFile(file, program.getCompilerOptions());
  }
}

type Resolutions = {
  forEach(visit: (resolved: { resolvedFileName?: string } | undefined) => void): void;
};

/** A file, and the sources that it imports, directly or not; declarations and packages are left out. */
function localDependencies(program: TypeScript.Program, from: TypeScript.SourceFile): string[] {
  const found = new Set<string>();
  const visit = (file: TypeScript.SourceFile): void => {
    if (found.has(file.fileName)) return;
    found.add(file.fileName);
    const { resolvedModules } = file as unknown as { resolvedModules?: Resolutions };
    resolvedModules?.forEach((entry) => {
      const resolved = (entry as { resolvedModule?: typeof entry } | undefined)?.resolvedModule ?? entry;
      const next = resolved?.resolvedFileName ? program.getSourceFile(resolved.resolvedFileName) : undefined;
      if (next && !next.isDeclarationFile && !program.isSourceFileFromExternalLibrary(next)) visit(next);
    });
  };
  visit(from);
  return [...found];
}

function isOutside(file: string, cwd: string): boolean {
  return !file.startsWith(`${cwd}/`) && !file.includes('/node_modules/') && /(?<!\.d)\.tsx?$/.test(file);
}

function splitInlineMap(text: string): { code: string; map?: CompiledScript['maps'][0] } {
  const found = /\n?\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/.exec(text);
  if (!found) return { code: text };
  return {
    code: `${text.slice(0, found.index)}\n`,
    map: JSON.parse(Buffer.from(found[1]!, 'base64').toString('utf8')),
  };
}
