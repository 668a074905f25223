/** One Pascal VOC annotation file (XML): parsing, and writing. */
import type { XMLParser } from 'fast-xml-parser';

/** An object as the file gives it: 1-based pixel coordinates, the last pixel included. */
export interface VocObject {
  readonly name: string;
  /** `[xmin, ymin, xmax, ymax]` as written. */
  readonly corners: readonly [number, number, number, number];
  readonly difficult: boolean;
  readonly truncated: boolean;
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
      isArray,
    });
  }
  return parser;
}

const isArray = (name: string): boolean => name === 'object';

/**
 * Parses the text of an annotation file.
 * @throws with the reason (and the line, where the XML itself is broken) when it is not a VOC annotation.
 */
export async function parseVocAnnotation(text: string): Promise<VocAnnotation> {
  let document: Node;
  try {
    document = (await xmlParser()).parse(text, true) as Node;
  } catch (error) {
    throw new Error(`the XML is broken: ${(error as Error).message}`, { cause: error });
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
  return {
    filename: textOf(root, 'filename'),
    size: width > 0 && height > 0 ? { width, height } : undefined,
    objects: children(root, 'object').map(parseObject),
  };
}

function parseObject(node: Node, index: number): VocObject {
  const name = textOf(node, 'name');
  if (!name) throw new Error(`object ${index} has no <name>`);
  const box = child(node, 'bndbox');
  if (box === undefined) throw new Error(`object ${index} (${name}) has no <bndbox>`);
  const corner = (tag: string): number => {
    const text = textOf(box, tag);
    const value = text ? Number(text) : NaN;
    if (!Number.isFinite(value))
      throw new Error(`object ${index} (${name}): <${tag}> is ${text ?? 'missing'}, not a number`);
    return value;
  };
  return {
    name,
    corners: [corner('xmin'), corner('ymin'), corner('xmax'), corner('ymax')],
    difficult: flag(node, 'difficult'),
    truncated: flag(node, 'truncated'),
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

/** XML's five predefined entities, which can't nest or grow. */
function unescape(text: string): string {
  return text.includes('&')
    ? text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => predefined[entity])
    : text;
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
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
