/** A compiled module as a list of units: the statements of its outermost scope, each with what it declares, reads and writes. */
import type * as TypeScript from 'typescript';
import type { Ts } from './compile';
import { bindingNames, findNames, type Names, type OuterNames, type Reference, type Write } from './names';

/**
 * - `constant`: `const x = …` and `exports.x = …`;
 * - `state`: what may change while the module lives: `let`, `var`, and constants that hold something that is filled or written;
 * - `effect`: a statement that does something;
 * - `import`: a variable that holds a required module, or a `require` alone;
 * - `reexport`: `export { x } from`, `star`: `export * from`;
 * - `frame`: what the compiler adds to every module.
 */
export type UnitKind =
  'function' | 'class' | 'constant' | 'state' | 'effect' | 'import' | 'reexport' | 'star' | 'frame';

/** A statement of a module's outermost scope. */
export interface Unit {
  kind: UnitKind;
  /** What it declares: `nms`, and for what it exports `exports.nms`. */
  readonly names: readonly string[];
  readonly node: TypeScript.Statement;
  /** The code without comments and layout: two units with the same tokens are the same. */
  readonly tokens: () => string;
  /** Of a constant, or of state in one variable. */
  readonly initializer?: TypeScript.Expression;
  /** What an import or a re-export requires, as written. */
  readonly from?: string;
  /** The export of `from` that a re-export passes on. */
  readonly passes?: string;
  /** Numbers in a typed array: what a function leaves in it means nothing to the next call. */
  readonly scratch: boolean;
  readonly references: readonly Reference[];
  readonly writes: readonly Write[];
  readonly free: Names['free'];
  readonly calls: boolean;
}

/** A compiled module, read. */
export interface ModuleUnits {
  readonly text: string;
  readonly tree: TypeScript.SourceFile;
  readonly units: readonly Unit[];
  /** The unit that declares a name. An exported function has two: `nms` and `exports.nms`. */
  readonly byName: ReadonlyMap<string, Unit>;
}

type Bare = Omit<Unit, 'references' | 'writes' | 'free' | 'calls'>;

const helper =
  /^__(createBinding|setModuleDefault|importStar|importDefault|exportStar|decorate|metadata|awaiter)$/;
const typedArray =
  /^(Int8|Uint8|Uint8Clamped|Int16|Uint16|Int32|Uint32|Float32|Float64|BigInt64|BigUint64)Array$/;
const container =
  /^(Map|Set|WeakMap|WeakSet|Array|ArrayBuffer|SharedArrayBuffer|DataView|AbortController|AsyncLocalStorage)$/;

/** Reads a module as TypeScript emits it for CommonJS. */
export function readUnits(ts: Ts, file: string, text: string): ModuleUnits {
  const options = {
    languageVersion: ts.ScriptTarget.ES2022,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
  };
  const tree = ts.createSourceFile(file, text, options, true, ts.ScriptKind.JS);
  const classified = tree.statements.map((statement) => classify(ts, statement));
  const imports = new Map<string, string>();
  for (const { kind, names, from } of classified) {
    if (kind === 'import') for (const name of names) imports.set(name, from!);
  }
  // A re-export names the variable that holds the module.
  const bare = classified.map((u) => (u.kind === 'reexport' ? { ...u, from: imports.get(u.from!) } : u));
  const declared = new Set(bare.flatMap((unit) => unit.names));
  const outer: OuterNames = { declared, imports };
  const units = bare.map((unit): Unit => ({ ...unit, ...namesOf(ts, unit, outer) }));
  const byName = new Map(units.flatMap((unit) => unit.names.map((name) => [name, unit] as const)));
  for (const unit of units) {
    for (const { name, from } of unit.writes) {
      const target = from === undefined ? byName.get(name) : undefined;
      if (target?.kind === 'constant') target.kind = 'state';
    }
  }
  return { text, tree, units, byName };
}

/** The names that a module exports by itself. */
export function ownExports(module: ModuleUnits): string[] {
  return [...module.byName.keys()].flatMap((name) => (name.startsWith('exports.') ? [name.slice(8)] : []));
}

/** Code as its tokens, so that comments and layout don't count. */
export function tokensOf(node: TypeScript.Node, tree: TypeScript.SourceFile): string {
  const tokens: string[] = [];
  const visit = (n: TypeScript.Node): void => {
    const children = n.getChildren(tree);
    if (children.length > 0) {
      children.forEach(visit);
      return;
    }
    const token = n.getText(tree);
    // The last comma of a list comes and goes with its line breaks.
    if ((token === '}' || token === ')') && tokens[tokens.length - 1] === ',') tokens.pop();
    if (token !== '') tokens.push(token);
  };
  visit(node);
  return tokens.join(' ');
}

function namesOf(ts: Ts, unit: Bare, outer: OuterNames): Names {
  const none: Names = { references: [], writes: [], free: [], calls: false };
  if (unit.kind === 'import' || unit.kind === 'star' || unit.kind === 'reexport' || unit.kind === 'frame')
    return none;
  if (unit.initializer) return findNames(ts, unit.initializer, outer);
  return findNames(ts, unit.node, outer);
}

function classify(ts: Ts, node: TypeScript.Statement): Bare {
  const tree = node.getSourceFile();
  let tokens: string | undefined;
  const base = {
    node,
    tokens: () => (tokens ??= tokensOf(node, tree)),
    names: [] as string[],
    scratch: false,
  };
  if (ts.isFunctionDeclaration(node)) return { ...base, kind: 'function', names: [node.name!.text] };
  if (ts.isClassDeclaration(node)) return { ...base, kind: 'class', names: [node.name!.text] };
  if (ts.isEmptyStatement(node)) return { ...base, kind: 'frame' };
  if (ts.isVariableStatement(node)) return { ...base, ...classifyVariables(ts, node) };
  if (ts.isExpressionStatement(node)) return { ...base, ...classifyExpression(ts, node.expression) };
  return { ...base, kind: 'effect' };
}

type Part = Pick<Bare, 'kind'> & Partial<Bare>;

function classifyVariables(ts: Ts, node: TypeScript.VariableStatement): Part {
  const { declarations, flags } = node.declarationList;
  const names = new Set<string>();
  for (const declaration of declarations) bindingNames(ts, declaration.name, names);
  const own = [...names];
  if (own.every((name) => helper.test(name))) return { kind: 'frame', names: own };
  const single = declarations.length === 1 ? declarations[0].initializer : undefined;
  const from = single && requiredBy(ts, single);
  if (from !== undefined) return { kind: 'import', names: own, from };
  if (!(flags & ts.NodeFlags.Const)) return { kind: 'state', names: own, initializer: single };
  return { ...constant(ts, single), names: own };
}

function classifyExpression(ts: Ts, expression: TypeScript.Expression): Part {
  if (ts.isStringLiteral(expression)) return { kind: 'frame' };
  const required = requiredBy(ts, expression);
  if (required !== undefined) return { kind: 'import', from: required };
  if (ts.isBinaryExpression(expression)) {
    const names: string[] = [];
    let value: TypeScript.Expression = expression;
    for (; ts.isBinaryExpression(value); value = value.right) {
      const { left } = value;
      const assigns = value.operatorToken.kind === ts.SyntaxKind.EqualsToken;
      if (!assigns || !ts.isPropertyAccessExpression(left) || left.expression.getText() !== 'exports') break;
      names.push(`exports.${left.name.text}`);
    }
    if (names.length === 0) return { kind: 'effect' };
    // `exports.a = exports.b = void 0` announces the names.
    if (ts.isVoidExpression(value)) return { kind: 'frame' };
    const from = requiredBy(ts, value);
    if (from !== undefined) return { kind: 'import', names, from };
    return { ...constant(ts, value), names };
  }
  if (!ts.isCallExpression(expression)) return { kind: 'effect' };
  const callee = expression.expression.getText();
  const [target, second, third] = expression.arguments;
  if (callee === '__exportStar') return { kind: 'star', from: requiredBy(ts, target) };
  if (callee === 'Object.defineProperty' && target.getText() === 'exports' && ts.isStringLiteral(second)) {
    if (second.text === '__esModule') return { kind: 'frame' };
    const names = [`exports.${second.text}`];
    const getter = /return (\w+)\.(\w+);/.exec(third.getText());
    if (getter) return { kind: 'reexport', names, from: getter[1], passes: getter[2] };
  }
  return { kind: 'effect' };
}

function constant(ts: Ts, initializer: TypeScript.Expression | undefined): Part {
  const scratch = isNew(ts, initializer, typedArray);
  const state = scratch || isNew(ts, initializer, container, true) || isEmpty(ts, initializer);
  return { kind: state ? 'state' : 'constant', initializer, scratch };
}

// A Map or a Set with content is a table; without, it waits to be filled.
function isNew(
  ts: Ts,
  value: TypeScript.Expression | undefined,
  kinds: RegExp,
  empty: boolean = false,
): boolean {
  return (
    value !== undefined &&
    ts.isNewExpression(value) &&
    kinds.test(value.expression.getText()) &&
    !(empty && (value.arguments?.length ?? 0) > 0)
  );
}

function isEmpty(ts: Ts, value: TypeScript.Expression | undefined): boolean {
  if (value === undefined) return false;
  if (ts.isArrayLiteralExpression(value)) return value.elements.length === 0;
  return ts.isObjectLiteralExpression(value) && value.properties.length === 0;
}

/** What `require('x')` requires, alone or within the compiler's helpers. */
function requiredBy(ts: Ts, expression: TypeScript.Expression): string | undefined {
  if (!ts.isCallExpression(expression)) return undefined;
  const callee = expression.expression.getText();
  const [argument] = expression.arguments;
  if (callee === 'require' && argument && ts.isStringLiteral(argument)) return argument.text;
  if (/^__import(Star|Default)$/.test(callee) && argument) return requiredBy(ts, argument);
  return undefined;
}
