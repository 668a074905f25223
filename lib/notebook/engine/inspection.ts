/** What is known about the name, or the call, at a position of a cell: its type, its documentation. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { MimeBundle } from '../../plot/display';
import type { ProgramView } from './compiler';
import { typesOfName, typesOfParameters } from './members';
import { isModuleName } from './module-names';
import { clamp, type Language, nameAt, quickInfoAt, signaturesAt } from './services';
import { proseOf, tagAfterSentence, textOf, withoutImpliedUndefined } from './symbols';

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

interface Tag {
  name: string;
  /** The parameter that it is about. */
  subject: string;
  text: string;
}

function plainText({ code, documentation, tags }: Description): string {
  const comment = splitTags(proseOf(documentation));
  const lines = [...comment.tags, ...tags.flatMap((tag) => tagsOf(tag, false))].map(
    ({ name, subject, text }) => [`@${name}`, subject, text].filter((word) => word !== '').join(' '),
  );
  return join([...code, comment.text, lines.join('\n')]);
}

function markdown({ code, documentation, tags }: Description): string {
  const fence = `\`\`\`typescript\n${code.join('\n\n')}\n\`\`\``;
  const comment = splitTags(proseOf(documentation, true));
  const all = [...comment.tags, ...tags.flatMap((tag) => tagsOf(tag, true))];
  const lines = all.filter(({ name }) => name !== 'example').map(tagLine);
  const examples = all.filter(({ name }) => name === 'example').map(({ text }) => exampleBlock(text));
  return join([fence, comment.text, lines.join('\n'), ...examples]);
}

function tagLine({ name, subject, text }: Tag): string {
  const about = subject === '' ? '' : ` \`${subject}\``;
  // A list item's further lines are indented.
  return `- *@${name}*${about}${text === '' ? '' : ` — ${text.replace(/\n/g, '\n  ')}`}`;
}

function tagsOf({ name, text: parts = [] }: TypeScript.JSDocTagInfo, forMarkdown: boolean): Tag[] {
  if (name === 'example') return [{ name, subject: '', text: textOf(parts) }];
  const [first, ...rest] = parts;
  const isNamed = first?.kind === 'parameterName' || first?.kind === 'typeParameterName';
  const { text, tags } = splitTags(proseOf(isNamed ? rest : parts, forMarkdown).trim());
  return [
    { name, subject: isNamed ? first.text : '', text: isNamed ? text.replace(/^-\s*/, '') : text },
    ...tags,
  ];
}

function exampleBlock(text: string): string {
  return `*@example*\n\n${text.includes('```') ? text : `\`\`\`typescript\n${text}\n\`\`\``}`;
}

/** TypeScript takes a tag for one only where a line begins with it; comments of one line have them after a sentence. */
function splitTags(comment: string): { text: string; tags: Tag[] } {
  const [text = '', ...rest] = comment.split(tagAfterSentence);
  const tags = rest.map((tag): Tag => {
    const [, name = '', about = '', said = ''] = /^(\w+)\s*(?:(?<=^param\s+)(\S+)\s*)?(.*)$/s.exec(tag) ?? [];
    return { name, subject: about, text: said };
  });
  return { text, tags };
}

function join(blocks: readonly string[]): string {
  return blocks.filter((block) => block !== '').join('\n\n');
}
