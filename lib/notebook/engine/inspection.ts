/** What is known about the name, or the call, at a position of a cell: its type, its documentation. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { MimeBundle } from '../../plot/display';
import type { ProgramView } from './compiler';
import { typesOfName, typesOfParameters } from './members';
import { isModuleName } from './module-names';
import { clamp, type Language, nameAt, quickInfoAt, signaturesAt } from './services';
import { proseOf, textOf, withoutImpliedUndefined } from './symbols';

type Parts = readonly TypeScript.SymbolDisplayPart[];

interface Description {
  /** TypeScript: a signature, and the types that matter to it. */
  code: string[];
  documentation: Parts;
  tags: readonly TypeScript.JSDocTagInfo[];
}

/**
 * Describes the name at a position, or ending there; elsewhere, the function whose parentheses the position is in.
 * `undefined` where nothing is known.
 */
export function inspect(language: Language, code: string, position: number): MimeBundle | undefined {
  try {
    const view = language.look(code);
    const at = clamp(position, code.length);
    const found = describeName(view, at) ?? describeCall(view, at);
    return found && { 'text/plain': plainText(found), 'text/markdown': markdown(found) };
  } catch {
    // The language service fails on some unfinished code: then nothing is known.
    return undefined;
  }
}

function describeName(view: ProgramView, at: number): Description | undefined {
  const { ts } = view;
  const info = quickInfoAt(view, at);
  const signature = textOf(info?.displayParts);
  // What has no meaning is `any` to TypeScript.
  if (!info || signature === '' || (info.kind === ts.ScriptElementKind.unknown && signature === 'any')) {
    return undefined;
  }
  const { documentation = [], tags = [] } = info;
  const name = nameAt(view, at);
  // TypeScript would name the file that it found.
  const imported =
    ts.isStringLiteralLike(name) && isModuleName(ts, name) ? name.text : namespaceModule(view, name);
  if (imported !== undefined) return { code: [`module '${imported}'`], documentation, tags };
  const types = typesOfName(view, name);
  const plain = plainSignature(signature);
  // A type that is written out says its name itself.
  const code = types[0]?.startsWith(`${plain} {`) ? types : [plain, ...types];
  return { code, documentation, tags };
}

/** Of `fs`, after `import * as fs from 'node:fs'`: `node:fs`. */
function namespaceModule({ ts, program }: ProgramView, name: TypeScript.Node): string | undefined {
  const symbol = program.getTypeChecker().getSymbolAtLocation(name);
  const specifier = symbol?.declarations?.find(ts.isNamespaceImport)?.parent.parent.moduleSpecifier;
  return specifier && ts.isStringLiteral(specifier) ? specifier.text : undefined;
}

/** That and where a name was imported says less than what it is. */
function plainSignature(text: string): string {
  return withoutImpliedUndefined(text)
    .replace(/^\(alias\) (?=[\w$]+[<(])/, 'function ')
    .replace(/^\(alias\) /, '')
    .replace(/\nimport .*$/, '');
}

function describeCall(view: ProgramView, at: number): Description | undefined {
  const found = signaturesAt(view, at);
  const chosen = found?.items[found.selectedItemIndex];
  if (!found || !chosen) return undefined;
  const called = nameAt(view, found.applicableSpan.start - view.prefixLength - 1);
  const word = isNew(view.ts, called) ? 'new ' : '';
  const items = [chosen, ...found.items.filter((item) => item !== chosen)];
  const all = items.map((item) => word + callSignature(item));
  const more = all.length > mostSignatures ? [`// and ${all.length - mostSignatures} more`] : [];
  return {
    code: [[...all.slice(0, mostSignatures), ...more].join('\n'), ...typesOfParameters(view, called)],
    documentation: chosen.documentation,
    tags: chosen.tags,
  };
}

const mostSignatures = 5;

function isNew(ts: typeof TypeScript, called: TypeScript.Node): boolean {
  const { parent } = called;
  return ts.isNewExpression(ts.isPropertyAccessExpression(parent) ? parent.parent : parent);
}

function callSignature(item: TypeScript.SignatureHelpItem): string {
  const { prefixDisplayParts, separatorDisplayParts, suffixDisplayParts } = item;
  const parameters = item.parameters.map((p) => textOf(p.displayParts)).join(textOf(separatorDisplayParts));
  return withoutImpliedUndefined(textOf(prefixDisplayParts) + parameters + textOf(suffixDisplayParts));
}

function plainText({ code, documentation, tags }: Description): string {
  const lines = tags.map((tag) => ['@' + tag.name, ...tagWords(tag)].filter((word) => word !== '').join(' '));
  return join([...code, proseOf(documentation), lines.join('\n')]);
}

function markdown({ code, documentation, tags }: Description): string {
  const fence = `\`\`\`typescript\n${code.join('\n\n')}\n\`\`\``;
  const listed = tags.filter((tag) => tag.name !== 'example').map((tag) => `- ${tagLine(tag)}`);
  const examples = tags.filter((tag) => tag.name === 'example').map((tag) => exampleBlock(textOf(tag.text)));
  return join([fence, proseOf(documentation, true), listed.join('\n'), ...examples]);
}

function tagLine(tag: TypeScript.JSDocTagInfo): string {
  const [name, text] = tagWords(tag, true);
  const subject = name === '' ? '' : ` \`${name}\``;
  // A list item's further lines are indented.
  return `*@${tag.name}*${subject}${text === '' ? '' : ` — ${text!.replace(/\n/g, '\n  ')}`}`;
}

/** The name that a tag is about, if any, and its text. */
function tagWords(tag: TypeScript.JSDocTagInfo, markdown = false): [name: string, text: string] {
  const [first, ...rest] = tag.text ?? [];
  const named = first?.kind === 'parameterName' || first?.kind === 'typeParameterName';
  const text = proseOf(named ? rest : tag.text, markdown).trim();
  return [named ? first.text : '', named ? text.replace(/^-\s*/, '') : text];
}

function exampleBlock(text: string): string {
  return `*@example*\n\n${text.includes('```') ? text : `\`\`\`typescript\n${text}\n\`\`\``}`;
}

function join(blocks: readonly string[]): string {
  return blocks.filter((block) => block !== '').join('\n\n');
}
