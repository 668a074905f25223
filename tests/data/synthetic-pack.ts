/** A tiny art pack of coloured shapes, in the layout of data/scenes/pack. */
import fs from 'node:fs';
import path from 'node:path';
import { PNG } from 'pngjs';
import { encodeJpeg } from '../../lib/data/jpeg-encode';
import type { PackBackground, PackManifest, PackSprite, SpriteRole } from '../../lib/data/scenes/pack';

const side = 20;

/** Twelve designs of each of two classes, upstream shapes by two families, style-shift drawings, 8 panoramas and 5 photos. */
export function writeSyntheticPack(folder: string): PackManifest {
  const sprites: PackSprite[] = [];
  const add = (name: string, family: string, glyph: string, role: SpriteRole, lookalike = false): void => {
    const k = sprites.length;
    sprites.push({
      id: `${name}/${family}/${glyph}`,
      sheet: 'sheet.png',
      x: (k % 16) * side,
      y: Math.floor(k / 16) * side,
      w: side,
      h: side,
      class: name,
      family,
      glyph,
      group: `${name}/${family}/${glyph}`,
      role,
      ...(lookalike ? { lookalike } : {}),
    });
  };
  for (let i = 0; i < 12; i++)
    for (const name of ['square', 'disc']) add(name, i % 2 ? 'a' : 'twemoji', `g${i}`, 'core');
  for (const name of ['square', 'disc']) add(name, 'style', 'g', 'style-shift');
  for (const name of ['up0', 'up1', 'up2', 'up3']) {
    for (const family of ['a', 'b', 'twemoji'])
      for (const glyph of ['g0', 'g1']) add(name, family, glyph, 'upstream', name === 'up3');
  }
  const sheet = new PNG({ width: 16 * side, height: Math.ceil(sprites.length / 16) * side });
  sprites.forEach((sprite, k) => {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const disc = sprite.class === 'disc';
        const inside = !disc || (x - 9.5) ** 2 + (y - 9.5) ** 2 < 100;
        const at = ((sprite.y + y) * sheet.width + sprite.x + x) * 4;
        sheet.data.set(
          inside ? [(k * 37) % 256, 200 - (k % 3) * 60, disc ? 40 : 220, 255] : [0, 0, 0, 0],
          at,
        );
      }
    }
  });
  const backgrounds: PackBackground[] = [];
  fs.mkdirSync(folder, { recursive: true });
  for (let i = 0; i < 13; i++) {
    const kind = i < 8 ? 'panorama' : 'photo';
    const [width, height] = kind === 'panorama' ? [64, 32] : [60, 40];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => 60 + ((i * 31 + at) % 90));
    const file = `background-${i}.jpg`;
    fs.writeFileSync(path.join(folder, file), encodeJpeg({ width, height, data }, 90));
    const horizon = kind === 'panorama' || i === 12 ? 0.5 : undefined;
    backgrounds.push({ id: `b${i}`, file, kind, width, height, horizon, source: 'test', licence: 'test' });
  }
  const family = { name: 'test', author: 'test', licence: 'test', url: 'test', shareAlike: false };
  const families = { a: family, b: family, twemoji: family, style: family };
  const manifest: PackManifest = { version: 'test', families, sprites, backgrounds };
  fs.writeFileSync(path.join(folder, 'sheet.png'), PNG.sync.write(sheet));
  fs.writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
  return manifest;
}
