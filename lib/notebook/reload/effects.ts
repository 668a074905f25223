/**
 * Whether computing a constant again does nothing but compute it. Where this can't be told the answer is no: code of
 * packages, and of what is called through a variable's or an object's fields.
 */
import type * as TypeScript from 'typescript';
import type { Ts } from './compile';
import { type Library, resolveLibrary } from './library';
import { bindingNames } from './names';
import type { ModuleUnits } from './units';

type Node = TypeScript.Node;

const words = (text: string): Set<string> => new Set(text.split(/\s+/));
const pureCalls = words(
  'Number String Boolean BigInt Array Object RegExp Error TypeError RangeError parseInt parseFloat isNaN isFinite ' +
    'structuredClone Symbol.for Array.from Array.of Array.isArray JSON.parse JSON.stringify String.fromCharCode String.raw ' +
    'Object.freeze Object.fromEntries Object.keys Object.values Object.entries Object.create Object.hasOwn ' +
    'Number.isInteger Number.isFinite Number.isNaN Date.now performance.now Buffer.from Buffer.alloc Buffer.byteLength',
);
const pureNew = words(
  'Map Set WeakMap WeakSet Array ArrayBuffer DataView Date RegExp Error TypeError RangeError URL TextEncoder TextDecoder',
);
const typedArray = /^(Big)?(Ui|I)nt\d+(Clamped)?Array$|^Float\d+Array$/;
const pureMethods = words(
  'map filter flatMap flat reduce reduceRight forEach some every find findIndex findLast includes indexOf lastIndexOf join ' +
    'slice subarray concat at keys values entries get has split trim trimStart trimEnd toUpperCase toLowerCase replace ' +
    'replaceAll padStart padEnd repeat startsWith endsWith charCodeAt codePointAt charAt substring match matchAll test exec ' +
    'toString toFixed toPrecision toSorted toReversed toSpliced with normalize localeCompare encode decode',
);
const mutatingMethods = words(
  'push pop shift unshift splice sort reverse fill set add delete clear copyWithin',
);
const pureModules: Readonly<Record<string, Set<string>>> = {
  path: words('join resolve dirname basename extname relative normalize isAbsolute'),
  url: words('fileURLToPath pathToFileURL'),
  module: words('createRequire'),
};

/** Judges initial values of a library's constants. */
export class Effects {
  // A function that calls itself has the effects of the rest of it.
  private readonly judged: Map<Node, boolean> = new Map();

  constructor(
    private readonly ts: Ts,
    private readonly library: Library,
  ) {}

  /** Whether evaluating the expression or calling the function only computes. */
  isFree(node: Node, file: string): boolean {
    const known = this.judged.get(node);
    if (known !== undefined) return known;
    this.judged.set(node, true);
    const module = this.library.modules.get(file);
    const free =
      module !== undefined && new Judgement(this.ts, this.library, this, file, module, node).free(node);
    this.judged.set(node, free);
    return free;
  }
}

class Judgement {
  private readonly own: Set<string> = new Set();
  private readonly parameters: Set<string> = new Set();

  constructor(
    private readonly ts: Ts,
    private readonly library: Library,
    private readonly effects: Effects,
    private readonly file: string,
    private readonly module: ModuleUnits,
    root: Node,
  ) {
    this.collect(root);
  }

  private collect(node: Node): void {
    const { ts } = this;
    if (ts.isParameter(node)) bindingNames(ts, node.name, this.parameters);
    else if (ts.isVariableDeclaration(node)) bindingNames(ts, node.name, this.own);
    else if (ts.isFunctionDeclaration(node) && node.name) this.own.add(node.name.text);
    ts.forEachChild(node, (child) => this.collect(child));
  }

  /** All code below counts as run: a function may be called by what it is given to. */
  free(node: Node): boolean {
    const { ts } = this;
    if (ts.isAwaitExpression(node) || ts.isYieldExpression(node) || ts.isTaggedTemplateExpression(node))
      return false;
    if (ts.isDeleteExpression(node)) return false;
    if (ts.isBinaryExpression(node)) {
      const by = node.operatorToken.kind;
      const assigns = by >= ts.SyntaxKind.FirstAssignment && by <= ts.SyntaxKind.LastAssignment;
      if (assigns && !this.mayWrite(node.left)) return false;
    }
    if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
      const by = node.operator;
      const steps = by === ts.SyntaxKind.PlusPlusToken || by === ts.SyntaxKind.MinusMinusToken;
      if (steps && !this.mayWrite(node.operand)) return false;
    }
    if (ts.isCallExpression(node) && !this.mayCall(node)) return false;
    if (ts.isNewExpression(node) && !this.mayConstruct(node)) return false;
    return ts.forEachChild(node, (child) => (this.free(child) ? undefined : true)) === undefined;
  }

  /** What the code declared itself may be written; a parameter may be given another value, but what it refers to is others'. */
  private mayWrite(target: TypeScript.Expression): boolean {
    const { ts } = this;
    if (ts.isIdentifier(target)) return this.own.has(target.text) || this.parameters.has(target.text);
    let at = target;
    while (
      ts.isPropertyAccessExpression(at) ||
      ts.isElementAccessExpression(at) ||
      ts.isParenthesizedExpression(at)
    ) {
      at = at.expression;
    }
    // An object that the code makes, or that it was made with.
    return at.kind === ts.SyntaxKind.ThisKeyword || (ts.isIdentifier(at) && this.own.has(at.text));
  }

  private mayCall(call: TypeScript.CallExpression): boolean {
    const { ts } = this;
    // A function of a package, given away, may be called.
    for (const argument of call.arguments) {
      const value = this.imported(argument);
      if (value && !this.isFreeImport(value)) return false;
      if (ts.isIdentifier(argument) && !this.isFreeName(argument.text)) return false;
    }
    let callee: TypeScript.Expression = call.expression;
    while (ts.isParenthesizedExpression(callee)) callee = callee.expression;
    // `(0, module_1.name)(…)`
    if (ts.isBinaryExpression(callee)) callee = callee.right;
    if (ts.isFunctionExpression(callee) || ts.isArrowFunction(callee)) return true;
    if (ts.isIdentifier(callee)) {
      if (this.own.has(callee.text) || this.parameters.has(callee.text)) return true;
      if (this.module.byName.has(callee.text)) return this.isFreeName(callee.text);
      return pureCalls.has(callee.text);
    }
    const value = this.imported(callee);
    if (value)
      return this.isFreeImport(value) && (value.names.length === 1 || this.isKnownMethod(value.names));
    if (!ts.isPropertyAccessExpression(callee)) return false;
    const object = callee.expression;
    if (pureCalls.has(callee.getText())) return true;
    if (ts.isIdentifier(object)) {
      if (object.text === 'Math') return true;
      if (object.text === 'exports') return this.isFreeName(`exports.${callee.name.text}`);
      if (typedArray.test(object.text)) return true;
    }
    if (pureMethods.has(callee.name.text)) return true;
    const fresh = !ts.isIdentifier(object) && !ts.isPropertyAccessExpression(object);
    return (
      mutatingMethods.has(callee.name.text) && (fresh || this.mayWrite(object)) && !this.isParameter(object)
    );
  }

  // `path.join` by its whole name, `table.map` by its last.
  private isKnownMethod(names: readonly string[]): boolean {
    return names[0] === 'default' || pureMethods.has(names[names.length - 1]);
  }

  private isParameter(node: Node): boolean {
    return this.ts.isIdentifier(node) && this.parameters.has(node.text) && !this.own.has(node.text);
  }

  private mayConstruct({ expression }: TypeScript.NewExpression): boolean {
    if (this.ts.isIdentifier(expression)) {
      const { text } = expression;
      if (this.module.byName.has(text)) return this.isFreeName(text);
      return pureNew.has(text) || typedArray.test(text);
    }
    const value = this.imported(expression);
    return value !== undefined && this.isFreeImport(value);
  }

  /** Whether a name of the module, if it is a function's or a class's, may be called. */
  private isFreeName(name: string): boolean {
    const unit = this.module.byName.get(name);
    if (!unit || this.own.has(name) || this.parameters.has(name)) return true;
    if (unit.kind === 'function' || unit.kind === 'class') return this.effects.isFree(unit.node, this.file);
    if (unit.kind === 'constant' && unit.initializer) return this.effects.isFree(unit.initializer, this.file);
    return unit.kind !== 'import';
  }

  /** `module_1.name.field`: what of which module. */
  private imported(node: Node): { from: string; names: string[] } | undefined {
    const { ts } = this;
    if (!ts.isPropertyAccessExpression(node)) return undefined;
    const names: string[] = [];
    let at: TypeScript.Expression = node;
    for (; ts.isPropertyAccessExpression(at); at = at.expression) names.unshift(at.name.text);
    const unit = ts.isIdentifier(at) && !this.own.has(at.text) ? this.module.byName.get(at.text) : undefined;
    return unit?.kind === 'import' && unit.from !== undefined ? { from: unit.from, names } : undefined;
  }

  private isFreeImport({ from, names }: { from: string; names: string[] }): boolean {
    const file = resolveLibrary(this.file, from);
    if (file === undefined) {
      const own = names[0] === 'default' ? names.slice(1) : names;
      return pureModules[from.replace(/^node:/, '')]?.has(own.join('.')) ?? false;
    }
    const found = this.library.exported(file, names[0]);
    if (!found) return false;
    const { unit } = found;
    // `exports.nms = nms` leads to the function.
    const own =
      unit.initializer && this.ts.isIdentifier(unit.initializer) ? unit.initializer.text : undefined;
    const target = own === undefined ? unit : (this.library.modules.get(found.file)!.byName.get(own) ?? unit);
    if (target.kind === 'function' || target.kind === 'class') {
      return names.length === 1 && this.effects.isFree(target.node, found.file);
    }
    if (target.kind !== 'constant' || !target.initializer) return false;
    return names.length > 1 || this.effects.isFree(target.initializer, found.file);
  }
}
