/** Tensors in a file that any language reads in a few lines: the layout of safetensors (a length, a JSON header, the values). */
import fs from 'node:fs';

/** Values of one tensor, row by row. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

interface Entry {
  dtype: 'F32' | 'I32';
  shape: number[];
  data_offsets: [from: number, to: number];
}

/** Writes tensors by name. */
export function writeTensors(file: string, tensors: Readonly<Record<string, StoredTensor>>): void {
  const header: Record<string, Entry> = {};
  let offset = 0;
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const dtype = values instanceof Float32Array ? 'F32' : 'I32';
    header[name] = { dtype, shape: [...shape], data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  // The values begin at a multiple of 8 bytes, so that they can be viewed in place.
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const bytes = Object.values(tensors).map(({ values }) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  );
  fs.writeFileSync(file, Buffer.concat([length, json, ...bytes]));
}

/** Reads what `writeTensors` wrote. */
export function readTensors(file: string): Record<string, StoredTensor> {
  const bytes = fs.readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>;
  return Object.fromEntries(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        // A copy, since a small file's buffer may begin anywhere in Node's pool.
        const copy = new Uint8Array(bytes.subarray(start + from, start + to)).buffer;
        return [name, { shape, values: dtype === 'F32' ? new Float32Array(copy) : new Int32Array(copy) }];
      },
    ),
  );
}
