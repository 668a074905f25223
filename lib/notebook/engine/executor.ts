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
      const { code, names: declared } = runnable(cell.output);
      const missing = watchNames(locals, declared);
      const keep = (lacking: ReadonlySet<string>): void => {
        declarations = compiler.merge(declarations, cell.declarations, lacking);
      };
      stopped = () => keep(missing());
      try {
        // A function, so that a later cell can declare a name again.
        const head = cell.isAsync ? '(async function(exports, require) { ' : '(function(exports, require) { ';
        const run = vm.runInThisContext(`${head}${code}\n})`, { filename: script }) as CellFunction;
        const done = run.call(undefined, locals, require);
        if (cell.isAsync) await Promise.race([done, stop]);
      } catch (value) {
        keep(missing());
        return { thrown: { value } };
      }
      keep(new Set());
      if (!cell.lastExpression) return { value: undefined };
      const value = locals[cell.lastExpression];
      // Not deleted: V8 makes the properties of an object slow that loses one.
      locals[cell.lastExpression] = undefined;
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

/** A cell's compiled code, and the names that it declares. */
interface RunnableCode {
  code: string;
  names: string[];
}

/**
 * Compiled code begins by setting its exports to undefined; and it defines imported names as read-only. In a notebook what
 * an earlier cell declared stays until the new cell gives it a value, and the next cell may give any name anew. Lines are
 * emptied or changed in place: the source maps hold.
 */
function runnable(output: string): RunnableCode {
  const names = new Set<string>();
  const code = output
    .replace(/^Object\.defineProperty\(exports, "__esModule", \{ value: true \}\);$/m, '')
    .replace(/^(?:exports\.[^\s.=]+ = )+void 0;$/gm, (line) => {
      for (const [, name] of line.matchAll(/exports\.([^\s.=]+) = /g)) names.add(name!);
      return '';
    })
    .replace(
      /^Object\.defineProperty\(exports, "([^"]+)", \{ enumerable: true, get: function \(\) \{ return (.+?); \} \}\);$/gm,
      (_line, name: string, value: string) => {
        names.add(name);
        return `exports.${name} = ${value};`;
      },
    );
  return { code, names: [...names] };
}

/** Notes the values that names have. Tells later which of them have not been given another. */
function watchNames(locals: Record<string, unknown>, names: readonly string[]): () => Set<string> {
  const before = new Map(
    names.filter((name) => Object.hasOwn(locals, name)).map((name) => [name, locals[name]]),
  );
  return () =>
    new Set(
      names.filter((name) =>
        before.has(name) ? locals[name] === before.get(name) : !Object.hasOwn(locals, name),
      ),
    );
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
