/** Boxes on an image: what is there, what was found, and how sure the detector was. */
import type { SKRSContext2D } from 'canvas';
import { iou } from '../boxes/geometry';
import type { Box, Detection, GroundTruth } from '../boxes/types';
import type { RgbImage } from '../data/types';
import { loadCanvas } from './canvas';
import { classColor, textColorOn } from './colors';
import { canvasFont } from './fonts';
import { imageGrid } from './image-grid';
import { type LabelPlace, placeLabels } from './label-placement';
import { makePicture, type Picture } from './picture';
import { toRgba } from './pixels';

/** Options of {@link drawBoxes}. */
export interface DrawBoxesOptions {
  /** `classes[label]` is the name of class `label`. */
  classes: readonly string[];
  /** Objects that are there: dashed outlines, dotted for difficult ones. */
  groundTruth?: readonly GroundTruth[];
  /** Objects that were found: solid outlines, with their scores. */
  detections?: readonly Detection[];
  /** Detections below this score are left out (0.3 unless told). */
  scoreThreshold?: number;
  /** Which ground truth has a label: all, none, or only what no drawn detection of its class covers (IoU of 0.5), unless told. */
  groundTruthLabels?: 'all' | 'missed' | 'none';
  /**
   * What stands at detections: class and score, the score alone, or nothing. Unless told, class and score; where they would
   * cover a fifth of the picture, only the surest detection of each class has its name, and the others their scores.
   */
  detectionLabels?: 'full' | 'score' | 'none';
  /** Shown pixels per image pixel. Unless told, small images are enlarged to about 400 pixels, large ones shrunk to 720. */
  scale?: number;
  /** Instead of `scale`: the width to show the image at, in CSS pixels. */
  width?: number;
  /**
   * How an image is enlarged. `pixels` repeats each pixel a whole number of times: exactly what the network sees, and no
   * blur; the choice for factors of 2 and more unless told. `smooth` interpolates (photographs near their own size).
   */
  upscale?: 'pixels' | 'smooth';
  /** Text under the picture. */
  caption?: string;
}

interface Item {
  kind: 'truth' | 'found';
  box: Box;
  color: string;
  dash: number[];
  wordings: string[];
}

const lineWidth = 2;
const fontSize = 12;
const labelHeight = 17;
const labelPadding = 4;

/**
 * Draws ground truth and detections on an image. Lines and letters are drawn at the enlarged size, twice as dense as shown, so
 * they stay crisp on an image of 96 pixels. Labels never leave the picture nor cover one another; a crowded label moves off
 * on a leader line, then shortens, and is left out (counted in `hiddenLabels`) only when nothing fits.
 *
 * Boxes are xyxy in pixels of `image`; without any, the image alone is drawn. Nothing is kept or disposed.
 * @throws when a box is not finite or has a label without a class name; the message names its index.
 */
export async function drawBoxes(image: RgbImage, options: DrawBoxesOptions): Promise<Picture> {
  if (image.data.length !== image.width * image.height * 3) {
    throw new RangeError(
      `drawBoxes: an RGB image of ${image.width}x${image.height} has ${image.width * image.height * 3} bytes, got ${image.data.length}`,
    );
  }
  const { createCanvas, ImageData } = await loadCanvas();
  const { scale, pixelRatio, pixels } = sizes(image, options);
  const canvas = createCanvas(
    Math.round(image.width * scale * pixelRatio),
    Math.round(image.height * scale * pixelRatio),
  );
  const context = canvas.getContext('2d');
  const source = createCanvas(image.width, image.height);
  source.getContext('2d').putImageData(new ImageData(toRgba(image), image.width, image.height), 0, 0);
  context.imageSmoothingEnabled = !pixels;
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, 0, 0, canvas.width, canvas.height);

  const items = toItems(image, options, scale);
  context.scale(pixelRatio, pixelRatio);
  const size = { width: canvas.width / pixelRatio, height: canvas.height / pixelRatio };
  // The surest detection last: where boxes cover each other, it is on top.
  for (const item of [...items].reverse()) strokeBox(context, item, size);
  const hiddenLabels = drawLabels(context, items, size);
  const picture = makePicture(canvas, {
    pixelRatio,
    description: describe(image, options, items, hiddenLabels),
    shows: {
      groundTruth: items.some((item) => item.kind === 'truth'),
      detections: items.some((item) => item.kind === 'found'),
    },
    hiddenLabels,
  });
  return options.caption === undefined ? picture : imageGrid([picture], { captions: [options.caption] });
}

/** How large the image is shown, how dense its bitmap is, and whether pixels are repeated or interpolated. */
function sizes(
  image: RgbImage,
  options: DrawBoxesOptions,
): { scale: number; pixelRatio: number; pixels: boolean } {
  const longest = Math.max(image.width, image.height);
  let scale = options.scale ?? (options.width === undefined ? undefined : options.width / image.width);
  if (scale !== undefined && !(scale > 0 && Number.isFinite(scale))) {
    throw new RangeError(`drawBoxes: scale and width are positive, got ${options.scale ?? options.width}`);
  }
  scale ??= longest > 720 ? 720 / longest : Math.max(1, Math.floor(400 / longest));
  const pixels = (options.upscale ?? (scale >= 2 ? 'pixels' : 'smooth')) === 'pixels';
  // A shrunk photograph has no more detail to give than its own pixels.
  const pixelRatio = pixels || scale >= 1 ? 2 : Math.min(2, Math.max(1, 1 / scale));
  if (pixels) scale = Math.max(1, Math.round(scale * pixelRatio)) / pixelRatio;
  return { scale, pixelRatio, pixels };
}

/** Everything to draw, in picture coordinates, the most important first: it gets the best place for its label. */
function toItems(image: RgbImage, options: DrawBoxesOptions, scale: number): Item[] {
  const { classes, groundTruth = [], detections = [], scoreThreshold = 0.3 } = options;
  const nameOf = (label: number, what: string): string => {
    const name = classes[label];
    if (name === undefined) {
      throw new RangeError(
        `drawBoxes: ${what} has label ${label}, but classes has ${classes.length} names (ids from 0)`,
      );
    }
    return name;
  };
  const scaled = (box: Box, what: string): Box => {
    if (!box.every(Number.isFinite))
      throw new RangeError(`drawBoxes: ${what} has the box [${box.join(', ')}]`);
    return [box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale];
  };
  const shown = detections
    .map((detection, i) => ({ detection, what: `detections[${i}]` }))
    .filter(({ detection }) => detection.score >= scoreThreshold)
    .sort((a, b) => b.detection.score - a.detection.score);
  const fullLabels = shown.map(
    ({ detection, what }) => `${nameOf(detection.label, what)} ${detection.score.toFixed(2)}`,
  );
  const pictureArea = image.width * image.height * scale * scale;
  const crowded = fullLabels.reduce((sum, text) => sum + roughArea(text), 0) > 0.2 * pictureArea;
  const named = new Set<number>();
  const found = shown.map(({ detection, what }, i): Item => {
    const name = nameOf(detection.label, what);
    const isFirst = !named.has(detection.label);
    named.add(detection.label);
    const policy = options.detectionLabels ?? (crowded && !isFirst ? 'score' : 'full');
    const score = detection.score.toFixed(2).replace(/^0/, '');
    const wordings =
      policy === 'full' ? [fullLabels[i], name, shorten(name)] : policy === 'score' ? [score] : [];
    return {
      kind: 'found',
      box: scaled(detection.box, what),
      color: classColor(detection.label),
      dash: [],
      wordings,
    };
  });
  const truth = groundTruth.map((object, i): Item => {
    const what = `groundTruth[${i}]`;
    const name = nameOf(object.label, what);
    const policy = options.groundTruthLabels ?? 'missed';
    const covered = shown.some(
      ({ detection: d }) => d.label === object.label && iou(d.box, object.box) >= 0.5,
    );
    const labelled = policy === 'all' || (policy === 'missed' && !covered);
    return {
      kind: 'truth',
      box: scaled(object.box, what),
      color: classColor(object.label),
      dash: object.difficult ? [0.1, 4.5] : [6, 4],
      wordings: labelled ? [object.crowd ? `${name} (crowd)` : name, name, shorten(name)] : [],
    };
  });
  return [...found, ...truth];
}

/** About what a label covers, in square pixels: letters of this size are 7 pixels wide on average. */
function roughArea(text: string): number {
  return (7 * text.length + 2 * labelPadding) * labelHeight;
}

function shorten(name: string): string {
  return name.length <= 4 ? name : `${name.slice(0, 3)}.`;
}

function strokeBox(context: SKRSContext2D, item: Item, size: { width: number; height: number }): void {
  // Half of a line on the picture's edge would be cut off: boxes are drawn just inside.
  const inset = lineWidth / 2 + 0.5;
  const clamp = (value: number, high: number): number => Math.min(Math.max(value, inset), high - inset);
  const [x1, x2] = [clamp(item.box[0], size.width), clamp(item.box[2], size.width)];
  const [y1, y2] = [clamp(item.box[1], size.height), clamp(item.box[3], size.height)];
  const stroke = (color: string, width: number, dash: number[]): void => {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.lineCap = dash.length > 0 && dash[0] < 1 ? 'round' : 'butt';
    context.lineJoin = 'miter';
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  };
  // Each kind has a ground of its own, so that its colour is seen on any photograph.
  if (item.kind === 'truth') {
    stroke('rgba(255, 255, 255, 0.95)', lineWidth + 1, []);
    stroke(item.color, lineWidth, item.dash);
  } else {
    stroke('rgba(0, 0, 0, 0.55)', lineWidth + 1.5, []);
    stroke(item.color, lineWidth + 0.25, []);
  }
  context.setLineDash([]);
}

/** Draws the labels; returns how many found no room. */
function drawLabels(
  context: SKRSContext2D,
  items: readonly Item[],
  size: { width: number; height: number },
): number {
  context.font = `600 ${fontSize}px ${canvasFont}`;
  context.textBaseline = 'alphabetic';
  const labelled = items.filter((item) => item.wordings.length > 0);
  const places = placeLabels(
    labelled.map((item) => ({
      box: item.box,
      sizes: item.wordings.map((text) => ({
        width: Math.ceil(context.measureText(text).width) + 2 * labelPadding,
        height: labelHeight,
      })),
    })),
    size,
  );
  places.forEach((place, i) => place?.leader && drawLeader(context, place, labelled[i]));
  places.forEach((place, i) => place && drawLabel(context, place, labelled[i]));
  return places.filter((place) => place === undefined).length;
}

function drawLabel(context: SKRSContext2D, place: LabelPlace, item: Item): void {
  const { x, y, width, height } = place;
  const solid = item.kind === 'found';
  context.fillStyle = solid ? item.color : 'rgba(255, 255, 255, 0.94)';
  context.fillRect(x, y, width, height);
  if (!solid) {
    context.strokeStyle = item.color;
    context.lineWidth = 1.5;
    context.strokeRect(x + 0.75, y + 0.75, width - 1.5, height - 1.5);
  }
  context.fillStyle = solid ? textColorOn(item.color) : '#1f2328';
  context.fillText(item.wordings[place.wording], x + labelPadding, y + height - 4.5);
}

function drawLeader(context: SKRSContext2D, place: LabelPlace, item: Item): void {
  const [x, y] = place.anchor;
  const toX = Math.min(Math.max(x, place.x), place.x + place.width);
  const toY = Math.min(Math.max(y, place.y), place.y + place.height);
  for (const [color, width] of [
    ['rgba(255, 255, 255, 0.9)', 3],
    [item.color, 1.25],
  ] as const) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
  }
}

function describe(
  image: RgbImage,
  options: DrawBoxesOptions,
  items: readonly Item[],
  hidden: number,
): string {
  const part = (kind: Item['kind'], name: string): string => {
    const texts = items.filter((item) => item.kind === kind).map((item) => item.wordings[0]);
    if (texts.length === 0) return '';
    return ` ${name}: ${texts.slice(0, 12).join(', ')}${texts.length > 12 ? ` and ${texts.length - 12} more` : ''}.`;
  };
  const truth = (options.groundTruth ?? []).map((object) => options.classes[object.label]);
  const counts = new Map<string, number>();
  for (const name of truth) counts.set(name, (counts.get(name) ?? 0) + 1);
  const truthText = [...counts].map(([name, n]) => (n > 1 ? `${n} ${name}` : name)).join(', ');
  return (
    `Image of ${image.width}x${image.height} pixels.` +
    (truthText ? ` Ground truth: ${truthText}.` : '') +
    part('found', 'Detections') +
    (hidden > 0 ? ` ${hidden} label${hidden > 1 ? 's' : ''} left out for want of room.` : '')
  );
}
