/**
 * Remembers what this process loaded of the compiled library: the text that runs, which the next build may replace on disk,
 * its source map, and a way into the module's scope.
 */
import fs from 'node:fs';
import Module, { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';

/** Evaluates an expression among the names of a module. */
export type Scope = (code: string) => unknown;

/** A module of dist as it runs. */
export interface LoadedModule {
  /** The compiled file. */
  readonly file: string;
  /** The source as people know it: `boxes/nms.ts`. */
  readonly name: string;
  /** The JavaScript that runs. */
  text: string;
  map: string | undefined;
  /** `undefined` for what was loaded before the recording began. */
  scope: Scope | undefined;
  /** How often it was swapped. */
  generation: number;
  /** Modules that it needs at load have lower numbers. */
  readonly order: number;
  /** The source maps of all its generations, the first one's at 0. */
  readonly maps: (string | undefined)[];
}

type Compile = (this: Module, text: string, file: string, ...rest: unknown[]) => unknown;
const loader = Module as unknown as { prototype: { _compile: Compile }; _cache: Record<string, Module> };

/** What a module exports. */
export type Exports = Record<string, unknown>;

/** The exports object of a loaded module: the one that everybody who required it holds. */
export function exportsOf(file: string): Exports {
  return loader._cache[file].exports as Exports;
}

const scopeSymbol = Symbol.for('detlab.scope');
type WithScope = { [scopeSymbol]?: (file: string, scope: Scope) => void };

/**
 * Appended to every module. A function that holds an `eval` sees all names of the module, its state among them, at no cost
 * in speed that could be measured; nothing else does. `arguments` keeps the function from adding a name of its own.
 */
export const scopeTail: string =
  '\n;globalThis[Symbol.for("detlab.scope")]?.(__filename, function () { return eval(arguments[0]); });';

const records = new Map<string, LoadRecord>();

/**
 * Starts to record what is loaded from `root`/dist; further calls return the same record. To be called before the library
 * is loaded: modules that were loaded earlier are known, but can't be swapped.
 */
export function recordLoads(root: string): LoadRecord {
  let record = records.get(root);
  if (!record) {
    if (records.size === 0) hookLoader();
    record = new LoadRecord(root);
    records.set(root, record);
  }
  return record;
}

function hookLoader(): void {
  const original = loader.prototype._compile;
  const recordOf = (file: string): LoadRecord | undefined =>
    [...records.values()].find((record) => file.startsWith(record.dist));
  loader.prototype._compile = function compile(text, file, ...rest) {
    const record = recordOf(file);
    if (!record) return original.call(this, text, file, ...rest);
    const map = record.readMap(file);
    const result = original.call(this, text + scopeTail, file, ...rest);
    record.add(file, text, map);
    return result;
  };
  (globalThis as WithScope)[scopeSymbol] = (file, scope) => recordOf(file)?.offer(file, scope);
}

/** What was loaded of one project's dist. */
export class LoadRecord {
  /** By compiled file. */
  readonly modules: Map<string, LoadedModule> = new Map();
  /** The folder of compiled files, with the separator at its end. */
  readonly dist: string;
  private readonly scopes: Map<string, Scope> = new Map();

  constructor(readonly root: string) {
    this.dist = path.join(root, 'dist') + path.sep;
    for (const [file, { loaded }] of Object.entries(loader._cache)) {
      if (!file.startsWith(this.dist) || !loaded || !file.endsWith('.js')) continue;
      this.add(file, fs.readFileSync(file, 'utf8'), this.readMap(file));
    }
  }

  /** Records a module whose code has run to its end. */
  add(file: string, text: string, map: string | undefined): void {
    const name = sourceName(this.dist, file);
    const order = this.modules.size;
    const scope = this.takeScope(file);
    this.modules.set(file, { file, name, text, map, scope, generation: 0, order, maps: [map] });
  }

  /** Called by code of a module when it has run to its end. */
  offer(file: string, scope: Scope): void {
    this.scopes.set(file, scope);
  }

  /** The scope that the module's code offered since the last call. */
  takeScope(file: string): Scope | undefined {
    const scope = this.scopes.get(file);
    this.scopes.delete(file);
    return scope;
  }

  /** The map beside a compiled file. Read with it: once another process builds, the old map is nowhere else. */
  readMap(file: string): string | undefined {
    try {
      return fs.readFileSync(`${file}.map`, 'utf8');
    } catch {
      return undefined;
    }
  }

  /** The name under which V8 knows the code of a generation. */
  scriptName(file: string, generation: number): string {
    return generation === 0 ? file : `${file}?${generation}`;
  }

  /** Whether a script of a stack trace is the library's, and the map of the text that it ran. */
  sourceMap(script: string): { name: string; map: SourceMapPayload } | undefined {
    const [, file, generation] = /^(.*?)(?:\?(\d+))?$/.exec(script)!;
    const loaded = this.modules.get(file);
    const map = loaded?.maps[Number(generation ?? 0)];
    return loaded && map !== undefined
      ? { name: loaded.name, map: JSON.parse(map) as SourceMapPayload }
      : undefined;
  }
}

/** The source of a compiled file as people know it: `boxes/nms.ts`. */
export function sourceName(dist: string, file: string): string {
  return path.relative(dist, file).split(path.sep).join('/').replace(/\.js$/, '.ts');
}

/** Where in its source (line and column from 1) a place of compiled text lies. */
export function placeInSource(
  map: string | undefined,
  line: number,
  column: number,
): { line: number; column: number } | undefined {
  if (map === undefined) return undefined;
  const entry = new SourceMap(JSON.parse(map) as SourceMapPayload).findEntry(line - 1, column - 1);
  if (!('originalLine' in entry) || entry.originalLine === undefined) return undefined;
  return { line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}
