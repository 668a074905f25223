/** What data sets, anchors and detections of a data set show as a cell's value. */
import type { AnchorSet } from '../../boxes/anchors';
import type { DetectionDataset } from '../../data/types';
import type { ShownBundle } from '../../plot/display';
import { formatCount, formatDuration } from '../../plot/format';
import { table, type TableCell } from '../../plot/table';
import type { DatasetDetections } from '../../train/evaluate';
import { shownTable } from './boxes-view';
import { isNumbers, isPlainObject } from './plain';

const mostImages = 20;
const mostClasses = 100;

/** A table of one of the library's results; `undefined` for anything else. */
export function dataView(value: unknown): ShownBundle | undefined {
  if (!isPlainObject(value)) return undefined;
  if (isDataset(value)) return datasetView(value);
  if (isAnchorSet(value)) return anchorsView(value);
  if (isDatasetDetections(value)) return datasetDetectionsView(value);
  return undefined;
}

function isDataset(value: Record<string, unknown>): value is Record<string, unknown> & DetectionDataset {
  return (
    typeof value.name === 'string' &&
    Array.isArray(value.classes) &&
    Array.isArray(value.examples) &&
    value.examples.every((example: { objects?: unknown } | null) => Array.isArray(example?.objects))
  );
}

function datasetView({ name, classes, examples }: DetectionDataset): ShownBundle {
  const counts = classes.map(() => ({ objects: 0, images: 0 }));
  let [objects, difficult, empty] = [0, 0, 0];
  for (const example of examples) {
    objects += example.objects.length;
    if (example.objects.length === 0) empty++;
    for (const { label, difficult: hard } of example.objects) {
      if (hard) difficult++;
      if (counts[label]) counts[label].objects++;
    }
    for (const label of new Set(example.objects.map((object) => object.label))) {
      if (counts[label]) counts[label].images++;
    }
  }
  const caption = [
    `${name}: ${formatCount(examples.length, 'image')}`,
    formatCount(objects, 'object') + (difficult > 0 ? ` (${formatCount(difficult)} difficult)` : ''),
    empty > 0 ? `${formatCount(empty, 'image')} without any` : '',
    classes.length > mostClasses ? `the first ${mostClasses} of ${classes.length} classes` : '',
  ];
  const columns = ['id', 'class', 'objects', 'images'];
  const rows = classes
    .slice(0, mostClasses)
    .map((title, id) => ({ id, class: title, objects: counts[id].objects, images: counts[id].images }));
  return shownTable(table(rows, { caption: caption.filter(Boolean).join(', '), columns }));
}

function isAnchorSet(value: Record<string, unknown>): value is Record<string, unknown> & AnchorSet {
  return isNumbers(value.boxes) && Array.isArray(value.levels) && typeof value.imageWidth === 'number';
}

function anchorsView({ boxes, levels, imageWidth, imageHeight }: AnchorSet): ShownBundle {
  const side = (value: number): string => String(Number(value.toFixed(1)));
  const rows = levels.map(({ rows, cols, stepX, stepY, shapes, count }, level) => ({
    level,
    'rows x columns': `${rows} x ${cols}`,
    'step (px)': stepX === stepY ? side(stepX) : `${side(stepX)} x ${side(stepY)}`,
    'width x height (px)': shapes.map(([width, height]) => `${side(width)} x ${side(height)}`).join(', '),
    anchors: count,
  }));
  const caption = `${formatCount(boxes.length / 4, 'anchor')} for images of ${imageWidth} x ${imageHeight} pixels`;
  const format = { anchors: (value: TableCell): string => formatCount(Number(value)) };
  return shownTable(table(rows, { caption, format }));
}

function isDatasetDetections(
  value: Record<string, unknown>,
): value is Record<string, unknown> & DatasetDetections {
  return (
    [value.ids, value.groundTruth, value.detections].every(Array.isArray) && typeof value.seconds === 'number'
  );
}

function datasetDetectionsView({ ids, groundTruth, detections, seconds }: DatasetDetections): ShownBundle {
  const total = (lists: readonly (readonly unknown[])[]): number =>
    lists.reduce((sum, list) => sum + list.length, 0);
  const rows = ids.slice(0, mostImages).map((id, i) => ({
    image: id,
    objects: groundTruth[i].length,
    detections: detections[i].length,
    'best score': detections[i].reduce<number | undefined>(
      (best, { score }) => Math.max(best ?? score, score),
      undefined,
    ),
  }));
  const cut = ids.length > mostImages ? `; the first ${mostImages}` : '';
  const caption =
    `${formatCount(ids.length, 'image')} in ${formatDuration(seconds)}: ${formatCount(total(groundTruth), 'object')}, ` +
    `${formatCount(total(detections), 'detection')}${cut}`;
  const fixed = (value: TableCell): string => (typeof value === 'number' ? value.toFixed(3) : '');
  return shownTable(table(rows, { caption, format: { 'best score': fixed } }));
}
