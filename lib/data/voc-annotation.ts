/** One Pascal VOC annotation file (XML): parsing, and writing. */
import type { XMLParser } from 'fast-xml-parser';

/** An object as the file gives it: 1-based pixel coordinates, the last pixel included. */
export interface VocObject {
  readonly name: string;
  /** `[xmin, ymin, xmax, ymax]` as written. */
  readonly corners: readonly [number, number, number, number];
  readonly difficult: boolean;
  readonly truncated: boolean;
  /** Line of the object's tag in the file, from 1. */
  readonly line?: number;
  /** Why the object can't be used; its corners that are no numbers are NaN. */
  readonly broken?: string;
}

/** What detlab reads of an annotation. */
export interface VocAnnotation {
  /** `<filename>`, if any. */
  readonly filename?: string;
  /** `<size>`; `undefined` when missing or 0, which some tools write. */
  readonly size?: { readonly width: number; readonly height: number };
  readonly objects: readonly VocObject[];
}

/** XML as fast-xml-parser returns it: text, or an element's children by tag. */
type Node = string | { [tag: string]: Node | Node[] };

let parser: XMLParser | undefined;

/** Entities stay unprocessed, so a hostile file can't make them expand; values stay text, so a class named `1.0` keeps its name. */
async function xmlParser(): Promise<XMLParser> {
  if (parser === undefined) {
    const xml = await import('fast-xml-parser');
    parser = new xml.XMLParser({
      processEntities: false,
      parseTagValue: false,
      ignoreAttributes: true,
      captureMetaData: true,
      isArray,
    });
    startOf = xml.XMLParser.getMetaDataSymbol() as symbol;
  }
  return parser;
}

/** The parser's key for where an element begins in the text. */
let startOf: symbol | undefined;

const isArray = (name: string): boolean => name === 'object';

/** Longer annotations are refused: they would take minutes, and no image has so many objects. */
const mostCharacters = 32_000_000;

/** XML that can't be read. */
export class XmlError extends Error {
  override readonly name: string = 'XmlError';

  constructor(
    message: string,
    /** From 1, where it is known. */
    readonly line: number | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The parser ends its messages with the place, and quotes what may be megabytes. */
function xmlError(error: Error): XmlError {
  const open = /^Invalid '\[.*"([^"]*)"\s*\]' found/s.exec(error.message);
  if (open)
    return new XmlError(`the XML is cut short: it ends within <${open[1].slice(0, 40)}>`, undefined, {
      cause: error,
    });
  const place = /:(\d+):\w+$/.exec(error.message);
  const text = place ? error.message.slice(0, place.index) : error.message;
  const reason = text.replace(/\s+/g, ' ').slice(0, 200);
  return new XmlError(`the XML is broken: ${reason}`, place ? Number(place[1]) : undefined, { cause: error });
}

/**
 * Parses the text of an annotation file. Objects that can't be used are among the result, marked `broken`.
 * @throws XmlError where the XML itself is broken; Error with the reason when it is not a VOC annotation.
 */
export async function parseVocAnnotation(text: string): Promise<VocAnnotation> {
  if (text.length > mostCharacters)
    throw new Error(`it has ${text.length} characters, which is more than any annotation`);
  let document: Node;
  try {
    document = (await xmlParser()).parse(text, true) as Node;
  } catch (error) {
    throw xmlError(error as Error);
  }
  const root = child(document, 'annotation');
  if (root === undefined) {
    const found =
      typeof document === 'string' ? [] : Object.keys(document).filter((key) => !key.startsWith('?'));
    throw new Error(
      `<annotation> was expected, found ${found.length ? `<${found.join('>, <')}>` : 'no element'}`,
    );
  }
  const size = child(root, 'size');
  const width = size === undefined ? NaN : Number(textOf(size, 'width'));
  const height = size === undefined ? NaN : Number(textOf(size, 'height'));
  const lineOf = lineCounter(text);
  return {
    filename: textOf(root, 'filename'),
    size: width > 0 && height > 0 ? { width, height } : undefined,
    objects: children(root, 'object').map((node) => parseObject(node, lineOf)),
  };
}

/** Line of an offset; asked with rising offsets, it reads the text once. */
function lineCounter(text: string): (offset: number) => number {
  let [line, at] = [1, 0];
  return (offset) => {
    for (; at < offset; at++) if (text.charCodeAt(at) === 10) line++;
    return line;
  };
}

function parseObject(node: Node, lineOf: (offset: number) => number): VocObject {
  const place =
    typeof node === 'string' || startOf === undefined
      ? undefined
      : (node as unknown as Record<symbol, { startIndex?: number } | undefined>)[startOf];
  const name = textOf(node, 'name') ?? '';
  const box = child(node, 'bndbox');
  const broken: string[] = [];
  if (name === '') broken.push('it has no <name>');
  if (box === undefined) broken.push('it has no <bndbox>');
  const corner = (tag: string): number => {
    const text = box === undefined ? undefined : textOf(box, tag);
    const value = text ? Number(text) : NaN;
    if (box !== undefined && !Number.isFinite(value)) {
      broken.push(`<${tag}> is ${text ? text.slice(0, 40) : 'missing'}, not a number`);
    }
    return value;
  };
  const corners = [corner('xmin'), corner('ymin'), corner('xmax'), corner('ymax')] as const;
  return {
    name,
    corners,
    difficult: flag(node, 'difficult'),
    truncated: flag(node, 'truncated'),
    ...(place?.startIndex === undefined ? {} : { line: lineOf(place.startIndex) }),
    ...(broken.length === 0 ? {} : { broken: `class ${name || 'unknown'}: ${broken.join(', ')}` }),
  };
}

/** VOC's flags are 0 or 1; `Unspecified` and a missing tag mean 0. */
function flag(node: Node, tag: string): boolean {
  return Number(textOf(node, tag)) === 1;
}

function children(node: Node, tag: string): Node[] {
  const value = typeof node === 'string' ? undefined : node[tag];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function child(node: Node, tag: string): Node | undefined {
  return children(node, tag)[0];
}

function textOf(node: Node, tag: string): string | undefined {
  const value = child(node, tag);
  return typeof value === 'string' ? unescape(value.trim()) : undefined;
}

const predefined: Record<string, string> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
  '&amp;': '&',
};

/** XML's five predefined entities and characters by number, which can't nest or grow. Others stay as they are written. */
function unescape(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:lt|gt|quot|apos|amp|#\d{1,7}|#x[0-9a-f]{1,6});/gi, (entity) => {
    if (!entity.startsWith('&#')) return predefined[entity] ?? entity;
    const code = Number(entity.slice(2, -1).replace(/^x/i, '0x'));
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : entity;
  });
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** The encoding that an XML file names in its first line. Default UTF-8. */
export function declaredEncoding(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 200)).toString('latin1');
  return /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(start)?.[1] ?? 'utf-8';
}

/** The text of an annotation file, as the VOC development kit writes it. */
export function formatVocAnnotation(
  annotation: VocAnnotation & { filename: string; folder: string },
): string {
  const lines = [
    '<annotation>',
    `\t<folder>${escape(annotation.folder)}</folder>`,
    `\t<filename>${escape(annotation.filename)}</filename>`,
  ];
  if (annotation.size) {
    const { width, height } = annotation.size;
    lines.push(
      '\t<size>',
      `\t\t<width>${width}</width>`,
      `\t\t<height>${height}</height>`,
      '\t\t<depth>3</depth>',
      '\t</size>',
    );
  }
  lines.push('\t<segmented>0</segmented>');
  for (const { name, corners, difficult, truncated } of annotation.objects) {
    lines.push('\t<object>', `\t\t<name>${escape(name)}</name>`, '\t\t<pose>Unspecified</pose>');
    lines.push(
      `\t\t<truncated>${Number(truncated)}</truncated>`,
      `\t\t<difficult>${Number(difficult)}</difficult>`,
    );
    lines.push('\t\t<bndbox>');
    ['xmin', 'ymin', 'xmax', 'ymax'].forEach((tag, i) => lines.push(`\t\t\t<${tag}>${corners[i]}</${tag}>`));
    lines.push('\t\t</bndbox>', '\t</object>');
  }
  return [...lines, '</annotation>', ''].join('\n');
}
