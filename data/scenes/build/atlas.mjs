// Sprite sheets: shelves of sprites on one palette PNG.
import sharp from 'sharp';

const GAP = 2;
const WIDTH = 768;

/** Places sprites on shelves, tallest first; returns positions in the given order and the sheet's size. */
export function shelve(sprites, maxWidth = WIDTH) {
  const order = sprites.map((_, i) => i).sort((a, b) => sprites[b].height - sprites[a].height || a - b);
  const at = new Array(sprites.length);
  let x = 0;
  let y = 0;
  let shelf = 0;
  let width = 0;
  for (const i of order) {
    const s = sprites[i];
    if (x > 0 && x + s.width > maxWidth) {
      y += shelf + GAP;
      x = 0;
      shelf = 0;
    }
    at[i] = { x, y };
    width = Math.max(width, x + s.width);
    shelf = Math.max(shelf, s.height);
    x += s.width + GAP;
  }
  return { at, width, height: y + shelf };
}

/** One palette PNG with alpha of all sprites, and where each lies. */
export async function drawSheet(sprites, { dither = 0 } = {}) {
  const { at, width, height } = shelve(sprites);
  const data = Buffer.alloc(width * height * 4);
  sprites.forEach((s, i) => {
    for (let row = 0; row < s.height; row++) {
      s.data.copy(data, ((at[i].y + row) * width + at[i].x) * 4, row * s.width * 4, (row + 1) * s.width * 4);
    }
  });
  const png = await sharp(data, { raw: { width, height, channels: 4 } })
    .png({ palette: true, colours: 256, dither, effort: 10, compressionLevel: 9 })
    .toBuffer();
  return { png, at, width, height };
}
