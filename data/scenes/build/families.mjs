// The published art families the pack is cut from, and how one glyph of each becomes an image.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { FXEMOJI_NAMES } from './fxemoji-names.mjs';

const require = createRequire(import.meta.url);

/** Licence facts of every family; `shareAlike` families may only appear in the style-shift folder. */
export const FAMILIES = {
  noto: {
    name: 'Noto Emoji',
    author: 'Google Inc',
    licence: 'Apache-2.0',
    url: 'https://github.com/googlefonts/noto-emoji',
    shareAlike: false,
  },
  'noto-v1': {
    name: 'Noto Emoji, 2016 drawings',
    author: 'Google Inc',
    licence: 'Apache-2.0',
    url: 'https://github.com/googlefonts/noto-emoji',
    shareAlike: false,
  },
  twemoji: {
    name: 'Twemoji',
    author: 'Twitter, Inc and other contributors',
    licence: 'CC-BY-4.0',
    url: 'https://github.com/jdecked/twemoji',
    shareAlike: false,
  },
  emojione: {
    name: 'EmojiOne 2.3 (EmojiTwo)',
    author: 'EmojiOne and EmojiTwo contributors',
    licence: 'CC-BY-4.0',
    url: 'https://github.com/EmojiTwo/emojitwo',
    shareAlike: false,
  },
  fxemoji: {
    name: 'FxEmojis (Firefox OS)',
    author: 'Mozilla Foundation',
    licence: 'CC-BY-4.0',
    url: 'https://github.com/mozilla/fxemoji',
    shareAlike: false,
  },
  streamline: {
    name: 'Streamline Emojis',
    author: 'Streamline',
    licence: 'CC-BY-4.0',
    url: 'https://www.streamlinehq.com/emojis',
    shareAlike: false,
  },
  fluent: {
    name: 'Fluent Emoji (3D and flat)',
    author: 'Microsoft Corporation',
    licence: 'MIT',
    url: 'https://github.com/microsoft/fluentui-emoji',
    shareAlike: false,
  },
  openmoji: {
    name: 'OpenMoji',
    author: 'HfG Schwäbisch Gmünd and contributors',
    licence: 'CC-BY-SA-4.0',
    url: 'https://openmoji.org',
    shareAlike: true,
  },
  'emojione-v1': {
    name: 'EmojiOne 1.5',
    author: 'EmojiOne (Ranks.com)',
    licence: 'CC-BY-SA-4.0',
    url: 'https://github.com/joypixels/emojione-legacy',
    shareAlike: true,
  },
};

/** Where the drawings come from. Two sources of one family show the same shapes and share their design groups. */
export const SOURCES = [
  { id: 'noto', family: 'noto', set: 'noto' },
  { id: 'noto-v1', family: 'noto-v1', set: 'noto-v1' },
  { id: 'twemoji', family: 'twemoji', set: 'twemoji' },
  { id: 'emojione', family: 'emojione', set: 'emojione' },
  { id: 'fxemoji', family: 'fxemoji', set: 'fxemoji' },
  { id: 'streamline', family: 'streamline', set: 'streamline-emojis' },
  { id: 'fluent-3d', family: 'fluent', set: null },
  { id: 'fluent-flat', family: 'fluent', set: 'fluent-emoji-flat' },
  { id: 'openmoji', family: 'openmoji', set: 'openmoji' },
  { id: 'emojione-v1', family: 'emojione-v1', set: 'emojione-v1' },
];

/** Skin tones as the sets' own names write them: the source's suffix by our word. */
const TONES = {
  light: ['-light-skin-tone', '-light'],
  medium: ['-medium-skin-tone', '-medium'],
  dark: ['-dark-skin-tone', '-dark'],
};
const TONE_SUFFIX = /-(light|medium-light|medium|medium-dark|dark)(-skin-tone)?$/;
const TONE_CODES = { light: '1f3fb', medium: '1f3fd', dark: '1f3ff' };

const icons = new Map();
function iconSet(set) {
  if (!icons.has(set)) icons.set(set, require(`@iconify-json/${set}/icons.json`));
  return icons.get(set);
}

/** Names that differ between the sets, ours on the right. */
const SYNONYMS = {
  'laptop-computer': 'laptop',
  blackbird: 'black-bird',
  'phoenix-bird': 'phoenix',
  'man-in-business-suit-levitating': 'person-in-suit-levitating',
  'bear-face': 'bear',
  'fox-face': 'fox',
  'frog-face': 'frog',
  'hamster-face': 'hamster',
  'lion-face': 'lion',
  'panda-face': 'panda',
  'unicorn-face': 'unicorn',
  'wolf-face': 'wolf',
  'robot-face': 'robot',
  'school-backpack': 'backpack',
  'red-wine-glass': 'wine-glass',
  'game-dice': 'game-die',
};

/** Our glyph name for a set's own slug: one vocabulary (Noto's) over all sets. */
export function canonicalGlyph(source, slug) {
  if (source === 'fxemoji') {
    return slug in FXEMOJI_NAMES ? FXEMOJI_NAMES[slug] : (unhyphenated().get(slug.replace(/-/g, '')) ?? null);
  }
  let name = slug;
  if (source === 'streamline') name = name.replace(/-[1-9]$/, '');
  return SYNONYMS[name] ?? name;
}

/** FxEmojis writes its names without hyphens; where the letters agree with Noto's name it is that glyph. */
let plain;
function unhyphenated() {
  plain ??= new Map(Object.keys(iconSet('noto').icons).map((slug) => [slug.replace(/-/g, ''), slug]));
  return plain;
}

/** glyph -> slugs of one source, skin-tone variants left out. */
const indices = new Map();
export function glyphIndex(source) {
  if (indices.has(source.id)) return indices.get(source.id);
  const index = new Map();
  const slugs = source.set
    ? Object.keys(iconSet(source.set).icons).filter(
        (slug) => !TONE_SUFFIX.test(slug) && !/-tone[1-5]/.test(slug),
      )
    : fluentCodes();
  for (const slug of slugs) {
    const glyph = source.set ? canonicalGlyph(source.id, slug) : codeNames().get(slug);
    if (!glyph) continue;
    if (!index.has(glyph)) index.set(glyph, []);
    index.get(glyph).push(slug);
  }
  indices.set(source.id, index);
  return index;
}

/** The slug of a skin-toned variant, or null where the set has none. */
export function tonedSlug(source, slug, tone) {
  if (!source.set) {
    const parts = slug.split('-').filter((part) => part !== 'fe0f');
    const toned = [parts[0], TONE_CODES[tone], ...parts.slice(1)].join('-');
    return fluentCodes().find((code) => code.replace(/-fe0f/g, '') === toned) ?? null;
  }
  for (const suffix of TONES[tone]) if (iconSet(source.set).icons[slug + suffix]) return slug + suffix;
  return null;
}

let codes;
const fluentFolder = () =>
  path.join(path.dirname(require.resolve('@lobehub/fluent-emoji-3d/package.json')), 'assets');
function fluentCodes() {
  codes ??= readdir(fluentFolder());
  return codes;
}
function readdir(folder) {
  return require('node:fs')
    .readdirSync(folder)
    .filter((file) => file.endsWith('.webp'))
    .map((file) => file.slice(0, -5))
    .sort();
}

/** Code point sequence (as the 3D files are named) -> glyph name, from the sets that publish both. */
let names;
function codeNames() {
  if (names) return names;
  names = new Map();
  const bare = new Map();
  for (const set of ['fluent-emoji-flat', 'twemoji', 'noto']) {
    for (const [code, slug] of Object.entries(require(`@iconify-json/${set}/chars.json`))) {
      if (!TONE_SUFFIX.test(slug)) bare.set(code.replace(/-fe0f/g, ''), SYNONYMS[slug] ?? slug);
    }
  }
  for (const code of fluentCodes()) {
    const name = bare.get(code.replace(/-fe0f/g, ''));
    if (name) names.set(code, name);
  }
  return names;
}

/** The drawing itself: an SVG text blown up to `size` pixels, or the WebP bytes of the 3D set. */
export function drawing(source, slug, size) {
  if (!source.set) {
    const file = path.join(fluentFolder(), `${slug}.webp`);
    if (!existsSync(file)) throw new Error(`fluent-3d has no ${slug}`);
    return readFileSync(file);
  }
  const set = iconSet(source.set);
  const icon = set.icons[slug];
  if (!icon) throw new Error(`${source.id} has no ${slug}`);
  const width = icon.width ?? set.width ?? 16;
  const height = icon.height ?? set.height ?? 16;
  const box = `${icon.left ?? 0} ${icon.top ?? 0} ${width} ${height}`;
  const scale = size / Math.max(width, height);
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}" ` +
      `width="${width * scale}" height="${height * scale}">${icon.body}</svg>`,
  );
}
