/** Number formats of weight files, and their conversion to float32 and int32. All are little-endian, as every machine that runs Node is. */

interface Format {
  readonly bytes: number;
  /**
   * Copies `from`, whole values, to `into` at `at`. Without it the format can be stepped over, but not read.
   * @throws RangeError for an integer that int32 can't hold, naming it.
   */
  readonly convert?: (from: Uint8Array, into: Float32Array | Int32Array, at: number) => void;
  readonly integer?: boolean;
  /** The bytes are what the result's bytes are to be. */
  readonly asIs?: boolean;
}

const view = (from: Uint8Array): DataView => new DataView(from.buffer, from.byteOffset, from.byteLength);

function integers(bytes: number, read: (data: DataView, offset: number) => number | bigint): Format {
  return {
    bytes,
    integer: true,
    convert(from, into, at) {
      const data = view(from);
      for (let i = 0; i < from.length / bytes; i++) {
        const value = read(data, i * bytes);
        const number = Number(value);
        if ((number | 0) !== number) throw new RangeError(`the integer ${value} is beyond 32 bits`);
        into[at + i] = number;
      }
    },
  };
}

const formats = {
  F32: { bytes: 4, asIs: true },
  I32: { bytes: 4, integer: true, asIs: true },
  F16: {
    bytes: 2,
    convert(from, into, at) {
      const data = view(from);
      const table = halfTable();
      for (let i = 0; i < from.length / 2; i++) into[at + i] = table[data.getUint16(i * 2, true)];
    },
  },
  // The upper half of a float32.
  BF16: {
    bytes: 2,
    convert(from, into, at) {
      const data = view(from);
      const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
      for (let i = 0; i < from.length / 2; i++) bits[at + i] = data.getUint16(i * 2, true) << 16;
    },
  },
  // Rounded; what is beyond float32 becomes infinite.
  F64: {
    bytes: 8,
    convert(from, into, at) {
      const data = view(from);
      for (let i = 0; i < from.length / 8; i++) into[at + i] = data.getFloat64(i * 8, true);
    },
  },
  I64: integers(8, (data, offset) => data.getBigInt64(offset, true)),
  U64: integers(8, (data, offset) => data.getBigUint64(offset, true)),
  U32: integers(4, (data, offset) => data.getUint32(offset, true)),
  I16: integers(2, (data, offset) => data.getInt16(offset, true)),
  U16: integers(2, (data, offset) => data.getUint16(offset, true)),
  I8: integers(1, (data, offset) => data.getInt8(offset)),
  U8: integers(1, (data, offset) => data.getUint8(offset)),
  BOOL: integers(1, (data, offset) => (data.getUint8(offset) === 0 ? 0 : 1)),
  F8_E4M3: { bytes: 1 },
  F8_E5M2: { bytes: 1 },
  F8_E8M0: { bytes: 1 },
  C64: { bytes: 8 },
} satisfies Record<string, Format>;

/** What is known of a format; `undefined` for a name that is none. */
export function formatOf(dtype: string): Format | undefined {
  return Object.hasOwn(formats, dtype) ? formats[dtype as keyof typeof formats] : undefined;
}

/** The names of the formats that can be read. */
export function readableDtypes(): string[] {
  return Object.entries<Format>(formats)
    .filter(([, { asIs, convert }]) => asIs || convert)
    .map(([name]) => name);
}

let halves: Float32Array | undefined;

/** Every half-precision number as a float32, by its bits. */
function halfTable(): Float32Array {
  if (!halves) {
    halves = new Float32Array(0x10000);
    for (let bits = 0; bits < 0x10000; bits++) {
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const size =
        exponent === 0
          ? fraction * 2 ** -24
          : exponent === 31
            ? fraction
              ? NaN
              : Infinity
            : (1024 + fraction) * 2 ** (exponent - 25);
      halves[bits] = bits & 0x8000 ? -size : size;
    }
  }
  return halves;
}
