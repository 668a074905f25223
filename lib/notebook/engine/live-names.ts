/**
 * Gives the names of a cell one home. Compiled as a module, a cell would hold its variables twice: as its own, which its
 * functions see, and as properties of `exports`, which later cells see and change. Here every use is made a use of
 * `exports`: a function sees what a later cell assigned, and a helper that is declared again is the one that is called.
 */
import type * as TypeScript from '@tslab/typescript-for-tslab';

/** What the binder leaves on every scope; not in the public types. */
type Scope = TypeScript.Node & { locals?: ReadonlyMap<string, unknown> };

/**
 * A transformer of a cell's JavaScript, still with `import` and `export`. It also mends two gaps of tslab: it overlooks names of earlier
 * cells that stand in short for `{ name: name }`, and takes the `name` of a pattern `{ name: other }` for a variable where an earlier cell
 * declared that property.
 * @param isEarlier whether a name was declared by an earlier cell.
 */
export function liveNames(
  ts: typeof TypeScript,
  isEarlier: (name: string) => boolean,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => (file) => {
    const own = declaredNames(ts, file);
    const { factory } = context;
    const home = (name: string): TypeScript.PropertyAccessExpression =>
      factory.createPropertyAccessExpression(factory.createIdentifier('exports'), name);

    function visit(node: TypeScript.Node, scopes: readonly Scope[]): TypeScript.Node {
      const isHidden = (name: string): boolean => scopes.some((scope) => scope.locals?.has(name));
      const isOwn = (name: string): boolean => own.has(name) && !isHidden(name);
      if (ts.isExportDeclaration(node)) return node;
      if (ts.isShorthandPropertyAssignment(node)) {
        const name = node.name.text;
        if (!isOwn(name) && (!isEarlier(name) || isHidden(name))) return descend(node, scopes);
        const initial = node.objectAssignmentInitializer;
        // `({ a = 1 } = x)` assigns to the variable.
        const value = initial
          ? factory.createAssignment(home(name), visit(initial, scopes) as TypeScript.Expression)
          : home(name);
        return ts.setTextRange(factory.createPropertyAssignment(name, value), node);
      }
      if (ts.isObjectBindingPattern(node)) {
        // tslab wrote `{ exports.name: other }`, which the parser took for two elements.
        const elements = node.elements.filter((element, i) => {
          const next = node.elements[i + 1]?.propertyName;
          return !(isExports(element) && next && ts.isIdentifier(next));
        });
        return descend(factory.updateObjectBindingPattern(node, elements), scopes);
      }
      if (ts.isIdentifier(node) && isOwn(node.text) && isUse(ts, node)) {
        return ts.setTextRange(home(node.text), node);
      }
      return descend(node, scopes);
    }

    function isExports({ name, propertyName, initializer }: TypeScript.BindingElement): boolean {
      return !propertyName && !initializer && ts.isIdentifier(name) && name.text === 'exports';
    }

    function descend(node: TypeScript.Node, scopes: readonly Scope[]): TypeScript.Node {
      const inner = (node as Scope).locals ? [...scopes, node as Scope] : [...scopes];
      // Inside of itself a class goes on to be itself, whatever is declared later.
      if (ts.isClassDeclaration(node) && node.name) inner.push(onlyName(node, node.name.text));
      return ts.visitEachChild(node, (child) => visit(child, inner), context);
    }

    // Functions can be used above the line that declares them.
    const early: TypeScript.Statement[] = [];
    const statements = file.statements.map((statement) => {
      if (ts.isFunctionDeclaration(statement) && statement.name && own.has(statement.name.text)) {
        const { text } = statement.name;
        const assignment = factory.createAssignment(home(text), factory.createIdentifier(text));
        early.push(factory.createExpressionStatement(assignment));
      }
      const visited = visit(statement, []) as TypeScript.Statement;
      return ts.isVariableStatement(visited) ? initialized(ts, visited, factory) : visited;
    });
    return factory.updateSourceFile(file, [...early, ...statements]);
  };
}

function onlyName(node: TypeScript.Node, name: string): Scope {
  return Object.assign(Object.create(node) as Scope, { locals: new Map([[name, true]]) });
}

/** The names that a cell gives to later cells and declares itself, at its top level. */
function declaredNames(ts: typeof TypeScript, file: TypeScript.SourceFile): ReadonlySet<string> {
  const exported = new Set<string>();
  const declared = new Set<string>();
  const addBinding = (name: TypeScript.BindingName): void => {
    if (ts.isIdentifier(name)) declared.add(name.text);
    else for (const element of name.elements) if (ts.isBindingElement(element)) addBinding(element.name);
  };
  for (const statement of file.statements) {
    if (
      ts.isExportDeclaration(statement) &&
      statement.exportClause &&
      ts.isNamedExports(statement.exportClause)
    ) {
      for (const { name } of statement.exportClause.elements) exported.add(name.text);
    } else if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) addBinding(name);
    } else if ((ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name) {
      declared.add(statement.name.text);
    }
  }
  return new Set([...declared].filter((name) => exported.has(name)));
}

/** Whether an identifier stands for a value, and not for a declaration, a property or a label. */
function isUse(ts: typeof TypeScript, node: TypeScript.Identifier): boolean {
  const { parent } = node;
  if (!parent) return false;
  if (ts.isPropertyAccessExpression(parent)) return parent.name !== node;
  if (ts.isPropertyAssignment(parent)) return parent.name !== node;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  if (ts.isVariableDeclaration(parent) || ts.isParameter(parent)) return parent.initializer === node;
  if (ts.isPropertyDeclaration(parent)) return parent.initializer === node;
  if (ts.isLabeledStatement(parent) || ts.isBreakOrContinueStatement(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isImportClause(parent) || ts.isNamespaceImport(parent)) return false;
  if (ts.isExportSpecifier(parent) || ts.isMetaProperty(parent)) return false;
  const isNamed =
    ts.isFunctionLike(parent) ||
    ts.isClassLike(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isAccessor(parent);
  return !(isNamed && (parent as { name?: TypeScript.Node }).name === node);
}

/** `let a;` makes a new variable, not one with the value that an earlier cell's `a` had. */
function initialized(
  ts: typeof TypeScript,
  statement: TypeScript.VariableStatement,
  factory: TypeScript.NodeFactory,
): TypeScript.VariableStatement {
  const { declarationList: list } = statement;
  if (list.declarations.every((d) => d.initializer)) return statement;
  const declarations = list.declarations.map((d) =>
    d.initializer || !ts.isIdentifier(d.name)
      ? d
      : factory.updateVariableDeclaration(d, d.name, undefined, undefined, factory.createVoidZero()),
  );
  return factory.updateVariableStatement(
    statement,
    statement.modifiers,
    factory.updateVariableDeclarationList(list, declarations),
  );
}
