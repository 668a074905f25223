/** The art pack: its manifest, and its sprites and backgrounds decoded on demand. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { halve, type Bitmap } from './bitmap';

/** What a drawing serves for: detection classes with much art, with little art, classification and distractors, the style test. */
export type SpriteRole = 'core' | 'tail' | 'upstream' | 'style-shift';

/** One drawing, as the manifest lists it. */
export interface PackSprite {
  readonly id: string;
  /** Sheet file and the rectangle in it, pixels. */
  readonly sheet: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly class: string;
  /** Whose drawing it is: key of `families`. */
  readonly family: string;
  readonly glyph: string;
  /** The design: drawings that differ in detail only share it, and stay on the same side of every split. */
  readonly group: string;
  readonly role: SpriteRole;
  /** Upstream art that looks like a detection class: never a distractor. */
  readonly lookalike?: boolean | string;
}

/** One background picture. */
export interface PackBackground {
  readonly id: string;
  readonly file: string;
  /** `panorama`: equirectangular, 360 degrees; `photo`: flat. */
  readonly kind: 'panorama' | 'photo';
  readonly width: number;
  readonly height: number;
  /** Photos with a ground plane: height of the horizon as a fraction of the picture, from the top. */
  readonly horizon?: number;
  readonly source: string;
  readonly licence: string;
}

/** data/scenes/pack/manifest.json. */
export interface PackManifest {
  readonly version: string | number;
  readonly families: Readonly<
    Record<string, { name: string; author: string; licence: string; url: string; shareAlike: boolean }>
  >;
  readonly sprites: readonly PackSprite[];
  readonly backgrounds: readonly PackBackground[];
}

/** A drawing at its full size and at halves of it. */
export interface SpriteImage {
  readonly width: number;
  readonly height: number;
  /** Share of the rectangle that the drawing covers (opacity of a half or more). */
  readonly coverage: number;
  /** RGBA, colours multiplied by opacity; each level half the size of the one before. */
  readonly levels: readonly Bitmap[];
}

/** The pack, with decoded pictures kept in memory. */
export interface ScenePack {
  readonly folder: string;
  readonly manifest: PackManifest;
  /** Changes whenever the pack does. */
  readonly fingerprint: string;
  sprite(sprite: PackSprite): SpriteImage;
  /** The picture and its halves. */
  background(background: PackBackground): readonly Bitmap[];
}

/** Where the shipped pack lies; the same from `lib/` and from `dist/`. */
export function packFolder(): string {
  return path.resolve(__dirname, '..', '..', '..', 'data', 'scenes', 'pack');
}

const packs = new Map<string, Promise<ScenePack>>();

/**
 * Opens an art pack (once a process).
 * @throws naming the file and the reason when the pack is missing or its manifest is damaged.
 */
export function loadPack(folder: string = packFolder()): Promise<ScenePack> {
  const key = path.resolve(folder);
  let pack = packs.get(key);
  if (pack === undefined) {
    pack = openPack(key);
    pack.catch(() => packs.delete(key)); // the next call may find it mended
    packs.set(key, pack);
  }
  return pack;
}

async function openPack(folder: string): Promise<ScenePack> {
  const file = path.join(folder, 'manifest.json');
  const [{ PNG }, jpeg] = await Promise.all([import('pngjs'), import('jpeg-js')]);
  let manifest: PackManifest;
  let text: string;
  try {
    text = await fs.readFile(file, 'utf8');
    manifest = JSON.parse(text) as PackManifest;
    if (!Array.isArray(manifest.sprites) || !Array.isArray(manifest.backgrounds))
      throw new Error('no sprites or backgrounds');
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(
      `Can't read the art pack ${file}: ${reason}. Restore data/scenes/pack from the repository.`,
      { cause: error },
    );
  }
  const hash = createHash('sha256').update(text);
  const files = new Set([
    ...manifest.sprites.map((s) => s.sheet),
    ...manifest.backgrounds.map((b) => b.file),
  ]);
  for (const name of [...files].sort())
    hash.update(`${name} ${(await fs.stat(path.join(folder, name))).size}\n`);

  const sheets = new Map<string, { width: number; height: number; data: Uint8Array }>();
  const sprites = new Map<string, SpriteImage>();
  const backgrounds = new Map<string, readonly Bitmap[]>();
  const decode = <T>(name: string, decoder: (bytes: Buffer) => T): T => {
    try {
      return decoder(readFileSync(path.join(folder, name)));
    } catch (error) {
      const reason = (error as Error).message;
      throw new Error(`Can't read ${path.join(folder, name)} of the art pack: ${reason}`, { cause: error });
    }
  };
  return {
    folder,
    manifest,
    fingerprint: `${manifest.version}-${hash.digest('hex').slice(0, 16)}`,
    sprite(sprite) {
      let image = sprites.get(sprite.id);
      if (image === undefined) {
        let sheet = sheets.get(sprite.sheet);
        if (sheet === undefined) {
          sheet = decode(sprite.sheet, (bytes) => PNG.sync.read(bytes));
          sheets.set(sprite.sheet, sheet);
        }
        image = cut(sheet, sprite);
        sprites.set(sprite.id, image);
      }
      return image;
    },
    background(background) {
      let levels = backgrounds.get(background.id);
      if (levels === undefined) {
        // jpeg-js rather than a native decoder: the same pixels on every machine.
        const picture = decode(background.file, (bytes) =>
          bytes[0] === 0x89 ? PNG.sync.read(bytes) : jpeg.decode(bytes, { useTArray: true }),
        );
        const full: Bitmap = {
          width: picture.width,
          height: picture.height,
          data: new Uint8Array(picture.data),
        };
        const half = halve(full);
        levels = [full, half, halve(half)];
        backgrounds.set(background.id, levels);
      }
      return levels;
    },
  };
}

/** Cuts one drawing out of its sheet, multiplies colour by opacity, and makes the halves. */
function cut(sheet: { width: number; height: number; data: Uint8Array }, sprite: PackSprite): SpriteImage {
  const { x: left, y: top, w: width, h: height } = sprite;
  if (
    left < 0 ||
    top < 0 ||
    left + width > sheet.width ||
    top + height > sheet.height ||
    width < 1 ||
    height < 1
  ) {
    throw new Error(
      `Sprite ${sprite.id} (${left}, ${top}, ${width} x ${height}) is not inside its sheet ${sprite.sheet} ` +
        `(${sheet.width} x ${sheet.height}): the art pack is damaged, restore data/scenes/pack.`,
    );
  }
  const data = new Uint8Array(width * height * 4);
  let opaque = 0;
  for (let y = 0, t = 0; y < height; y++) {
    let s = ((top + y) * sheet.width + left) * 4;
    for (let x = 0; x < width; x++, s += 4, t += 4) {
      const alpha = sheet.data[s + 3];
      if (alpha >= 128) opaque++;
      for (let c = 0; c < 3; c++) data[t + c] = Math.round((sheet.data[s + c] * alpha) / 255);
      data[t + 3] = alpha;
    }
  }
  const levels: Bitmap[] = [{ width, height, data }];
  for (let last = levels[0]; Math.max(last.width, last.height) > 4; last = levels[levels.length - 1])
    levels.push(halve(last));
  return { width, height, coverage: opaque / (width * height), levels };
}
