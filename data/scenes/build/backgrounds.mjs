// Panoramas and photographs: decoded, tone-mapped, repaired, written as JPEG with a pure JavaScript encoder.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import jpeg from 'jpeg-js';
import sharp from 'sharp';
import { FloatType } from 'three';
import { EXRLoader } from 'three/examples/jsm/loaders/EXRLoader.js';

const require = createRequire(import.meta.url);

/** An EXR file's linear light, top row first. */
export function decodeExr(bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const loader = new EXRLoader();
  loader.setDataType(FloatType);
  const { data, width, height } = loader.parse(buffer);
  const rgb = new Float32Array(width * height * 3);
  const channels = data.length / (width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = ((height - 1 - y) * width + x) * channels;
      for (let c = 0; c < 3; c++) rgb[(y * width + x) * 3 + c] = data[from + c];
    }
  }
  return { rgb, width, height };
}

/** The panorama of one of the two packages. */
export async function panorama(entry, debianFolder) {
  if (entry.from === 'pmndrs') {
    const file = path.join(
      path.dirname(require.resolve('@pmndrs/assets/package.json')),
      'hdri',
      `${entry.name}.exr.js`,
    );
    const { default: uri } = await import(file);
    return decodeExr(Buffer.from(uri.slice(uri.indexOf(',') + 1), 'base64'));
  }
  return decodeExr(
    readFileSync(
      path.join(debianFolder, 'usr/share/blender/datafiles/studiolights/world', `${entry.name}.exr`),
    ),
  );
}

const luminance = (rgb, at) => 0.2126 * rgb[at] + 0.7152 * rgb[at + 1] + 0.0722 * rgb[at + 2];

/** Log-average luminance between the zenith and the nadir, where an equirectangular picture is not stretched. */
function logAverage({ rgb, width, height }) {
  let sum = 0;
  let count = 0;
  for (let y = Math.floor(height * 0.25); y < Math.floor(height * 0.9); y++) {
    for (let x = 0; x < width; x++) {
      sum += Math.log(1e-4 + Math.max(0, luminance(rgb, (y * width + x) * 3)));
      count += 1;
    }
  }
  return Math.exp(sum / count);
}

/**
 * Takes out the ringing of the lossy compression round blown-out lamps: a lamp is ringed by negative light and a
 * bright echo of it. Pixels within `reach` of a clearly negative one, other than the lamp itself, take the median of the
 * sound pixels of their 9x9 neighbourhood; a lamp whose colour channels were clipped apart becomes white.
 */
export function repairRinging(image, reach = 2) {
  const { rgb, width, height } = image;
  const level = logAverage(image);
  const ringing = new Uint8Array(width * height);
  const lamp = new Uint8Array(width * height);
  const each = (x, y, radius, visit) => {
    for (let yy = Math.max(0, y - radius); yy <= Math.min(height - 1, y + radius); yy++) {
      for (let dx = -radius; dx <= radius; dx++) visit(yy * width + ((x + dx + width) % width));
    }
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let brightest = 0;
      each(x, y, 4, (p) => (brightest = Math.max(brightest, luminance(rgb, p * 3))));
      const own = luminance(rgb, (y * width + x) * 3);
      if (own > Math.max(0.08 * brightest, 12 * level)) lamp[y * width + x] = 1;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      if (Math.min(rgb[at], rgb[at + 1], rgb[at + 2]) > -0.1 * level && luminance(rgb, at) > 0.05 * level)
        continue;
      let near = false;
      each(x, y, 4, (p) => (near ||= lamp[p] === 1));
      if (near) each(x, y, reach, (p) => (ringing[p] = 1));
    }
  }
  const out = Float32Array.from(rgb);
  let fixed = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const here = y * width + x;
      if (lamp[here]) {
        const most = Math.max(rgb[here * 3], rgb[here * 3 + 1], rgb[here * 3 + 2]);
        const least = Math.min(rgb[here * 3], rgb[here * 3 + 1], rgb[here * 3 + 2]);
        if (least < 0.05 * most && most > 100 * level) out.fill(most, here * 3, here * 3 + 3);
      } else if (ringing[here]) {
        for (let c = 0; c < 3; c++) {
          const sound = [];
          let lamps = 0;
          each(x, y, 2, (p) => (lamps += lamp[p]));
          // A gap inside a lamp is lamp, too.
          if (lamps >= 8) {
            out[here * 3 + c] = 12 * level;
            continue;
          }
          each(x, y, 4, (p) => {
            if (!ringing[p] && !lamp[p]) sound.push(rgb[p * 3 + c]);
          });
          if (sound.length === 0) each(x, y, 6, (p) => lamp[p] || sound.push(Math.max(0, rgb[p * 3 + c])));
          sound.sort((u, v) => u - v);
          out[here * 3 + c] = sound.length ? Math.max(0, sound[sound.length >> 1]) : 0;
        }
        fixed += 1;
      }
    }
  }
  return { image: { rgb: out, width, height }, fixed };
}

/** Exposure from the log-average of the lower two thirds, then a filmic shoulder and the sRGB curve. */
export function toneMap(image, key = 0.2) {
  const { rgb, width, height } = image;
  const exposure = key / logAverage(image);
  const out = Buffer.alloc(width * height * 4, 255);
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) {
      const v = Math.max(0, rgb[p * 3 + c]) * exposure;
      const mapped = Math.min(1, (v * (2.51 * v * 0.6 + 0.03)) / (v * 0.6 * (2.43 * v + 0.59) + 0.14 * 0.6));
      const s = mapped <= 0.0031308 ? 12.92 * mapped : 1.055 * mapped ** (1 / 2.4) - 0.055;
      out[p * 4 + c] = Math.round(255 * Math.min(1, Math.max(0, s)));
    }
  }
  return { data: out, width, height };
}

/** A photograph at 1024 wide. */
export async function photo(entry, debianFolder) {
  const folder = path.join(debianFolder, 'usr/share/backgrounds');
  let image = sharp(path.join(entry.folder ?? folder, entry.name)).rotate();
  if (entry.crop) image = image.extract(entry.crop);
  const { data, info } = await image
    .resize(1024, null, { kernel: 'lanczos3' })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

export const encodeJpeg = (image, quality) => Buffer.from(jpeg.encode(image, quality).data);
