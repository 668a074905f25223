// The committed art pack is consistent, licensed, and free of leaks between its design groups.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';

interface Family {
  readonly name: string;
  readonly author: string;
  readonly licence: string;
  readonly url: string;
  readonly shareAlike: boolean;
}

interface Sprite {
  readonly id: string;
  readonly sheet: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly class: string;
  readonly family: string;
  readonly glyph: string;
  readonly group: string;
  readonly role: 'core' | 'tail' | 'upstream' | 'style-shift';
  readonly lookalike?: boolean;
}

interface Background {
  readonly id: string;
  readonly file: string;
  readonly kind: 'panorama' | 'photo';
  readonly width: number;
  readonly height: number;
  readonly horizon?: number;
  readonly licence: string;
  readonly author: string;
  readonly source: string;
}

interface Manifest {
  readonly version: number;
  readonly families: Readonly<Record<string, Family>>;
  readonly sprites: readonly Sprite[];
  readonly backgrounds: readonly Background[];
}

const scenes = path.join(__dirname, '..', '..', 'data', 'scenes');
const pack = path.join(scenes, 'pack');
const manifest = JSON.parse(readFileSync(path.join(pack, 'manifest.json'), 'utf8')) as Manifest;
const licences = readFileSync(path.join(scenes, 'LICENSE.md'), 'utf8');
const { families, sprites, backgrounds } = manifest;

/** Design groups each class must keep, a little under what the pack holds: a rebuild that loses art is noticed. */
const CORE_GROUPS: Readonly<Record<string, number>> = {
  bird: 78,
  train: 48,
  car: 48,
  boat: 28,
  person: 38,
  cow: 24,
  dog: 24,
  bus: 22,
  bottle: 18,
  horse: 16,
  tvmonitor: 14,
  cat: 14,
};
const TAIL_GROUPS: Readonly<Record<string, number>> = {
  sheep: 10,
  aeroplane: 14,
  motorbike: 9,
  pottedplant: 6,
  chair: 8,
  bicycle: 6,
  sofa: 5,
};
const VOC = [...Object.keys(CORE_GROUPS), ...Object.keys(TAIL_GROUPS), 'diningtable'];

const files = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(path.join(folder, entry.name)) : [path.join(folder, entry.name)],
  );

const groupsOf = (cls: string): Set<string> =>
  new Set(
    sprites.filter((s) => s.class === cls && (s.role === 'core' || s.role === 'tail')).map((s) => s.group),
  );

const sheets = new Map<string, PNG>();
function sheet(name: string): PNG {
  let png = sheets.get(name);
  if (!png) sheets.set(name, (png = PNG.sync.read(readFileSync(path.join(pack, name)))));
  return png;
}

describe('data/scenes/pack', () => {
  it('holds exactly the files its checksums list, unchanged', () => {
    const listed = readFileSync(path.join(pack, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
    const expected = new Map(listed.map((line) => [line.slice(66), line.slice(0, 64)]));
    const found = files(pack)
      .map((file) => path.relative(pack, file).split(path.sep).join('/'))
      .filter((file) => file !== 'SHA256SUMS');
    expect(found.sort()).toEqual([...expected.keys()].sort());
    for (const file of found) {
      const sum = createHash('sha256')
        .update(readFileSync(path.join(pack, file)))
        .digest('hex');
      expect(`${file} ${sum}`).toBe(`${file} ${expected.get(file)}`);
    }
  });

  it('stays small', () => {
    const sizes = files(scenes)
      .filter((file) => !file.includes('node_modules'))
      .map((file) => statSync(file).size);
    expect(Math.max(...sizes)).toBeLessThan(4e6);
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(14e6);
  });

  it('has every sprite inside its sheet, visible, and touching all four sides of its rectangle', () => {
    expect(new Set(sprites.map((s) => s.id)).size).toBe(sprites.length);
    for (const s of sprites) {
      const { width, height, data } = sheet(s.sheet);
      expect(s.x >= 0 && s.y >= 0 && s.x + s.w <= width && s.y + s.h <= height, s.id).toBe(true);
      expect(Math.max(s.w, s.h), s.id).toBe(s.role === 'upstream' ? 64 : 160);
      const visible = (x: number, y: number): boolean => data[((s.y + y) * width + s.x + x) * 4 + 3] > 0;
      const columns = [0, s.w - 1].map((x) =>
        Array.from({ length: s.h }, (_, y) => visible(x, y)).some(Boolean),
      );
      const rows = [0, s.h - 1].map((y) =>
        Array.from({ length: s.w }, (_, x) => visible(x, y)).some(Boolean),
      );
      expect([...columns, ...rows], s.id).toEqual([true, true, true, true]);
    }
  });

  it('has sheets without stray pixels between the sprites', () => {
    for (const [name, png] of sheets) {
      const covered = new Uint8Array(png.width * png.height);
      for (const s of sprites) {
        if (s.sheet !== name) continue;
        for (let y = s.y; y < s.y + s.h; y++) covered.fill(1, y * png.width + s.x, y * png.width + s.x + s.w);
      }
      const stray = covered.findIndex((c, p) => c === 0 && png.data[p * 4 + 3] > 0);
      expect(stray, name).toBe(-1);
    }
  });

  it('names a licence for every family and says so in LICENSE.md', () => {
    for (const s of sprites) expect(families[s.family], s.id).toBeDefined();
    for (const [id, family] of Object.entries(families)) {
      expect(licences, id).toContain(family.url);
      expect(licences, id).toContain(family.licence.replace(/^CC-(BY|BY-SA)-4\.0$/, 'CC $1 4.0'));
      expect(licences, id).toMatch(new RegExp(`\\*\\*(\\S+, )*${id}(, \\S+)*:`));
    }
    for (const b of backgrounds) {
      expect(['CC0-1.0', 'CC-BY-4.0'], b.id).toContain(b.licence);
      expect(licences, b.id).toContain(b.author.replace(/ \(.*/, ''));
    }
  });

  it('keeps share-alike art alone in style-shift', () => {
    for (const s of sprites) {
      const shareAlike = families[s.family]?.shareAlike;
      expect([s.id, s.role === 'style-shift'], s.id).toEqual([s.id, shareAlike]);
      expect(s.sheet.startsWith(`${s.role}/`), s.id).toBe(true);
    }
  });

  it('has well-formed groups of one class, and one family unless a drawing is repeated there', () => {
    for (const s of sprites) {
      const parts = s.group.split('/');
      expect(parts, s.id).toHaveLength(3);
      expect(parts[0], s.id).toBe(s.class);
      expect(families[parts[1]], s.id).toBeDefined();
    }
    // Fluent's two sets are one family; man, woman and person of a pose are one design.
    const poses = sprites.filter(
      (s) => s.class === 'person' && s.family === 'fluent' && s.glyph === 'walking',
    );
    expect(poses.length).toBeGreaterThan(4);
    expect(new Set(poses.map((s) => s.group)).size).toBe(1);
  });

  it('keeps enough designs per class', () => {
    for (const [cls, least] of Object.entries({ ...CORE_GROUPS, ...TAIL_GROUPS })) {
      expect(groupsOf(cls).size, cls).toBeGreaterThanOrEqual(least);
    }
  });

  it('has upstream classes of five families or more, none of them a VOC class or glyph', () => {
    const upstream = sprites.filter((s) => s.role === 'upstream');
    const detection = sprites.filter((s) => s.role !== 'upstream');
    const taken = new Set([...VOC, ...detection.map((s) => s.class), ...detection.map((s) => s.glyph)]);
    const drawn = new Map<string, Set<string>>();
    for (const s of upstream) {
      expect(taken.has(s.class), s.id).toBe(false);
      drawn.set(s.class, (drawn.get(s.class) ?? new Set()).add(s.family));
    }
    expect(drawn.size).toBeGreaterThanOrEqual(250);
    const thin = [...drawn].filter(([, by]) => by.size < 4).map(([cls]) => cls);
    expect(thin).toEqual([]);
    expect([...drawn.values()].filter((by) => by.size >= 5).length).toBeGreaterThanOrEqual(250);
    expect(upstream.some((s) => s.lookalike)).toBe(true);
    expect(detection.some((s) => s.lookalike)).toBe(false);
  });

  it('has no two groups of one family that show nearly the same drawing', () => {
    const drawn = sprites.filter((s) => s.role === 'core' || s.role === 'tail');
    // Many of Noto's drawings descend from those of 2016.
    const lineage = new Map<string, Sprite[]>();
    for (const s of drawn) {
      const key = `${s.class}/${s.family.replace('-v1', '')}`;
      lineage.set(key, [...(lineage.get(key) ?? []), s]);
    }
    const close: string[] = [];
    for (const list of lineage.values()) {
      const pictures = list.map(thumbnail);
      list.forEach((a, i) => {
        for (let j = i + 1; j < list.length; j++) {
          if (list[j].group === a.group) continue;
          const r = correlation(pictures[i], pictures[j]);
          if (r > 0.91) close.push(`${a.id} ${list[j].id} ${r.toFixed(3)}`);
        }
      });
    }
    expect(close).toEqual([]);
  });

  it('has backgrounds that decode at the size the manifest gives', () => {
    expect(backgrounds.filter((b) => b.kind === 'panorama').length).toBeGreaterThanOrEqual(15);
    expect(backgrounds.filter((b) => b.kind === 'photo').length).toBeGreaterThanOrEqual(5);
    for (const b of backgrounds) {
      const { width, height } = jpeg.decode(readFileSync(path.join(pack, b.file)), { useTArray: true });
      expect([b.id, width, height]).toEqual([b.id, b.width, b.height]);
      if (b.kind === 'panorama') expect([b.id, width, b.horizon]).toEqual([b.id, 2 * height, 0.5]);
      else expect(b.horizon, b.id).toBeGreaterThan(0);
    }
  });
});

const SIDE = 24;
const MARGIN = 2;
const ROW = SIDE + 2 * MARGIN;

/** A sprite on grey, fitted into 24x24 by area averaging, with a margin: RGB about grey, and alpha, of unit length. */
function thumbnail(s: Sprite): Float32Array {
  const { data, width } = sheet(s.sheet);
  const scale = SIDE / Math.max(s.w, s.h);
  const w = Math.max(1, Math.round(s.w * scale));
  const h = Math.max(1, Math.round(s.h * scale));
  const left = MARGIN + Math.floor((SIDE - w) / 2);
  const top = MARGIN + (SIDE - h);
  const sums = new Float32Array(ROW * ROW * 4);
  const counts = new Float32Array(ROW * ROW);
  for (let y = 0; y < s.h; y++) {
    for (let x = 0; x < s.w; x++) {
      const to = (top + Math.floor((y * h) / s.h)) * ROW + left + Math.floor((x * w) / s.w);
      const from = ((s.y + y) * width + s.x + x) * 4;
      const alpha = data[from + 3] / 255;
      for (let c = 0; c < 3; c++) sums[to * 4 + c] += alpha * (data[from + c] / 255 - 0.5);
      sums[to * 4 + 3] += alpha;
      counts[to] += 1;
    }
  }
  const mean = sums.map((v, i) => v / Math.max(1, counts[i >> 2]));
  const norm = Math.sqrt(mean.reduce((sum, v) => sum + v * v, 0));
  return mean.map((v) => v / norm);
}

/** Highest cosine of two thumbnails over shifts of up to two pixels sideways and one up or down. */
function correlation(a: Float32Array, b: Float32Array): number {
  let best = 0;
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -2; dx <= 2; dx++) {
      const shift = (dy * ROW + dx) * 4;
      let sum = 0;
      const end = Math.min(a.length, a.length - shift);
      for (let k = Math.max(0, -shift); k < end; k++) sum += a[k] * b[k + shift];
      best = Math.max(best, sum);
    }
  }
  return best;
}
