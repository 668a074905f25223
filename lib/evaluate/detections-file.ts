/** The detections of an evaluation, a line an image, so that one that was broken off goes on where it was. */
import fs from 'node:fs/promises';
import type { Detection } from '../boxes/types';

/** What the detections depend on, by name. */
export type DetectionsOrigin = Readonly<Record<string, string | number | boolean>>;

/** Detections of some images, and a way to add more. */
export interface DetectionsFile {
  /** By the image's id. */
  readonly found: ReadonlyMap<string, readonly Detection[]>;
  /** Writes an image's detections, rounded to 1/10000 pixel, and to `found`. */
  add(images: readonly { readonly id: string; readonly detections: readonly Detection[] }[]): Promise<void>;
  close(): Promise<void>;
}

interface Line {
  readonly image: string;
  /** `x1, y1, x2, y2, label, score` of each. */
  readonly detections: readonly (readonly number[])[];
}

/**
 * Opens a file of detections, or begins it. A last line that was cut is given up.
 * @throws Error where the file is of another origin, naming what differs, or is no such file.
 */
export async function openDetections(file: string, origin: DetectionsOrigin): Promise<DetectionsFile> {
  const found = new Map<string, readonly Detection[]>();
  const text = await fs.readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  // An evaluation that ended before its first image, with other weights perhaps, does not bind the next one.
  const kept = lines.length > 1 ? lines : [];
  kept.forEach((line, i) => {
    if (i === 0) return checkOrigin(file, parse<DetectionsOrigin>(file, line, 1), origin);
    const { image, detections } = parse<Line>(file, line, i + 1);
    found.set(image, detections.map(fromRow));
  });
  const handle = await fs.open(file, 'a');
  await handle.truncate(kept.reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0));
  if (kept.length === 0) await handle.appendFile(`${JSON.stringify(origin)}\n`);
  return {
    found,
    async add(images) {
      const added = images.map(({ id, detections }): Line => ({
        image: id,
        detections: detections.map(toRow),
      }));
      await handle.appendFile(added.map((line) => `${JSON.stringify(line)}\n`).join(''));
      for (const { image, detections } of added) found.set(image, detections.map(fromRow));
    },
    close: () => handle.close(),
  };
}

function toRow({ box, label, score }: Detection): number[] {
  return [...box.map((value) => Number(value.toFixed(4))), label, Number(score.toPrecision(9))];
}

function fromRow([x1, y1, x2, y2, label, score]: readonly number[]): Detection {
  return { box: [x1, y1, x2, y2], label, score };
}

function parse<T>(file: string, line: string, number: number): T {
  try {
    return JSON.parse(line) as T;
  } catch (error) {
    throw new Error(`${file}, line ${number} is not JSON. Delete the file to begin anew.`, { cause: error });
  }
}

function checkOrigin(file: string, there: DetectionsOrigin, wanted: DetectionsOrigin): void {
  const differences = Object.keys({ ...there, ...wanted })
    .filter((key) => there[key] !== wanted[key])
    .map((key) => `${key} ${String(there[key])}, now ${String(wanted[key])}`);
  if (differences.length === 0) return;
  throw new Error(
    `${file} has the detections of another evaluation: ${differences.join('; ')}. Give --out another folder, or delete the file.`,
  );
}
