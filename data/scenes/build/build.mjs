// Builds data/scenes/pack from the published packages. Same packages, same bytes.
//   node build.mjs --debian FOLDER   (FOLDER: the two Debian packages, unpacked; see ../README.md)
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawSheet } from './atlas.mjs';
import { encodeJpeg, panorama, photo, repairRinging, toneMap } from './backgrounds.mjs';
import { BACKGROUNDS } from './backgrounds-list.mjs';
import { FAMILIES, SOURCES, glyphIndex, tonedSlug } from './families.mjs';
import { fit, render } from './sprites.mjs';
import { LOOKALIKES, UPSTREAM, UPSTREAM_DROPS } from './upstream.mjs';
import {
  CORE,
  DROPPED_GLYPHS,
  DROPS,
  EDITS,
  GLYPHS,
  POSE_OF,
  SAME_DESIGN,
  SAME_GROUP,
  TAIL,
  TONE_OF,
} from './voc.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const finished = path.join(here, '..', 'pack');
// Built beside the pack and swapped in at the end: a stopped build leaves the old pack whole.
const pack = `${finished}.new`;
const debian = process.argv[process.argv.indexOf('--debian') + 1];
if (!process.argv.includes('--debian'))
  throw new Error('say where the unpacked Debian packages are: --debian FOLDER');

/** Sprites a sheet: fewer where shading needs the palette's 256 colours. */
const SHEET = { 'fluent-3d': 6, noto: 8, default: 12 };

/** Every drawing of a VOC class in one source: { slug, glyph, suffix }. */
function drawingsOf(cls, source) {
  const index = glyphIndex(source);
  const found = [];
  const add = (glyph, name, slug, suffix) => {
    const keys = [`${source.id}/${name}`, `${source.id}/${slug}`];
    if (keys.some((key) => DROPS[key])) return;
    found.push({ slug, glyph, suffix, edit: keys.map((key) => EDITS[key]).find(Boolean) });
  };
  if (cls !== 'person') {
    for (const glyph of GLYPHS[cls]) {
      const slugs = index.get(glyph) ?? [];
      slugs.forEach((slug, i) => add(glyph, glyph, slug, i === 0 ? '' : `-${i + 1}`));
    }
    return found;
  }
  for (const [name, pose] of Object.entries(POSE_OF)) {
    const who = pose === 'ballet' ? 'ballet' : name.split('-')[0];
    (index.get(name) ?? []).forEach((slug, i) => {
      for (const tone of TONE_OF[who] ?? [null]) {
        const toned = tone === null ? slug : tonedSlug(source, slug, tone);
        if (toned)
          add(pose, name, toned, `-${name}${i === 0 ? '' : `-${i + 1}`}${tone === null ? '' : `-${tone}`}`);
        else if (tone === (TONE_OF[who] ?? [null])[0])
          add(pose, name, slug, `-${name}${i === 0 ? '' : `-${i + 1}`}`);
      }
    });
  }
  return found;
}

/** class/family/glyph of a drawing, or of the drawing it repeats. */
function groupOf(cls, source, glyph) {
  const group = `${cls}/${source.family}/${SAME_DESIGN[glyph] ?? glyph}`;
  return SAME_GROUP[group] ?? group;
}

for (const [cls, glyphs] of Object.entries(GLYPHS)) {
  const wrong = glyphs.find((glyph) => DROPPED_GLYPHS[glyph] || UPSTREAM.includes(glyph));
  if (wrong) throw new Error(`${cls} lists ${wrong}, which is dropped or upstream`);
}

const sprites = [];
const checksums = {};

function write(file, bytes) {
  const full = path.join(pack, file);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, bytes);
  checksums[file] = createHash('sha256').update(bytes).digest('hex');
}

/** Renders drawings, fills sheets of at most the source's size, records the sprites. */
async function sheets(folder, name, source, drawings, side, record) {
  const size = (SHEET[source.id] ?? SHEET.default) * (side < 100 ? 3 : 1);
  const pieces = Math.ceil(drawings.length / size);
  for (let part = 0; part < pieces; part++) {
    const from = Math.floor((part * drawings.length) / pieces);
    const to = Math.floor(((part + 1) * drawings.length) / pieces);
    const some = drawings.slice(from, to);
    const images = [];
    for (const d of some) images.push(await fit(await render(source, d.slug, d.edit), side));
    const { png, at } = await drawSheet(images, { dither: source.id === 'fluent-3d' ? 0.6 : 0 });
    const file = `${folder}/${name}${pieces > 1 ? `-${part + 1}` : ''}.png`;
    write(file, png);
    some.forEach((d, i) => {
      sprites.push({ ...record(d), sheet: file, ...at[i], w: images[i].width, h: images[i].height });
    });
  }
}

rmSync(pack, { recursive: true, force: true });

for (const cls of [...CORE, ...TAIL]) {
  for (const source of SOURCES) {
    const shareAlike = FAMILIES[source.family].shareAlike;
    const role = shareAlike ? 'style-shift' : CORE.includes(cls) ? 'core' : 'tail';
    await sheets(role, `${cls}-${source.id}`, source, drawingsOf(cls, source), 160, (d) => ({
      id: `${cls}/${source.id}/${d.glyph}${d.suffix}`,
      class: cls,
      family: source.family,
      glyph: d.glyph,
      group: groupOf(cls, source, d.glyph),
      role,
    }));
  }
  console.log(cls, sprites.filter((s) => s.class === cls).length);
}

let upstream = 0;
for (const source of SOURCES) {
  if (FAMILIES[source.family].shareAlike) continue;
  const index = glyphIndex(source);
  const drawings = UPSTREAM.flatMap((glyph) =>
    (index.get(glyph) ?? [])
      .filter((slug) => !UPSTREAM_DROPS[`${source.id}/${glyph}`] && !UPSTREAM_DROPS[`${source.id}/${slug}`])
      .map((slug, i) => ({ slug, glyph, suffix: i === 0 ? '' : `-${i + 1}` })),
  );
  upstream += drawings.length;
  await sheets('upstream', source.id, source, drawings, 64, (d) => ({
    id: `upstream/${source.id}/${d.glyph}${d.suffix}`,
    class: d.glyph,
    family: source.family,
    glyph: d.glyph,
    group: `${d.glyph}/${source.family}/${d.glyph}`,
    role: 'upstream',
    ...(LOOKALIKES.has(d.glyph) ? { lookalike: true } : {}),
  }));
}
console.log('upstream', upstream, 'sprites of', UPSTREAM.length, 'classes');

const backgrounds = [];
for (const entry of BACKGROUNDS) {
  let image;
  if (entry.kind === 'panorama') {
    const repaired = repairRinging(await panorama(entry, debian), entry.reach);
    image = toneMap(repaired.image, entry.key);
  } else image = await photo(entry, debian);
  const file = `backgrounds/${entry.id}.jpg`;
  write(file, encodeJpeg(image, 88));
  backgrounds.push({
    id: entry.id,
    file,
    kind: entry.kind,
    width: image.width,
    height: image.height,
    horizon: entry.kind === 'panorama' ? 0.5 : entry.horizon,
    source: entry.source,
    author: entry.author,
    licence: entry.licence,
  });
}

write(
  'style-shift/LICENSE.md',
  Buffer.from(
    '# Share-alike art\n\n' +
      'The sheets of this folder are under CC BY-SA 4.0, <https://creativecommons.org/licenses/by-sa/4.0/>, and so is ' +
      'every picture made with them.\n\n' +
      '- `*-openmoji*.png`: OpenMoji, <https://openmoji.org/>, by HfG Schwäbisch Gmünd and contributors. Modified.\n' +
      '- `*-emojione-v1*.png`: EmojiOne 1.5, <https://github.com/joypixels/emojione-legacy>. Modified.\n',
  ),
);

const manifest = { version: 1, families: FAMILIES, sprites, backgrounds };
write('manifest.json', Buffer.from(stringify(manifest)));
const sums = Object.entries(checksums).sort(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(path.join(pack, 'SHA256SUMS'), sums.map(([file, sum]) => `${sum}  ${file}\n`).join(''));
const total = sums.reduce((sum, [file]) => sum + statSync(path.join(pack, file)).size, 0);
rmSync(finished, { recursive: true, force: true });
renameSync(pack, finished);
console.log(`${sprites.length} sprites, ${sums.length} files, ${(total / 1e6).toFixed(2)} MB`);

/** JSON with one sprite or background a line: diffs stay readable. */
function stringify({ version, families, sprites: list, backgrounds: views }) {
  const lines = (items) => items.map((item) => `    ${JSON.stringify(item)}`).join(',\n');
  return (
    `{\n  "version": ${version},\n  "families": {\n` +
    Object.entries(families)
      .map(([id, family]) => `    ${JSON.stringify(id)}: ${JSON.stringify(family)}`)
      .join(',\n') +
    `\n  },\n  "sprites": [\n${lines(list)}\n  ],\n  "backgrounds": [\n${lines(views)}\n  ]\n}\n`
  );
}
