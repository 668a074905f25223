/** Where labels go so that they stay inside the picture and never cover one another. */
import type { Box } from '../boxes/types';

/** A label that wants a place. All lengths are in pixels of the picture. */
export interface LabelRequest {
  /** What the label belongs to; it may reach outside the picture. */
  box: Box;
  /** Sizes of the label's wordings, from the full one to the shortest. */
  sizes: readonly { width: number; height: number }[];
}

/** Where a label was put. */
export interface LabelPlace {
  /** Top-left corner. */
  x: number;
  y: number;
  width: number;
  height: number;
  /** Index into the request's `sizes`: which wording fits. */
  wording: number;
  /** The label does not touch its box: draw a line from `anchor` to it. */
  leader: boolean;
  /** The point of the box that a leader starts from. */
  anchor: readonly [x: number, y: number];
}

type Spot = { x: number; y: number; cost: number; leader: boolean };

/**
 * Places labels greedily, in the order given: the most important first. Each takes the cheapest free spot of: above its
 * box, inside it, below, beside it; a spot that covers other boxes costs more. Where all are taken the label moves away
 * on a leader line; where that fails too the next shorter wording is tried.
 * @returns one place a request; `undefined` where even the shortest wording found no room. Places never overlap and
 * never leave the picture.
 */
export function placeLabels(
  requests: readonly LabelRequest[],
  picture: { width: number; height: number },
): (LabelPlace | undefined)[] {
  const taken: LabelPlace[] = [];
  return requests.map((request, index) => {
    const others = requests.filter((_, i) => i !== index).map((other) => other.box);
    for (let wording = 0; wording < request.sizes.length; wording++) {
      const { width, height } = request.sizes[wording];
      if (width > picture.width || height > picture.height) continue;
      const spots = besideBox(request.box, width, height, picture);
      const found =
        cheapest(spots, width, height, request.box, others, taken) ??
        cheapest(awayFromBox(request.box, width, height, picture), width, height, request.box, others, taken);
      if (!found) continue;
      const place: LabelPlace = {
        x: found.x,
        y: found.y,
        width,
        height,
        wording,
        leader: found.leader,
        anchor: anchorOf(request.box, found, width, height, picture),
      };
      taken.push(place);
      return place;
    }
    return undefined;
  });
}

/** Spots that touch the box, best first. A spot slides along its edge to stay in the picture; one that cannot is left out. */
function besideBox(box: Box, w: number, h: number, picture: { width: number; height: number }): Spot[] {
  const [x1, y1, x2, y2] = box;
  const slideX = (x: number): number => Math.min(Math.max(0, x), picture.width - w);
  const slideY = (y: number): number => Math.min(Math.max(0, y), picture.height - h);
  const spots: [x: number, y: number, cost: number][] = [
    [slideX(x1), y1 - h, 0], // above, left aligned: where the eye looks for it
    [slideX(x2 - w), y1 - h, 0.3],
    [slideX(x1), y1, 0.6], // inside, for boxes at the top of the picture
    [slideX(x1), y2, 0.7], // below
    [slideX(x2 - w), y2, 0.8],
    [x2, slideY(y1), 0.9], // right
    [x1 - w, slideY(y1), 1],
    [slideX(x2 - w), y1, 1.1],
    [slideX(x1), y2 - h, 1.2],
    [x2, slideY(y2 - h), 1.3],
    [x1 - w, slideY(y2 - h), 1.3],
    [slideX(x2 - w), y2 - h, 1.4],
  ];
  return spots
    .filter(([x, y]) => inside(x, y, w, h, picture) && touches(box, x, y, w, h))
    .map(([x, y, cost]) => ({ x, y, cost, leader: false }));
}

/** Spots on rings around the box, nearest first. */
function awayFromBox(box: Box, w: number, h: number, picture: { width: number; height: number }): Spot[] {
  const [x1, y1, x2, y2] = box;
  const [cx, cy] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const spots: Spot[] = [];
  for (let ring = 1; ring <= 7; ring++) {
    const away = ring * h * 0.8;
    for (let k = 0; k < 24; k++) {
      const angle = (k / 24) * 2 * Math.PI;
      const x = cx + Math.cos(angle) * ((x2 - x1) / 2 + away + w / 2) - w / 2;
      const y = cy + Math.sin(angle) * ((y2 - y1) / 2 + away + h / 2) - h / 2;
      if (inside(x, y, w, h, picture))
        spots.push({ x, y, cost: 2 + ring * 0.5, leader: !touches(box, x, y, w, h) });
    }
  }
  return spots;
}

function cheapest(
  spots: readonly Spot[],
  w: number,
  h: number,
  own: Box,
  others: readonly Box[],
  taken: readonly LabelPlace[],
): Spot | undefined {
  let best: Spot | undefined;
  for (const spot of spots) {
    if (best && spot.cost >= best.cost) continue;
    if (taken.some((t) => overlap([t.x, t.y, t.x + t.width, t.y + t.height], spot.x, spot.y, w, h) > 0))
      continue;
    // Covering another object is worse than covering one's own: that one is at least named by what covers it.
    let cost = spot.cost + (0.5 * overlap(own, spot.x, spot.y, w, h)) / (w * h);
    for (const other of others) cost += (1.2 * overlap(other, spot.x, spot.y, w, h)) / (w * h);
    if (!best || cost < best.cost) best = { ...spot, cost };
  }
  return best;
}

function overlap(box: Box, x: number, y: number, w: number, h: number): number {
  const width = Math.min(box[2], x + w) - Math.max(box[0], x);
  const height = Math.min(box[3], y + h) - Math.max(box[1], y);
  return width > 0 && height > 0 ? width * height : 0;
}

function touches(box: Box, x: number, y: number, w: number, h: number): boolean {
  const slack = 0.5;
  return x <= box[2] + slack && x + w >= box[0] - slack && y <= box[3] + slack && y + h >= box[1] - slack;
}

function inside(
  x: number,
  y: number,
  w: number,
  h: number,
  picture: { width: number; height: number },
): boolean {
  return x >= 0 && y >= 0 && x + w <= picture.width && y + h <= picture.height;
}

/** The point of the box nearest to the label, within the picture. */
function anchorOf(
  box: Box,
  spot: Spot,
  w: number,
  h: number,
  picture: { width: number; height: number },
): readonly [number, number] {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
  return [
    clamp(clamp(spot.x + w / 2, box[0], box[2]), 0, picture.width),
    clamp(clamp(spot.y + h / 2, box[1], box[3]), 0, picture.height),
  ];
}
