/**
 * How a box is written relative to an anchor, and back: R-CNN's parametrisation (Girshick et al., CVPR 2014, appendix C), as
 * SSD (equation 2), Faster R-CNN and RetinaNet use it. Boxes and anchors are xyxy in the same unit; the deltas have none.
 *
 *     tx = (cx - anchor cx) / anchor w / variance[0]        tw = log(w / anchor w) / variance[2]
 *     ty = (cy - anchor cy) / anchor h / variance[1]        th = log(h / anchor h) / variance[3]
 */
import { type BoxArray, boxCount } from './geometry';

/** What distinguishes one model's coder from another's; `ssdCoder` and its like below are the published ones. */
export interface BoxCoderOptions {
  /**
   * What tx, ty, tw and th are divided by, in this order whatever `order` is. SSD: 0.1, 0.1, 0.2, 0.2 (the default). EfficientDet,
   * RetinaNet and RPN: 1, 1, 1, 1.
   */
  readonly variances?: readonly [number, number, number, number];
  /** Faster R-CNN's way to say the same: 10, 10, 5, 5 are SSD's variances. Give one or the other. */
  readonly weights?: readonly [number, number, number, number];
  /**
   * Upper limit of `log(w / anchor w)` when decoding, so that an untrained model cannot overflow `exp`. The default,
   * `log(1000 / 16)`, is Detectron's and torchvision's and never reached by a sane prediction; ssd.pytorch and Caffe have no
   * limit (`Infinity`).
   */
  readonly maxLogScale?: number;
  /** How a prediction lists its four numbers: `xywh` is tx, ty, tw, th (the default), `yxhw` is EfficientDet's ty, tx, th, tw. */
  readonly order?: 'xywh' | 'yxhw';
}

/** Encodes boxes relative to anchors and decodes predictions. */
export interface BoxCoder {
  readonly variances: readonly [number, number, number, number];
  readonly maxLogScale: number;
  readonly order: 'xywh' | 'yxhw';
  /**
   * Deltas `[N, 4]` (tx, ty, tw, th, or in the coder's own order) of box i relative to anchor i. Empty in, empty out.
   * @throws RangeError when a box or an anchor has no area (its logarithm would be infinite), naming its index.
   */
  encode(boxes: BoxArray, anchors: BoxArray): Float32Array;
  /** Boxes `[N, 4]`, xyxy, of deltas `[N, 4]` relative to anchors `[N, 4]`. Not clipped to the image. Empty in, empty out. */
  decode(deltas: Float32Array, anchors: BoxArray): BoxArray;
  /** `encode` of one pair into `out` at `4 * at`: what the bulk functions are made of. Same unit for box and anchor. */
  encodeInto(
    out: Float32Array,
    at: number,
    boxes: BoxArray,
    box: number,
    anchors: BoxArray,
    anchor: number,
  ): void;
  /** `decode` of one pair into `out` at `4 * at`. */
  decodeInto(
    out: BoxArray,
    at: number,
    deltas: Float32Array,
    delta: number,
    anchors: BoxArray,
    anchor: number,
  ): void;
}

/** A coder; without options, SSD's. @throws RangeError on variances that are not positive numbers, or both forms given. */
export function createBoxCoder(options: BoxCoderOptions = {}): BoxCoder {
  if (options.variances && options.weights) {
    throw new RangeError('createBoxCoder: give variances or weights (their reciprocals), not both');
  }
  const [v0, v1, v2, v3] = options.variances ?? options.weights?.map((w) => 1 / w) ?? [0.1, 0.1, 0.2, 0.2];
  const variances = [v0, v1, v2, v3] as const;
  if (!variances.every((v) => v > 0 && v < Infinity)) {
    throw new RangeError(
      `createBoxCoder: variances must be four positive numbers, got ${variances.join(', ')}`,
    );
  }
  const { maxLogScale = Math.log(1000 / 16), order = 'xywh' } = options;
  // Where a delta's x, y, w and h stand.
  const [x, y, w, h] = order === 'xywh' ? [0, 1, 2, 3] : [1, 0, 3, 2];

  const encodeInto: BoxCoder['encodeInto'] = (out, at, boxes, box, anchors, anchor) => {
    const b = 4 * box;
    const a = 4 * anchor;
    const o = 4 * at;
    const aw = anchors[a + 2] - anchors[a];
    const ah = anchors[a + 3] - anchors[a + 1];
    const bw = boxes[b + 2] - boxes[b];
    const bh = boxes[b + 3] - boxes[b + 1];
    if (!(aw > 0 && ah > 0)) throw noArea('anchor', anchor, anchors);
    if (!(bw > 0 && bh > 0)) throw noArea('box', box, boxes);
    out[o + x] = (boxes[b] + boxes[b + 2] - anchors[a] - anchors[a + 2]) / 2 / aw / v0;
    out[o + y] = (boxes[b + 1] + boxes[b + 3] - anchors[a + 1] - anchors[a + 3]) / 2 / ah / v1;
    out[o + w] = Math.log(bw / aw) / v2;
    out[o + h] = Math.log(bh / ah) / v3;
  };

  const decodeInto: BoxCoder['decodeInto'] = (out, at, deltas, delta, anchors, anchor) => {
    const d = 4 * delta;
    const a = 4 * anchor;
    const o = 4 * at;
    const aw = anchors[a + 2] - anchors[a];
    const ah = anchors[a + 3] - anchors[a + 1];
    const cx = (anchors[a] + anchors[a + 2]) / 2 + deltas[d + x] * v0 * aw;
    const cy = (anchors[a + 1] + anchors[a + 3]) / 2 + deltas[d + y] * v1 * ah;
    const halfWidth = (aw * Math.exp(Math.min(deltas[d + w] * v2, maxLogScale))) / 2;
    const halfHeight = (ah * Math.exp(Math.min(deltas[d + h] * v3, maxLogScale))) / 2;
    out[o] = cx - halfWidth;
    out[o + 1] = cy - halfHeight;
    out[o + 2] = cx + halfWidth;
    out[o + 3] = cy + halfHeight;
  };

  return {
    variances,
    maxLogScale,
    order,
    encodeInto,
    decodeInto,
    encode(boxes, anchors) {
      const n = pairs(boxes, anchors, 'encode: boxes');
      const out = new Float32Array(4 * n);
      for (let i = 0; i < n; i++) encodeInto(out, i, boxes, i, anchors, i);
      return out;
    },
    decode(deltas, anchors) {
      const n = pairs(deltas, anchors, 'decode: deltas');
      const out = new Float32Array(4 * n);
      for (let i = 0; i < n; i++) decodeInto(out, i, deltas, i, anchors, i);
      return out;
    },
  };
}

/** SSD's: variances 0.1, 0.1, 0.2, 0.2. */
export const ssdCoder: BoxCoder = createBoxCoder();
/** RetinaNet's, and that of Faster R-CNN's region proposals: unscaled (torchvision's `BoxCoder` with weights 1, 1, 1, 1). */
export const retinaNetCoder: BoxCoder = createBoxCoder({ weights: [1, 1, 1, 1] });
/** That of Faster R-CNN's box head: weights 10, 10, 5, 5 (torchvision, Detectron2). */
export const fasterRcnnCoder: BoxCoder = createBoxCoder({ weights: [10, 10, 5, 5] });
/** Cascade R-CNN's (Cai and Vasconcelos, CVPR 2018), a coder a stage: later stages tell finer differences. */
export const cascadeCoders: readonly BoxCoder[] = [
  fasterRcnnCoder,
  createBoxCoder({ weights: [20, 20, 10, 10] }),
  createBoxCoder({ weights: [30, 30, 15, 15] }),
];
/** EfficientDet's (the authors' release): unscaled, ty, tx, th, tw, sizes without limit. */
export const efficientDetCoder: BoxCoder = createBoxCoder({
  variances: [1, 1, 1, 1],
  maxLogScale: Infinity,
  order: 'yxhw',
});

function pairs(values: Float32Array, anchors: BoxArray, what: string): number {
  const n = boxCount(values);
  if (n !== boxCount(anchors)) {
    throw new RangeError(
      `${what} are for ${n} boxes, but there are ${anchors.length / 4} anchors; give one anchor a box`,
    );
  }
  return n;
}

function noArea(what: string, index: number, boxes: BoxArray): RangeError {
  const values = [...boxes.subarray(4 * index, 4 * index + 4)].join(', ');
  return new RangeError(
    `encode: ${what} ${index}, [${values}], has no area; drop degenerate boxes before encoding (is it xyxy?)`,
  );
}
