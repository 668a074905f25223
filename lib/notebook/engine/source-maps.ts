/**
 * From a place in what V8 ran back to the line that a person wrote: cells (two compilation steps and a wrapper), local
 * modules that cells import, and the library's own files.
 */
import fs from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';

/** A script and the maps of its two compilations: TypeScript to ES modules, ES modules to CommonJS. */
export interface CompiledScript {
  output: string;
  maps: [SourceMapPayload, SourceMapPayload];
}

/** A place in a source, lines and columns counted from 1. */
export interface SourcePlace {
  /** The file as a person knows it, or the cell's script name. */
  file: string;
  line: number;
  column: number;
  /** The whole source, where it is at hand. */
  source?: string;
  cell: boolean;
}

interface Script {
  name: string;
  payloads: CompiledScript['maps'];
  /** Parsed when an error asks for them. */
  maps?: [SourceMap, SourceMap];
  prefixLength: number;
  /** Lines of the compiled text: what follows them is the wrapper that calls the cell. */
  lines: number;
  source?: string;
  cell: boolean;
}

const syncWrapper = '(function(exports, require) { ';
const asyncWrapper = '(async function(exports, require) { ';
// Functions of older cells may still fail; those of so many executions ago lose their lines.
const keptCells = 500;
// tslab puts `export {};` and a newline before every cell's source.
const prefixLines = 1;

/** The source maps of one session. */
export class SourceMaps {
  private readonly scripts: Map<string, Script> = new Map();
  private readonly cells: string[] = [];
  private readonly libraryMaps: Map<string, SourceMap | undefined> = new Map();

  /** Tells, for a file of the library, the map of the code that runs: a later build or a reload may have left the disk's behind. */
  running: ((file: string) => { map: SourceMapPayload; name: string } | undefined) | undefined;

  constructor(private readonly root: string) {}

  addCell(name: string, script: CompiledScript, source: string, isAsync: boolean): void {
    const prefixLength = (isAsync ? asyncWrapper : syncWrapper).length;
    this.scripts.set(name, { ...describe(name, script), prefixLength, source, cell: true });
    this.cells.push(name);
    if (this.cells.length > keptCells) this.scripts.delete(this.cells.shift()!);
  }

  addModule(file: string, script: CompiledScript): void {
    const name = file.replace(/\.js$/, '.ts');
    this.scripts.set(file, describe(name, script));
  }

  /** Where line and column (from 1) of a running script were written; `undefined` for code that no one here wrote. */
  find(file: string, line: number, column: number): SourcePlace | undefined {
    const script = this.scripts.get(file);
    if (script) {
      if (line > script.lines) return undefined;
      const before = line === 1 ? script.prefixLength : 0;
      script.maps ??= [new SourceMap(script.payloads[0]), new SourceMap(script.payloads[1])];
      const middle = lookUp(script.maps[1], line, Math.max(1, column - before));
      const place = middle && lookUp(script.maps[0], middle.line, middle.column);
      if (!place) return undefined;
      const result = { file: script.name, line: place.line, column: place.column, cell: script.cell };
      if (!script.cell) return result;
      return { ...result, line: Math.max(1, place.line - prefixLines), source: script.source };
    }
    const running = this.running?.(file);
    if (running) {
      const place = lookUp(new SourceMap(running.map), line, column);
      return place && { file: `lib/${running.name}`, line: place.line, column: place.column, cell: false };
    }
    const dist = path.join(this.root, 'dist') + path.sep;
    if (!file.startsWith(dist)) return undefined;
    const place = this.libraryMap(file) && lookUp(this.libraryMap(file)!, line, column);
    if (!place) return undefined;
    const source = path.join('lib', path.relative(dist, file)).replace(/\.js$/, '.ts');
    return { file: source.replace(/\\/g, '/'), line: place.line, column: place.column, cell: false };
  }

  // Read only when an error needs them: Node's own source map support would parse the maps of every package loaded.
  private libraryMap(file: string): SourceMap | undefined {
    if (!this.libraryMaps.has(file)) {
      let map: SourceMap | undefined;
      try {
        map = new SourceMap(JSON.parse(fs.readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
      } catch {
        // Without its map a frame keeps the compiled file's line.
      }
      this.libraryMaps.set(file, map);
    }
    return this.libraryMaps.get(file);
  }
}

function describe(name: string, script: CompiledScript): Script {
  const lines = script.output.replace(/\n+$/, '').split('\n').length;
  return { name, payloads: script.maps, lines, prefixLength: 0, cell: false };
}

function lookUp(map: SourceMap, line: number, column: number): { line: number; column: number } | undefined {
  const entry = map.findEntry(line - 1, column - 1);
  if (!('originalLine' in entry) || entry.originalLine === undefined) return undefined;
  return { line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}
