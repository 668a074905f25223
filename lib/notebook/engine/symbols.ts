/** What names stand for, in words: kind, type on one line, documentation. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { ProgramView } from './compiler';
import type { Entry } from './services';

const longest = 120;

/** The kind of a completion, in the words that front ends show: `function`, `class`, `const`, `keyword`, … */
export function kindOf({ ts, program, source }: ProgramView, entry: Entry): string {
  const kinds = ts.ScriptElementKind;
  switch (entry.kind) {
    case kinds.alias:
      return entry.symbol ? kindOfSymbol(ts, resolved(ts, program, entry.symbol)) : 'variable';
    case kinds.variableElement:
    case kinds.localVariableElement:
    case kinds.unknown:
    case kinds.letElement:
    case kinds.constElement: {
      const type = entry.symbol && program.getTypeChecker().getTypeOfSymbolAtLocation(entry.symbol, source);
      if (type?.getConstructSignatures().length) return 'class';
      if (type?.getCallSignatures().length) return 'function';
      return /^(let|const)$/.test(entry.kind) ? entry.kind : 'variable';
    }
    case kinds.localFunctionElement:
      return 'function';
    case kinds.localClassElement:
      return 'class';
    case kinds.memberGetAccessorElement:
    case kinds.memberSetAccessorElement:
    case kinds.memberAccessorVariableElement:
    case kinds.memberVariableElement:
      return 'property';
    case kinds.typeParameterElement:
    case kinds.primitiveType:
      return 'type';
    case kinds.externalModuleName:
      return 'module';
    default:
      return entry.kind;
  }
}

function kindOfSymbol(ts: typeof TypeScript, { flags }: TypeScript.Symbol): string {
  const { SymbolFlags } = ts;
  if (flags & SymbolFlags.Function) return 'function';
  if (flags & SymbolFlags.Class) return 'class';
  if (flags & SymbolFlags.Enum) return 'enum';
  if (flags & SymbolFlags.Variable) return flags & SymbolFlags.BlockScopedVariable ? 'const' : 'variable';
  if (flags & SymbolFlags.Interface) return 'interface';
  if (flags & SymbolFlags.TypeAlias) return 'type';
  return flags & SymbolFlags.Module ? 'module' : 'variable';
}

/** What an imported name stands for; any other symbol as it is. */
export function resolved(
  ts: typeof TypeScript,
  program: TypeScript.Program,
  symbol: TypeScript.Symbol,
): TypeScript.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? program.getTypeChecker().getAliasedSymbol(symbol) : symbol;
}

/** A symbol's type on one line, cut where it is long; a function's as `(seed: number): Random`. */
export function signatureOf(
  { ts, program, source }: ProgramView,
  symbol: TypeScript.Symbol,
): string | undefined {
  const checker = program.getTypeChecker();
  const target = resolved(ts, program, symbol);
  const { SymbolFlags } = ts;
  if (target.flags & SymbolFlags.TypeAlias) {
    const type = checker.getDeclaredTypeOfSymbol(target);
    return oneLine(checker.typeToString(type, undefined, ts.TypeFormatFlags.InTypeAlias));
  }
  if (!(target.flags & SymbolFlags.Value) || target.flags & (SymbolFlags.Enum | SymbolFlags.ValueModule)) {
    return undefined;
  }
  if (target.flags & SymbolFlags.EnumMember) {
    const value = checker.getConstantValue(target.valueDeclaration as TypeScript.EnumMember);
    return value === undefined ? undefined : JSON.stringify(value);
  }
  // An optional member's `undefined` says nothing about what to write.
  const type = checker.getTypeOfSymbolAtLocation(target, source);
  const plain = target.flags & SymbolFlags.Optional ? checker.getNonNullableType(type) : type;
  const makes = plain.getConstructSignatures();
  const [first, ...others] = makes.length > 0 ? makes : plain.getCallSignatures();
  if (!first) return oneLine(checker.typeToString(plain));
  const more = others.length > 0 ? ` (+${others.length} overload${others.length > 1 ? 's' : ''})` : '';
  const start = makes.length > 0 ? 'new ' : '';
  const text = withoutImpliedUndefined(checker.signatureToString(first));
  return start + oneLine(text, longest - start.length - more.length) + more;
}

/** `size?: number | undefined`, as strict mode has it, is `size?: number` to readers. */
export function withoutImpliedUndefined(text: string): string {
  return text.replace(/(\?: [^,;(){}=]+) \| undefined(?=[,;)}])/g, '$1');
}

export function oneLine(text: string, most: number = longest): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** The first paragraph of a symbol's doc comment. */
export function summaryOf({ ts, program }: ProgramView, symbol: TypeScript.Symbol): string | undefined {
  const target = resolved(ts, program, symbol);
  const parts = target.getDocumentationComment(program.getTypeChecker());
  return firstParagraph(proseOf(parts).split(tagAfterSentence)[0]!) || undefined;
}

/** Where a sentence of a comment is followed by a tag on its own line. */
export const tagAfterSentence: RegExp = /(?<=[.;:)\]`])\s+@(?=(?:param|returns|throws)\b)/;

function firstParagraph(text: string): string {
  return (text.trim().split(/\n\s*\n/)[0] ?? '').replace(/\s*\n\s*/g, ' ');
}

export function textOf(parts: readonly TypeScript.SymbolDisplayPart[] | undefined): string {
  return (parts ?? []).map((part) => part.text).join('');
}

/** The text of a comment. `{@link name}` becomes the name, `{@link name label}` the label; Markdown can do more. */
export function proseOf(
  parts: readonly TypeScript.SymbolDisplayPart[] | undefined,
  markdown = false,
): string {
  let text = '';
  let link: { target: string; label: string } | undefined;
  for (const part of parts ?? []) {
    if (part.kind === 'link' && part.text !== '}') link = { target: '', label: '' };
    else if (part.kind === 'link' && link) {
      text += linkText(link, markdown);
      link = undefined;
    } else if (!link) text += part.text;
    else if (part.kind === 'linkName') link.target = part.text;
    else if (link.target !== '') link.label = part.text;
    else link = unresolvedLink(part.text);
  }
  return text;
}

/** A link to what TypeScript does not find is one text, label and all. */
function unresolvedLink(text: string): { target: string; label: string } {
  const [, target = '', label = ''] = /^\s*([^\s|]*)[\s|]*(.*)$/s.exec(text) ?? [];
  return { target, label };
}

function linkText({ target, label }: { target: string; label: string }, markdown: boolean): string {
  const isAddress = /^https?:/.test(target);
  if (!markdown) return label.trim() || target;
  if (isAddress) return `[${label.trim() || target}](${target})`;
  return label.trim() || `\`${target}\``;
}
