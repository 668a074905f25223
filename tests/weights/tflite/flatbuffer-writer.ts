/** Writes FlatBuffers for tests: parents before children, nothing shared unless the same object is given twice. */

/** A field's value; numbers have a format. */
export type Field =
  | { int8: number }
  | { int32: number }
  | { float32: number }
  | { uint64: bigint }
  | { table: Table }
  | { tables: Table[] }
  | { int32s: number[] }
  | { bytes: Uint8Array }
  | { text: string };

/** Fields by their number in the schema. */
export type Table = { [id: number]: Field | undefined };

/** A FlatBuffer with the file identifier of TFLite unless told otherwise. */
export function writeFlatBuffer(root: Table, identifier: string = 'TFL3'): Uint8Array {
  let buffer = Buffer.alloc(1024);
  let length = 0;
  const places = new Map<object, number>();

  const add = (bytes: number, align: number): number => {
    length = Math.ceil(length / align) * align;
    const at = length;
    length += bytes;
    while (length > buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
    return at;
  };
  const pointTo = (field: number, target: number): void => {
    buffer.writeUInt32LE(target - field, field);
  };

  const vector = (count: number, size: number): number => {
    const at = add(4 + count * size, 4);
    buffer.writeUInt32LE(count, at);
    return at;
  };

  /** Writes what an offset leads to, or finds where it is already. Returns where. */
  const child = (field: Field): number => {
    if ('table' in field) return table(field.table);
    const key = 'tables' in field ? field.tables : 'int32s' in field ? field.int32s : field;
    const known = places.get(key);
    if (known !== undefined) return known;
    let at: number;
    if ('tables' in field) {
      at = vector(field.tables.length, 4);
      places.set(key, at);
      field.tables.forEach((item, i) => pointTo(at + 4 + 4 * i, table(item)));
    } else if ('int32s' in field) {
      at = vector(field.int32s.length, 4);
      field.int32s.forEach((value, i) => buffer.writeInt32LE(value, at + 4 + 4 * i));
    } else {
      const bytes = 'text' in field ? Buffer.from(`${field.text}\0`) : (field as { bytes: Uint8Array }).bytes;
      at = vector(bytes.length, 1);
      buffer.set(bytes, at + 4);
      if ('text' in field) buffer.writeUInt32LE(bytes.length - 1, at);
    }
    places.set(key, at);
    return at;
  };

  const table = (fields: Table): number => {
    const known = places.get(fields);
    if (known !== undefined) return known;
    const given = Object.entries(fields).filter((entry): entry is [string, Field] => entry[1] !== undefined);
    const ids = given.map(([id]) => Number(id));
    const entries = ids.length === 0 ? 0 : Math.max(...ids) + 1;
    const fieldTable = add(4 + 2 * entries, 8);
    const sizes = given.map(([, field]) => ('uint64' in field ? 8 : 4));
    const size = 8 + sizes.reduce((sum, bytes) => sum + bytes + 4, 0);
    const start = add(size, 8);
    places.set(fields, start);
    buffer.writeUInt16LE(4 + 2 * entries, fieldTable);
    buffer.writeUInt16LE(size, fieldTable + 2);
    buffer.writeInt32LE(start - fieldTable, start);
    let offset = 8;
    given.forEach(([id, field], i) => {
      offset = Math.ceil(offset / sizes[i]) * sizes[i];
      buffer.writeUInt16LE(offset, fieldTable + 4 + 2 * Number(id));
      const at = start + offset;
      if ('int8' in field) buffer.writeInt8(field.int8, at);
      else if ('int32' in field) buffer.writeInt32LE(field.int32, at);
      else if ('float32' in field) buffer.writeFloatLE(field.float32, at);
      else if ('uint64' in field) buffer.writeBigUInt64LE(field.uint64, at);
      else pointTo(at, child(field));
      offset += sizes[i];
    });
    return start;
  };

  add(8, 8);
  buffer.write(identifier, 4, 'latin1');
  pointTo(0, table(root));
  return new Uint8Array(buffer.subarray(0, length));
}
