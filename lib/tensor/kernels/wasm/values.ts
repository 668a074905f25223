/**
 * Typed expressions of WebAssembly: each holds the machine code that computes it, so that kernels are written as formulae.
 * Opcodes are those of the WebAssembly core specification 2.0 and its SIMD proposal.
 */

/** Machine code. */
export type Code = readonly number[];

/** A whole number as LEB128, unsigned: how the format writes counts, indices and offsets. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const low = value & 0x7f;
    value >>>= 7;
    bytes.push(value === 0 ? low : low | 0x80);
  } while (value !== 0);
  return bytes;
}

/** A whole number as LEB128, signed: how the format writes constants. */
function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const done = (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40);
  return done ? [low] : [low | 0x80, ...signed(rest)];
}

function littleEndian(fill: (view: DataView) => void, length: number): number[] {
  const bytes = new Uint8Array(length);
  fill(new DataView(bytes.buffer));
  return [...bytes];
}

const vectorOpcode = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];

/** A whole number four times. */
const splatInt = (value: number): number[] => [...Int.of(value).code, ...vectorOpcode(0x11)];

/** A 32-bit whole number: a count, an address in bytes, or a truth value. */
export class Int {
  static readonly type = 0x7f;
  constructor(readonly code: Code) {}

  static of(value: Int | number): Int {
    return typeof value === 'number' ? new Int([0x41, ...signed(value | 0)]) : value;
  }

  add(other: Int | number): Int {
    return other === 0 ? this : this.with(other, 0x6a);
  }
  sub(other: Int | number): Int {
    return this.with(other, 0x6b);
  }
  mul(other: Int | number): Int {
    return this.with(other, 0x6c);
  }
  /** Rounded towards 0; no operand may be negative. */
  div(other: Int | number): Int {
    return this.with(other, 0x6e);
  }
  mod(other: Int | number): Int {
    return this.with(other, 0x70);
  }
  and(other: Int | number): Int {
    return this.with(other, 0x71);
  }
  or(other: Int | number): Int {
    return this.with(other, 0x72);
  }
  shl(other: Int | number): Int {
    return this.with(other, 0x74);
  }
  /** Zeros come in from the left. */
  shr(other: Int | number): Int {
    return this.with(other, 0x76);
  }
  eq(other: Int | number): Int {
    return this.with(other, 0x46);
  }
  ne(other: Int | number): Int {
    return this.with(other, 0x47);
  }
  lt(other: Int | number): Int {
    return this.with(other, 0x48);
  }
  gt(other: Int | number): Int {
    return this.with(other, 0x4a);
  }
  le(other: Int | number): Int {
    return this.with(other, 0x4c);
  }
  ge(other: Int | number): Int {
    return this.with(other, 0x4e);
  }
  not(): Int {
    return new Int([...this.code, 0x45]);
  }
  /** `yes` where this is not 0, else `no`. Both are computed. */
  choose(yes: Int | number, no: Int | number): Int {
    return new Int([...Int.of(yes).code, ...Int.of(no).code, ...this.code, 0x1b]);
  }
  min(other: Int | number): Int {
    return this.lt(other).choose(this, other);
  }
  max(other: Int | number): Int {
    return this.gt(other).choose(this, other);
  }

  /** The whole number at this address. */
  int(offset: number = 0): Int {
    return new Int(this.at([0x28], 2, offset));
  }
  /** The float at this address. */
  float(offset: number = 0): Float {
    return new Float(this.at([0x2a], 2, offset));
  }
  /** The float64 at this address. */
  double(offset: number = 0): Double {
    return new Double(this.at([0x2b], 3, offset));
  }
  /** The four floats at this address. */
  vector(offset: number = 0): Vector {
    return new Vector(this.at(vectorOpcode(0), 0, offset));
  }
  /** The float at this address, four times. */
  splat(offset: number = 0): Vector {
    return new Vector(this.at(vectorOpcode(9), 2, offset));
  }
  toFloat(): Float {
    return new Float([...this.code, 0xb2]);
  }
  toDouble(): Double {
    return new Double([...this.code, 0xb8]);
  }

  private at(opcode: Code, alignment: number, offset: number): number[] {
    return [...this.code, ...opcode, alignment, ...unsigned(offset)];
  }

  private with(other: Int | number, opcode: number): Int {
    return new Int([...this.code, ...Int.of(other).code, opcode]);
  }
}

/** A float32. */
export class Float {
  static readonly type = 0x7d;
  constructor(readonly code: Code) {}

  static of(value: Float | number): Float {
    if (typeof value !== 'number') return value;
    return new Float([0x43, ...littleEndian((view) => view.setFloat32(0, value, true), 4)]);
  }

  add(other: Float | number): Float {
    return this.with(other, 0x92);
  }
  sub(other: Float | number): Float {
    return this.with(other, 0x93);
  }
  mul(other: Float | number): Float {
    return this.with(other, 0x94);
  }
  div(other: Float | number): Float {
    return this.with(other, 0x95);
  }
  eq(other: Float | number): Int {
    return new Int(this.with(other, 0x5b).code);
  }
  sqrt(): Float {
    return new Float([...this.code, 0x91]);
  }
  /** Four times this. */
  splat(): Vector {
    return new Vector([...this.code, ...vectorOpcode(0x13)]);
  }
  toDouble(): Double {
    return new Double([...this.code, 0xbb]);
  }

  private with(other: Float | number, opcode: number): Float {
    return new Float([...this.code, ...Float.of(other).code, opcode]);
  }
}

/** A float64, for sums over many numbers. */
export class Double {
  static readonly type = 0x7c;
  constructor(readonly code: Code) {}

  static of(value: Double | number): Double {
    if (typeof value !== 'number') return value;
    return new Double([0x44, ...littleEndian((view) => view.setFloat64(0, value, true), 8)]);
  }

  add(other: Double | number): Double {
    return this.with(other, 0xa0);
  }
  sub(other: Double | number): Double {
    return this.with(other, 0xa1);
  }
  mul(other: Double | number): Double {
    return this.with(other, 0xa2);
  }
  div(other: Double | number): Double {
    return this.with(other, 0xa3);
  }
  max(other: Double | number): Double {
    return this.with(other, 0xa5);
  }
  sqrt(): Double {
    return new Double([...this.code, 0x9f]);
  }
  toFloat(): Float {
    return new Float([...this.code, 0xb6]);
  }

  private with(other: Double | number, opcode: number): Double {
    return new Double([...this.code, ...Double.of(other).code, opcode]);
  }
}

/** Four float32 side by side; a comparison gives all bits or none. */
export class Vector {
  static readonly type = 0x7b;
  constructor(readonly code: Code) {}

  static of(value: Vector | number): Vector {
    return typeof value === 'number' ? Float.of(value).splat() : value;
  }

  add(other: Vector | number): Vector {
    return this.with(other, 0xe4);
  }
  sub(other: Vector | number): Vector {
    return this.with(other, 0xe5);
  }
  mul(other: Vector | number): Vector {
    return this.with(other, 0xe6);
  }
  div(other: Vector | number): Vector {
    return this.with(other, 0xe7);
  }
  /** NaN where either is NaN. */
  min(other: Vector | number): Vector {
    return this.with(other, 0xe8);
  }
  max(other: Vector | number): Vector {
    return this.with(other, 0xe9);
  }
  eq(other: Vector | number): Vector {
    return this.with(other, 0x41);
  }
  ne(other: Vector | number): Vector {
    return this.with(other, 0x42);
  }
  lt(other: Vector | number): Vector {
    return this.with(other, 0x43);
  }
  gt(other: Vector | number): Vector {
    return this.with(other, 0x44);
  }
  le(other: Vector | number): Vector {
    return this.with(other, 0x45);
  }
  ge(other: Vector | number): Vector {
    return this.with(other, 0x46);
  }
  // Comparisons of the same bits as whole numbers.
  intEq(other: Vector): Vector {
    return this.with(other, 0x37);
  }
  intNe(other: Vector): Vector {
    return this.with(other, 0x38);
  }
  intLt(other: Vector): Vector {
    return this.with(other, 0x39);
  }
  intGt(other: Vector): Vector {
    return this.with(other, 0x3b);
  }
  intLe(other: Vector): Vector {
    return this.with(other, 0x3d);
  }
  intGe(other: Vector): Vector {
    return this.with(other, 0x3f);
  }
  and(other: Vector): Vector {
    return this.with(other, 0x4e);
  }
  /** Where this mask is set the bits of `yes`, elsewhere those of `no`. */
  choose(yes: Vector | number, no: Vector | number): Vector {
    return new Vector([...Vector.of(yes).code, ...Vector.of(no).code, ...this.code, ...vectorOpcode(0x52)]);
  }
  abs(): Vector {
    return this.then(0xe0);
  }
  neg(): Vector {
    return this.then(0xe1);
  }
  sqrt(): Vector {
    return this.then(0xe3);
  }
  /** The same bits as whole numbers, shifted left. */
  intShl(bits: number): Vector {
    return new Vector([...this.code, ...Int.of(bits).code, ...vectorOpcode(0xab)]);
  }
  /** The same bits as whole numbers, and a number added. */
  intAdd(value: number): Vector {
    return new Vector([...this.code, ...splatInt(value), ...vectorOpcode(0xae)]);
  }
  lane(index: number): Float {
    return new Float([...this.code, ...vectorOpcode(0x1f), index]);
  }
  /** The four truth values of a comparison as bytes of 0 or 1, the first one lowest. */
  truths(): Int {
    const words = this.and(new Vector(splatInt(1))).code;
    // twice narrowed: 32 bits to 16, then to 8
    const local = [...words, ...words, ...vectorOpcode(0x85)];
    return new Int([...local, ...local, ...vectorOpcode(0x65), ...vectorOpcode(0x1b), 0]);
  }
  /** The sum of the four. */
  total(): Float {
    return this.lane(0)
      .add(this.lane(1))
      .add(this.lane(2).add(this.lane(3)));
  }

  private then(opcode: number): Vector {
    return new Vector([...this.code, ...vectorOpcode(opcode)]);
  }

  private with(other: Vector | number, opcode: number): Vector {
    return new Vector([...this.code, ...Vector.of(other).code, ...vectorOpcode(opcode)]);
  }
}

/** Any of the four types. */
export type Value = Int | Float | Double | Vector;
