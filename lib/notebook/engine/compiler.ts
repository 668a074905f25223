/** From a cell's source to JavaScript that V8 runs, by tslab's converter. */
import path from 'node:path';
import type { Converter, ConvertResult } from 'tslab/dist/converter';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { projectRoot } from '../../tensor/packages';
import { SourceMaps } from './source-maps';
import { mergeDeclarations } from './declarations';
import { slashes } from './folders';
import { elsewhere, loadTslab, newNotes, type Notes, refreshFiles, workFor } from './typescript';

/** What is wrong with a cell, as the compiler says it. */
export type Diagnostics = ConvertResult['diagnostics'];

/** A cell after its conversion: JavaScript to run, or the reasons why it must not run. */
export interface ConvertedCell {
  diagnostics: Diagnostics;
  output?: string;
  /** The declarations that later cells see; to be handed back once the cell ran. */
  declarations: string;
  isAsync: boolean;
  /** The name under which the code leaves the last expression's value. */
  lastExpression?: string;
  /** Local modules that the cell imports, as CommonJS, by the path that a `.js` file beside each would have. */
  modules: { file: string; code: string }[];
}

/** What the language service sees of a cell that is looked at. */
export interface ProgramView {
  ts: typeof TypeScript;
  program: TypeScript.Program;
  source: TypeScript.SourceFile;
  /** Characters that tslab puts before the cell's own. */
  prefixLength: number;
}

/** One notebook's compiler. */
export interface Compiler {
  /** @param script the name that V8 will know the code by. @param earlier names that earlier cells declared. */
  convert(declarations: string, source: string, script: string, earlier: ReadonlySet<string>): ConvertedCell;
  /** Registers a cell that is a module of its own (`/** @module name *​/`). */
  addModule(name: string, source: string, jsx: boolean): Diagnostics;
  /** The declarations after a cell that ended early: its own, but those of `missing` names as they were before. */
  merge(before: string, after: string, missing: ReadonlySet<string>): string;
  /** Looks at a cell as the next one, without compiling it: for completion and inspection. */
  look(declarations: string, source: string): ProgramView;
  ts: typeof TypeScript;
  maps: SourceMaps;
  /** Makes changed declarations of the library known. */
  invalidateTypes(files: readonly string[]): void;
  close(): void;
}

/** A compiler whose relative imports start from `cwd`. */
export function createCompiler(cwd: string): Compiler {
  const tslab = loadTslab();
  const own = newNotes(cwd);
  const maps = new SourceMaps(projectRoot);
  const make = (): Converter => {
    workFor(own);
    own.watched.clear();
    return tslab.createConverter();
  };
  let converter = make();

  /** A compilation that was stopped half-way leaves tslab's converter unusable: then a new one does the work. */
  function ask<T>(work: (converter: Converter) => T): T {
    workFor(own);
    refreshFiles(own.watched);
    try {
      return work(converter);
    } catch {
      try {
        converter.close();
      } catch {
        // What is broken may not close either.
      }
      converter = make();
      return work(converter);
    }
  }

  return {
    maps,
    convert(declarations, source, script, earlier) {
      own.earlier = earlier;
      const result = ask((converter) => {
        own.compiled = [];
        own.outside = [];
        return converter.convert(declarations, withoutExports(tslab.ts, source));
      });
      const scripts = own.compiled;
      own.compiled = [];
      const modules = (result.sideOutputs ?? []).map(({ path: file, data }) => {
        const place = sideOutputPlace(file, cwd);
        const compiled = scripts.find((s) => s.output === data);
        if (compiled) maps.addModule(place, compiled);
        return { file: place, code: data };
      });
      const compiled = scripts.find((s) => s.output === result.output);
      const file = own.program?.getSourceFile(`${own.cwd}/__tslab__.ts`);
      const isAsync = file !== undefined && awaits(tslab.ts, file);
      if (compiled && result.output) maps.addCell(script, compiled, source, isAsync);
      return {
        diagnostics: [...result.diagnostics, ...outsideDiagnostics(tslab.ts, own)],
        output: result.output || undefined,
        declarations: result.declOutput ?? '',
        isAsync,
        lastExpression: result.lastExpressionVar,
        modules,
      };
    },
    addModule: (name, source, jsx) =>
      ask((converter) => converter.addModule(name, source, { mode: 'node', jsx } as never)),
    merge: (before, after, missing) => mergeDeclarations(tslab.ts, before, after, missing),
    look(declarations, source) {
      ask((converter) =>
        converter.inspect(declarations, withoutExports(tslab.ts, source), -cellPrefix.length),
      );
      const file = own.program?.getSourceFile(`${own.cwd}/__tslab__.ts`);
      if (!own.program || !file) throw new Error('the compiler did not read the cell');
      return { ts: tslab.ts, program: own.program, source: file, prefixLength: cellPrefix.length };
    },
    ts: tslab.ts,
    invalidateTypes(files) {
      for (const file of files) {
        const place = slashes(file);
        own.watched.get(place)?.callback(place, tslab.ts.FileWatcherEventKind.Changed);
      }
    },
    close: () => converter.close(),
  };
}

/** All names of a cell are exported; an `export` before one, as in code pasted from a file, is blanked out. */
function withoutExports(ts: typeof TypeScript, source: string): string {
  if (!/\bexport\b/.test(source)) return source;
  let text = source;
  const file = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.Latest, true);
  for (const statement of file.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) continue;
    const found = modifiers.find(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (found) text = text.slice(0, found.getStart()) + '      ' + text.slice(found.end);
  }
  return text;
}

/** Whether there is an `await` outside of functions. */
function awaits(ts: typeof TypeScript, node: TypeScript.Node): boolean {
  if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) return true;
  if (ts.isFunctionLike(node) || ts.isClassStaticBlockDeclaration(node)) return false;
  return ts.forEachChild(node, (child) => awaits(ts, child)) === true;
}

/** What tslab puts before every cell's source. */
const cellPrefix: string = 'export {};\n';

function sideOutputPlace(file: string, cwd: string): string {
  const marker = `${slashes(cwd)}/${elsewhere}`;
  const place = slashes(file);
  return place.startsWith(marker) ? path.parse(cwd).root + place.slice(marker.length) : file;
}

function outsideDiagnostics(ts: typeof TypeScript, { outside, cwd }: Notes): Diagnostics {
  return outside.map((d) => {
    const place = (offset: number): Diagnostics[number]['start'] => ({
      offset,
      ...d.file!.getLineAndCharacterOfPosition(offset),
    });
    return {
      start: place(d.start ?? 0),
      end: place((d.start ?? 0) + (d.length ?? 0)),
      messageText: ts.flattenDiagnosticMessageText(d.messageText, '\n'),
      category: d.category,
      code: d.code,
      fileName: path.relative(cwd, d.file!.fileName).replace(/\\/g, '/'),
    };
  });
}
