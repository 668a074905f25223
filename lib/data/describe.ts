/** What a data set holds, in numbers and as text. */
import { formatCount } from '../plot/format';
import { type ClassCount, countClasses } from './count-classes';
import { formatProblem, type DatasetProblem } from './problems';
import type { DetectionDataset } from './types';

/** Smallest, median and largest of some sizes. */
export interface SizeRange {
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

/** What a data set holds. */
export interface DatasetSummary {
  readonly name: string;
  readonly images: number;
  /** Images without objects. */
  readonly empty: number;
  readonly objects: number;
  readonly mostObjects: number;
  /** By label. */
  readonly classes: readonly ClassCount[];
  /** Of the images, in pixels; `undefined` without images. */
  readonly width?: SizeRange;
  readonly height?: SizeRange;
  /** Root of an object's area, in pixels of its image; `undefined` without objects. */
  readonly side?: SizeRange;
  /** Objects up to 32 x 32 pixels, up to 96 x 96, and above: COCO's sizes, by box. */
  readonly bySize: readonly [small: number, medium: number, large: number];
}

/** Counts what a data set holds. @throws RangeError on a label that has no class. */
export function describeDataset(dataset: DetectionDataset): DatasetSummary {
  const { name, examples } = dataset;
  const sides: number[] = [];
  const bySize: [number, number, number] = [0, 0, 0];
  let [empty, mostObjects] = [0, 0];
  for (const { objects } of examples) {
    if (objects.length === 0) empty++;
    mostObjects = Math.max(mostObjects, objects.length);
    for (const { box } of objects) {
      const side = Math.sqrt((box[2] - box[0]) * (box[3] - box[1]));
      sides.push(side);
      bySize[side < 32 ? 0 : side < 96 ? 1 : 2]++;
    }
  }
  return {
    name,
    images: examples.length,
    empty,
    objects: sides.length,
    mostObjects,
    classes: countClasses(dataset),
    width: rangeOf(examples.map(({ width }) => width)),
    height: rangeOf(examples.map(({ height }) => height)),
    side: rangeOf(sides),
    bySize,
  };
}

function rangeOf(values: number[]): SizeRange | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return { least: sorted[0], median: sorted[sorted.length >> 1], most: sorted[sorted.length - 1] };
}

/** Options of `formatSummary`. */
export interface FormatSummaryOptions {
  /** Classes shown at most, the most frequent first. Default 30. */
  readonly mostClasses?: number;
}

/** The summary as lines of text. */
export function formatSummary(
  summary: DatasetSummary,
  { mostClasses = 30 }: FormatSummaryOptions = {},
): string {
  const { images, empty, objects, mostObjects, classes, width, height, side, bySize } = summary;
  const number = (value: number): string => Math.round(value).toLocaleString('en-US');
  const lines = [
    `${formatCount(images, 'image')}${empty > 0 ? ` (${number(empty)} without objects)` : ''}, ` +
      `${formatCount(objects, 'object')}, ${formatCount(classes.length, 'class', 'classes')}`,
  ];
  if (width && height) {
    const range = ({ least, median, most }: SizeRange): string =>
      least === most ? number(least) : `${number(least)} to ${number(most)} (median ${number(median)})`;
    lines.push(`image width ${range(width)}, height ${range(height)} pixels`);
  }
  if (side) {
    const shares = bySize.map((count) => `${Math.round((100 * count) / objects)} %`);
    lines.push(
      `objects an image: ${(objects / images).toFixed(1)} on average, ${number(mostObjects)} at most`,
      `object size (root of area): ${number(side.least)} to ${number(side.most)} pixels, median ${number(side.median)}; ` +
        `small ${shares[0]}, medium ${shares[1]}, large ${shares[2]}`,
    );
  }
  const shown = [...classes].sort((a, b) => b.objects - a.objects).slice(0, mostClasses);
  const rows = shown.map((one) => {
    const marks = [
      one.difficult > 0 ? `${number(one.difficult)} difficult` : '',
      one.crowd > 0 ? `${number(one.crowd)} crowds` : '',
    ];
    return [one.class, number(one.objects), number(one.images), marks.filter(Boolean).join(', ')];
  });
  if (rows.length > 0) lines.push('', ...table([['class', 'objects', 'images', ''], ...rows]));
  if (shown.length < classes.length) lines.push(`  and ${classes.length - shown.length} more`);
  return lines.join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    `  ${row[0].padEnd(widths[0])}  ${row[1].padStart(widths[1])}  ${row[2].padStart(widths[2])}  ${row[3]}`.trimEnd(),
  );
}

/** Problems as lines of text: how many of each kind, and the first few. */
export function formatProblems(problems: readonly DatasetProblem[], most = 10): string {
  if (problems.length === 0) return 'no problems';
  const kinds = new Map<string, number>();
  for (const { kind, action } of problems) {
    const key = `${kind.replaceAll('-', ' ')} (${action})`;
    kinds.set(key, (kinds.get(key) ?? 0) + 1);
  }
  const counts = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${count} ${kind}`);
  const lines = problems.slice(0, most).map((problem) => `  ${formatProblem(problem)}`);
  if (problems.length > most) lines.push(`  and ${problems.length - most} more`);
  return [
    `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}: ${counts.join(', ')}`,
    ...lines,
  ].join('\n');
}
