/** What later cells know of the names of earlier ones, as the text of a declaration file. */
import type * as TypeScript from '@tslab/typescript-for-tslab';

/**
 * The declarations after a cell that ended early: those it brought, except of values in `missing`, which it never set; they
 * stay declared as they were before. Types are taken from the cell.
 */
export function mergeDeclarations(
  ts: typeof TypeScript,
  before: string,
  after: string,
  missing: ReadonlySet<string>,
): string {
  if (missing.size === 0) return after;
  const printer = ts.createPrinter({ newLine: ts.NewLineKind.LineFeed });
  const parse = (text: string): TypeScript.SourceFile =>
    ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true);
  const pick = (text: string, wanted: (name: string) => boolean): string[] => {
    const file = parse(text);
    return file.statements.flatMap((statement) => {
      const kept = keepNames(ts, statement, wanted);
      return kept ? [printer.printNode(ts.EmitHint.Unspecified, kept, file)] : [];
    });
  };
  const brought = pick(after, (name) => !missing.has(name));
  // What the new cell declares as a type only must not come twice.
  const old = pick(before, (name) => missing.has(name)).filter((text) => !brought.includes(text));
  return [...brought, ...old].join('\n') + '\n';
}

/** A statement reduced to the wanted names; `undefined` where it declares none of them. */
function keepNames(
  ts: typeof TypeScript,
  statement: TypeScript.Statement,
  wanted: (name: string) => boolean,
): TypeScript.Statement | undefined {
  if (ts.isVariableStatement(statement)) {
    const { declarationList: list } = statement;
    const declarations = list.declarations.filter((d) => ts.isIdentifier(d.name) && wanted(d.name.text));
    if (declarations.length === 0) return undefined;
    if (declarations.length === list.declarations.length) return statement;
    return ts.factory.createVariableStatement(
      statement.modifiers,
      ts.factory.createVariableDeclarationList(declarations, list.flags),
    );
  }
  if (ts.isImportDeclaration(statement)) return keepImports(ts, statement, wanted);
  const { name } = statement as TypeScript.Statement & { name?: TypeScript.Node };
  return name && ts.isIdentifier(name) && !wanted(name.text) ? undefined : statement;
}

function keepImports(
  ts: typeof TypeScript,
  statement: TypeScript.ImportDeclaration,
  wanted: (name: string) => boolean,
): TypeScript.ImportDeclaration | undefined {
  const { importClause: clause } = statement;
  if (!clause) return statement;
  const { factory } = ts;
  const name = clause.name && wanted(clause.name.text) ? clause.name : undefined;
  let bindings: TypeScript.NamedImportBindings | undefined = clause.namedBindings;
  if (bindings && ts.isNamedImports(bindings)) {
    const elements = bindings.elements.filter((element) => wanted(element.name.text));
    bindings = elements.length > 0 ? factory.updateNamedImports(bindings, elements) : undefined;
  } else if (bindings && !wanted(bindings.name.text)) {
    bindings = undefined;
  }
  if (!name && !bindings) return undefined;
  return factory.updateImportDeclaration(
    statement,
    statement.modifiers,
    factory.updateImportClause(clause, clause.isTypeOnly, name, bindings),
    statement.moduleSpecifier,
    statement.assertClause,
  );
}
