/** Convolutions and their gradients as plain loops in float64: the independent reference of the tests. */

/** Sizes of a convolution: [N, H, W, C] inputs, square strides and dilations, padding [top, bottom, left, right]. */
export interface Geometry {
  batch: number;
  height: number;
  width: number;
  channels: number;
  out: number;
  window: [number, number];
  stride: number;
  dilation: number;
  padding: [number, number, number, number];
}

/** Height and width of the output. */
export function outputSize(g: Geometry): [number, number] {
  const size = (length: number, window: number, before: number, after: number): number =>
    Math.floor((length + before + after - g.dilation * (window - 1) - 1) / g.stride) + 1;
  const [top, bottom, left, right] = g.padding;
  return [size(g.height, g.window[0], top, bottom), size(g.width, g.window[1], left, right)];
}

/**
 * Visits every product of the convolution: indices of x, filter and y. `depthwise`: `out` is the multiplier, and output channel
 * c * out + m is input channel c.
 */
function visit(g: Geometry, depthwise: boolean, f: (x: number, w: number, y: number) => void): void {
  const [oh, ow] = outputSize(g);
  const outs = depthwise ? g.channels * g.out : g.out;
  for (let n = 0; n < g.batch; n++)
    for (let p = 0; p < oh; p++)
      for (let q = 0; q < ow; q++)
        for (let i = 0; i < g.window[0]; i++)
          for (let j = 0; j < g.window[1]; j++) {
            const r = p * g.stride + i * g.dilation - g.padding[0];
            const s = q * g.stride + j * g.dilation - g.padding[2];
            if (r < 0 || s < 0 || r >= g.height || s >= g.width) continue;
            for (let c = 0; c < g.channels; c++)
              for (let o = 0; o < g.out; o++) {
                const x = ((n * g.height + r) * g.width + s) * g.channels + c;
                const w = ((i * g.window[1] + j) * g.channels + c) * g.out + o;
                f(x, w, ((n * oh + p) * ow + q) * outs + (depthwise ? c * g.out + o : o));
              }
          }
}

/** Value and gradients of a convolution for a given dy. */
export function scalarConvolution(
  g: Geometry,
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  dy: ArrayLike<number>,
  depthwise: boolean = false,
): { y: Float64Array; dx: Float64Array; dw: Float64Array } {
  const y = new Float64Array(dy.length);
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  visit(g, depthwise, (a, b, c) => {
    y[c] += x[a] * w[b];
    dx[a] += w[b] * dy[c];
    dw[b] += x[a] * dy[c];
  });
  return { y, dx, dw };
}
