/** The content of a request, read field by field: what is wrong is said with the field's name. */

/** A well-formed request with content that cannot be used; it is answered with `status: error`. */
export class BadRequest extends Error {
  override readonly name: string = 'BadRequest';
}

/** Reads the fields of one message's content. Absent and null are the same, since front ends send either. */
export class Fields {
  private readonly type: string;
  private readonly content: Record<string, unknown>;

  constructor(type: string, content: Record<string, unknown>) {
    this.type = type;
    this.content = content;
  }

  /** @throws BadRequest where it is missing and has no fallback, or is no text. */
  text(name: string, fallback?: string): string {
    return this.read(name, 'a text', (value) => typeof value === 'string', fallback);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.read(name, 'true or false', (value) => typeof value === 'boolean', fallback);
  }

  integer(name: string, fallback?: number): number {
    return this.read(name, 'a whole number', Number.isInteger, fallback);
  }

  /** A whole number from 0. */
  count(name: string, fallback?: number): number {
    const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
    return this.read(name, 'a whole number from 0', isCount, fallback);
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const needed = `one of ${allowed.map((word) => `"${word}"`).join(', ')}`;
    return this.read(name, needed, (value) => allowed.includes(value as T));
  }

  /** An object whose values are texts. */
  texts(name: string): Record<string, string> {
    const isTexts = (value: unknown): boolean =>
      typeof value === 'object' &&
      !Array.isArray(value) &&
      Object.values(value!).every((v) => typeof v === 'string');
    return this.read(name, 'an object whose values are texts', isTexts, {});
  }

  has(name: string): boolean {
    return (
      Object.hasOwn(this.content, name) && this.content[name] !== null && this.content[name] !== undefined
    );
  }

  private read<T>(name: string, needed: string, fits: (value: unknown) => boolean, fallback?: T): T {
    if (!this.has(name)) {
      if (fallback !== undefined) return fallback;
      throw new BadRequest(`${this.type}: the field "${name}" is missing; it must be ${needed}`);
    }
    const value = this.content[name];
    if (fits(value)) return value as T;
    const found = JSON.stringify(value);
    const shown = found.length > 60 ? `${found.slice(0, 57)}...` : found;
    throw new BadRequest(`${this.type}: the field "${name}" is ${shown}; it must be ${needed}`);
  }
}
