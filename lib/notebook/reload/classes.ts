/**
 * Changing a class that has instances. The class itself, which instances and `instanceof` know, stays; its methods and
 * accessors are taken from the new text. What makes instances can't change: those that live were made by the old.
 */
import type * as TypeScript from 'typescript';
import type { Ts } from './compile';
import { isStatic } from './names';
import { tokensOf, type Unit } from './units';

type Class = TypeScript.ClassDeclaration;
type Member = TypeScript.ClassElement;

/** What differs between two texts of a class: a reason why it can't be changed while it lives, or the methods' names. */
export type ClassChange = { reason: string } | { methods: string[] };

/** Compares two texts of a class. */
export function compareClasses(ts: Ts, before: Unit, after: Unit): ClassChange {
  const old = shapeOf(ts, before.node as Class);
  const now = shapeOf(ts, after.node as Class);
  if (old.base !== now.base) return { reason: 'it extends something else now' };
  if (old.construct !== now.construct) return { reason: 'its constructor changed' };
  if (old.fields !== now.fields) return { reason: 'its fields changed' };
  if (old.statics !== now.statics) return { reason: 'its static fields changed' };
  const problem = now.problem ?? old.problem;
  if (problem !== undefined) return { reason: problem };
  const names = new Set([...old.methods.keys(), ...now.methods.keys()]);
  return { methods: [...names].filter((name) => old.methods.get(name) !== now.methods.get(name)) };
}

/** Why methods of a class can't be replaced at all, or `undefined`. */
export function classProblem(ts: Ts, unit: Unit): string | undefined {
  return shapeOf(ts, unit.node as Class).problem;
}

/** The members that belong to the making of the class, not to its methods: static fields and blocks. */
export function staticParts(ts: Ts, unit: Unit): Member[] {
  return (unit.node as Class).members.filter((member) => isStaticState(ts, member));
}

interface Shape {
  base: string;
  construct: string;
  fields: string;
  statics: string;
  methods: Map<string, string>;
  problem?: string;
}

function shapeOf(ts: Ts, node: Class): Shape {
  const tree = node.getSourceFile();
  const text = (members: readonly TypeScript.Node[]): string =>
    members.map((member) => tokensOf(member, tree)).join(' ; ');
  const methods = new Map<string, string>();
  let problem: string | undefined;
  for (const member of node.members) {
    const { name } = member;
    if (name && ts.isPrivateIdentifier(name)) {
      // Only code of the same class text may touch them, and the new methods are another text.
      problem = `it has the private name ${name.text}`;
    }
    if (!isMethod(ts, member)) continue;
    if (name && ts.isComputedPropertyName(name) && !isPlainKey(ts, name.expression)) {
      problem = 'the name of one of its methods is computed';
    }
    const kind = ts.isGetAccessor(member) ? 'get ' : ts.isSetAccessor(member) ? 'set ' : '';
    const key = `${isStatic(ts, member) ? 'static ' : ''}${kind}${name?.getText(tree)}`;
    methods.set(key, tokensOf(member, tree));
  }
  return {
    base: text(node.heritageClauses ?? []),
    construct: text(node.members.filter(ts.isConstructorDeclaration)),
    fields: text(node.members.filter((m) => ts.isPropertyDeclaration(m) && !isStatic(ts, m))),
    statics: text(node.members.filter((m) => isStaticState(ts, m))),
    methods,
    problem,
  };
}

function isMethod(ts: Ts, member: Member): boolean {
  return ts.isMethodDeclaration(member) || ts.isGetAccessor(member) || ts.isSetAccessor(member);
}

function isStaticState(ts: Ts, member: Member): boolean {
  return (
    ts.isClassStaticBlockDeclaration(member) || (ts.isPropertyDeclaration(member) && isStatic(ts, member))
  );
}

/** `Symbol.iterator`, `module_1.displaySymbol`: evaluating it again gives the same key. */
function isPlainKey(ts: Ts, key: TypeScript.Expression): boolean {
  let at = key;
  while (ts.isPropertyAccessExpression(at)) at = at.expression;
  return ts.isIdentifier(at) || ts.isStringLiteralLike(at) || ts.isNumericLiteral(at);
}
