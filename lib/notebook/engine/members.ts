/** Writes out the types that a name or a call is about, where they are the user's or the library's own. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { ProgramView } from './compiler';
import { oneLine, resolved, summaryOf, withoutImpliedUndefined } from './symbols';

const mostTypes = 2;
const mostMembers = 30;

/** The type that a name stands for or has; a function's parameters' types. As TypeScript, one text a type. */
export function typesOfName(view: ProgramView, name: TypeScript.Node): string[] {
  const { ts, program } = view;
  const symbol = symbolOf(view, name);
  if (!symbol) return [];
  const isType = symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class);
  return isType
    ? writeOut(view, [program.getTypeChecker().getDeclaredTypeOfSymbol(symbol)])
    : typesOfValue(view, symbol, name);
}

/** The types of the parameters of the function or class of that name. */
export function typesOfParameters(view: ProgramView, name: TypeScript.Node): string[] {
  const symbol = symbolOf(view, name);
  return symbol ? typesOfValue(view, symbol, name) : [];
}

function symbolOf({ ts, program }: ProgramView, name: TypeScript.Node): TypeScript.Symbol | undefined {
  const symbol = program.getTypeChecker().getSymbolAtLocation(name);
  return symbol && resolved(ts, program, symbol);
}

function typesOfValue(view: ProgramView, symbol: TypeScript.Symbol, name: TypeScript.Node): string[] {
  if (!(symbol.flags & view.ts.SymbolFlags.Value)) return [];
  const checker = view.program.getTypeChecker();
  const type = checker.getTypeOfSymbolAtLocation(symbol, name);
  const [signature] = [...type.getConstructSignatures(), ...type.getCallSignatures()];
  if (!signature) return writeOut(view, [type]);
  return writeOut(
    view,
    signature.parameters.map((parameter) => checker.getTypeOfSymbolAtLocation(parameter, name)),
  );
}

function writeOut(view: ProgramView, types: readonly TypeScript.Type[]): string[] {
  const checker = view.program.getTypeChecker();
  const own = types.map((type) => checker.getNonNullableType(type)).filter((type) => isOwn(view, type));
  return [...new Set(own)].slice(0, mostTypes).map((type) => declarationOf(view, type));
}

/** Whether a type is a named one with members, and not from a package or the language. */
function isOwn({ ts, program }: ProgramView, type: TypeScript.Type): boolean {
  const symbol = type.aliasSymbol ?? type.getSymbol();
  const shape = ts.SymbolFlags.Interface | ts.SymbolFlags.Class | ts.SymbolFlags.TypeAlias;
  if (!symbol || !(symbol.flags & shape) || type.isUnion() || type.getProperties().length === 0) return false;
  return (symbol.declarations ?? []).every((declaration) => {
    const file = declaration.getSourceFile();
    return !program.isSourceFileDefaultLibrary(file) && !file.fileName.includes('/node_modules/');
  });
}

function declarationOf(view: ProgramView, type: TypeScript.Type): string {
  const { ts, program } = view;
  const checker = program.getTypeChecker();
  const word = type.aliasSymbol ? 'type' : type.isClass() ? 'class' : 'interface';
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  const members = checker.getPropertiesOfType(type).filter(({ valueDeclaration, name }) => {
    const flags = valueDeclaration ? ts.getCombinedModifierFlags(valueDeclaration) : 0;
    return !(flags & hidden) && !/^(#|__#|prototype$)/.test(name);
  });
  const lines = members.slice(0, mostMembers).map((member) => `  ${memberLine(view, member)}`);
  if (members.length > mostMembers) lines.push(`  // and ${members.length - mostMembers} more`);
  return [`${word} ${checker.typeToString(type)} ${type.aliasSymbol ? '= ' : ''}{`, ...lines, '}'].join('\n');
}

function memberLine(view: ProgramView, member: TypeScript.Symbol): string {
  const { ts, program, source } = view;
  const checker = program.getTypeChecker();
  const optional = member.flags & ts.SymbolFlags.Optional;
  const declared = checker.getTypeOfSymbolAtLocation(member, source);
  const type = optional ? checker.getNonNullableType(declared) : declared;
  const [call] = member.flags & ts.SymbolFlags.Method ? type.getCallSignatures() : [];
  const text = call
    ? withoutImpliedUndefined(checker.signatureToString(call))
    : `: ${checker.typeToString(type)}`;
  const summary = summaryOf(view, member);
  return `${member.name}${optional ? '?' : ''}${oneLine(text)};${summary ? ` // ${oneLine(summary)}` : ''}`;
}
