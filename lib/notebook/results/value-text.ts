/** Any value as text: never an error, never more than a notebook wants, never a long wait. */
import { inspect, type InspectOptions, types } from 'node:util';
import { formatCount } from '../../plot/format';
import { isModule, moduleLine } from './module-like';
import { isTensor, tensorLine } from './tensor-like';

/** Letters of text that a value may fill. */
const mostText = 20_000;
/** Values inside of a value that are written: of more, each list is cut sooner, so that the end is seen as well. */
const mostParts = 3000;

/** Levels and items that are written; the first that keeps within the limit is taken. */
const extents: readonly { depth: number; maxArrayLength: number }[] = [
  { depth: 4, maxArrayLength: 60 },
  { depth: 4, maxArrayLength: 20 },
  { depth: 4, maxArrayLength: 10 },
  { depth: 4, maxArrayLength: 6 },
  { depth: 2, maxArrayLength: 6 },
  { depth: 0, maxArrayLength: 6 },
];

/** A value as `util.inspect` writes it, cut where a notebook would drown in it; tensors and networks inside it in a few words. */
export function valueText(value: unknown): string {
  try {
    const text = cut(inspectParts(value, { maxStringLength: 10_000, breakLength: 100 }));
    return typeof value === 'function' ? withoutLentName(text) : text;
  } catch (error) {
    // A getter or a custom inspector of the value's own failed.
    return `[${typeof value} that can't be shown: ${reasonOf(error)}]`;
  }
}

/** A value in one line of at most `most` letters, for a cell of a table. */
export function shortText(value: unknown, most: number): string {
  let text: string;
  try {
    const options = { maxStringLength: most, breakLength: Infinity, compact: true };
    text = typeof value === 'string' ? value : inspectParts(value, options, { depth: 2, maxArrayLength: 12 });
  } catch (error) {
    text = `[${typeof value} that can't be shown: ${reasonOf(error)}]`;
  }
  const line = text.slice(0, 2 * most).replace(/\s+/g, ' ');
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

function inspectParts(value: unknown, options: InspectOptions, extent?: InspectOptions): string {
  let chosen = extent ?? extents[extents.length - 1];
  let parts = new Parts();
  for (const candidate of extent ? [] : extents) {
    parts = new Parts();
    chosen = candidate;
    if (parts.count(value, candidate.depth, candidate.maxArrayLength)) break;
  }
  if (extent) parts.count(value, Number(extent.depth), Number(extent.maxArrayLength));
  return withoutStacks(withInspectors(parts.owners, () => inspect(value, { ...options, ...chosen })));
}

/** Walks what `inspect` would write, without calling any getter. */
class Parts {
  /** Prototypes of the tensors and networks that were met, and how these are written. */
  readonly owners: Map<object, (value: unknown) => string> = new Map();
  private left: number = mostParts;

  /** Whether everything down to `depth` is within the limit. */
  count(value: unknown, depth: number, items: number): boolean {
    if (--this.left < 0) return false;
    // A proxy's traps are code of its author's; inspect passes them by, and shows the target.
    if (typeof value !== 'object' || value === null || types.isProxy(value)) return true;
    if (isTensor(value)) this.note(value, 'dataSync', (tensor) => tensorLine(tensor as typeof value));
    else if (isModule(value))
      this.note(value, 'namedVariables', (module) => moduleLine(module as typeof value));
    else if (depth >= 0) return this.countInside(value, depth, items);
    return true;
  }

  private countInside(value: object, depth: number, items: number): boolean {
    if (ArrayBuffer.isView(value)) return (this.left -= Math.min(items, value.byteLength)) >= 0;
    if (types.isMap(value) || types.isSet(value)) {
      let n = 0;
      for (const entry of types.isMap(value) ? value : value.entries()) {
        if (n++ >= items) break;
        if (!entry.every((part) => this.count(part, depth - 1, items))) return false;
      }
    }
    const keys = Array.isArray(value) ? keysOfStart(value, items) : Object.keys(value);
    this.left -= keys.length;
    return (
      this.left >= 0 &&
      keys.every((key) => {
        const property = Object.getOwnPropertyDescriptor(value, key);
        return !property || !('value' in property) || this.count(property.value, depth - 1, items);
      })
    );
  }

  private note(value: object, method: string, write: (value: unknown) => string): void {
    let owner: object | null = value;
    while (owner && !Object.hasOwn(owner, method)) owner = Object.getPrototypeOf(owner) as object | null;
    if (owner) this.owners.set(owner, write);
  }
}

function keysOfStart(array: readonly unknown[], items: number): string[] {
  return Array.from({ length: Math.min(array.length, items) }, (_, i) => String(i));
}

/** Lends these prototypes an inspector for the time of one call: theirs would print caches and handles. */
function withInspectors(owners: Map<object, (value: unknown) => string>, write: () => string): string {
  const lent: object[] = [];
  try {
    for (const [owner, line] of owners) {
      if (Object.hasOwn(owner, inspect.custom) || !Object.isExtensible(owner)) continue;
      const inspector = function (this: unknown): string {
        return line(this);
      };
      Object.defineProperty(owner, inspect.custom, { value: inspector, configurable: true });
      lent.push(owner);
    }
    return write();
  } finally {
    for (const owner of lent) delete (owner as { [inspect.custom]?: unknown })[inspect.custom];
  }
}

/** The calls in an error's stack are lines of compiled cells, which nobody has seen; of a value its message is what tells. */
function withoutStacks(text: string): string {
  return text.replace(stackLines, '');
}

const stackLines = new RegExp(
  String.raw`(?:\n +(?:at [^\n]*?(?::\d+:\d+|<anonymous>|index \d+|native)\)?|\.{3} \d+ lines matching cause stack trace \.{3})` +
    String.raw`(?= \{\n| \]|,?\n|,? [}\]]|$))+`,
  'g',
);

/** A function without a name takes that of the variable in which the engine keeps a cell's value. */
function withoutLentName(text: string): string {
  return text.replace(': tsLastExpr', ' (anonymous)').replace('[class tsLastExpr', '[class (anonymous)');
}

function cut(text: string): string {
  if (text.length <= mostText) return text;
  const kept = text.slice(0, mostText).replace(/[\ud800-\udbff]$/, '');
  return `${kept}…\n(${formatCount(text.length - kept.length)} more characters)`;
}

function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'an error without a text';
  }
}
