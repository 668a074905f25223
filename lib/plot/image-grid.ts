/** Several pictures as one, with captions. */
import type { Canvas, SKRSContext2D } from 'canvas';
import { loadCanvas } from './canvas';
import { canvasFont } from './fonts';
import { canvasOf, makePicture, type Picture } from './picture';

/** Options of {@link imageGrid}. */
export interface ImageGridOptions {
  /** Pictures in a row; as many as fit into about 900 pixels unless told. */
  columns?: number;
  /** One text a picture, drawn under it and wrapped; `''` for none. */
  captions?: readonly string[];
  /** Space between pictures in CSS pixels (12 unless told). */
  gap?: number;
  /** Width of the whole in CSS pixels; larger pictures are shrunk to fit. Their own size unless told. */
  width?: number;
  /** A title above the grid. */
  title?: string;
  /** Where pictures of different heights stand in a row: `bottom` puts each one on its caption (`top` unless told). */
  align?: 'top' | 'bottom';
  /** Explains dashed and solid outlines at the bottom; only where both are drawn, unless told. */
  key?: boolean;
}

const lineHeight = 16;
const margin = 6;
const captionLines = 4;

/**
 * One picture of several, row by row, on white.
 * @throws when there are no pictures or there are more captions than pictures.
 */
export async function imageGrid(
  pictures: readonly Picture[],
  options: ImageGridOptions = {},
): Promise<Picture> {
  if (pictures.length === 0) throw new Error('imageGrid: no pictures; give at least one');
  const captions = options.captions ?? [];
  if (captions.length > pictures.length) {
    throw new Error(`imageGrid: ${captions.length} captions for ${pictures.length} pictures`);
  }
  const { createCanvas } = await loadCanvas();
  const gap = options.gap ?? 12;
  const widest = Math.max(...pictures.map((picture) => picture.width));
  const columns = Math.min(
    pictures.length,
    options.columns ?? Math.max(1, Math.floor((900 - 2 * margin + gap) / (widest + gap))),
  );
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`imageGrid: columns is a positive integer, got ${options.columns}`);
  }
  const room =
    options.width === undefined ? Infinity : (options.width - 2 * margin - (columns - 1) * gap) / columns;
  const shrink = Math.min(1, Math.max(8, room) / widest);
  const pixelRatio = Math.max(...pictures.map((picture) => picture.pixelRatio));
  const cell = Math.floor(widest * shrink);

  const measure = createCanvas(1, 1).getContext('2d');
  measure.font = `400 12px ${canvasFont}`;
  const texts = pictures.map((_, i) => wrap(measure, captions[i] ?? '', cell, captionLines));
  const rows = Math.ceil(pictures.length / columns);
  const rowOf = (i: number): number => Math.floor(i / columns);
  const heights = Array.from({ length: rows }, (_, row) => {
    const inRow = pictures.map((_, i) => i).filter((i) => rowOf(i) === row);
    const tallest = Math.max(...inRow.map((i) => Math.round(pictures[i].height * shrink)));
    const lines = Math.max(...inRow.map((i) => texts[i].length));
    return { tallest, total: tallest + (lines > 0 ? lines * lineHeight + 6 : 0) };
  });
  const shows = {
    groundTruth: pictures.some((picture) => picture.shows.groundTruth),
    detections: pictures.some((picture) => picture.shows.detections),
  };
  const key = options.key ?? (shows.groundTruth && shows.detections);
  const width = columns * cell + (columns - 1) * gap + 2 * margin;
  const titleLines = wrapTitle(measure, options.title, width - 2 * margin);
  const top = margin + (titleLines.length > 0 ? titleLines.length * 20 + 6 : 0);
  const height =
    top + heights.reduce((sum, row) => sum + row.total, 0) + (rows - 1) * gap + (key ? 24 : 0) + margin;

  const canvas = createCanvas(Math.round(width * pixelRatio), Math.round(height * pixelRatio));
  const context = canvas.getContext('2d');
  context.scale(pixelRatio, pixelRatio);
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, width, height);
  context.fillStyle = '#1f2328';
  context.font = `600 15px ${canvasFont}`;
  titleLines.forEach((line, i) => context.fillText(line, margin, margin + 15 + i * 20));
  context.imageSmoothingQuality = 'high';
  let y = top;
  for (let row = 0; row < rows; row++) {
    for (let i = row * columns; i < Math.min(pictures.length, (row + 1) * columns); i++) {
      const x = margin + (i - row * columns) * (cell + gap);
      const picture = pictures[i];
      const [w, h] = [picture.width * shrink, picture.height * shrink];
      const bitmap = canvasOf(picture) as Canvas;
      // Pixel for pixel where nothing is shrunk: interpolation would soften every line.
      context.imageSmoothingEnabled = bitmap.width !== Math.round(w * pixelRatio);
      const down = options.align === 'bottom' ? heights[row].tallest - Math.round(h) : 0;
      context.drawImage(bitmap, x, y + down, w, h);
      context.fillStyle = '#1f2328';
      context.font = `400 12px ${canvasFont}`;
      texts[i].forEach((line, k) =>
        context.fillText(line, x, y + heights[row].tallest + 16 + k * lineHeight),
      );
    }
    y += heights[row].total + gap;
  }
  if (key) drawKey(context, margin, height - margin - 9, shows);
  return makePicture(canvas, {
    pixelRatio,
    shows,
    hiddenLabels: pictures.reduce((sum, picture) => sum + picture.hiddenLabels, 0),
    description: [
      options.title,
      ...pictures.map((picture, i) => [captions[i], picture.description].filter(Boolean).join(': ')),
    ]
      .filter(Boolean)
      .join('\n'),
  });
}

function wrapTitle(context: SKRSContext2D, title: string | undefined, width: number): string[] {
  if (title === undefined) return [];
  const font = context.font;
  context.font = `600 15px ${canvasFont}`;
  const lines = wrap(context, title, width, 2);
  context.font = font;
  return lines;
}

/** Breaks a text at spaces into lines of at most `width` pixels; what does not fit into `most` lines ends in "…". */
function wrap(context: SKRSContext2D, text: string, width: number, most: number): string[] {
  const fits = (line: string): boolean => context.measureText(line).width <= width;
  const cut = (line: string): string => {
    let kept = line;
    while (kept.length > 1 && !fits(`${kept}…`)) kept = kept.slice(0, -1);
    return `${kept.trimEnd()}…`;
  };
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ').filter(Boolean)) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (line === '' || fits(longer)) line = longer;
      else {
        lines.push(line);
        line = word;
      }
    }
    if (line !== '') lines.push(line);
  }
  const kept = lines.slice(0, most).map((line) => (fits(line) ? line : cut(line)));
  if (lines.length > most) kept[most - 1] = cut(`${lines[most - 1]} ${lines[most]}`);
  return kept;
}

/** A line of each kind with its meaning. */
function drawKey(context: SKRSContext2D, x: number, y: number, shows: Picture['shows']): void {
  const entries = [
    ...(shows.groundTruth ? [{ text: 'ground truth', dash: [6, 4] }] : []),
    ...(shows.detections ? [{ text: 'detection, with its score', dash: [] }] : []),
  ];
  context.font = `400 12px ${canvasFont}`;
  let at = x;
  for (const { text, dash } of entries) {
    context.strokeStyle = '#57606a';
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(at, y);
    context.lineTo(at + 26, y);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = '#57606a';
    context.fillText(text, at + 32, y + 4);
    at += 32 + context.measureText(text).width + 22;
  }
}
