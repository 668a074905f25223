/** Where the arrows of a graph's drawing run: past the nodes that they don't belong to, and apart from one another. */
import type { Box } from '../boxes/types';

/** A point of the drawing, pixels. */
export type Point = readonly [x: number, y: number];

/** A cubic Bézier curve: its start, two points that it leans towards, its end. */
export type Curve = readonly [Point, Point, Point, Point];

/** How an arrow runs from the edge of one node to the edge of another. */
export interface EdgeRoute {
  /** Without the arrow's head. */
  readonly curve: Curve;
  /** The head: its tip and the two corners behind it. */
  readonly head: readonly [Point, Point, Point];
}

/** Options of `routeEdges`. */
export interface RouteOptions {
  /** No arrow leaves this box. */
  readonly bounds: Box;
  /** Length of the arrow's head, pixels. Default 9. */
  readonly head?: number;
}

/** What an arrow keeps from other nodes where it can, pixels. */
const clearance = 6;
/** Pixels between two arrows' ends, and between arrows that run side by side. */
const apart = 9;
/** Points at which a curve is tried. */
const samples = 28;
/** How far a curve's two inner points may lie to the side of the straight line, pixels. */
const bends = [0, 14, -14, 28, -28, 45, -45, 70, -70, 105, -105, 150, -150];
const shapes = bends.flatMap((first) => bends.map((second) => [first, second] as const));
/** What a bend costs: a straight line is best, then an even curve, and an S is worst. */
const unrest = ([first, second]: readonly [number, number]): number =>
  0.12 * (Math.abs(first) + Math.abs(second)) + 0.1 * Math.abs(first - second);

/** Shapes, and where on its target's axis a curve aims: shares of its width from the middle. */
const candidates = shapes
  .flatMap((shape) =>
    [0, -0.3, 0.3].map((aim) => ({ shape, aim, price: unrest(shape) + 20 * Math.abs(aim) })),
  )
  .sort((a, b) => a.price - b.price);

/**
 * Routes of arrows between boxes. One after the other, those along free rows and columns first and then the shortest, takes the straightest
 * curve that passes no other box, ends where no other arrow does, and runs along none; where there is no such curve, the one with the least of
 * these faults.
 * @param boxes `[x1, y1, x2, y2]` of each node, pixels.
 * @param edges indices into `boxes`; routes come in their order.
 */
export function routeEdges(
  boxes: readonly Box[],
  edges: readonly (readonly [from: number, to: number])[],
  options: RouteOptions,
): EdgeRoute[] {
  const { bounds, head = 9 } = options;
  const centres = boxes.map(([x1, y1, x2, y2]): Point => [(x1 + x2) / 2, (y1 + y2) / 2]);
  // Along rows and columns arrows run straight, before others look for a way around.
  const later = edges.map(([from, to]) => {
    const [a, b] = [centres[from], centres[to]];
    if (Math.abs(a[0] - b[0]) > 1 && Math.abs(a[1] - b[1]) > 1) return 1;
    const straight = clipped(bent(a, b, [0, 0]), boxes[from], boxes[to]);
    return crowding(sampled(straight), boxes, from, to, bounds) > 0 ? 1 : 0;
  });
  const lengths = edges.map(([from, to]) => distance(centres[from], centres[to]));
  const order = edges
    .map((_, i) => i)
    .sort((a, b) => later[a] - later[b] || lengths[a] - lengths[b] || a - b);
  const taken: { from: number; to: number; points: readonly Point[] }[] = [];
  const routes = new Map<number, EdgeRoute>();
  for (const index of order) {
    const [from, to] = edges[index];
    let best: { cost: number; whole: Curve; points: readonly Point[] } | undefined;
    const [left, , right] = boxes[to];
    for (const { shape, aim, price } of candidates) {
      if (best && price >= best.cost) break;
      const end: Point = [centres[to][0] + aim * (right - left), centres[to][1]];
      const whole = clipped(bent(centres[from], end, shape), boxes[from], boxes[to]);
      const points = sampled(whole);
      let cost = price + crowding(points, boxes, from, to, bounds);
      for (const other of taken) {
        if (best && cost >= best.cost) break;
        cost += meeting(points, other.points, from === other.from, to === other.to);
        // An arrow's end beside another's start would look like one line through the node.
        if (distance(points[points.length - 1], other.points[0]) < apart) cost += 12;
        if (distance(points[0], other.points[other.points.length - 1]) < apart) cost += 12;
      }
      if (!best || cost < best.cost) best = { cost, whole, points };
    }
    const { whole, points } = best!;
    taken.push({ from, to, points });
    routes.set(index, withHead(whole, head));
  }
  return edges.map((_, i) => routes.get(i)!);
}

/** The point of a curve at `t` in [0, 1]. */
export function pointOnCurve([a, b, c, d]: Curve, t: number): Point {
  const s = 1 - t;
  const [wa, wb, wc, wd] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
  return [wa * a[0] + wb * b[0] + wc * c[0] + wd * d[0], wa * a[1] + wb * b[1] + wc * c[1] + wd * d[1]];
}

/** How far a point lies outside a box; 0 inside. */
export function distanceToBox([x, y]: Point, [x1, y1, x2, y2]: Box): number {
  return Math.hypot(Math.max(x1 - x, 0, x - x2), Math.max(y1 - y, 0, y - y2));
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** The line from centre to centre, its inner points pushed aside. */
function bent(a: Point, d: Point, [first, second]: readonly [number, number]): Curve {
  const length = distance(a, d) || 1;
  const normal: Point = [(d[1] - a[1]) / length, (a[0] - d[0]) / length];
  const inner = (t: number, bend: number): Point => [
    a[0] + t * (d[0] - a[0]) + bend * normal[0],
    a[1] + t * (d[1] - a[1]) + bend * normal[1],
  ];
  return [a, inner(1 / 3, first), inner(2 / 3, second), d];
}

/** What of a curve lies between two boxes, with a gap of a pixel or two. */
function clipped(curve: Curve, from: Box, to: Box): Curve {
  const steps = 400;
  const outside = (i: number, box: Box, gap: number): boolean =>
    distanceToBox(pointOnCurve(curve, i / steps), box) >= gap;
  let [first, last] = [0, steps];
  while (first < last && !outside(first, from, 1)) first++;
  while (last > first && !outside(last, to, 2)) last--;
  const [start, end] = [first / steps, last / steps];
  return start < end ? part(curve, start, end) : curve;
}

/** A curve from `t = start` to `t = end` (de Casteljau). */
function part(curve: Curve, start: number, end: number): Curve {
  const mix = (p: Point, q: Point, t: number): Point => [p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])];
  const halves = ([a, b, c, d]: Curve, t: number): [Curve, Curve] => {
    const [ab, bc, cd] = [mix(a, b, t), mix(b, c, t), mix(c, d, t)];
    const [abc, bcd] = [mix(ab, bc, t), mix(bc, cd, t)];
    const middle = mix(abc, bcd, t);
    return [
      [a, ab, abc, middle],
      [middle, bcd, cd, d],
    ];
  };
  const [upToEnd] = halves(curve, end);
  return halves(upToEnd, start / end)[1];
}

function sampled(curve: Curve): Point[] {
  return Array.from({ length: samples + 1 }, (_, i) => pointOnCurve(curve, i / samples));
}

/** The price of coming close to nodes that the arrow does not belong to, and of leaving the picture. */
function crowding(
  points: readonly Point[],
  boxes: readonly Box[],
  from: number,
  to: number,
  bounds: Box,
): number {
  let cost = 0;
  boxes.forEach((box, i) => {
    if (i === from || i === to) return;
    const nearest = Math.min(...points.map((point) => distanceToBox(point, box)));
    if (nearest < clearance) cost += 300 + 60 * (clearance - nearest);
  });
  const outside = Math.max(...points.map((point) => distanceToBox(point, bounds)));
  return cost + (outside > 0 ? 300 + 60 * outside : 0);
}

/** The price of running along another arrow; arrows of one node may come close to one another there, but not end at one point. */
function meeting(
  points: readonly Point[],
  other: readonly Point[],
  sameStart: boolean,
  sameEnd: boolean,
): number {
  let cost = 0;
  for (let i = 0; i < points.length; i++) {
    if (sameStart && i < samples * 0.15) continue;
    for (const q of other) {
      if (Math.abs(points[i][0] - q[0]) > apart || distance(points[i], q) > apart - 3) continue;
      // A crossing costs this once or twice.
      cost += 2;
      break;
    }
  }
  const [start, end] = [points[0], points[points.length - 1]];
  const tip = other[other.length - 1];
  const [starts, ends] = [distance(start, other[0]), distance(end, tip)];
  if (sameStart && starts < apart) cost += 1.5 * (apart - starts);
  if (sameEnd && ends < apart) cost += 2.5 * (apart - ends);
  if (!sameEnd && points.some((point) => distance(point, tip) < apart)) cost += 20;
  return cost;
}

/** Takes the head's length off a curve's end. */
function withHead(whole: Curve, head: number): EdgeRoute {
  const tip = whole[3];
  let t = 1;
  while (t > 0.02 && distance(pointOnCurve(whole, t), tip) < head) t -= 0.01;
  const base = pointOnCurve(whole, t);
  const length = distance(tip, base) || 1;
  const side: Point = [
    (0.45 * head * (tip[1] - base[1])) / length,
    (0.45 * head * (base[0] - tip[0])) / length,
  ];
  return {
    curve: part(whole, 0, t),
    head: [tip, [base[0] + side[0], base[1] + side[1]], [base[0] - side[0], base[1] - side[1]]],
  };
}
