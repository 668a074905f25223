/** Functions of one or two tensors, an element at a time, four elements together. */
import type { FunctionWriter, Variable } from './assembler';
import { type Kernel, kernel } from './kernel';
import { storePart } from './tile';
import { type Int, Vector } from './values';

/** Elements of an item of a map. */
export const blockElements: number = 4096;

/** Applies `step` to each four elements of a row of `count`; what it returns for the last, incomplete four is stored in part. */
function forRow(f: FunctionWriter, to: Int, count: Int, step: (offset: Variable<Int>) => Vector): void {
  const whole = f.int(count.and(-4).shl(2));
  const offset = f.int(0);
  f.loop((leaveIf) => {
    leaveIf(offset.eq(whole));
    f.store(to.add(offset), step(offset));
    offset.set(offset.add(16));
  });
  f.if(count.and(3), () => storePart(f, to.add(offset), step(offset), count.and(3)));
}

/** e^x for x from -87 to 88, beyond them as there. Cephes's expf: x = n ln 2 + r, e^r by a polynomial of degree 5; 2 units in the last place. */
function exponential(f: FunctionWriter, x: Vector): Vector {
  const bounded = x.max(-87).min(88);
  const n = f.vector(bounded.mul(Math.LOG2E).nearest());
  const r = f.vector(bounded.sub(n.mul(0.693359375)).sub(n.mul(-2.1219444e-4)));
  const coefficients = [
    1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5,
  ];
  const polynomial = coefficients.slice(1).reduce((sum, c) => sum.mul(r).add(c), Vector.of(coefficients[0]));
  return polynomial.mul(r.mul(r)).add(r).add(1).mul(n.exponent());
}

function sigmoidOf(f: FunctionWriter, x: Vector): Vector {
  return Vector.of(1).div(exponential(f, x.neg()).add(1));
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
function binaryKernel(name: string, layout: Layout, of: Binary): Kernel<typeof binaryFields> {
  return kernel(name, binaryFields, (f, p, { begin, end }) => {
    f.for(begin, end, 1, (item) => {
      const outer = f.int(item.div(p.middle));
      const middle = f.int(item.sub(outer.mul(p.middle)));
      const a = f.int(p.a.add(outer.mul(p.aOuter)).add(middle.mul(p.aMiddle)));
      const b = f.int(p.b.add(outer.mul(p.bOuter)).add(middle.mul(p.bMiddle)));
      const first = f.int(item.mul(p.inner));
      const count = f.int(p.count.sub(first).min(p.inner));
      const number = f.vector((layout === 'aNumber' ? a : b).splat());
      forRow(f, f.int(p.y.add(first.shl(2))), count, (offset) => {
        const left = layout === 'aNumber' ? number : f.vector(a.add(offset).vector());
        const right = layout === 'bNumber' ? number : f.vector(b.add(offset).vector());
        return f.vector(of(left, right, f));
      });
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

/** By tfjs's name of the kernel and the operands' layout. */
export const binary: Readonly<Record<string, Readonly<Record<Layout, Kernel<typeof binaryFields>>>>> =
  mapRecord(binaryFunctions, (name, of) => ({
    vectors: binaryKernel(name, 'vectors', of),
    aNumber: binaryKernel(`${name}ANumber`, 'aNumber', of),
    bNumber: binaryKernel(`${name}BNumber`, 'bNumber', of),
  }));
