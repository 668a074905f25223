// From one published drawing to one clean sprite: cut, trimmed to its alpha box, fitted.
import sharp from 'sharp';
import { drawing } from './families.mjs';

/** Pixels on the long side at which a drawing is rendered before it is trimmed and reduced. */
const RENDER = 640;

/** Shapes Streamline puts under every object: a soft grey ellipse, which would widen the box. */
const STREAMLINE_SHADOW = /<(?:path|ellipse)\b(?=[^>]*fill="#45413c")(?=[^>]*opacity="\.15")[^>]*\/>/g;

/** A drawing as raw RGBA, after its edits. */
export async function render(source, slug, edit = {}) {
  let bytes = drawing(source, slug, RENDER);
  if (source.set) {
    let svg = bytes.toString();
    if (source.id === 'streamline') svg = svg.replace(STREAMLINE_SHADOW, '');
    for (const pattern of edit.remove ?? []) {
      let hits = 0;
      svg = svg.replace(/<(path|rect|circle|ellipse|polygon)\b[^>]*\/>/g, (tag) => {
        if (!tag.includes(pattern)) return tag;
        hits += 1;
        return '';
      });
      if (hits === 0) throw new Error(`${source.id}/${slug}: nothing matches "${pattern}"`);
    }
    bytes = Buffer.from(svg);
  }
  const { data, info } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  const image = { data, width: info.width, height: info.height };
  if (edit.keepTop) clearBelow(image, edit.keepTop);
  if (edit.largest) keepLargest(image);
  return image;
}

function clearBelow({ data, width, height }, fraction) {
  data.fill(0, Math.round(fraction * height) * width * 4);
}

/** Keeps the largest 8-connected piece of what is visible. */
function keepLargest({ data, width, height }) {
  const label = new Int32Array(width * height);
  let best = 0;
  let bestSize = 0;
  let next = 0;
  const stack = [];
  for (let start = 0; start < label.length; start++) {
    if (label[start] !== 0 || data[start * 4 + 3] < 16) continue;
    next += 1;
    let size = 0;
    stack.push(start);
    label[start] = next;
    while (stack.length > 0) {
      const at = stack.pop();
      size += 1;
      const x = at % width;
      const y = (at - x) / width;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const nx = x + dx;
          const ny = y + dy;
          if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
          const to = ny * width + nx;
          if (label[to] === 0 && data[to * 4 + 3] >= 16) {
            label[to] = next;
            stack.push(to);
          }
        }
      }
    }
    if (size > bestSize) {
      bestSize = size;
      best = next;
    }
  }
  for (let at = 0; at < label.length; at++) if (label[at] !== best) data.fill(0, at * 4, at * 4 + 4);
}

/** Trims to the visible box and fits `side` pixels on the long side; faint alpha is cleared, near-full alpha filled. */
export async function fit(image, side) {
  const { data, width, height } = image;
  let left = width;
  let top = height;
  let right = -1;
  let bottom = -1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[(y * width + x) * 4 + 3] < 24) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  if (right < 0) throw new Error('nothing visible is left of a drawing');
  const w = right - left + 1;
  const h = bottom - top + 1;
  const scale = side / Math.max(w, h);
  const { data: small, info } = await sharp(data, { raw: { width, height, channels: 4 } })
    .extract({ left, top, width: w, height: h })
    .resize(Math.max(1, Math.round(w * scale)), Math.max(1, Math.round(h * scale)), {
      kernel: 'lanczos3',
      fit: 'fill',
    })
    .raw()
    .toBuffer({ resolveWithObject: true });
  for (let at = 0; at < small.length; at += 4) {
    if (small[at + 3] < 12) small.fill(0, at, at + 4);
    else if (small[at + 3] > 244) small[at + 3] = 255;
  }
  return { data: small, width: info.width, height: info.height };
}
