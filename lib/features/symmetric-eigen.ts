/** Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations. */

/** Of a symmetric `[n, n]` matrix, from the largest eigenvalue to the smallest. */
export interface SymmetricEigen {
  /** `[n]`. */
  readonly values: Float64Array;
  /** `[n, n]`, row k the unit eigenvector of `values[k]`; its sign is any. */
  readonly vectors: Float64Array;
}

/** Rotations reach rounding error in 6 to 10 sweeps. */
const mostSweeps = 60;

/**
 * Cyclic Jacobi (Golub and Van Loan, Matrix Computations, section 8.5): accurate also for small eigenvalues and for equal ones, and
 * fast enough for up to some hundred rows; its time grows with n cubed.
 * @param matrix `[n, n]` row by row, finite; its upper half counts. It is left as it is.
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(n * n); // rows are vectors
  for (let i = 0; i < n; i++) {
    v[i * n + i] = 1;
    for (let j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
  }
  const total = Math.sqrt(a.reduce((sum, value) => sum + value * value, 0));
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p * n + q] ** 2;
    if (Math.sqrt(off) <= 1e-15 * total) break;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  const values = Float64Array.from({ length: n }, (_, i) => a[i * n + i]);
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => values[j] - values[i] || i - j);
  const vectors = new Float64Array(n * n);
  order.forEach((from, k) => vectors.set(v.subarray(from * n, (from + 1) * n), k * n));
  return { values: Float64Array.from(order, (i) => values[i]), vectors };
}

/** Makes `a[p, q]` zero by a rotation of rows and columns p and q. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q];
  if (apq === 0) return;
  const app = a[p * n + p];
  const aqq = a[q * n + q];
  // The smaller of both angles: tan is at most 1.
  const theta = (aqq - app) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const akp = a[p * n + k];
    const akq = a[q * n + k];
    const newP = c * akp - s * akq;
    const newQ = s * akp + c * akq;
    a[p * n + k] = a[k * n + p] = newP;
    a[q * n + k] = a[k * n + q] = newQ;
    const vp = v[p * n + k];
    const vq = v[q * n + k];
    v[p * n + k] = c * vp - s * vq;
    v[q * n + k] = s * vp + c * vq;
  }
  a[p * n + p] = app - t * apq;
  a[q * n + q] = aqq + t * apq;
  a[p * n + q] = a[q * n + p] = 0;
}
