/** Whether a console should run what was typed, or ask for another line. */
import type * as TypeScript from '@tslab/typescript-for-tslab';

/** The answer; `incomplete` comes with the next line's indentation. */
export interface Completeness {
  status: 'complete' | 'incomplete' | 'invalid';
  indent?: string;
}

// In a module, as in a cell, `await` waits.
const prefix: string = 'export {};\n';

/** Judged by the syntax alone. Two blank lines at the end run whatever stands before them. */
export function completenessOf(ts: typeof TypeScript, code: string): Completeness {
  if (/\n[^\S\n]*\n\s*$/.test(code)) return { status: 'complete' };
  const source = ts.createSourceFile('cell.ts', prefix + code, ts.ScriptTarget.Latest, true);
  const problems = (source as unknown as { parseDiagnostics: TypeScript.Diagnostic[] }).parseDiagnostics;
  const [first] = problems;
  if (!first) {
    return lacksBody(ts, source) ? { status: 'incomplete', indent: '' } : { status: 'complete' };
  }
  // A problem after the last token is that there is no more; any other stays, whatever comes after it.
  const end = source.endOfFileToken.pos;
  const unfinished = problems.every(({ start = 0, code }) => start >= end && !unmendable.has(code));
  return unfinished
    ? { status: 'incomplete', indent: nextIndent(ts, source, first.code) }
    : { status: 'invalid' };
}

/** TypeScript's numbers for the problems that matter here. */
const problem = {
  stringOpen: 1002,
  identifierExpected: 1003,
  commentOpen: 1010,
  expressionExpected: 1109,
  typeExpected: 1110,
  digitExpected: 1124,
  hexDigitExpected: 1125,
  textEnds: 1126,
  templateOpen: 1160,
} as const;

// These end with their line.
const unmendable: ReadonlySet<number> = new Set([
  problem.stringOpen,
  problem.digitExpected,
  problem.hexDigitExpected,
]);

// After these the line goes on.
const continued: ReadonlySet<number> = new Set([
  problem.expressionExpected,
  problem.typeExpected,
  problem.identifierExpected,
]);

/** `function f()`, and a function's overloads, which the parser takes for whole. */
function lacksBody(ts: typeof TypeScript, source: TypeScript.SourceFile): boolean {
  const last = source.statements.at(-1);
  if (!last || !ts.isFunctionDeclaration(last) || last.body) return false;
  return !last.modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.DeclareKeyword);
}

interface Level {
  /** The bracket that opened it; `undefined` outside of all brackets. */
  opener?: TypeScript.Node;
  /** Indentation of the line with the bracket. */
  outer: string;
  /** Indentation of the first line inside. */
  inner?: string;
}

function nextIndent(ts: typeof TypeScript, source: TypeScript.SourceFile, code: number): string {
  const { text } = source;
  if (code === problem.templateOpen || code === problem.textEnds) return '';
  if (code === problem.commentOpen) return indentAt(text, text.length);
  const { SyntaxKind } = ts;
  const openers: ReadonlySet<number> = new Set([
    SyntaxKind.OpenBraceToken,
    SyntaxKind.OpenParenToken,
    SyntaxKind.OpenBracketToken,
    SyntaxKind.TemplateHead,
  ]);
  const closers: ReadonlySet<number> = new Set([
    SyntaxKind.CloseBraceToken,
    SyntaxKind.CloseParenToken,
    SyntaxKind.CloseBracketToken,
    SyntaxKind.TemplateTail,
  ]);
  const levels: Level[] = [{ outer: '', inner: '' }];
  let last: TypeScript.Node | undefined;
  for (const token of tokensOf(ts, source)) {
    const start = token.getStart(source);
    const level = levels.at(-1)!;
    if (closers.has(token.kind)) levels.pop();
    else if (level.inner === undefined && isFirstOnLine(text, start)) level.inner = indentAt(text, start);
    if (openers.has(token.kind)) levels.push({ opener: token, outer: indentAt(text, start) });
    last = token;
  }
  const { opener, outer, inner }: Level = levels.at(-1) ?? { outer: '', inner: '' };
  const inCase = opener && ts.isCaseBlock(opener.parent) && opener.parent.clauses.length > 0;
  const goesOn =
    continued.has(code) && last && !openers.has(last.kind) && last.kind !== SyntaxKind.CommaToken;
  return (inner ?? `${outer}  `) + (inCase ? '  ' : '') + (goesOn ? '  ' : '');
}

function isFirstOnLine(text: string, offset: number): boolean {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset).trim() === '';
}

/** The white space that the line of an offset begins with. */
function indentAt(text: string, offset: number): string {
  return /^[^\S\n]*/.exec(text.slice(text.lastIndexOf('\n', offset - 1) + 1))![0];
}

function* tokensOf(ts: typeof TypeScript, source: TypeScript.SourceFile): Generator<TypeScript.Node> {
  const { FirstJSDocNode, LastJSDocNode } = ts.SyntaxKind;
  const open: TypeScript.Node[] = [source];
  for (let node = open.pop(); node; node = open.pop()) {
    if (node.kind >= FirstJSDocNode && node.kind <= LastJSDocNode) continue;
    const children = node.getChildren(source);
    if (children.length > 0) open.push(...children.reverse());
    else if (node.end > node.getStart(source)) yield node;
  }
}
