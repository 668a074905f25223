/** Runs cells one after another in one scope: each sees the names that those before it declared. */
import path from 'node:path';
import vm from 'node:vm';
import { type Compiler, createCompiler, type Diagnostics } from './compiler';
import { CellModules } from './modules';
import type { Language } from './services';

/** What became of a cell. A cell that was not run, for what the compiler found, has diagnostics. */
export type Executed =
  | { diagnostics: Diagnostics }
  | { thrown: { value: unknown } }
  /** `value` is the last expression's, `undefined` without one. */
  | { value: unknown };

/** The cells' compiler and their scope. */
export interface Executor {
  compiler: Compiler;
  /** The names that cells declared, with their values. */
  locals: Record<string, unknown>;
  /**
   * Runs a cell; rejects only with what `stop` rejects with.
   * @param script the name that V8 will know the code by.
   * @param stop ends the waiting for a cell that awaits.
   */
  execute(source: string, script: string, stop: Promise<never>): Promise<Executed>;
  /** To be called where a cell's code was ended from outside: takes over the names that it declared so far. */
  stopped(): void;
  /** The language service on a cell as the next one. */
  language: Language;
  close(): void;
}

/** @param onCompile is told when the compiler starts and ends: it must not be stopped half-way. */
export function createExecutor(cwd: string, onCompile: (busy: boolean) => void): Executor {
  const compiler = createCompiler(cwd);
  const modules = new CellModules(path.resolve(cwd));
  const locals: Record<string, unknown> = {};
  const require = modules.requireFrom();
  let declarations = '';
  let stopped: (() => void) | undefined;

  function compile<T>(work: () => T): T {
    onCompile(true);
    try {
      return work();
    } finally {
      onCompile(false);
    }
  }

  return {
    compiler,
    locals,
    async execute(source, script, stop) {
      const directive = moduleDirective(source);
      if (directive) {
        const diagnostics = compile(() => compiler.addModule(directive.name, source, directive.jsx));
        return diagnostics.length > 0 ? { diagnostics } : { value: undefined };
      }
      const names = new Set(Object.keys(locals));
      const cell = compile(() => compiler.convert(declarations, source, script, names));
      modules.update(cell.modules);
      if (cell.diagnostics.length > 0) return { diagnostics: cell.diagnostics };
      if (!cell.output) {
        declarations = cell.declarations;
        return { value: undefined };
      }
      for (const { file, code } of cell.modules) await modules.prepare(code, path.dirname(file));
      await modules.prepare(cell.output);
      const scope = cellScope(locals);
      const keep = (missing: ReadonlySet<string>): void => {
        declarations = compiler.merge(declarations, cell.declarations, missing);
        if (missing.size === 0) for (const name of scope.missing()) locals[name] = undefined;
      };
      stopped = () => keep(scope.missing());
      try {
        // A function, so that a later cell can declare a name again.
        const head = cell.isAsync ? '(async function(exports, require) { ' : '(function(exports, require) { ';
        const run = vm.runInThisContext(`${head}${cell.output}\n})`, { filename: script }) as CellFunction;
        const done = run.call(undefined, scope.exports, require);
        if (cell.isAsync) await Promise.race([done, stop]);
      } catch (value) {
        keep(scope.missing());
        return { thrown: { value } };
      }
      keep(new Set());
      if (!cell.lastExpression) return { value: undefined };
      const value = locals[cell.lastExpression];
      delete locals[cell.lastExpression];
      return { value };
    },
    stopped: () => stopped?.(),
    language: {
      ts: compiler.ts,
      cwd: path.resolve(cwd),
      look: (source) => compile(() => compiler.look(declarations, source)),
    },
    close: () => compiler.close(),
  };
}

type CellFunction = (exports: object, require: (id: string) => unknown) => unknown;

/** The `exports` of one cell. */
interface CellScope {
  exports: object;
  /** Names that the cell declares and has not given a value. */
  missing(): Set<string>;
}

/**
 * Compiled code writes a cell's names as properties of `exports`: first all of them as undefined, then each as its statement
 * runs. The first is held back, so that a cell that fails half-way leaves alone what it did not reach.
 */
function cellScope(locals: Record<string, unknown>): CellScope {
  const declared = new Set<string>();
  const given = new Set<string>();
  function set(name: string | symbol, value: unknown): true {
    if (name === '__esModule') return true;
    if (typeof name === 'string') {
      declared.add(name);
      if (value === undefined && !given.has(name)) return true;
      given.add(name);
    }
    locals[name as string] = value;
    return true;
  }
  const exports = new Proxy(locals, {
    set: (_target, name, value) => set(name, value),
    // Imported names are defined as read-only; in a notebook the next cell may give the name anew.
    defineProperty: (_target, name, { get, value }) =>
      set(name, get ? (get as () => unknown)() : (value as unknown)),
  });
  return { exports, missing: () => new Set([...declared].filter((name) => !given.has(name))) };
}

/** tslab's way to write a module in a cell: a comment with `@module name` before the code. */
function moduleDirective(source: string): { name: string; jsx: boolean } | undefined {
  const comments = /^(?:\s|\/\/.*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(source)?.[0] ?? '';
  for (const [comment] of comments.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const name = /@module\s+([\w./-]+)/.exec(comment)?.[1];
    if (name) return { name, jsx: /@jsx\b/.test(comment) };
  }
  return undefined;
}
