/** WebAssembly functions and modules put together from the expressions of `values.ts`. */
import { type Code, Double, Float, Int, unsigned, type Value, Vector } from './values';

interface ValueClass<V extends Value> {
  readonly type: number;
  of(value: V | number): V;
  new (code: Code): V;
}

/** A local variable of a function, which reads as the expression that it is. */
export type Variable<V extends Value> = V & { set(value: V | number): void };

/** A function of whole numbers that others call; a module that needs it takes it in, once. */
export interface Routine {
  readonly parameters: number;
  write(f: FunctionWriter, ...parameters: Variable<Int>[]): void;
}

/** Writes one function: each call appends code. */
export class FunctionWriter {
  private readonly code: number[] = [];
  private readonly locals: number[] = [];
  private depth = 0;
  /** The arguments, all of them 32-bit whole numbers. */
  readonly parameters: readonly Variable<Int>[];

  constructor(
    private readonly module: ModuleWriter,
    private readonly parameterCount: number,
  ) {
    this.parameters = Array.from({ length: parameterCount }, (_, i) => this.variable(Int, i));
  }

  int(initial?: Int | number): Variable<Int> {
    return this.declare(Int, initial);
  }

  float(initial?: Float | number): Variable<Float> {
    return this.declare(Float, initial);
  }

  double(initial?: Double | number): Variable<Double> {
    return this.declare(Double, initial);
  }

  vector(initial?: Vector | number): Variable<Vector> {
    return this.declare(Vector, initial);
  }

  /** Stores a value at an address in bytes. */
  store(address: Int, value: Value, offset: number = 0): void {
    const [opcode, alignment] =
      value instanceof Vector
        ? [[0xfd, 11], 0]
        : value instanceof Double
          ? [[0x39], 3]
          : value instanceof Float
            ? [[0x38], 2]
            : [[0x36], 2];
    this.code.push(...address.code, ...value.code, ...opcode, alignment, ...unsigned(offset));
  }

  /** Stores the lowest byte of a whole number. */
  storeByte(address: Int, value: Int): void {
    this.code.push(...address.code, ...value.code, 0x3a, 0, 0);
  }

  /** Copies `bytes` bytes; the blocks may overlap. */
  copy(to: Int, from: Int, bytes: Int | number): void {
    this.code.push(...to.code, ...from.code, ...Int.of(bytes).code, 0xfc, 10, 0, 0);
  }

  /** Sets `bytes` bytes to 0. */
  clear(to: Int, bytes: Int | number): void {
    this.code.push(...to.code, ...Int.of(0).code, ...Int.of(bytes).code, 0xfc, 11, 0);
  }

  call(routine: Routine, args: readonly (Int | number)[]): void {
    this.code.push(...args.flatMap((arg) => Int.of(arg).code), 0x10, ...unsigned(this.module.add(routine)));
  }

  if(condition: Int, then: () => void, otherwise?: () => void): void {
    this.code.push(...condition.code, 0x04, 0x40);
    this.depth++;
    then();
    if (otherwise) {
      this.code.push(0x05);
      otherwise();
    }
    this.end();
  }

  /** Runs the body again and again until one of the conditions that it passes to `leaveIf` holds. */
  loop(body: (leaveIf: (condition: Int) => void) => void): void {
    this.code.push(0x02, 0x40, 0x03, 0x40);
    this.depth += 2;
    const inside = this.depth;
    body((condition) => this.code.push(...condition.code, 0x0d, ...unsigned(this.depth - inside + 1)));
    this.code.push(0x0c, 0);
    this.end();
    this.end();
  }

  /** Runs the body once, and again while the condition holds. */
  repeatWhile(body: () => void, condition: () => Int): void {
    this.code.push(0x03, 0x40);
    this.depth++;
    body();
    this.code.push(...condition().code, 0x0d, 0);
    this.end();
  }

  /** Counts from `from` up to below `to`. */
  for(from: Int | number, to: Int | number, step: Int | number, body: (at: Variable<Int>) => void): void {
    const at = this.int(from);
    const end = to instanceof Int && to.code.length > 3 ? this.int(to) : Int.of(to);
    this.if(at.lt(end), () =>
      this.repeatWhile(
        () => {
          body(at);
          at.set(at.add(step));
        },
        () => at.lt(end),
      ),
    );
  }

  /** The finished function's body, as a module holds it. */
  finish(): number[] {
    const locals = this.locals.flatMap((type) => [1, type]);
    const body = [...unsigned(this.locals.length), ...locals, ...this.code, 0x0b];
    return [...unsigned(body.length), ...body];
  }

  private declare<V extends Value>(kind: ValueClass<V>, initial: V | number | undefined): Variable<V> {
    this.locals.push(kind.type);
    const variable = this.variable(kind, this.parameterCount + this.locals.length - 1);
    if (initial !== undefined) variable.set(initial);
    return variable;
  }

  private variable<V extends Value>(kind: ValueClass<V>, index: number): Variable<V> {
    const set = (value: V | number): void => {
      this.code.push(...kind.of(value).code, 0x21, ...unsigned(index));
    };
    return Object.assign(new kind([0x20, ...unsigned(index)]), { set });
  }

  private end(): void {
    this.depth--;
    this.code.push(0x0b);
  }
}

/** Collects functions into a module that works on a memory from outside. */
export class ModuleWriter {
  private readonly routines: Routine[] = [];
  private readonly bodies: number[][] = [];
  private readonly names: (string | undefined)[] = [];

  /** Takes a function in, and those that it calls. With a name it can be called from JavaScript. Returns its index. */
  add(routine: Routine, name?: string): number {
    const known = this.routines.indexOf(routine);
    if (known >= 0) return known;
    const index = this.routines.push(routine) - 1;
    this.names[index] = name;
    const f = new FunctionWriter(this, routine.parameters);
    routine.write(f, ...f.parameters);
    this.bodies[index] = f.finish();
    return index;
  }

  /** The module. `shared`: its memory (the import `env.memory`) is one that threads share. */
  bytes(shared: boolean): Uint8Array<ArrayBuffer> {
    const text = (value: string): number[] => [...unsigned(value.length), ...Buffer.from(value)];
    const section = (id: number, items: number[][]): number[] => {
      const content = [unsigned(items.length), ...items].flat();
      return [id, ...unsigned(content.length), ...content];
    };
    const pages = 65_536; // 4 GB
    const counts = [...new Set(this.routines.map((routine) => routine.parameters))];
    const sections = [
      section(
        1,
        counts.map((count) => [0x60, ...unsigned(count), ...Array<number>(count).fill(Int.type), 0]),
      ),
      section(2, [
        [...text('env'), ...text('memory'), 2, shared ? 3 : 0, 0, ...(shared ? unsigned(pages) : [])],
      ]),
      section(
        3,
        this.routines.map((routine) => unsigned(counts.indexOf(routine.parameters))),
      ),
      section(
        7,
        this.names.flatMap((name, i) => (name === undefined ? [] : [[...text(name), 0, ...unsigned(i)]])),
      ),
      section(10, this.bodies),
    ];
    return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
  }
}
