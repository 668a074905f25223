/** Reads a stream of bytes in the portions that a format is made of, holding no more than a portion. */

/** Takes bytes off a stream, in order. */
export class ByteReader {
  /** Bytes taken so far. */
  position = 0;
  private rest: Buffer = Buffer.alloc(0);
  private readonly chunks: AsyncIterator<Buffer>;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes, so many at most, one at least; `undefined` at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.rest.length === 0) {
      const next = await this.chunks.next();
      if (next.done) return undefined;
      this.rest = next.value;
    }
    const taken = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(taken.length);
    this.position += taken.length;
    return taken;
  }

  /** Exactly so many bytes, or fewer where the stream ends. Meant for small portions. */
  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const part = await this.some(missing);
      if (part === undefined) break;
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Passes over so many bytes. @returns whether there were so many. */
  async skip(length: number): Promise<boolean> {
    let missing = length;
    while (missing > 0) {
      const part = await this.some(missing);
      if (part === undefined) return false;
      missing -= part.length;
    }
    return true;
  }
}
