/** Composes a scene: what stands where, in fractions of the picture, before any pixel is drawn. */
import { createRandom, type Random } from '../../tensor/random';
import type { Design, SceneCast } from './cast';
import type { SceneDifficulty } from './difficulty';
import { exp, sinCos } from './maths';
import type { PackBackground, PackSprite } from './pack';

/** Where the camera stands and looks. */
export interface SceneView {
  readonly background: PackBackground;
  readonly flip: boolean;
  /** Panorama: direction in degrees (up is positive) and horizontal field of view. */
  readonly yaw: number;
  readonly pitch: number;
  readonly fieldOfView: number;
  /** Photo: the square that is shown, in pixels of the photo. */
  readonly crop: { readonly x: number; readonly y: number; readonly side: number };
  /** Height of the horizon in the picture, 0 top to 1 bottom (beyond where it is out of sight); `undefined`: no ground. */
  readonly horizon?: number;
}

/** One drawing in the scene; lengths are fractions of the picture's side. */
export interface Placement {
  readonly sprite: PackSprite;
  /** Class id, or -1 for a distractor. */
  readonly label: number;
  /** Centre, and size before rotation. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Degrees, clockwise. */
  readonly rotation: number;
  readonly flip: boolean;
  /** Degrees round the colour circle, and factors. */
  readonly hue: number;
  readonly saturation: number;
  readonly brightness: number;
  /** How much of the local light it takes on, 0 to 1. */
  readonly lighting: number;
  /** Darkness of the contact shadow, 0 for none. */
  readonly shadow: number;
}

/** A scene, ready to be drawn at any resolution. */
export interface Scene {
  readonly view: SceneView;
  /** Far to near: the order of painting. */
  readonly placements: readonly Placement[];
  readonly exposure: number;
  /** Standard deviation of the sensor's noise, grey levels. */
  readonly noise: number;
  /** Weight of each neighbour in a three-tap blur, 0 to 0.25. */
  readonly blur: number;
  readonly quality: number;
  readonly noiseSeed: number;
}

/** Classes that may also hang in the sky. */
const flying = new Set(['bird', 'aeroplane']);

/** Composes scene `index` of a split; it depends on seed, name and index alone, so a split's first images stay when it grows. */
export function describeScene(
  cast: SceneCast,
  difficulty: SceneDifficulty,
  seed: string,
  index: number,
): Scene {
  const random = createRandom(`${seed}/${index}`);
  const view = chooseView(cast, random);
  const cameraHeight = random.uniform(0.5, 1.8); // in object heights: from a child's eye to a raised camera
  const count = Math.min(difficulty.maxObjects, 1 + poisson(difficulty.meanObjects - 1, random));
  const [fewest, most] = difficulty.distractors;
  const extras = fewest + random.integer(most - fewest + 1);
  const placements: Placement[] = [];
  for (let i = 0; i < count + extras; i++) {
    const label = i < count ? pickClass(cast, random) : -1;
    const designs = label >= 0 ? cast.designs[label] : cast.distractors;
    if (designs.length === 0) continue;
    const placement = place(random.pick(designs), label, view, cameraHeight, difficulty, placements, random);
    if (placement) placements.push(placement);
  }
  placements.sort((a, b) => a.y + a.height / 2 - (b.y + b.height / 2));
  return {
    view,
    placements,
    exposure: random.uniform(0.9, 1.1),
    noise: random.uniform(0.5, 4) * difficulty.noise,
    blur: random.next() < 0.5 ? 0 : random.uniform(0, 0.12) * difficulty.noise,
    quality: 85 + random.integer(6),
    noiseSeed: random.integer(2 ** 31),
  };
}

function chooseView(cast: SceneCast, random: Random): SceneView {
  const background = random.pick(cast.backgrounds);
  const flip = random.next() < 0.5;
  // Whole steps, so that no rounding elsewhere can matter.
  const yaw = random.integer(3600) / 10;
  const pitch = -22 + random.integer(280) / 10;
  const fieldOfView = 60 + random.integer(401) / 10;
  const shortest = Math.min(background.width, background.height);
  const side = Math.round(shortest * random.uniform(0.6, 1));
  const crop = {
    x: random.integer(background.width - side + 1),
    y: random.integer(background.height - side + 1),
    side,
  };
  const horizon =
    background.kind === 'panorama'
      ? 0.5 + (0.5 * tangent(pitch)) / tangent(fieldOfView / 2)
      : background.horizon === undefined || background.horizon === null
        ? undefined
        : (background.horizon * background.height - crop.y) / side;
  return { background, flip, yaw, pitch, fieldOfView, crop, horizon };
}

function place(
  design: Design,
  label: number,
  view: SceneView,
  cameraHeight: number,
  difficulty: SceneDifficulty,
  before: readonly Placement[],
  random: Random,
): Placement | undefined {
  const sprite = random.pick(design);
  const { jitter } = difficulty;
  const stretch = 1 + random.uniform(-0.15, 0.15) * jitter;
  const tilted = random.next() < 0.25;
  const rotation = random.uniform(-1, 1) * (tilted ? 25 : 6) * jitter;
  const flip = random.next() < 0.5;
  const look = {
    hue: random.uniform(-18, 18) * jitter,
    saturation: 1 + random.uniform(-0.35, 0.25) * jitter,
    brightness: 1 + random.uniform(-0.15, 0.15) * jitter,
    lighting: difficulty.lighting * random.uniform(0.6, 1),
  };
  const mayFly = flying.has(sprite.class);
  const kind = random.next();
  const floating = view.horizon === undefined || view.horizon > 0.92 || kind < difficulty.floating;
  const sky = mayFly && kind > 0.6 && (view.horizon ?? 0) > 0.15;
  // A few tries to find room; a thing that would hide another, or itself, is left out.
  for (let attempt = 0; attempt < 12; attempt++) {
    const side = pickSize(difficulty.size, random);
    const aspect = (sprite.w / sprite.h) * stretch;
    // Very long things are held to the picture's width.
    const width = Math.min(side * Math.sqrt(aspect), 0.9);
    const height = width / aspect;
    const x = random.uniform(0.08 * width, 1 - 0.08 * width);
    let y: number;
    if (sky) y = random.uniform(height * 0.3, Math.min(1, view.horizon as number) - height * 0.2);
    else if (floating) y = random.uniform(height * 0.35, 1 - height * 0.35);
    else {
      // Nearer is larger and lower: the foot lies below the horizon by the camera's height in object heights.
      const foot = (view.horizon as number) + side * cameraHeight * random.uniform(0.9, 1.1);
      y = Math.max(0.75 * height, Math.min(foot, 1 + 0.2 * height)) - height / 2;
    }
    const grounded = !sky && !floating;
    const shadow = grounded ? random.uniform(0.3, 0.6) : 0;
    const placement: Placement = { sprite, label, x, y, width, height, rotation, flip, ...look, shadow };
    if (before.every((other) => overlap(placement, other) <= difficulty.maxOverlap)) return placement;
  }
  return undefined;
}

/** Share of the smaller box that both cover. */
function overlap(a: Placement, b: Placement): number {
  const w = Math.min(a.x + a.width / 2, b.x + b.width / 2) - Math.max(a.x - a.width / 2, b.x - b.width / 2);
  const h =
    Math.min(a.y + a.height / 2, b.y + b.height / 2) - Math.max(a.y - a.height / 2, b.y - b.height / 2);
  return w <= 0 || h <= 0 ? 0 : (w * h) / Math.min(a.width * a.height, b.width * b.height);
}

/** Half of all objects lie between the smallest size and the median, half above. */
function pickSize([smallest, median, largest]: SceneDifficulty['size'], random: Random): number {
  const u = 2 * random.next();
  return u < 1 ? smallest + (median - smallest) * u : median + (largest - median) * (u - 1) * (u - 1);
}

function pickClass(cast: SceneCast, random: Random): number {
  const u = random.next();
  const label = cast.cumulative.findIndex((limit) => u < limit);
  return label < 0 ? cast.classes.length - 1 : label;
}

/** Knuth's method: how many uniform numbers can be multiplied before the product falls below e^-mean. */
function poisson(mean: number, random: Random): number {
  const limit = exp(-mean);
  let count = -1;
  for (let product = 1; product > limit; count++) product *= random.next();
  return Math.max(0, count);
}

function tangent(degrees: number): number {
  const { sin, cos } = sinCos((degrees * Math.PI) / 180);
  return sin / cos;
}
