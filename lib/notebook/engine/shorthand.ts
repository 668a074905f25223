/** Mends a gap of tslab: `{ classes }` in a cell, where `classes` comes from an earlier cell. */
import type * as TypeScript from '@tslab/typescript-for-tslab';

/** What the binder leaves on every scope; not in the public types. */
type Scope = TypeScript.Node & { locals?: ReadonlyMap<string, unknown> };

/**
 * tslab turns names of earlier cells into properties of `exports`, but overlooks them where they stand in short for
 * `{ classes: classes }`. This transformer of a cell's JavaScript writes `{ classes: exports.classes }`.
 * @param isEarlier whether a name was declared by an earlier cell.
 */
export function expandShorthand(
  ts: typeof TypeScript,
  isEarlier: (name: string) => boolean,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => {
    const { factory } = context;
    const visit = (node: TypeScript.Node, scopes: readonly Scope[]): TypeScript.Node => {
      const inner = (node as Scope).locals ? [...scopes, node as Scope] : scopes;
      const visited = ts.visitEachChild(node, (child) => visit(child, inner), context);
      if (!ts.isShorthandPropertyAssignment(visited)) return visited;
      const name = visited.name.text;
      if (!isEarlier(name) || inner.some((scope) => scope.locals?.has(name))) return visited;
      const value = factory.createPropertyAccessExpression(factory.createIdentifier('exports'), name);
      // `({ a = 1 } = x)` assigns to the variable of the earlier cell.
      const initializer = visited.objectAssignmentInitializer
        ? factory.createAssignment(value, visited.objectAssignmentInitializer)
        : value;
      return ts.setTextRange(factory.createPropertyAssignment(visited.name.text, initializer), visited);
    };
    return (file) => visit(file, []) as TypeScript.SourceFile;
  };
}
