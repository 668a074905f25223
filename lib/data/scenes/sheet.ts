/** Contact sheets: many pictures with their boxes in one, for looking a set over. Crude on purpose; lib/plot draws nicely. */
import type { GroundTruth } from '../../boxes/types';
import { resizeImage } from '../resize';
import type { RgbImage } from '../types';

/** One picture of a sheet. */
export interface SheetItem {
  readonly image: RgbImage;
  readonly objects?: readonly GroundTruth[];
  /** Written in the corner. */
  readonly caption?: string;
}

/** Letters three pixels wide and five high: a row is three bits, the highest bit left. */
// prettier-ignore
const font: Readonly<Record<string, string>> = {
  a: '25755', b: '65656', c: '34443', d: '65556', e: '74647', f: '74644', g: '34553', h: '55755', i: '72227',
  j: '11152', k: '55655', l: '44447', m: '57755', n: '65555', o: '25552', p: '65644', q: '25531', r: '65655',
  s: '34216', t: '72222', u: '55557', v: '55552', w: '55775', x: '55255', y: '55222', z: '71247', '-': '00700',
  '0': '75557', '1': '26227', '2': '61247', '3': '61216', '4': '55711', '5': '74616', '6': '34652', '7': '71122',
  '8': '25252', '9': '25316', '.': '00002', '/': '11244',
};

/** Colours that stay apart for a dozen classes and repeat after that. */
// prettier-ignore
const colours: readonly (readonly [number, number, number])[] = [
  [255, 225, 25], [60, 180, 255], [245, 130, 48], [70, 240, 120], [240, 50, 230], [230, 25, 75], [170, 255, 195],
  [145, 110, 255], [188, 246, 12], [255, 190, 212], [0, 200, 200], [255, 255, 255],
];

/** Lays pictures of any size out in columns of square cells; boxes dashed where the object is difficult. */
export function contactSheet(
  items: readonly SheetItem[],
  options: { cell: number; columns: number; classes?: readonly string[] },
): RgbImage {
  const { cell, columns, classes = [] } = options;
  const step = cell + 4;
  const width = Math.max(1, columns * step);
  const height = Math.max(1, Math.ceil(items.length / columns) * step);
  const sheet = { width, height, data: new Uint8Array(width * height * 3).fill(40) };
  items.forEach(({ image, objects = [], caption }, index) => {
    const left = (index % columns) * step + 2;
    const top = Math.floor(index / columns) * step + 2;
    const scale = Math.min(cell / image.width, cell / image.height);
    const w = Math.max(1, Math.round(image.width * scale));
    const h = Math.max(1, Math.round(image.height * scale));
    const method = scale >= 1 ? 'nearest' : 'area';
    const small = resizeImage(image, w, h, method);
    for (let y = 0; y < h; y++) {
      sheet.data.set(small.data.subarray(y * w * 3, (y + 1) * w * 3), ((top + y) * width + left) * 3);
    }
    for (const { box, label, difficult } of objects) {
      const colour = colours[label % colours.length];
      const [x1, y1, x2, y2] = box.map((value) => Math.round(value * scale));
      rectangle(
        sheet,
        left + x1,
        top + y1,
        left + Math.max(x1 + 1, x2) - 1,
        top + Math.max(y1 + 1, y2) - 1,
        colour,
        difficult,
      );
      if (classes[label]) write(sheet, left + x1 + 1, top + Math.max(0, y1 - 6), classes[label], colour);
    }
    if (caption) write(sheet, left + 1, top + cell - 6, caption, [255, 255, 255]);
  });
  return sheet;
}

type Colour = readonly [number, number, number];

function rectangle(
  s: RgbImage,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  colour: Colour,
  dashed = false,
): void {
  for (let x = x1; x <= x2; x++) if (!dashed || x % 4 < 2) [y1, y2].forEach((y) => dot(s, x, y, colour));
  for (let y = y1; y <= y2; y++) if (!dashed || y % 4 < 2) [x1, x2].forEach((x) => dot(s, x, y, colour));
}

/** Text on a dark ground. */
function write(s: RgbImage, x: number, y: number, text: string, colour: Colour): void {
  for (let j = -1; j < 6; j++) for (let i = -1; i < text.length * 4; i++) dot(s, x + i, y + j, [0, 0, 0]);
  [...text.toLowerCase()].forEach((letter, k) => {
    [...(font[letter] ?? '00000')].forEach((row, j) => {
      for (let i = 0; i < 3; i++) if ((Number(row) >> (2 - i)) & 1) dot(s, x + k * 4 + i, y + j, colour);
    });
  });
}

function dot({ width, height, data }: RgbImage, x: number, y: number, colour: Colour): void {
  if (x >= 0 && y >= 0 && x < width && y < height) data.set(colour, (y * width + x) * 3);
}
