// Contact sheets of the pack, to look at every drawing:  node sheets.mjs OUT_FOLDER [name part]
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const pack = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'pack');
const [out = 'sheets', only = ''] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const { sprites } = JSON.parse(readFileSync(path.join(pack, 'manifest.json'), 'utf8'));

const text = (label, width) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="14"><text x="1" y="10" font-size="9" ` +
      `font-family="DejaVu Sans, sans-serif">${label.replace(/&/g, '&amp;')}</text></svg>`,
  );

/** Draws labelled cells on a mid grey, where both white and black art shows. */
async function sheet(name, items, cell, columns) {
  const rows = Math.ceil(items.length / columns);
  const layers = [];
  for (const [i, s] of items.entries()) {
    const left = (i % columns) * (cell + 4);
    const top = Math.floor(i / columns) * (cell + 18);
    let piece = sharp(path.join(pack, s.sheet)).extract({ left: s.x, top: s.y, width: s.w, height: s.h });
    if (Math.max(s.w, s.h) > cell)
      piece = sharp(await piece.png().toBuffer()).resize(cell, cell, { fit: 'inside' });
    const input = await piece.png().toBuffer();
    const { width, height } = await sharp(input).metadata();
    layers.push({ input, left: left + ((cell - width) >> 1), top: top + cell - height });
    layers.push({ input: text(s.label, cell), left, top: top + cell + 2 });
  }
  await sharp({
    create: { width: columns * (cell + 4), height: rows * (cell + 18), channels: 3, background: '#9aa7b4' },
  })
    .composite(layers)
    .png()
    .toFile(path.join(out, `${name}.png`));
  console.log(name, items.length);
}

const groups = new Map();
for (const s of sprites) {
  const name = s.role === 'upstream' ? `upstream-${s.class[0]}` : `${s.role}-${s.class}`;
  if (!name.includes(only)) continue;
  if (!groups.has(name)) groups.set(name, []);
  const label =
    s.role === 'upstream' ? `${s.id.split('/')[1]} ${s.class}` : s.id.split('/').slice(1).join(' ');
  groups.get(name).push({ ...s, label });
}
for (const [name, items] of groups) {
  if (name.startsWith('upstream')) items.sort((a, b) => (a.class < b.class ? -1 : a.class > b.class ? 1 : 0));
  await sheet(name, items, name.startsWith('upstream') ? 64 : 112, name.startsWith('upstream') ? 24 : 14);
}
