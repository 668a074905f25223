/** Functions of one or two tensors, an element at a time, four elements together. */
import type { FunctionWriter, Variable } from './assembler';
import { type Kernel, kernel, type Task } from './kernel';
import { storePart } from './tile';
import { type Int, Vector } from './values';

/** Elements of an item of a map. */
export const blockElements: number = 4096;

/**
 * Applies `step` to each four elements of a row of `count`; what it returns for the last, incomplete four is stored in part.
 * @param truth `step` returns truth values, which take a byte each.
 */
function forRow(
  f: FunctionWriter,
  to: Int,
  count: Int,
  step: (offset: Variable<Int>) => Vector,
  truth: boolean = false,
): void {
  const whole = f.int(count.and(-4).shl(2));
  const offset = f.int(0);
  f.loop((leaveIf) => {
    leaveIf(offset.eq(whole));
    if (truth) f.store(to.add(offset.shr(2)), step(offset).truths());
    else f.store(to.add(offset), step(offset));
    offset.set(offset.add(16));
  });
  f.if(count.and(3), () => {
    if (!truth) return storePart(f, to.add(offset), step(offset), count.and(3));
    const truths = f.int(step(offset).truths());
    f.for(whole.shr(2), count, 1, (at) => {
      f.storeByte(to.add(at), truths);
      truths.set(truths.shr(8));
    });
  });
}

/**
 * Visits the elements of a kernel's items, of `blockElements` each, four at a time. `at` is their offset in bytes; `store` puts
 * four results at that offset from an address, or as many as there are elements left.
 */
export function forBlocks(
  f: FunctionWriter,
  count: Int,
  { begin, end }: Task,
  visit: (at: Variable<Int>, store: (to: Int, value: Vector) => void) => void,
): void {
  const last = f.int(end.mul(blockElements).min(count));
  f.for(begin.mul(blockElements), last, 4, (element) => {
    const at = f.int(element.shl(2));
    const left = f.int(last.sub(element).min(4));
    visit(at, (to, value) => storePart(f, to.add(at), f.vector(value), left));
  });
}

/** Added to a float below 2^22, it rounds it to a whole number, which then stands in the lowest bits. */
const rounder = 1.5 * 2 ** 23;

/** e^x = 2^n p, with p from 0.7 to 1.42, by Cephes's expf: x = n ln 2 + r, e^r by a polynomial of degree 5; 2 units in the last place. */
function exponential(
  f: FunctionWriter,
  x: Vector,
): { rounded: Variable<Vector>; n: Variable<Vector>; p: Vector } {
  const rounded = f.vector(x.mul(Math.LOG2E).add(rounder));
  const n = f.vector(rounded.sub(rounder));
  const r = f.vector(x.sub(n.mul(0.693359375)).sub(n.mul(-2.1219444e-4)));
  const coefficients = [
    1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5,
  ];
  const polynomial = coefficients.slice(1).reduce((sum, c) => sum.mul(r).add(c), Vector.of(coefficients[0]));
  return { rounded, n, p: polynomial.mul(r.mul(r)).add(r).add(1) };
}

/** 2^n of n + `rounder`, n from -126 to 127: n moves to the place of the exponent. */
const powerOfTwo = (rounded: Vector): Vector => rounded.intShl(23).intAdd(127 << 23);

function exponentialOf(f: FunctionWriter, x: Vector): Vector {
  const { n, p } = exponential(f, f.vector(x.max(-105).min(89)));
  // 2^n in two factors: the smallest and the largest results have exponents beyond a float's
  const half = f.vector(n.mul(0.5).add(rounder));
  const rest = n.sub(half.sub(rounder)).add(rounder);
  return p.mul(powerOfTwo(half)).mul(powerOfTwo(rest));
}

function sigmoidOf(f: FunctionWriter, x: Vector): Vector {
  const { rounded, p } = exponential(f, f.vector(x.neg().max(-87).min(87)));
  return Vector.of(1).div(p.mul(powerOfTwo(rounded)).add(1));
}

const unaryFields = { x: 'int', y: 'int', count: 'int' } as const;

type Unary = (x: Variable<Vector>, f: FunctionWriter) => Vector;

/** y = of(x); an item is `blockElements` elements. */
function unaryKernel(name: string, of: Unary): Kernel<typeof unaryFields> {
  return kernel(name, unaryFields, (f, p, { begin, end }) => {
    const first = f.int(begin.mul(blockElements));
    const count = f.int(end.mul(blockElements).min(p.count).sub(first));
    const [x, y] = [f.int(p.x.add(first.shl(2))), f.int(p.y.add(first.shl(2)))];
    forRow(f, y, count, (offset) => f.vector(of(f.vector(x.add(offset).vector()), f)));
  });
}

const zero = Vector.of(0);
const unaryFunctions: Record<string, Unary> = {
  Relu: (x) => x.max(zero),
  Relu6: (x) => x.max(zero).min(6),
  Sigmoid: (x, f) => sigmoidOf(f, x),
  Swish: (x, f) => x.mul(f.vector(sigmoidOf(f, x))),
  Square: (x) => x.mul(x),
  Exp: (x, f) => exponentialOf(f, x),
  // tfjs's takes what is below 1e-7 for 0.
  Sign: (x) => x.gt(zero).choose(1, x.lt(zero).choose(-1, x.eq(zero).choose(0, x))),
};

const binaryFields = {
  a: 'int',
  b: 'int',
  y: 'int',
  inner: 'int',
  middle: 'int',
  count: 'int',
  aOuter: 'int',
  aMiddle: 'int',
  bOuter: 'int',
  bMiddle: 'int',
} as const;

type Binary = (a: Vector, b: Vector, f: FunctionWriter) => Vector;

/** How the two operands lie along a row: one behind the other, or one number for the whole row. */
type Layout = 'vectors' | 'aNumber' | 'bNumber';

/**
 * y = of(a, b); an item is a row of `inner` elements (the last may be shorter: there are `count` elements). The operands of row r lie at
 * a + (r / middle) aOuter + (r % middle) aMiddle, and so on (bytes).
 */
function binaryKernel(
  name: string,
  layout: Layout,
  of: Binary,
  truth: boolean = false,
): Kernel<typeof binaryFields> {
  return kernel(name, binaryFields, (f, p, { begin, end }) => {
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.middle));
      const middle = f.int(item.sub(outer.mul(p.middle)));
      const a = f.int(p.a.add(outer.mul(p.aOuter)).add(middle.mul(p.aMiddle)));
      const b = f.int(p.b.add(outer.mul(p.bOuter)).add(middle.mul(p.bMiddle)));
      const first = f.int(item.mul(p.inner));
      const count = f.int(p.count.sub(first).min(p.inner));
      const number = f.vector((layout === 'aNumber' ? a : b).splat());
      const step = (offset: Variable<Int>): Vector => {
        const left = layout === 'aNumber' ? number : f.vector(a.add(offset).vector());
        const right = layout === 'bNumber' ? number : f.vector(b.add(offset).vector());
        return f.vector(of(left, right, f));
      };
      forRow(f, f.int(p.y.add(truth ? first : first.shl(2))), count, step, truth);
    });
  });
}

/** tfjs's kernels of two tensors, which broadcast. */
const binaryFunctions: Record<string, Binary> = {
  Add: (a, b) => a.add(b),
  Sub: (a, b) => a.sub(b),
  Multiply: (a, b) => a.mul(b),
  RealDiv: (a, b) => a.div(b),
  Maximum: (a, b) => a.max(b),
  Minimum: (a, b) => a.min(b),
};

/** Gradients of activations, of dy and the tensor that is kept; both have the same shape. */
const gradientFunctions: Record<string, Binary> = {
  ReluGradient: (dy, y) => dy.and(y.gt(zero)),
  Relu6Gradient: (dy, y) => dy.and(y.gt(zero)).and(y.lt(6)),
  SigmoidGradient: (dy, y) => dy.mul(y.mul(Vector.of(1).sub(y))),
  SwishGradient: (dy, x, f) => {
    const s = f.vector(sigmoidOf(f, x));
    return dy.mul(s.mul(Vector.of(1).sub(s)).mul(x).add(s));
  },
};

function mapRecord<T, U>(record: Record<string, T>, make: (name: string, value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(name, value)]));
}

/** By tfjs's name of the kernel, and Swish. */
export const unary: Readonly<Record<string, Kernel<typeof unaryFields>>> = mapRecord(
  unaryFunctions,
  unaryKernel,
);

/** By the gradient's name. */
export const gradients: Readonly<Record<string, Kernel<typeof binaryFields>>> = mapRecord(
  gradientFunctions,
  (name, of) => binaryKernel(name, 'vectors', of),
);

type ByLayout = Readonly<Record<Layout, Kernel<typeof binaryFields>>>;

const byLayout = (name: string, of: Binary, truth?: boolean): ByLayout => ({
  vectors: binaryKernel(name, 'vectors', of, truth),
  aNumber: binaryKernel(`${name}ANumber`, 'aNumber', of, truth),
  bNumber: binaryKernel(`${name}BNumber`, 'bNumber', of, truth),
});

/** By tfjs's name of the kernel and the operands' layout. */
export const binary: Readonly<Record<string, ByLayout>> = mapRecord(binaryFunctions, (name, of) =>
  byLayout(name, of),
);

/** tfjs's comparisons: of floats, and of whole numbers. */
const comparisonFunctions: Record<string, Record<'float32' | 'int32', Binary>> = {
  Equal: { float32: (a, b) => a.eq(b), int32: (a, b) => a.intEq(b) },
  NotEqual: { float32: (a, b) => a.ne(b), int32: (a, b) => a.intNe(b) },
  Less: { float32: (a, b) => a.lt(b), int32: (a, b) => a.intLt(b) },
  LessEqual: { float32: (a, b) => a.le(b), int32: (a, b) => a.intLe(b) },
  Greater: { float32: (a, b) => a.gt(b), int32: (a, b) => a.intGt(b) },
  GreaterEqual: { float32: (a, b) => a.ge(b), int32: (a, b) => a.intGe(b) },
};

/** Comparisons by tfjs's name of the kernel, type of the operands and their layout. The results are truth values. */
export const comparisons: Readonly<Record<string, Readonly<Record<string, ByLayout>>>> = mapRecord(
  comparisonFunctions,
  (name, types) => mapRecord(types, (type, of) => byLayout(`${name}_${type}_`, of, true)),
);
