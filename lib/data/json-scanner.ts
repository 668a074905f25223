/** Finds the elements of some arrays in JSON that comes in pieces, without holding more than one element. */
import { isUtf8 } from 'node:buffer';
import { parseJsonText } from './json-text';

/** Where in the file an element begins. */
export interface JsonPlace {
  /** In its array, from 0. */
  readonly index: number;
  /** In the file, from 1. */
  readonly line: number;
}

/** What to read, and who is told. */
export interface JsonStreamOptions {
  /**
   * Arrays to read, by their key in the file's object; the key '' stands for a file that is an array. Other values are passed
   * over. Numbers that JSON does not have (`NaN`, `Infinity`, which Python writes) arrive as texts of that name.
   */
  readonly arrays: Readonly<Record<string, (element: unknown, place: JsonPlace) => void>>;
  /** Keys of the elements' own members whose values are passed over unread; they arrive as `null`. */
  readonly skip?: readonly string[];
  /** Told of an element that is no valid JSON, which is left out. Default: an error. */
  readonly onBroken?: (key: string, place: JsonPlace, reason: string, wrongEncoding: boolean) => void;
  /** Told bytes read and bytes in all, a few times a second at most. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A file that is not the JSON it should be; the message begins with the line. */
export class JsonStreamError extends Error {
  override readonly name: string = 'JsonStreamError';

  constructor(
    readonly line: number,
    message: string,
  ) {
    super(`line ${line}: ${message}`);
  }
}

const code = {
  newline: 10,
  quote: 34,
  comma: 44,
  colon: 58,
  openBracket: 91,
  backslash: 92,
  closeBracket: 93,
  openBrace: 123,
  closeBrace: 125,
} as const;

/** 1: means something outside a string. Digits and the like, most of a file, do not. */
const matters = new Uint8Array(256);
for (const one of Object.values(code)) matters[one] = 1;

/** 1: between tokens. */
const space = new Uint8Array(256);
for (const one of [9, 10, 13, 32]) space[one] = 1;

/** What may come next outside the elements. */
type Expected =
  | 'root'
  | 'first-key'
  | 'key'
  | 'colon'
  | 'value'
  | 'comma'
  | 'first-element'
  | 'element'
  | 'element-comma'
  | 'end';

const quoteBytes = Buffer.from('"');
const nullBytes = Buffer.from('null');

const deepest = 512;
const longestElement = 1 << 28;

/** The scanner behind `streamJson`: takes the file in pieces of any size. */
export class JsonScanner {
  private expected: Expected = 'root';
  private line = 1;
  private index = 0;
  private key = '';
  private readonly keys: string[] = [];
  private started = false;

  /** The value being read; its brackets so far. */
  private inValue: 'no' | 'container' | 'string' | 'scalar' = 'no';
  private readonly brackets = new Uint8Array(deepest);
  private depth = 0;
  private inString = false;
  private escaped = false;
  private valueLine = 1;

  /** Whether the value's bytes are kept, and which were. */
  private keep = false;
  private kept: Buffer = Buffer.allocUnsafe(1 << 12);
  private keptLength = 0;

  /** Members of the element: whether a key comes next, the key's bytes, whether it is to be passed over. */
  private keyNext = false;
  private readonly member: Buffer = Buffer.alloc(64);
  private memberLength = -1;
  private passOver: 'no' | 'key' | 'value' = 'no';
  private readonly skipped: readonly Buffer[];

  constructor(private readonly options: JsonStreamOptions) {
    this.skipped = (options.skip ?? []).map((key) => Buffer.from(key));
  }

  /** Takes the next bytes; they may be overwritten afterwards. */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    if (!this.started && bytes.length > 0) {
      this.started = true;
      const wide = bytes.length > 1 && (bytes[0] === 0 || bytes[1] === 0 || bytes[0] >= 0xfe);
      if (wide) throw new JsonStreamError(1, 'it is not UTF-8 (UTF-16 by its looks); save it as UTF-8');
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) at = 3;
    }
    while (at < bytes.length) at = this.inValue === 'no' ? this.between(bytes, at) : this.value(bytes, at);
  }

  /** Says that there is no more. @returns the keys of the file's object. */
  end(): string[] {
    if (this.expected !== 'end' || this.inValue !== 'no') {
      const where = this.expected === 'root' ? 'it is empty' : `it is cut short: it ends ${this.place()}`;
      throw new JsonStreamError(this.line, where);
    }
    return this.keys;
  }

  /** One byte between values. @returns where to go on. */
  private between(bytes: Buffer, at: number): number {
    const c = bytes[at];
    if (c === code.newline) this.line++;
    if (space[c]) return at + 1;
    switch (this.expected) {
      case 'root':
        if (c === code.openBracket && this.options.arrays[''] !== undefined) {
          this.keys.push('');
          this.expected = 'first-element';
        } else if (c === code.openBrace) this.expected = 'first-key';
        else this.unexpected(c, this.options.arrays[''] ? 'an object or an array' : 'an object');
        return at + 1;
      case 'first-key':
      case 'key':
        if (c === code.closeBrace && this.expected === 'first-key') {
          this.expected = 'end';
          return at + 1;
        }
        if (c !== code.quote) this.unexpected(c, 'a key');
        this.begin('string', true);
        return at + 1;
      case 'colon':
        if (c !== code.colon) this.unexpected(c, '":"');
        this.expected = 'value';
        return at + 1;
      case 'value':
        if (c === code.openBracket && Object.hasOwn(this.options.arrays, this.key)) {
          this.expected = 'first-element';
          this.index = 0;
          return at + 1;
        }
        return this.beginValue(c, at, false);
      case 'comma':
        if (c !== code.comma && c !== code.closeBrace) this.unexpected(c, '"," or "}"');
        this.expected = c === code.comma ? 'key' : 'end';
        return at + 1;
      case 'first-element':
      case 'element':
        if (c === code.closeBracket && this.expected === 'first-element') this.endArray();
        else return this.beginValue(c, at, true);
        return at + 1;
      case 'element-comma':
        if (c === code.closeBracket) this.endArray();
        else if (c === code.comma) this.expected = 'element';
        else this.unexpected(c, '"," or "]"');
        return at + 1;
      case 'end':
        return this.unexpected(c, 'nothing');
    }
  }

  private endArray(): void {
    this.expected = this.key === '' ? 'end' : 'comma';
  }

  private begin(kind: 'container' | 'string' | 'scalar', keep: boolean): void {
    this.inValue = kind;
    this.keep = keep;
    this.keptLength = 0;
    this.depth = 0;
    this.escaped = false;
    this.inString = kind === 'string';
    this.valueLine = this.line;
    this.keyNext = false;
    this.memberLength = -1;
    this.passOver = 'no';
  }

  private beginValue(c: number, at: number, keep: boolean): number {
    if (c === code.openBrace || c === code.openBracket) {
      this.begin('container', keep);
      return at; // the value's own loop counts the bracket
    }
    if (c === code.quote) {
      this.begin('string', keep);
      if (keep) this.keepBytes(quoteBytes, 0, 1);
      return at + 1;
    }
    if (matters[c]) this.unexpected(c, 'a value');
    this.begin('scalar', keep);
    return at;
  }

  /** As much of a value as the bytes hold. @returns where to go on. */
  private value(bytes: Buffer, from: number): number {
    if (this.inValue === 'container') return this.container(bytes, from);
    return this.inValue === 'string' ? this.text(bytes, from) : this.scalar(bytes, from);
  }

  private scalar(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length && !matters[bytes[at]] && !space[bytes[at]]) at++;
    this.keepBytes(bytes, from, at);
    if (at < bytes.length) this.finish();
    return at;
  }

  /** A key of the file's object, or a value that is a string. */
  private text(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const c = bytes[at];
      if (this.escaped) this.escaped = false;
      else if (c === code.backslash) this.escaped = true;
      else if (c === code.newline)
        throw new JsonStreamError(this.line, 'a string goes over the end of the line');
      else if (c === code.quote) {
        const isKey = this.expected === 'key' || this.expected === 'first-key';
        this.keepBytes(bytes, from, isKey ? at : at + 1);
        this.finish();
        return at + 1;
      }
    }
    this.keepBytes(bytes, from, bytes.length);
    return bytes.length;
  }

  /** An object or array. The loop that sees most of a file's bytes: its state lives in locals. */
  private container(bytes: Buffer, start: number): number {
    const { brackets } = this;
    const watches = this.keep && this.skipped.length > 0;
    let { depth, inString, escaped } = this;
    let from = start;
    let at = start;
    for (; at < bytes.length; at++) {
      const c = bytes[at];
      if (inString) {
        if (escaped) escaped = false;
        else if (c === code.backslash) escaped = true;
        else if (c === code.quote) {
          inString = false;
          if (this.memberLength >= 0) this.endMember();
          continue;
        }
        if (this.memberLength >= 0 && this.memberLength < this.member.length)
          this.member[this.memberLength++] = c;
        continue;
      }
      if (matters[c] === 0) continue;
      if (c === code.quote) {
        inString = true;
        if (watches && depth === 1 && this.keyNext) this.memberLength = 0;
      } else if (c === code.openBracket || c === code.openBrace) {
        if (depth === deepest)
          throw new JsonStreamError(this.line, `brackets are nested more than ${deepest} deep`);
        brackets[depth++] = c;
        if (depth === 1) this.keyNext = c === code.openBrace;
      } else if (c === code.closeBracket || c === code.closeBrace) {
        // "[" and "]", "{" and "}" are two apart.
        if (brackets[depth - 1] !== c - 2) this.unexpected(c, brackets[depth - 1] === 91 ? '"]"' : '"}"');
        if (depth === 1 && this.passOver === 'value') from = this.endPassed(at);
        if (--depth === 0) {
          this.keepBytes(bytes, from, at + 1);
          this.finish();
          return at + 1;
        }
      } else if (c === code.newline) this.line++;
      else if (depth === 1 && c === code.comma) {
        if (this.passOver === 'value') from = this.endPassed(at);
        this.keyNext = brackets[0] === code.openBrace;
      } else if (depth === 1 && c === code.colon && this.passOver === 'key') {
        this.keepBytes(bytes, from, at + 1);
        this.keepBytes(nullBytes, 0, 4);
        this.passOver = 'value';
      }
    }
    if (this.passOver !== 'value') this.keepBytes(bytes, from, bytes.length);
    this.depth = depth;
    this.inString = inString;
    this.escaped = escaped;
    return at;
  }

  private endMember(): void {
    const name = this.member.subarray(0, this.memberLength);
    if (this.skipped.some((key) => key.equals(name))) this.passOver = 'key';
    this.memberLength = -1;
    this.keyNext = false;
  }

  private endPassed(at: number): number {
    this.passOver = 'no';
    return at;
  }

  private keepBytes(bytes: Buffer, from: number, to: number): void {
    if (!this.keep || to <= from) return;
    const length = this.keptLength + to - from;
    if (length > longestElement)
      throw new JsonStreamError(this.line, `a value ${this.place()} is longer than ${longestElement} bytes`);
    if (length > this.kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.kept.length));
      this.kept.copy(larger, 0, 0, this.keptLength);
      this.kept = larger;
    }
    bytes.copy(this.kept, this.keptLength, from, to);
    this.keptLength = length;
  }

  /** The value is complete. */
  private finish(): void {
    this.inValue = 'no';
    const bytes = this.kept.subarray(0, this.keptLength);
    if (this.expected === 'key' || this.expected === 'first-key') {
      this.key = parseJsonText(`"${bytes.toString()}"`, (reason) => this.fail(reason)) as string;
      this.keys.push(this.key);
      this.expected = 'colon';
    } else if (this.expected === 'value') this.expected = 'comma';
    else {
      this.emit(bytes);
      this.expected = 'element-comma';
      this.index++;
    }
  }

  private emit(bytes: Buffer): void {
    const place = { index: this.index, line: this.valueLine };
    let broken: string | undefined;
    let element: unknown;
    const valid = isUtf8(bytes);
    if (!valid) broken = 'it is not UTF-8 text; save the file as UTF-8';
    else element = parseJsonText(bytes.toString(), (reason) => (broken = reason));
    if (broken === undefined) this.options.arrays[this.key](element, place);
    else if (this.options.onBroken) this.options.onBroken(this.key, place, broken, !valid);
    else throw new JsonStreamError(this.valueLine, `in ${this.element(this.index)}: ${broken}`);
  }

  private element(index: number): string {
    return this.key === '' ? `element ${index}` : `${this.key}[${index}]`;
  }

  /** Where the scanner is, for messages. */
  private place(): string {
    const { expected, index } = this;
    const inArray = expected === 'first-element' || expected === 'element';
    if (inArray && this.inValue !== 'no') return `in ${this.element(index)}`;
    if (expected === 'first-element')
      return `at the start of ${this.key === '' ? 'the array' : `"${this.key}"`}`;
    if (expected === 'element') return `before ${this.element(index)}`;
    if (expected === 'element-comma') return `after ${this.element(index - 1)}`;
    return this.keys.length === 0 ? 'at the start' : `after "${this.key}"`;
  }

  private fail(reason: string): never {
    throw new JsonStreamError(this.line, reason);
  }

  private unexpected(c: number, wanted: string): never {
    const found = c >= 32 && c < 127 ? `"${String.fromCharCode(c)}"` : `byte 0x${c.toString(16)}`;
    throw new JsonStreamError(this.line, `${wanted} was expected ${this.place()}, found ${found}`);
  }
}
