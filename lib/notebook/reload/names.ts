/**
 * Which of a module's names a piece of its JavaScript reads and writes, and when: as the module loads, or later, when a
 * function is called. Works on what TypeScript emits for CommonJS: exports are written `exports.name`, imports
 * `module_1.name`.
 */
import type * as TypeScript from 'typescript';
import type { Ts } from './compile';

/** A use of a name of the module (`nms`, or `exports.nms`), or, with `from`, of a module that it requires. */
export interface Reference {
  readonly name: string;
  /** As it stands in `require`. The name is then an export, or `*` where the whole module is used as a value. */
  readonly from?: string;
  /** Read as the module loads, not in the body of a function. */
  readonly immediate: boolean;
  /** Read when a class makes an instance: in its constructor or in a field's initial value. */
  readonly construction: boolean;
  readonly position: number;
}

/** A change of what a name holds, or of an object that it refers to. */
export interface Write {
  readonly name: string;
  readonly from?: string;
  /** Whether it only counts: `n++`, `n += 1`. */
  readonly counts: boolean;
  readonly position: number;
}

/** What a piece of code does with names. */
export interface Names {
  references: Reference[];
  writes: Write[];
  /** Names that neither the module nor the code declares. */
  free: { name: string; position: number }[];
  /** Whether code that may do anything is called as the module loads. */
  calls: boolean;
}

/** The names of a module's outermost scope; for those of imports, what they require. */
export interface OuterNames {
  declared: ReadonlySet<string>;
  imports: ReadonlyMap<string, string>;
}

interface When {
  deferred: boolean;
  construction: boolean;
}

type Node = TypeScript.Node;

const mutators = new Set(
  'set add delete clear push pop shift unshift splice sort reverse fill copyWithin append register'.split(
    ' ',
  ),
);
const objectMutators = new Set(['assign', 'defineProperty', 'defineProperties', 'setPrototypeOf']);

/** Finds the names of one statement or expression of a module's outermost scope. */
export function findNames(ts: Ts, root: Node, outer: OuterNames): Names {
  const names: Names = { references: [], writes: [], free: [], calls: false };
  const scopes: Set<string>[] = [];
  const isLocal = (name: string): boolean => scopes.some((scope) => scope.has(name));

  function within(scope: Set<string>, work: () => void): void {
    scopes.push(scope);
    work();
    scopes.pop();
  }

  function visit(node: Node, when: When): void {
    if (ts.isFunctionLike(node)) return visitFunction(node as TypeScript.FunctionLikeDeclaration, when);
    if (ts.isClassLike(node)) return visitClass(node, when);
    if (ts.isIdentifier(node)) return visitIdentifier(node, when);
    if (
      ts.isCallExpression(node) ||
      ts.isNewExpression(node) ||
      ts.isTaggedTemplateExpression(node) ||
      ts.isAwaitExpression(node)
    ) {
      if (!when.deferred) names.calls = true;
    }
    if (ts.isCallExpression(node)) visitCall(node, when);
    else if (ts.isBinaryExpression(node) && isAssignment(ts, node)) {
      const by = node.operatorToken.kind;
      const adds = by === ts.SyntaxKind.PlusEqualsToken || by === ts.SyntaxKind.MinusEqualsToken;
      write(node.left, adds && ts.isNumericLiteral(node.right));
    } else if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
      const by = node.operator;
      if (by === ts.SyntaxKind.PlusPlusToken || by === ts.SyntaxKind.MinusMinusToken)
        write(node.operand, true);
    } else if (ts.isDeleteExpression(node)) write(node.expression, false);
    else if ((ts.isForOfStatement(node) || ts.isForInStatement(node)) && ts.isExpression(node.initializer)) {
      write(node.initializer, false);
    }
    const scope = blockScope(ts, node);
    const children = (): void => ts.forEachChild(node, (child) => visit(child, when));
    if (scope.size > 0) within(scope, children);
    else children();
  }

  function visitFunction(node: TypeScript.FunctionLikeDeclaration, when: When): void {
    if (node.name && ts.isComputedPropertyName(node.name)) visit(node.name.expression, when);
    const scope = new Set<string>();
    if (ts.isFunctionExpression(node) && node.name) scope.add(node.name.text);
    if (!ts.isArrowFunction(node)) scope.add('arguments');
    for (const parameter of node.parameters) bindingNames(ts, parameter.name, scope);
    const { body } = node;
    if (body && ts.isBlock(body)) {
      functionVariables(ts, body, scope);
      lexicalNames(ts, body.statements, scope);
    }
    const construction = when.construction || (ts.isConstructorDeclaration(node) && node.parent === root);
    const inner = { deferred: when.deferred || !isCalledInPlace(ts, node), construction };
    within(scope, () => {
      for (const parameter of node.parameters) visit(parameter, inner);
      if (body) visit(body, inner);
    });
  }

  function visitClass(node: TypeScript.ClassLikeDeclaration, when: When): void {
    within(new Set(node.name && node !== root ? [node.name.text] : []), () => {
      for (const clause of node.heritageClauses ?? []) visit(clause, when);
      for (const member of node.members) {
        if (!ts.isPropertyDeclaration(member)) {
          visit(member, when);
          continue;
        }
        if (ts.isComputedPropertyName(member.name)) visit(member.name.expression, when);
        const construction = when.construction || node === root;
        if (!member.initializer) continue;
        visit(member.initializer, isStatic(ts, member) ? when : { deferred: true, construction });
      }
    });
  }

  function visitIdentifier(node: TypeScript.Identifier, when: When): void {
    if (!isUse(ts, node) || isLocal(node.text)) return;
    const { parent } = node;
    const property =
      ts.isPropertyAccessExpression(parent) && parent.expression === node ? parent.name.text : '*';
    const position = node.getStart();
    const use = { immediate: !when.deferred, construction: when.construction, position };
    const from = outer.imports.get(node.text);
    if (node.text === 'exports') names.references.push({ name: `exports.${property}`, ...use });
    else if (outer.declared.has(node.text)) {
      names.references.push({ name: node.text, ...use });
      if (from !== undefined) names.references.push({ name: property, from, ...use });
    } else if (!ts.isTypeOfExpression(parent)) names.free.push({ name: node.text, position });
  }

  function visitCall(node: TypeScript.CallExpression, when: When): void {
    const { expression: callee } = node;
    const [first] = node.arguments;
    if (ts.isIdentifier(callee) && callee.text === 'require' && first && ts.isStringLiteral(first)) {
      const position = node.getStart();
      const use = { immediate: !when.deferred, construction: when.construction, position };
      names.references.push({ name: '*', from: first.text, ...use });
    }
    if (!ts.isPropertyAccessExpression(callee)) return;
    if (mutators.has(callee.name.text)) write(callee.expression, false);
    const object = callee.expression;
    if (
      ts.isIdentifier(object) &&
      object.text === 'Object' &&
      objectMutators.has(callee.name.text) &&
      first
    ) {
      write(first, false);
    }
  }

  function write(target: TypeScript.Expression, counts: boolean): void {
    if (ts.isArrayLiteralExpression(target)) {
      for (const element of target.elements)
        write(ts.isSpreadElement(element) ? element.expression : element, false);
      return;
    }
    if (ts.isObjectLiteralExpression(target)) {
      for (const property of target.properties) {
        if (ts.isShorthandPropertyAssignment(property)) write(property.name, false);
        else if (ts.isPropertyAssignment(property)) write(property.initializer, false);
        else if (ts.isSpreadAssignment(property)) write(property.expression, false);
      }
      return;
    }
    let at: TypeScript.Expression = target;
    let property: string | undefined;
    while (
      ts.isPropertyAccessExpression(at) ||
      ts.isElementAccessExpression(at) ||
      ts.isParenthesizedExpression(at) ||
      (ts.isBinaryExpression(at) && isAssignment(ts, at))
    ) {
      if (ts.isPropertyAccessExpression(at)) property = at.name.text;
      else if (ts.isElementAccessExpression(at)) property = undefined;
      at = ts.isBinaryExpression(at) ? at.left : at.expression;
    }
    if (!ts.isIdentifier(at) || isLocal(at.text)) return;
    const position = at.getStart();
    const from = outer.imports.get(at.text);
    if (at.text === 'exports') names.writes.push({ name: `exports.${property ?? '*'}`, counts, position });
    else if (from !== undefined) names.writes.push({ name: property ?? '*', from, counts, position });
    else if (outer.declared.has(at.text)) names.writes.push({ name: at.text, counts, position });
  }

  visit(root, { deferred: false, construction: false });
  return names;
}

function isAssignment(ts: Ts, node: TypeScript.BinaryExpression): boolean {
  const by = node.operatorToken.kind;
  return by >= ts.SyntaxKind.FirstAssignment && by <= ts.SyntaxKind.LastAssignment;
}

/** Whether a class's member belongs to the class itself. */
export function isStatic(ts: Ts, member: Node): boolean {
  return (
    ts.canHaveModifiers(member) &&
    (ts.getModifiers(member) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.StaticKeyword)
  );
}

/** `(function () { … })()` */
function isCalledInPlace(ts: Ts, node: Node): boolean {
  let outside: Node = node;
  while (ts.isParenthesizedExpression(outside.parent)) outside = outside.parent;
  return ts.isCallExpression(outside.parent) && outside.parent.expression === outside;
}

/** Whether an identifier stands for a variable, and isn't a property's name, a label or a declaration. */
function isUse(ts: Ts, node: TypeScript.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isLabeledStatement(parent) || ts.isBreakOrContinueStatement(parent) || ts.isMetaProperty(parent))
    return false;
  const named = parent as Node & { name?: Node };
  return named.name !== node;
}

/** The names that a pattern of a declaration declares. */
export function bindingNames(ts: Ts, name: TypeScript.BindingName, into: Set<string>): void {
  if (ts.isIdentifier(name)) into.add(name.text);
  else for (const e of name.elements) if (ts.isBindingElement(e)) bindingNames(ts, e.name, into);
}

function lexicalNames(ts: Ts, statements: Iterable<Node>, into: Set<string>): void {
  for (const statement of statements) {
    if (ts.isVariableStatement(statement)) {
      for (const d of statement.declarationList.declarations) bindingNames(ts, d.name, into);
    } else if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (statement.name) into.add(statement.name.text);
    }
  }
}

/** What `var` declares anywhere in a function. */
function functionVariables(ts: Ts, node: Node, into: Set<string>): void {
  ts.forEachChild(node, (child) => {
    if (ts.isFunctionLike(child) || ts.isClassLike(child)) return;
    if (ts.isVariableDeclarationList(child) && !(child.flags & ts.NodeFlags.BlockScoped)) {
      for (const d of child.declarations) bindingNames(ts, d.name, into);
    }
    functionVariables(ts, child, into);
  });
}

function blockScope(ts: Ts, node: Node): Set<string> {
  const scope = new Set<string>();
  if (ts.isBlock(node)) lexicalNames(ts, node.statements, scope);
  else if (ts.isCaseBlock(node)) for (const c of node.clauses) lexicalNames(ts, c.statements, scope);
  else if (ts.isForStatement(node) || ts.isForOfStatement(node) || ts.isForInStatement(node)) {
    const { initializer } = node;
    if (initializer && ts.isVariableDeclarationList(initializer)) {
      for (const d of initializer.declarations) bindingNames(ts, d.name, scope);
    }
  } else if (ts.isCatchClause(node) && node.variableDeclaration) {
    bindingNames(ts, node.variableDeclaration.name, scope);
  }
  return scope;
}
