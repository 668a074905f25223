/**
 * Type-checks notebooks with the project's own compiler, in strict mode: a notebook's cells as one module, `detlab` being the
 * sources of lib. tslab checks too, but only when a cell runs, and with an older compiler.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { projectRoot } from '../../tensor/packages';
import { slashes } from '../engine/folders';
import type { NotebookDocument } from '../nbformat';

/** A mistake in a code cell. `cell` counts code cells from 1; line and column too, in the cell's own source. */
export interface CellProblem {
  notebook: string;
  cell: number;
  line: number;
  column: number;
  message: string;
}

interface CellText {
  notebook: string;
  cell: number;
  start: number;
  text: string;
}

/**
 * What is wrong with the types of these notebooks' code cells, promises that nothing waits for included. A name declared in
 * two cells counts as wrong: a reader who runs cells out of order would get the other one.
 */
export function checkNotebookTypes(
  notebooks: readonly { name: string; notebook: NotebookDocument }[],
): CellProblem[] {
  const ts = createRequire(__filename)('typescript') as typeof TypeScript;
  const modules = new Map<string, { text: string; cells: CellText[] }>();
  for (const { name, notebook } of notebooks) {
    modules.set(
      slashes(path.join(projectRoot, 'notebooks', `${name}.cells.ts`)),
      joinCells(ts, name, notebook),
    );
  }
  const options: TypeScript.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
    // Cells may await at the top level, which only ES modules can.
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [path.join(projectRoot, 'node_modules', '@types')],
    paths: { detlab: [path.join(projectRoot, 'lib', 'index.ts')] },
  };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (file) => modules.get(file)?.text ?? readFile(file);
  host.fileExists = (file) => modules.has(file) || fileExists(file);
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const module = modules.get(file);
    return module
      ? ts.createSourceFile(file, module.text, languageVersion, true)
      : getSourceFile(file, languageVersion, ...rest);
  };
  const program = ts.createProgram([...modules.keys()], options, host);
  const checker = program.getTypeChecker();
  const problems: CellProblem[] = [];
  for (const [file, { cells }] of modules) {
    const source = program.getSourceFile(file)!;
    for (const d of [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]) {
      problems.push(
        problemAt(
          cells,
          d.start ?? 0,
          `${ts.flattenDiagnosticMessageText(d.messageText, '\n')} (TS${d.code})`,
        ),
      );
    }
    for (const node of floatingPromises(ts, source, checker)) {
      const message =
        'Nothing waits for this promise, so its failure would be lost: `await` it, or mark it with `void`.';
      problems.push(problemAt(cells, node.getStart(source), message));
    }
  }
  return problems;
}

/** One line for people: `01-scratchdet cell [3], line 2:5: …`. */
export function formatProblem({ notebook, cell, line, column, message }: CellProblem): string {
  return `${notebook} cell [${cell}], line ${line}:${column}: ${message}`;
}

function joinCells(
  ts: typeof TypeScript,
  notebook: string,
  document: NotebookDocument,
): { text: string; cells: CellText[] } {
  const imported = new Set<string>();
  const cells: CellText[] = [];
  // A module even where nothing is imported.
  let text = 'export {};\n';
  let number = 0;
  for (const cell of document.cells) {
    if (cell.cell_type !== 'code') continue;
    const source = withoutRepeatedImports(ts, cell.source, imported);
    cells.push({ notebook, cell: ++number, start: text.length, text: cell.source });
    // A cell ends its statement, whatever the next one begins with.
    text += `${source}\n;\n`;
  }
  return { text, cells };
}

/** Cells may import again what an earlier cell imported; in one module that would be a conflict. Positions stay. */
function withoutRepeatedImports(ts: typeof TypeScript, source: string, imported: Set<string>): string {
  let text = source;
  const blank = (from: number, to: number): void => {
    text = text.slice(0, from) + text.slice(from, to).replace(/[^\n]/g, ' ') + text.slice(to);
  };
  const file = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ES2022, true);
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) || !statement.importClause) continue;
    const from = (statement.moduleSpecifier as TypeScript.StringLiteral).text;
    const { name, namedBindings } = statement.importClause;
    const isNew = (what: string): boolean => !imported.has(what) && Boolean(imported.add(what));
    const names = namedBindings && ts.isNamedImports(namedBindings) ? [...namedBindings.elements] : [];
    const repeated = names.filter(
      (n) => !isNew(`${from} ${n.propertyName?.text ?? n.name.text} ${n.name.text}`),
    );
    const others: string[] = name ? [`${from} default ${name.text}`] : [];
    if (namedBindings && ts.isNamespaceImport(namedBindings))
      others.push(`${from} * ${namedBindings.name.text}`);
    const newOthers = others.filter(isNew);
    if (repeated.length === names.length && newOthers.length === 0) {
      blank(statement.getStart(file), statement.end);
      continue;
    }
    for (const one of repeated) {
      const comma = /^\s*,/.exec(source.slice(one.end));
      blank(one.getStart(file), one.end + (comma?.[0].length ?? 0));
    }
  }
  return text;
}

function problemAt(cells: readonly CellText[], offset: number, message: string): CellProblem {
  const cell = cells.filter((c) => c.start <= offset).at(-1) ?? cells[0]!;
  const before = cell.text.slice(0, Math.max(0, offset - cell.start));
  const line = before.split('\n').length;
  return {
    notebook: cell.notebook,
    cell: cell.cell,
    line,
    column: before.length - before.lastIndexOf('\n'),
    message,
  };
}

/** Statements that are a promise, or a list of them, and do nothing with it. */
function floatingPromises(
  ts: typeof TypeScript,
  source: TypeScript.SourceFile,
  checker: TypeScript.TypeChecker,
): TypeScript.Node[] {
  const found: TypeScript.Node[] = [];
  const isPromise = (type: TypeScript.Type): boolean => {
    const parts = type.isUnion() ? type.types : [type];
    return parts.some((part) => {
      const then = part.getProperty('then');
      return then !== undefined && checker.getTypeOfSymbol(then).getCallSignatures().length > 0;
    });
  };
  const isHandled = (expression: TypeScript.Expression): boolean => {
    if (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) return true;
    if (ts.isBinaryExpression(expression)) {
      const kind = expression.operatorToken.kind;
      return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
    }
    if (!ts.isCallExpression(expression) || !ts.isPropertyAccessExpression(expression.expression))
      return false;
    const method = expression.expression.name.text;
    return (
      (method === 'catch' && expression.arguments.length > 0) ||
      (method === 'then' && expression.arguments.length > 1)
    );
  };
  const visit = (node: TypeScript.Node): void => {
    if (ts.isExpressionStatement(node) && !isHandled(node.expression)) {
      const type = checker.getTypeAtLocation(node.expression);
      const element = checker.isArrayType(type)
        ? checker.getTypeArguments(type as TypeScript.TypeReference)[0]
        : undefined;
      if (isPromise(type) || (element && isPromise(element))) found.push(node);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
