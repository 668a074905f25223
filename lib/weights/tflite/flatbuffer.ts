/**
 * Reads FlatBuffers, the container of TFLite files, without trusting them: every offset is checked against the file, and the parts may
 * not overlap so much that a small file grows into a large description.
 */

/** Bytes of FlatBuffers. Errors are RangeErrors that say where; the caller adds which file it is. */
export class FlatBuffer {
  readonly bytes: Uint8Array;
  private readonly data: DataView;
  /** Bytes of vectors and texts that may still be described. An honest file hardly shares any. */
  private budget: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.budget = bytes.byteLength + 2 ** 20;
  }

  /** The table that everything hangs on. */
  root(): FlatTable {
    return new FlatTable(this, this.target(0, 'the root'));
  }

  uint8(at: number): number {
    return this.data.getUint8(this.within(at, 1));
  }

  int8(at: number): number {
    return this.data.getInt8(this.within(at, 1));
  }

  uint16(at: number): number {
    return this.data.getUint16(this.within(at, 2), true);
  }

  int32(at: number): number {
    return this.data.getInt32(this.within(at, 4), true);
  }

  uint32(at: number): number {
    return this.data.getUint32(this.within(at, 4), true);
  }

  uint64(at: number): bigint {
    return this.data.getBigUint64(this.within(at, 8), true);
  }

  float32(at: number): number {
    return this.data.getFloat32(this.within(at, 4), true);
  }

  /** Where the offset at `at` leads. */
  target(at: number, what: string): number {
    const target = at + this.uint32(at);
    if (target + 4 > this.bytes.length) {
      throw new RangeError(
        `${what} is said to be at byte ${target}, but the file has ${this.bytes.length} bytes`,
      );
    }
    return target;
  }

  /** Checks a vector of `count` items of `size` bytes, whose count stands at `at`, and takes it off the budget. Returns the count. */
  vector(at: number, size: number, what: string, described: boolean = true): number {
    const count = this.uint32(at);
    if (at + 4 + count * size > this.bytes.length) {
      throw new RangeError(
        `${what} at byte ${at} is said to have ${count} items, which go beyond the end of the file`,
      );
    }
    if (described) this.budget -= count * size;
    if (this.budget < 0) throw new RangeError('its parts lie over one another, as no writer lays them');
    return count;
  }

  private within(at: number, size: number): number {
    if (!(at >= 0 && at + size <= this.bytes.length)) {
      throw new RangeError(`it points to byte ${at}, but the file has ${this.bytes.length} bytes`);
    }
    return at;
  }
}

/** A table of numbered fields; a field that is not there has the default that the schema gives it. */
export class FlatTable {
  private readonly buffer: FlatBuffer;
  private readonly start: number;
  private readonly fields: number;
  private readonly fieldBytes: number;
  private readonly tableBytes: number;

  constructor(buffer: FlatBuffer, start: number) {
    this.buffer = buffer;
    this.start = start;
    this.fields = start - buffer.int32(start);
    this.fieldBytes = buffer.uint16(this.fields);
    this.tableBytes = buffer.uint16(this.fields + 2);
    const beyond = Math.max(this.fields + this.fieldBytes, start + this.tableBytes) > buffer.bytes.length;
    if (this.fieldBytes < 4 || this.fieldBytes % 2 !== 0 || this.tableBytes < 4 || beyond) {
      throw new RangeError(`the table at byte ${start} is damaged`);
    }
  }

  /** Where field `id` of `size` bytes is; `undefined` where it is not there. */
  private field(id: number, size: number): number | undefined {
    const entry = 4 + 2 * id;
    const offset = entry + 2 <= this.fieldBytes ? this.buffer.uint16(this.fields + entry) : 0;
    if (offset === 0) return undefined;
    if (offset < 4 || offset + size > this.tableBytes) {
      throw new RangeError(`field ${id} of the table at byte ${this.start} lies outside of it`);
    }
    return this.start + offset;
  }

  int8(id: number, missing: number = 0): number {
    const at = this.field(id, 1);
    return at === undefined ? missing : this.buffer.int8(at);
  }

  uint8(id: number, missing: number = 0): number {
    const at = this.field(id, 1);
    return at === undefined ? missing : this.buffer.uint8(at);
  }

  int32(id: number, missing: number = 0): number {
    const at = this.field(id, 4);
    return at === undefined ? missing : this.buffer.int32(at);
  }

  uint32(id: number, missing: number = 0): number {
    const at = this.field(id, 4);
    return at === undefined ? missing : this.buffer.uint32(at);
  }

  uint64(id: number, missing: bigint = 0n): bigint {
    const at = this.field(id, 8);
    return at === undefined ? missing : this.buffer.uint64(at);
  }

  float32(id: number, missing: number = 0): number {
    const at = this.field(id, 4);
    return at === undefined ? missing : this.buffer.float32(at);
  }

  /** A table; `undefined` where there is none. */
  table(id: number, what: string): FlatTable | undefined {
    const at = this.field(id, 4);
    return at === undefined ? undefined : new FlatTable(this.buffer, this.buffer.target(at, what));
  }

  /** Tables; none where the field is missing. */
  tables(id: number, what: string): FlatTable[] {
    const start = this.vectorStart(id, what);
    if (start === undefined) return [];
    const count = this.buffer.vector(start, 4, what);
    return Array.from({ length: count }, (_, i) => {
      return new FlatTable(this.buffer, this.buffer.target(start + 4 + 4 * i, `${what}: item ${i}`));
    });
  }

  int32s(id: number, what: string): number[] {
    const start = this.vectorStart(id, what);
    if (start === undefined) return [];
    const count = this.buffer.vector(start, 4, what);
    return Array.from({ length: count }, (_, i) => this.buffer.int32(start + 4 + 4 * i));
  }

  /** A view of bytes, nothing copied. */
  bytes(id: number, what: string): Uint8Array | undefined {
    const start = this.vectorStart(id, what);
    if (start === undefined) return undefined;
    const count = this.buffer.vector(start, 1, what, false);
    return this.buffer.bytes.subarray(start + 4, start + 4 + count);
  }

  /** A text in UTF-8; empty where there is none. */
  text(id: number, what: string): string {
    const start = this.vectorStart(id, what);
    if (start === undefined) return '';
    const count = this.buffer.vector(start, 1, what);
    return Buffer.from(this.buffer.bytes.subarray(start + 4, start + 4 + count)).toString('utf8');
  }

  private vectorStart(id: number, what: string): number | undefined {
    const at = this.field(id, 4);
    return at === undefined ? undefined : this.buffer.target(at, what);
  }
}
